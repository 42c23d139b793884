"""JAX with optax: one jitted training step, as their tutorials write it, on CPU, GPU, TPU or Metal.

Stock here: NumPy arrays ``(n, 28, 28, 1)`` in host memory, each batch gathered by a shuffled index
and given to the step, which donates nothing. The last, partial batch of an epoch has another shape
and compiles once more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from epochmark.engines._shared.batches import Calls, gathered_by_numpy, timed_batches
from epochmark.engines._shared.builds import JAX_BUILDS
from epochmark.engines._shared.contract import (
    Batch,
    Device,
    Engine,
    EngineInfo,
    Labels,
    Operations,
    Pixels,
    Settings,
    Stopwatch,
    Support,
    TrainingState,
    Tunable,
    Variables,
    Weights,
)
from epochmark.engines._shared.on_jax import (
    JAX_GPUS,
    default_threads,
    device_id,
    list_places,
    open_device,
    operations_on,
)
from epochmark.engines._shared.requirements import JAX

Data = Tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]

EVALUATION_BATCH = 1000


class JaxEngine(Engine):
    info = EngineInfo(
        name="jax",
        title="JAX",
        summary="JAX and optax, one jitted step",
        family="jax",
        adam_form="algorithm_1",
        devices=(
            Support("cpu", "JAX", "x86-64 Linux: JAX 0.10, optax 0.2"),
            Support("gpu", JAX_GPUS, "none of them"),
            Support("tpu", "`jax[tpu]`"),
        ),
        modules=("jax", "optax"),
        distributions=("jax", "jaxlib", "jax-metal", "optax", "numpy"),
        requirements=JAX,
        builds=JAX_BUILDS,
        precisions=("stock", "float32", "tf32", "bfloat16"),
        variables=Variables(
            places=(
                "JAX_PLATFORMS",
                "XLA_PYTHON_CLIENT_ALLOCATOR",
                "XLA_PYTHON_CLIENT_MEM_FRACTION",
                "XLA_PYTHON_CLIENT_PREALLOCATE",
            ),
            threads=("NPROC",),
            switches=("JAX_*",),
            folders=("JAX_COMPILATION_CACHE_DIR",),
        ),
        memory_errors=("resource_exhausted",),
        cuda_packages=("jax-cuda",),
        tunables=(
            Tunable(
                "convolution",
                ("xla", "matmul"),
                "a matrix product over the nine shifted images side by side, instead of XLA's own "
                "convolution",
                ("cpu",),
            ),
            Tunable(
                "pooling",
                ("reduce_window", "reshape"),
                "largest value of two axes of an array reshaped to windows, instead of "
                "`reduce_window`",
            ),
            Tunable(
                "data",
                ("host", "device"),
                "all images on the device before the first step; each batch is gathered there",
            ),
            Tunable(
                "donate",
                ("off", "on"),
                "the step writes parameters and moments where the old ones were",
            ),
            Tunable(
                "steps_per_call",
                ("1", "16"),
                "so many steps in one call, by `lax.scan`; fewer where a lap or an epoch ends",
                ("gpu", "tpu"),
            ),
        ),
    )

    def list_devices(self) -> List[Device]:
        return [device for device, _ in list_places()]

    def open(self, settings: Settings) -> Device:
        self._settings = settings
        self._opened, self._place = open_device(settings)
        self._tuned = self.info.all_settings(self._opened.id, settings.tuned_settings)
        return self._opened

    def load(self, images: Pixels, labels: Labels) -> Data:
        scale = np.float32(self._settings.workload.pixel_scale)
        return images[..., np.newaxis].astype(np.float32) / scale, labels.astype(np.int32)

    def build(self, weights: Weights) -> None:
        self._training = self._new_training(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        import jax

        images, labels = data
        training = self._training
        if self._tuned["data"] == "device":
            images, labels = jax.device_put((images, labels), self._place)
        calls = Calls(training, images, labels, self._steps_per_call())
        for batch in timed_batches(
            self._settings, len(labels), stopwatch, calls.synchronise, calls.take_sums
        ):
            calls.add(batch)

    def observed_devices(self) -> List[str]:
        """Where the parameters, Adam's moments and the logits of one image are."""
        import jax

        training = self._training
        logits = training.compute_logits(training.parameters, np.zeros((1, 28, 28, 1), np.float32))
        arrays = jax.tree.leaves((training.parameters, training.moments, logits))
        return sorted({device_id(array) for array in arrays})

    def evaluate(self, images: Pixels, labels: Labels) -> Tuple[float, float]:
        pixels, targets = self.load(images, labels)
        loss_sum, correct = 0.0, 0
        for start in range(0, len(labels), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            losses, hits = self._training.evaluate(pixels[part], targets[part])
            loss_sum += float(losses)
            correct += int(hits)
        return loss_sum / len(labels), correct / len(labels)

    def replay(self, weights: Weights, batches: Sequence[Batch]) -> List[float]:
        training = self._new_training(weights)
        loaded = [self.load(*batch) for batch in batches]
        if self._steps_per_call() == 1:
            return [float(training.step(*batch)) for batch in loaded]
        return [float(loss) for loss in training.steps(*map(np.stack, zip(*loaded)))]

    def state(self) -> TrainingState:
        training = self._training
        adam = training.moments[0]  # optax chains it with the scaling by the learning rate
        return TrainingState(
            weights=_copied(training.parameters),
            first=_copied(adam.mu),
            second=_copied(adam.nu),
            steps=int(adam.count),
        )

    def effective_settings(self) -> Dict[str, Any]:
        import jax

        settings = {
            "execution": "operation by operation, nothing jitted"
            if jax.config.jax_disable_jit
            else "one jitted step"
            if self._steps_per_call() == 1
            else f"{self._steps_per_call()} steps in one jitted scan",
            "layout": "NHWC",
            "data": "index gather on the device"
            if self._tuned["data"] == "device"
            else "index gather from host memory, each batch handed to the step",
            "compute_type": "bfloat16"
            if self._settings.precision == "bfloat16"
            else str(self._training.parameters["conv_1.kernel"].dtype),
            "matmul_precision": jax.config.jax_default_matmul_precision or "JAX's default",
            "platform_version": self._place.client.platform_version.splitlines()[0],
        }
        if self._opened.kind == "cpu" and default_threads() is not None:
            settings["threads"] = default_threads()
        return settings

    def operations(self) -> Operations:
        operations = operations_on(self._place)
        return replace(operations, fetch=gathered_by_numpy(operations.put))

    def _new_training(self, weights: Weights) -> TrainingLoop:
        return TrainingLoop(self._settings, weights, self._place, self._tuned)

    def _steps_per_call(self) -> int:
        return int(self._tuned.get("steps_per_call", "1"))


def _copied(arrays: Mapping[str, Any]) -> Dict[str, npt.NDArray[np.float32]]:
    """On a CPU NumPy would look into JAX's own memory, which a donating step writes."""
    return {name: np.array(array) for name, array in arrays.items()}


def compute_logits(
    parameters: Any, images: Any, tuned: Mapping[str, str], compute_type: Optional[Any] = None
) -> Any:
    """Scores before the softmax, float32 ``(n, 10)``, of images ``(n, 28, 28, 1)``.

    ``tuned`` are the values of the engine's tunables. ``compute_type`` is what everything in
    between is computed in; parameters stay as they are.
    """
    import jax
    import jax.numpy as jnp

    convolution = convolve_by_matmul if tuned.get("convolution") == "matmul" else convolve_by_xla
    pool = pool_by_reshape if tuned.get("pooling") == "reshape" else pool_by_windows
    if compute_type is not None:
        parameters, images = jax.tree.map(lambda a: a.astype(compute_type), (parameters, images))

    def convolve(values: Any, name: str) -> Any:
        return parameters[f"{name}.bias"] + convolution(values, parameters[f"{name}.kernel"])

    def dense(values: Any, name: str) -> Any:
        return values @ parameters[f"{name}.kernel"] + parameters[f"{name}.bias"]

    values = jax.nn.relu(convolve(images, "conv_1"))
    values = jax.nn.relu(convolve(values, "conv_2"))
    values = pool(values).reshape(len(images), -1)
    values = jax.nn.relu(dense(values, "dense_1"))
    return dense(values, "dense_2").astype(jnp.float32)


def convolve_by_xla(values: Any, kernel: Any) -> Any:
    """Values ``(n, h, w, i)``, kernel ``(3, 3, i, o)``: ``(n, h - 2, w - 2, o)``."""
    from jax import lax

    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        values, kernel, window_strides=(1, 1), padding="VALID", dimension_numbers=layout
    )


