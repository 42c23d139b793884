"""MLX: the eager training loop of its MNIST example, on Apple silicon, CUDA, or the CPU.

Its Adam leaves the bias correction out unless asked for it; here it is asked.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Mapping, Sequence, Set, Tuple

import numpy as np
import numpy.typing as npt

from epochmark.engines._shared.batches import gathered_by_numpy, timed_batches
from epochmark.engines._shared.builds import Build
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
from epochmark.engines._shared.devices import choose_device, refuse_precision
from epochmark.engines._shared.layouts import Arrays, nhwc_weights, weights_from_nhwc
from epochmark.engines._shared.requirements import ARM64, MACOS, X86_64, Requirements
from epochmark.workloads import Workload
from epochmark.workloads.shapes import LayerShapes, layer_shapes
from epochmark.workloads.spec import Conv2D, Flatten, MaxPool2D

EVALUATION_BATCH = 500

TF32_SWITCH = "MLX_ENABLE_TF32"
"""MLX lets its matrix units round the factors of float32 products (CUDA: TF32; Apple M5 and later:
comparable) unless this is 0 before the first operation (ml-explore/mlx issue 3860)."""

Data = Tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]

REQUIREMENTS = (
    Requirements(
        pip=("mlx[cpu]>=0.32,<0.33",),
        architectures=(X86_64, ARM64),
        download_mb=30,
        installed_mb=140,
        tested="Linux x86-64, Python 3.11",
    ),
    Requirements(
        pip=("mlx>=0.32,<0.33",),
        accelerators=("metal",),
        systems=(MACOS,),
        architectures=(ARM64,),
        download_mb=60,
        installed_mb=300,
    ),
    Requirements(
        pip=("mlx[cuda13]>=0.32,<0.33",),
        accelerators=("cuda",),
        architectures=(X86_64, ARM64),
        download_mb=2500,
        installed_mb=5000,
    ),
)

BUILDS = (
    Build("cuda", "mlx-cuda*", title="a build for CUDA"),
    Build("cpu", "mlx-cpu", title="the build for the CPU"),
    Build("metal", "mlx-metal", title="a build for Metal"),
)


class MlxEngine(Engine):
    info = EngineInfo(
        name="mlx",
        title="MLX",
        summary="an eager loop; GPU of Apple silicon, CUDA, or CPU",
        family="mlx",
        adam_form="algorithm_1",
        devices=(
            Support("cpu", "`mlx[cpu]`", "x86-64 Linux: MLX 0.32"),
            Support("gpu", "Apple silicon, CUDA", "neither"),
        ),
        modules=("mlx.core",),
        distributions=("mlx", "mlx-cpu", "mlx-metal", "mlx-cuda-12", "mlx-cuda-13"),
        precisions=("stock", "float32", "tf32"),
        variables=Variables(switches=("MLX_*",)),
        cuda_packages=("mlx-cuda",),
        sets_threads=False,
        requirements=REQUIREMENTS,
        builds=BUILDS,
        tunables=(
            Tunable(
                "compile",
                ("off", "on"),
                "`mx.compile` of the step, once for each size of batch",
            ),
        ),
    )

    _settings: Settings
    _training: _Training

    def list_devices(self) -> List[Device]:
        import mlx.core as mx

        devices = [
            mx.Device(kind, index)
            for kind in (mx.cpu, mx.gpu)
            if mx.is_available(kind)
            for index in range(mx.device_count(kind))
        ]
        return [Device(_device_id(device), _description(device)) for device in devices]

    def open(self, settings: Settings) -> Device:
        if settings.precision != "stock":
            os.environ[TF32_SWITCH] = str(int(settings.precision == "tf32"))
        import mlx.core as mx

        self._settings = settings
        device = choose_device("MLX", self.list_devices(), settings.device)
        self._tuned = self.info.all_settings(device.id, settings.tuned_settings)
        if device.kind == "cpu" and settings.precision == "tf32":
            refuse_precision("MLX", "tf32", device, "stock, float32")
        index = int(device.id.partition(":")[2] or 0)
        mx.set_default_device(mx.Device(mx.cpu if device.kind == "cpu" else mx.gpu, index))
        return device

    def load(self, images: Pixels, labels: Labels) -> Data:
        pixels = np.asarray(images, np.float32)[..., np.newaxis]
        return pixels / np.float32(self._settings.workload.pixel_scale), labels

    def build(self, weights: Weights) -> None:
        self._training = _Training(self._settings.workload, weights, self._tuned)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        import mlx.core as mx

        images, labels = data
        training = self._training
        for batch in timed_batches(
            self._settings, len(labels), stopwatch, mx.synchronize, training.take_sums
        ):
            training.step(images[batch], labels[batch])

    def observed_devices(self) -> List[str]:
        """MLX arrays lie in memory that all devices share and know no device of their own: it is
        the operations that have one, the default when they are recorded, and they never fall
        back. So this is where every step's operations were bound to."""
        return sorted(self._training.devices)

    def evaluate(self, images: Pixels, labels: Labels) -> Tuple[float, float]:
        pixels, targets = self.load(images, labels)
        for start in range(0, len(targets), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            self._training.evaluate(pixels[part], targets[part])
        loss_sum, correct = self._training.take_sums()
        return loss_sum / len(targets), correct / len(targets)

    def replay(self, weights: Weights, batches: Sequence[Batch]) -> List[float]:
        training = _Training(self._settings.workload, weights, self._tuned)
        return [float(training.step(*self.load(*batch)).item()) for batch in batches]

    def state(self) -> TrainingState:
        workload, training = self._settings.workload, self._training
        weights, first, second = (
            weights_from_nhwc(workload, arrays) for arrays in training.arrays()
        )
        return TrainingState(weights, first, second, training.steps_made())

    def effective_settings(self) -> Dict[str, Any]:
        import mlx.core as mx

        return {
            "mlx_device": str(mx.default_device()),
            "execution": "eager" if self._tuned["compile"] == "off" else "compiled step",
            "tf32_switch": os.environ.get(TF32_SWITCH, "unset"),
        }

    def operations(self) -> Operations:
        """MLX only records an operation; each is given to the device at once."""
        import mlx.core as mx

        def at_once(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
            def run(left: Any, right: Any) -> Any:
                result = operation(left, right)
                mx.async_eval(result)
                return result

            return run

        return Operations(
            put=mx.array,
            get=np.array,
            multiply=at_once(mx.matmul),
            convolve=at_once(mx.conv2d),
            add=at_once(mx.add),
            wait=lambda result: mx.synchronize(),
            fetch=gathered_by_numpy(mx.array),
            kernel_axes="OHWI",
        )


class _Training:
    """Model, optimizer, and the epoch's sums. ``devices``: where the steps' operations ran."""

    def __init__(self, workload: Workload, weights: Weights, tuned: Mapping[str, str]) -> None:
        import mlx.core as mx
        from mlx import nn, optimizers

        arrays = nhwc_weights(workload, weights)
        self._names = list(arrays)  # in the order of the model's own parameters
        layers = [_layer(entry, arrays) for entry in layer_shapes(workload)]
        self._model = nn.Sequential(*layers)
        adam = workload.optimizer
        self._optimizer = optimizers.Adam(
            adam.learning_rate,
            betas=[adam.beta_1, adam.beta_2],
            eps=adam.epsilon,
            bias_correction=True,
        )
        self._optimizer.init(self._model.trainable_parameters())
        self._loss_and_gradients = nn.value_and_grad(self._model, self._forward)
        self._loss_sum, self._correct = mx.array(0.0), mx.array(0)
        self.devices: Set[str] = set()
        state = [self._model.state, self._optimizer.state]
        mx.eval(state)
        self._update = self._update_model
        if tuned["compile"] == "on":
            self._update = mx.compile(self._update_model, inputs=state, outputs=state)

    def arrays(self) -> Tuple[Arrays, Arrays, Arrays]:
        """Parameters and Adam's first and second moments, in host memory."""
        from mlx.utils import tree_flatten

        parameters = dict(tree_flatten(self._model.trainable_parameters()))
        adam = dict(tree_flatten(self._optimizer.state))
        found: Tuple[Arrays, Arrays, Arrays] = ({}, {}, {})
        for name, path in zip(self._names, parameters):
            for arrays, array in zip(
                found, (parameters[path], adam[f"{path}.m"], adam[f"{path}.v"])
            ):
                arrays[name] = np.array(array)
        return found

    def steps_made(self) -> int:
        return int(self._optimizer.step.item())

    def step(self, images: npt.NDArray[np.float32], labels: Labels) -> Any:
        """Train on one batch; returns its mean loss before the update."""
        import mlx.core as mx

        self.devices.add(_device_id(mx.default_stream(mx.default_device()).device))
        targets = mx.array(labels)
        loss, logits = self._update(mx.array(images), targets)
        self._add_to_sums(loss, logits, targets)
        mx.eval(self._model.parameters(), self._optimizer.state, self._loss_sum, self._correct)
        return loss

    def _update_model(self, images: Any, targets: Any) -> Tuple[Any, Any]:
        """Mean loss and scores of the batch before the update."""
        (loss, logits), gradients = self._loss_and_gradients(images, targets)
        self._optimizer.update(self._model, gradients)
        return loss, logits

    def _forward(self, images: Any, targets: Any) -> Tuple[Any, Any]:
        from mlx import nn

        logits = self._model(images)
        return nn.losses.cross_entropy(logits, targets, reduction="mean"), logits

    def _add_to_sums(self, loss: Any, logits: Any, targets: Any) -> None:
        self._loss_sum = self._loss_sum + loss * len(targets)
        self._correct = self._correct + (logits.argmax(axis=1) == targets).sum()

    def evaluate(self, images: npt.NDArray[np.float32], labels: Labels) -> None:
        """Add a batch's losses and right answers to the sums, without training on it."""
        import mlx.core as mx

        targets = mx.array(labels)
        loss, logits = self._forward(mx.array(images), targets)
        self._add_to_sums(loss, logits, targets)
        mx.eval(self._loss_sum, self._correct)

    def take_sums(self) -> Tuple[float, float]:
        """The sum of losses and the right answers since the last call: waits for the device."""
        import mlx.core as mx

        sums = float(self._loss_sum.item()), float(self._correct.item())
        self._loss_sum, self._correct = mx.array(0.0), mx.array(0)
        return sums


def _layer(entry: LayerShapes, arrays: Arrays) -> Any:
    """One layer with its initial weights, as a function of ``(n, height, width, channels)``."""
    import mlx.core as mx
    from mlx import nn

    layer = entry.layer
    if isinstance(layer, Flatten):
        return lambda x: x.flatten(1)
    if isinstance(layer, MaxPool2D):
        return nn.MaxPool2d(layer.size, layer.size)
    if isinstance(layer, Conv2D):
        module = nn.Conv2d(entry.input[-1], layer.filters, layer.kernel_size)
    else:
        module = nn.Linear(*entry.input, layer.units)
    module.weight = mx.array(arrays[f"{layer.name}.weight"])
    module.bias = mx.array(arrays[f"{layer.name}.bias"])
    # the loss takes logits, so softmax is part of it
    return nn.Sequential(module, nn.ReLU()) if layer.activation == "relu" else module


def _device_id(device: Any) -> str:
    """An MLX device (``Device(gpu, 0)``) as ours."""
    import mlx.core as mx

    return "cpu" if device.type == mx.DeviceType.cpu else f"gpu:{device.index}"


def _description(device: Any) -> str:
    import mlx.core as mx

    return str(mx.device_info(device).get("device_name", device))


ENGINE = MlxEngine()
