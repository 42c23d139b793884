"""MLX: the eager training loop of its MNIST example, on Apple silicon, CUDA, or the CPU.

Its Adam leaves the bias correction out unless asked for it; here it is asked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from epochmark.engines._shared.batches import evaluated, timed_batches
from epochmark.engines._shared.builds import Build
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
from epochmark.engines._shared.devices import choose_device, refuse_precision
from epochmark.engines._shared.info import ALL_WORDS, EngineInfo, Support, Tunable, Variables
from epochmark.engines._shared.inputs import evaluation_batch
from epochmark.engines._shared.requirements import ARM64, MACOS, X86_64, Requirements
from epochmark.workloads.spec import Optimizer

if TYPE_CHECKING:
    from epochmark.engines._mlx.training import Data, Training

TF32_SWITCH = "MLX_ENABLE_TF32"
"""MLX lets its matrix units round the factors of float32 products (CUDA: TF32; Apple M5 and later:
comparable) unless this is 0 before the first operation (ml-explore/mlx issue 3860)."""

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
        words=ALL_WORDS,
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

    def list_devices(self) -> List[Device]:
        from epochmark.engines._mlx.devices import list_devices

        return list_devices()

    def open(self, settings: Settings) -> Device:
        if settings.precision != "stock":
            os.environ[TF32_SWITCH] = str(int(settings.precision == "tf32"))
        from epochmark.engines._mlx.devices import use_device

        self._settings = settings
        device = choose_device("MLX", self.list_devices(), settings.device)
        self._tuned = self.info.all_settings(device.id, settings.tuned_settings, settings.workload)
        if device.kind == "cpu" and settings.precision == "tf32":
            refuse_precision("MLX", "tf32", device, "stock, float32")
        use_device(device)
        return device

    def load(self, inputs: Inputs, targets: Targets) -> Data:
        from epochmark.engines._mlx.training import to_arrays

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
        """MLX arrays lie in memory that all devices share and know no device of their own: it is
        the operations that have one, the default when they are recorded, and they never fall
        back. So this is where every step's operations were bound to."""
        return sorted(self._training.devices)

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
        import mlx.core as mx

        return {
            "mlx_device": str(mx.default_device()),
            "execution": "eager" if self._tuned["compile"] == "off" else "compiled step",
            "tf32_switch": os.environ.get(TF32_SWITCH, "unset"),
        }

    def operations(self) -> Operations:
        from epochmark.engines._mlx.operations import operations

        return operations()

    def _new_training(self, weights: Weights, optimizer: Optional[Optimizer] = None) -> Training:
        from epochmark.engines._mlx.training import Training

        return Training(self._settings.workload, weights, self._tuned, optimizer)


ENGINE = MlxEngine()