def convolve_by_matmul(values: Any, kernel: Any) -> Any:
    """The same as one matrix product (im2col): on a CPU XLA's convolutions, above all their
    gradients, take about twice as long as its matrix products."""
    import jax.numpy as jnp

    rows, columns, inputs, outputs = kernel.shape
    height, width = values.shape[1] - rows + 1, values.shape[2] - columns + 1
    shifted = [
        values[:, row : row + height, column : column + width]
        for row in range(rows)
        for column in range(columns)
    ]
    patches = jnp.concatenate(shifted, axis=-1).reshape(-1, rows * columns * inputs)
    return (patches @ kernel.reshape(-1, outputs)).reshape(len(values), height, width, outputs)


def pool_by_windows(values: Any) -> Any:
    """The largest of every 2 by 2 values: ``(n, h, w, c)`` to ``(n, h / 2, w / 2, c)``."""
    import jax.numpy as jnp
    from jax import lax

    window = (1, 2, 2, 1)
    return lax.reduce_window(values, -jnp.inf, lax.max, window, window, "VALID")


def pool_by_reshape(values: Any) -> Any:
    """The same without ``reduce_window``, whose gradient is slow on a CPU."""
    count, height, width, channels = values.shape
    return values.reshape(count, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


class TrainingLoop:
    """Parameters, Adam's moments and the epoch's sums on one device, and the jitted step."""

    _sums_so_far: Any

    def __init__(
        self, settings: Settings, weights: Weights, place: Any, tuned: Mapping[str, str]
    ) -> None:
        import jax
        import optax

        adam = settings.workload.optimizer
        self._optimizer = optax.adam(
            adam.learning_rate, b1=adam.beta_1, b2=adam.beta_2, eps=adam.epsilon
        )
        self.parameters = jax.device_put(dict(weights), place)
        self.moments = jax.device_put(self._optimizer.init(self.parameters), place)
        self._place = place
        self._compute_type = jax.numpy.bfloat16 if settings.precision == "bfloat16" else None
        self._tuned = tuned
        old_state = (0, 1, 2) if tuned.get("donate") == "on" else ()
        self._train_step = jax.jit(self._compute_step, donate_argnums=old_state)
        self._train_steps = jax.jit(self._compute_steps, donate_argnums=old_state)
        self._evaluate_step = jax.jit(self._sums)
        self._reset_sums()

    def compute_logits(self, parameters: Any, images: Any) -> Any:
        """Scores before the softmax, ``(n, 10)``."""
        return compute_logits(parameters, images, self._tuned, self._compute_type)

    def step(self, images: Any, labels: Any) -> Any:
        """One step of training; the mean loss before it, still on the device."""
        self.parameters, self.moments, self._sums_so_far, loss = self._train_step(
            self.parameters, self.moments, self._sums_so_far, images, labels
        )
        return loss

    def steps(self, images: Any, labels: Any) -> Any:
        """As many steps as the first axes are long, in one call; their losses, as of `step`."""
        self.parameters, self.moments, self._sums_so_far, losses = self._train_steps(
            self.parameters, self.moments, self._sums_so_far, images, labels
        )
        return losses

    def evaluate(self, images: Any, labels: Any) -> Tuple[Any, Any]:
        """Sum of losses and number of right answers of a batch."""
        sums: Tuple[Any, Any] = self._evaluate_step(self.parameters, images, labels)
        return sums

    def synchronise(self) -> None:
        """Return when the device has done everything it was given."""
        import jax

        jax.block_until_ready((self.parameters, self.moments, self._sums_so_far))

    def take_sums(self) -> Tuple[float, float]:
        """Sum of losses and number of right answers since the last call; waits for the device."""
        self.synchronise()
        loss_sum, correct = self._sums_so_far
        self._reset_sums()
        return float(loss_sum), int(correct)

    def _reset_sums(self) -> None:
        import jax

        self._sums_so_far = jax.device_put((np.float32(0), np.int32(0)), self._place)

    def _compute_step(
        self, parameters: Any, moments: Any, sums: Any, images: Any, labels: Any
    ) -> Any:
        import jax
        import optax

        (loss, correct), gradients = jax.value_and_grad(self._mean_loss, has_aux=True)(
            parameters, images, labels
        )
        updates, moments = self._optimizer.update(gradients, moments, parameters)
        parameters = optax.apply_updates(parameters, updates)
        return parameters, moments, (sums[0] + loss * len(labels), sums[1] + correct), loss

    def _compute_steps(
        self, parameters: Any, moments: Any, sums: Any, images: Any, labels: Any
    ) -> Any:
        from jax import lax

        def one(state: Any, batch: Any) -> Any:
            *state, loss = self._compute_step(*state, *batch)
            return tuple(state), loss

        state, losses = lax.scan(one, (parameters, moments, sums), (images, labels))
        return (*state, losses)

    def _mean_loss(self, parameters: Any, images: Any, labels: Any) -> Any:
        loss_sum, correct = self._sums(parameters, images, labels)
        return loss_sum / len(labels), correct

    def _sums(self, parameters: Any, images: Any, labels: Any) -> Any:
        import optax

        logits = self.compute_logits(parameters, images)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.sum(), (logits.argmax(axis=1) == labels).sum()


ENGINE = JaxEngine()
