"""tinygrad: one TinyJit training step, on the CPU (through clang) or on any of its GPU back ends.

``gpu`` is the back end that the environment variable ``DEV`` names (``DEV=CL``), else the first
that opens, in tinygrad's own order; ``gpu:1`` is the second device of that back end.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from epochmark.engines._shared.batches import gathered_by_numpy, timed_batches
from epochmark.engines._shared.contract import (
    Batch,
    Device,
    DeviceUnavailableError,
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
from epochmark.engines._shared.devices import choose_device
from epochmark.engines._shared.layouts import Arrays, nchw_weights, weights_from_nchw
from epochmark.engines._shared.requirements import (
    ARM64,
    LINUX,
    MACOS,
    X86_64,
    Requirements,
    SystemNeed,
)
from epochmark.workloads import Workload
from epochmark.workloads.shapes import LayerShapes, layer_shapes
from epochmark.workloads.spec import Conv2D, Flatten, MaxPool2D

GPU_BACKENDS = ("METAL", "AMD", "NV", "CUDA", "QCOM", "CL", "WEBGPU")
"""In the order in which tinygrad itself looks for a default device."""

EVALUATION_BATCH = 500

MOST_STEPS = 80_000
"""Below the some 87,000 after which float32 has no normal number for that power of 0.999."""

NO_CLANG = (
    "tinygrad compiles its CPU kernels with clang, and there is none on the PATH. "
    "Debian, Ubuntu: apt install clang   Fedora: dnf install clang   macOS: xcode-select --install"
)

SWITCHES = (
    "ALIGNED", "ALLOW_HALF8", "BEAM", "CC", "DEBUG", "DEFAULT_FLOAT", "DEFAULT_INT",
    "DISABLE_FAST_IDIV", "EMULATED_DTYPES", "FLOAT16", "FUSE_OPTIM", "HALF", "IGNORE_BEAM_CACHE",
    "IMAGE", "JIT", "JITBEAM", "JIT_BATCH_SIZE", "LLVMOPT", "LRU", "MV", "NOLOCALS", "NOOPT",
    "NO_MEMORY_PLANNER", "OPTIM_DTYPE", "PARALLEL", "PCONTIG", "PROFILE", "REALIZE", "SCACHE",
    "SPEC", "SPLIT_REDUCEOP", "SUM_DTYPE", "TC", "TC_OPT", "TC_SELECT", "THREADS", "TRACEMETA",
    "TRACK_MATCH_STATS", "TRANSCENDENTAL", "USE_ATOMICS", "VALIDATE_WITH_CPU", "VIZ",
)  # fmt: skip
"""What tinygrad reads while it compiles and runs a step, but for what is set here anyway."""

Data = Tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]

CLANG = SystemNeed(
    name="clang",
    kind="command",
    advice="the CPU device compiles with it (apt install clang, dnf install clang, "
    "xcode-select --install)",
)
REQUIREMENTS = (
    Requirements(
        pip=("tinygrad>=0.14,<0.15",),
        accelerators=("cuda", "rocm", "metal", "opencl", "cpu"),
        systems=(LINUX, MACOS),
        architectures=(X86_64, ARM64),
        oldest_python=(3, 11),
        download_mb=25,
        installed_mb=140,
        needs=(CLANG,),
        tested="cpu and OpenCL through PoCL on Linux x86-64, Python 3.11",
    ),
)


class TinygradEngine(Engine):
    info = EngineInfo(
        name="tinygrad",
        title="tinygrad",
        summary="one TinyJit step; CPU, Metal, CUDA, AMD, OpenCL",
        family="tinygrad",
        adam_form="algorithm_1",
        devices=(
            Support("cpu", "clang", "x86-64 Linux: tinygrad 0.14, clang 14"),
            Support(
                "gpu",
                "the first that opens of Metal, AMD, NV, CUDA, QCOM, OpenCL, WebGPU, or what `DEV` "
                "names (`DEV=CL`)",
                "OpenCL through PoCL, which is a CPU behind a GPU's interface; no GPU",
            ),
        ),
        modules=("tinygrad",),
        distributions=("tinygrad",),
        requirements=REQUIREMENTS,
        variables=Variables(places=("DEV",), threads=("NUM_CPU_THREADS",), own=SWITCHES),
        memory_errors=("mem_object_allocation_failure",),
        tunables=(
            Tunable(
                "winograd",
                ("off", "on"),
                "`WINO=1`: convolutions by minimal filtering F(4x4, 3x3)",
            ),
            Tunable("adam", ("default", "fused"), "`fused=True`: all parameters in one array"),
        ),
    )

    _settings: Settings
    _device: str
    _training: _Training

    def list_devices(self) -> List[Device]:
        _use_no_cache()
        cpu = [Device("cpu", "the processor, through clang")] if _opens("CPU") else []
        return cpu + _gpus(_gpu_backend())

    def open(self, settings: Settings) -> Device:
        from tinygrad import helpers

        self._settings = settings
        _use_no_cache()
        helpers.ALLOW_TF32.value = 0  # tinygrad's default, whatever the environment says
        if settings.threads is not None:
            helpers.NUM_CPU_THREADS.value = settings.threads
        if settings.device == "cpu":
            _require_clang()
        device = choose_device("tinygrad", self.list_devices(), settings.device)
        self._tuned = self.info.all_settings(device.id, settings.tuned_settings)
        helpers.WINO.value = int(self._tuned["winograd"] == "on")
        self._device = _tinygrad_name(device.id)
        helpers.DEV.value = self._device.partition(":")[0]
        return device

    def load(self, images: Pixels, labels: Labels) -> Data:
        channels_first = np.asarray(images, np.float32)[:, np.newaxis]
        scale = np.float32(self._settings.workload.pixel_scale)
        return channels_first / scale, labels.astype(np.int32)

    def build(self, weights: Weights) -> None:
        self._training = self._new_training(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        from tinygrad import Device as Devices

        images, labels = data
        training = self._training
        for batch in timed_batches(
            self._settings,
            len(labels),
            stopwatch,
            synchronise=Devices[self._device].synchronize,
            take_sums=training.take_sums,
        ):
            training.step(images[batch], labels[batch])

    def observed_devices(self) -> List[str]:
        names = {tensor.uop.base.realized.device for tensor in self._training.tensors()}
        return sorted(_device_id(name, self._device) for name in names)

    def evaluate(self, images: Pixels, labels: Labels) -> Tuple[float, float]:
        pixels, targets = self.load(images, labels)
        for start in range(0, len(targets), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            self._training.evaluate(pixels[part], targets[part])
        loss_sum, correct = self._training.take_sums()
        return loss_sum / len(targets), correct / len(targets)

    def replay(self, weights: Weights, batches: Sequence[Batch]) -> List[float]:
        training = self._new_training(weights)
        return [float(training.step(*self.load(*batch)).item()) for batch in batches]

    def state(self) -> TrainingState:
        workload, training = self._settings.workload, self._training
        weights, first, second = (
            weights_from_nchw(workload, arrays) for arrays in training.arrays()
        )
        return TrainingState(weights, first, second, training.steps_made())

    def effective_settings(self) -> Dict[str, Any]:
        from tinygrad import Device as Devices
        from tinygrad import helpers

        device = Devices[self._device]
        settings = {
            "tinygrad_device": self._device,
            "renderer": type(device.renderer).__name__,
            "winograd": self._tuned["winograd"],
            "adam": self._tuned["adam"],
            "beam": helpers.BEAM.value,
            "kernel_cache": "off",
            "compute_type": f"float{8 * self._training.tensors()[0].dtype.itemsize}",
        }
        if self._device == "CPU":
            settings["threads"] = helpers.NUM_CPU_THREADS.value
        return settings

    def operations(self) -> Operations:
        """Compiled on first use like the training step, with TinyJit."""
        from tinygrad import Device as Devices
        from tinygrad import Tensor, TinyJit

        return Operations(
            put=lambda array: Tensor(array, device=self._device).clone().realize(),
            get=lambda tensor: tensor.numpy(),
            multiply=TinyJit(lambda left, right: (left @ right).realize()),
            convolve=TinyJit(lambda images, kernel: images.conv2d(kernel).realize()),
            add=TinyJit(lambda left, right: (left + right).realize()),
            wait=lambda result: Devices[self._device].synchronize(),
            fetch=gathered_by_numpy(lambda array: Tensor(array, device=self._device).realize()),
            image_axes="NCHW",
            kernel_axes="OIHW",
        )

    def _new_training(self, weights: Weights) -> _Training:
        workload, fused = self._settings.workload, self._tuned["adam"] == "fused"
        return _Training(workload, weights, self._device, fused)


class _Training:
    """Model, optimizer, and the epoch's sums, all on one device; steps are compiled on first use.

    TinyJit takes one shape of input, so the smaller last batch of an epoch has a step of its own.
    """

    def __init__(self, workload: Workload, weights: Weights, device: str, fused_adam: bool) -> None:
        from tinygrad import Tensor, nn

        self._device = device
        self._parameters = {
            name: Tensor(array, device=device).realize()
            for name, array in nchw_weights(workload, weights).items()
        }
        self._layers = [_layer(entry, self._parameters) for entry in layer_shapes(workload)]
        adam = workload.optimizer
        self._optimizer = nn.optim.Adam(
            list(self._parameters.values()),
            lr=adam.learning_rate,
            b1=adam.beta_1,
            b2=adam.beta_2,
            eps=adam.epsilon,
            fused=fused_adam,
        )
        self._loss_sum = Tensor.zeros((), device=device).contiguous().realize()
        self._correct = Tensor.zeros((), device=device).contiguous().realize()
        self._steps: Dict[int, Callable[[Any, Any], Any]] = {}

    def step(self, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> Any:
        """Train on one batch; returns its mean loss before the update, still on the device."""
        from tinygrad import Tensor, TinyJit

        if len(labels) not in self._steps:
            self._steps[len(labels)] = TinyJit(self._train_step)
        return self._steps[len(labels)](
            Tensor(images, device=self._device), Tensor(labels, device=self._device)
        )

    def _train_step(self, images: Any, labels: Any) -> Any:
        from tinygrad.helpers import Context

        with Context(TRAINING=1):
            self._optimizer.zero_grad()
            logits = images.sequential(self._layers)
            loss = logits.sparse_categorical_crossentropy(labels).backward()
            sums = self._add_to_sums(loss, logits, labels)
            return loss.realize(*sums, *self._optimizer.schedule_step())

    def _add_to_sums(self, loss: Any, logits: Any, labels: Any) -> Tuple[Any, Any]:
        correct = (logits.argmax(axis=1) == labels).sum()
        return (
            self._loss_sum.assign(self._loss_sum + loss.detach() * len(labels)),
            self._correct.assign(self._correct + correct),
        )

    def evaluate(self, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> None:
        """Add a batch's losses and right answers to the sums, without training on it."""
        from tinygrad import Tensor

        targets = Tensor(labels, device=self._device)
        logits = Tensor(images, device=self._device).sequential(self._layers)
        loss = logits.sparse_categorical_crossentropy(targets)
        Tensor.realize(*self._add_to_sums(loss, logits, targets))

    def take_sums(self) -> Tuple[float, float]:
        """The sum of losses and the right answers since the last call: waits for the device."""
        sums = float(self._loss_sum.item()), float(self._correct.item())
        self._loss_sum.assign(0.0).realize()
        self._correct.assign(0.0).realize()
        return sums

    def arrays(self) -> Tuple[Arrays, Arrays, Arrays]:
        """Parameters and Adam's first and second moments, in host memory."""
        adam = self._optimizer
        return self._named(adam.params), self._named(adam.m), self._named(adam.v)

    def _named(self, tensors: Sequence[Any]) -> Arrays:
        """Of one tensor for each parameter, or of fused Adam's one for all of them end to end."""
        flat = np.concatenate([tensor.numpy().ravel() for tensor in tensors])
        ends = np.cumsum([parameter.numel() for parameter in self._parameters.values()])
        parts = zip(self._parameters.items(), np.split(flat, ends[:-1]))
        return {name: part.reshape(parameter.shape) for (name, parameter), part in parts}

    def steps_made(self) -> Optional[int]:
        """tinygrad keeps no counter but a power of Adam's beta 2, one factor a step, in float32:
        the exponent, as long as float32 holds that power."""
        power = self._optimizer.b2_t.numpy().item()
        factors = np.full(MOST_STEPS, self._optimizer.b2, np.float32)
        steps = int(np.count_nonzero(np.multiply.accumulate(factors) >= power))
        return steps if steps < MOST_STEPS else None

    def tensors(self) -> List[Any]:
        """Everything that training writes: parameters and the sums of its outputs."""
        return [*self._optimizer.params, self._loss_sum, self._correct]


