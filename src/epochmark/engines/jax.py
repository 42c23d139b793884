"""JAX with optax: one jitted training step, as their tutorials write it, on CPU, GPU, TPU or Metal.

Stock here: NumPy arrays ``(n, 28, 28, 1)`` in host memory, each batch gathered by a shuffled index
and given to the step, which donates nothing. The last, partial batch of an epoch has another shape
and compiles once more.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from epochmark.engines._batches import timed_batches
from epochmark.engines._contract import (
    Batch,
    Device,
    Engine,
    EngineInfo,
    Labels,
    Operations,
    Pixels,
    Settings,
    Stopwatch,
    Weights,
)
from epochmark.engines._jax import device_id, list_places, open_device, operations_on, usable_cpus
from epochmark.engines._requirements import JAX

Data = Tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]

EVALUATION_BATCH = 1000


class JaxEngine(Engine):
    info = EngineInfo(
        name="jax",
        title="JAX",
        summary="JAX and optax, one jitted step",
        family="jax",
        adam_form="algorithm_1",
        device_kinds=("cpu", "gpu", "tpu"),
        modules=("jax", "optax"),
        distributions=("jax", "jaxlib", "jax-metal", "optax", "numpy"),
        requirements=JAX,
        precisions=("stock", "float32", "tf32", "bfloat16"),
    )

    def list_devices(self) -> List[Device]:
        return [device for device, _ in list_places()]

    def open(self, settings: Settings) -> Device:
        self._settings = settings
        self._opened, self._place = open_device(settings)
        return self._opened

    def load(self, images: Pixels, labels: Labels) -> Data:
        scale = np.float32(self._settings.workload.pixel_scale)
        return images[..., np.newaxis].astype(np.float32) / scale, labels.astype(np.int32)

    def build(self, weights: Weights) -> None:
        self._training = self._new_training(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        images, labels = data
        training = self._training
        for batch in timed_batches(
            self._settings, len(labels), stopwatch, training.synchronise, training.take_sums
        ):
            training.step(images[batch], labels[batch])

    def observed_devices(self) -> List[str]:
        """Where the parameters, Adam's moments and the logits of one image are."""
        import jax

        training = self._training
        logits = compute_logits(training.parameters, np.zeros((1, 28, 28, 1), np.float32))
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
        return [float(training.step(*self.load(*batch))) for batch in batches]

    def effective_settings(self) -> Dict[str, Any]:
        import jax

        settings = {
            "execution": "one jitted step",
            "layout": "NHWC",
            "data": "index gather from host memory, each batch handed to the step",
            "compute_type": "bfloat16" if self._settings.precision == "bfloat16" else "float32",
            "matmul_precision": jax.config.jax_default_matmul_precision or "JAX's default",
            "platform_version": self._place.client.platform_version.splitlines()[0],
        }
        if self._opened.kind == "cpu" and usable_cpus() is not None:
            settings["threads"] = usable_cpus()
        return settings

    def operations(self) -> Operations:
        return operations_on(self._place)

    def _new_training(self, weights: Weights) -> Training:
        return Training(self._settings, weights, self._place)


def compute_logits(parameters: Any, images: Any, compute_type: Optional[Any] = None) -> Any:
    """Scores before the softmax, float32 ``(n, 10)``, of images ``(n, 28, 28, 1)``.

    ``compute_type`` is what everything in between is computed in; parameters stay as they are.
    """
    import jax
    import jax.numpy as jnp
    from jax import lax

    if compute_type is not None:
        parameters, images = jax.tree.map(lambda a: a.astype(compute_type), (parameters, images))

    def convolve(values: Any, name: str) -> Any:
        kernel, bias = parameters[f"{name}.kernel"], parameters[f"{name}.bias"]
        layout = ("NHWC", "HWIO", "NHWC")
        return bias + lax.conv_general_dilated(
            values, kernel, window_strides=(1, 1), padding="VALID", dimension_numbers=layout
        )

    def dense(values: Any, name: str) -> Any:
        return values @ parameters[f"{name}.kernel"] + parameters[f"{name}.bias"]

    values = jax.nn.relu(convolve(images, "conv_1"))
    values = jax.nn.relu(convolve(values, "conv_2"))
    window = (1, 2, 2, 1)
    values = lax.reduce_window(values, -jnp.inf, lax.max, window, window, "VALID")
    values = values.reshape(len(values), -1)
    values = jax.nn.relu(dense(values, "dense_1"))
    return dense(values, "dense_2").astype(jnp.float32)


class Training:
    """Parameters, Adam's moments and the epoch's sums on one device, and the jitted step."""

    _sums_so_far: Any

    def __init__(self, settings: Settings, weights: Weights, place: Any) -> None:
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
        self._train_step = jax.jit(self._compute_step)
        self._evaluate_step = jax.jit(self._sums)
        self._reset_sums()

    def step(self, images: Any, labels: Any) -> Any:
        """One step of training; the mean loss before it, still on the device."""
        self.parameters, self.moments, self._sums_so_far, loss = self._train_step(
            self.parameters, self.moments, self._sums_so_far, images, labels
        )
        return loss

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

    def _mean_loss(self, parameters: Any, images: Any, labels: Any) -> Any:
        loss_sum, correct = self._sums(parameters, images, labels)
        return loss_sum / len(labels), correct

    def _sums(self, parameters: Any, images: Any, labels: Any) -> Any:
        import optax

        logits = compute_logits(parameters, images, self._compute_type)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.sum(), (logits.argmax(axis=1) == labels).sum()


ENGINE = JaxEngine()
