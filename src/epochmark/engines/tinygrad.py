"""tinygrad: one TinyJit training step, on the CPU (through clang) or on any of its GPU back ends.

``gpu`` is the back end that the environment variable ``DEV`` names (``DEV=CL``), else the first
that opens, in tinygrad's own order; ``gpu:1`` is the second device of that back end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from epochmark.engines._shared.batches import evaluated, timed_batches
from epochmark.engines._shared.contract import (
    Batch,
    Device,
    Engine,
    Inputs,
    Operations,
    Settings,
    Stopwatch,
    Targets,
    TrainingState,
    Weights,
)
from epochmark.engines._shared.devices import choose_device
from epochmark.engines._shared.info import ALL_WORDS, EngineInfo, Support, Tunable, Variables
from epochmark.engines._shared.inputs import evaluation_batch
from epochmark.engines._shared.requirements import (
    ARM64,
    LINUX,
    MACOS,
    X86_64,
    Requirements,
    SystemNeed,
)
from epochmark.workloads.spec import Optimizer

if TYPE_CHECKING:
    from epochmark.engines._tinygrad.training import Data, Training

SWITCHES = (
    "ALIGNED", "ALLOW_HALF8", "BEAM", "CC", "DEBUG", "DEFAULT_FLOAT", "DEFAULT_INT",
    "DISABLE_FAST_IDIV", "EMULATED_DTYPES", "FLOAT16", "FUSE_OPTIM", "HALF", "IGNORE_BEAM_CACHE",
    "IMAGE", "JIT", "JITBEAM", "JIT_BATCH_SIZE", "LLVMOPT", "LRU", "MV", "NOLOCALS", "NOOPT",
    "NO_MEMORY_PLANNER", "OPTIM_DTYPE", "PARALLEL", "PCONTIG", "PROFILE", "REALIZE", "SCACHE",
    "SPEC", "SPLIT_REDUCEOP", "SUM_DTYPE", "TC", "TC_OPT", "TC_SELECT", "THREADS", "TRACEMETA",
    "TRACK_MATCH_STATS", "TRANSCENDENTAL", "USE_ATOMICS", "VALIDATE_WITH_CPU", "VIZ",
)  # fmt: skip
"""What tinygrad reads while it compiles and runs a step, but for what is set here anyway."""

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
        words=ALL_WORDS,
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
                word="Conv2D",
            ),
            Tunable("adam", ("default", "fused"), "`fused=True`: all parameters in one array"),
        ),
    )

    def list_devices(self) -> List[Device]:
        from epochmark.engines._tinygrad.devices import list_devices

        return list_devices()

    def open(self, settings: Settings) -> Device:
        from tinygrad import helpers

        from epochmark.engines._tinygrad import devices

        self._settings = settings
        devices.use_no_cache()
        helpers.ALLOW_TF32.value = 0  # tinygrad's default, whatever the environment says
        if settings.threads is not None:
            helpers.NUM_CPU_THREADS.value = settings.threads
        if settings.device == "cpu":
            devices.require_clang()
        device = choose_device("tinygrad", self.list_devices(), settings.device)
        self._tuned = self.info.all_settings(device.id, settings.tuned_settings, settings.workload)
        helpers.WINO.value = int(self._tuned.get("winograd") == "on")
        self._device = devices.tinygrad_name(device.id)
        helpers.DEV.value = self._device.partition(":")[0]
        return device

    def load(self, inputs: Inputs, targets: Targets) -> Data:
        from epochmark.engines._tinygrad.training import to_arrays

        return to_arrays(self._settings.workload, inputs, targets)

    def build(self, weights: Weights) -> None:
        self._training = self._new_training(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        inputs, targets = data
        training = self._training
        for batch in timed_batches(
            self._settings, len(targets), stopwatch, training.synchronise, training.take_sums
        ):
            training.step(inputs[batch], targets[batch])

    def observed_devices(self) -> List[str]:
        """Those of the buffers behind what training writes."""
        from epochmark.engines._tinygrad.devices import device_id

        names = {tensor.uop.base.realized.device for tensor in self._training.tensors()}
        return sorted(device_id(name, self._device) for name in names)

    def evaluate(self, inputs: Inputs, targets: Targets) -> Tuple[float, float]:
        size = evaluation_batch(self._settings.workload, images=500)
        return evaluated(self._training, self.load(inputs, targets), size)

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        training = self._new_training(weights, optimizer)
        return [float(training.step(*self.load(*batch)).item()) for batch in batches]

    def state(self) -> TrainingState:
        return self._training.state()

    def effective_settings(self) -> Dict[str, Any]:
        from tinygrad import Device as Devices
        from tinygrad import helpers

        settings = {
            "tinygrad_device": self._device,
            "renderer": type(Devices[self._device].renderer).__name__,
            **self._tuned,
            "beam": helpers.BEAM.value,
            "kernel_cache": "off",
            "compute_type": f"float{8 * self._training.tensors()[0].dtype.itemsize}",
        }
        if self._device == "CPU":
            settings["threads"] = helpers.NUM_CPU_THREADS.value
        return settings

    def operations(self) -> Operations:
        from epochmark.engines._tinygrad.operations import operations_on

        return operations_on(self._device)

    def _new_training(self, weights: Weights, optimizer: Optional[Optimizer] = None) -> Training:
        from epochmark.engines._tinygrad.training import Training

        workload, fused = self._settings.workload, self._tuned["adam"] == "fused"
        return Training(workload, weights, self._device, fused, optimizer)


ENGINE = TinygradEngine()