def _layer(entry: LayerShapes, parameters: Mapping[str, Any]) -> Callable[[Any], Any]:
    """One layer with its parameters, as a function of ``(n, channels, height, width)``."""
    from tinygrad import nn

    layer = entry.layer
    if isinstance(layer, Flatten):
        return lambda x: x.flatten(1)
    if isinstance(layer, MaxPool2D):
        size = (layer.size, layer.size)
        return lambda x: x.max_pool2d(size)
    if isinstance(layer, Conv2D):
        module = nn.Conv2d(entry.input[-1], layer.filters, layer.kernel_size)
    else:
        module = nn.Linear(*entry.input, layer.units)
    module.weight = parameters[f"{layer.name}.weight"]
    module.bias = parameters[f"{layer.name}.bias"]
    # the loss takes logits, so softmax is part of it
    return (lambda x: module(x).relu()) if layer.activation == "relu" else module


def _use_no_cache() -> None:
    """Compile every kernel in every run: tinygrad keeps those of earlier runs on disk, so that
    only the first run on a machine would show what compiling costs."""
    from tinygrad import helpers

    helpers.CACHELEVEL.value = 0


def _require_clang() -> None:
    from tinygrad import Device as Devices

    try:
        Devices["CPU"]
    except FileNotFoundError as error:
        if error.filename == "clang":
            raise DeviceUnavailableError(NO_CLANG) from error
        raise


def _opens(backend: str) -> bool:
    """Whether tinygrad can open this back end here. Opening is the only way to find out, and each
    fails in its own way (a missing library, no such device file, an ``ExceptionGroup``)."""
    from tinygrad import Device as Devices

    try:
        Devices[backend]
    except Exception:
        return False
    return True


def _gpu_backend() -> Optional[str]:
    from tinygrad import helpers

    asked_for = helpers.DEV.device
    backends = (asked_for,) if asked_for in GPU_BACKENDS else GPU_BACKENDS
    return next(filter(_opens, backends), None)


def _gpus(backend: Optional[str]) -> List[Device]:
    from tinygrad import Device as Devices

    if backend is None:
        return []
    first = Devices[backend]
    name = getattr(first, "device_name", None) or first.arch
    return [Device(f"gpu:{index}", f"{backend}, {name}") for index in range(first.count())]


def _tinygrad_name(device_id: str) -> str:
    """``gpu:1`` as tinygrad calls it (``CL:1``)."""
    kind, _, index = device_id.partition(":")
    if kind == "cpu":
        return "CPU"
    backend = _gpu_backend()
    return f"{backend}:{index}" if index != "0" else str(backend)


def _device_id(name: str, opened: str) -> str:
    """tinygrad's name of a device as ours; one of another back end than ``opened`` keeps its."""
    backend, _, index = name.partition(":")
    if backend == "CPU":
        return "cpu"
    if backend == opened.partition(":")[0]:
        return f"gpu:{index or 0}"
    return name


ENGINE = TinygradEngine()
