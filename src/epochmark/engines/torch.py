"""PyTorch: the plain eager loop of its tutorials, on CPU, GPU (CUDA, ROCm, MPS, XPU) or TPU.

Stock here: ``nn.Sequential``, ``CrossEntropyLoss``, ``optim.Adam``, samples as tensors in host
memory (images float32 ``(n, 1, 28, 28)``), each batch gathered by a shuffled index and moved to the
device. A ``DataLoader`` over the same tensors fetches and collates sample by sample in Python, some
2.5 ms a batch of images: longer than a GPU's training step, so that the loader would be what is
measured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from epochmark.engines._shared.batches import evaluated, timed_batches
from epochmark.engines._shared.builds import TORCH_BUILDS
from epochmark.engines._shared.contract import (
    Batch,
    Device,
    Engine,
    Indices,
    Inputs,
    Operations,
    Settings,
    Stopwatch,
    Targets,
    TrainingState,
    Weights,
)
from epochmark.engines._shared.info import ALL_WORDS, EngineInfo, Support, Tunable, Variables
from epochmark.engines._shared.inputs import (
    blank_sample,
    blank_targets,
    evaluation_batch,
    layout_of,
)
from epochmark.engines._shared.parallel import DataParallel, Group, Parallel
from epochmark.engines._shared.requirements import TORCH
from epochmark.engines._torch import GPUS
from epochmark.workloads.spec import Optimizer

if TYPE_CHECKING:
    from epochmark.engines._torch.training import Data, Training


class TorchEngine(Engine):
    info = EngineInfo(
        name="torch",
        title="PyTorch",
        summary="PyTorch, a plain eager loop",
        family="torch",
        adam_form="algorithm_1",
        words=ALL_WORDS,
        devices=(
            Support("cpu", "PyTorch", "x86-64 Linux: PyTorch 2.13"),
            Support("gpu", GPUS, "none of them"),
            Support("tpu", "`torch_xla`, where it is importable"),
        ),
        modules=("torch",),
        distributions=("torch", "torch-xla", "numpy"),
        requirements=TORCH,
        builds=TORCH_BUILDS,
        precisions=("stock", "float32", "tf32", "bfloat16", "float16"),
        variables=Variables(
            places=("PJRT_DEVICE",),
            switches=("ATEN_*", "PYTORCH_*", "TORCH_*", "TORCHINDUCTOR_*"),
            folders=("TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR"),
        ),
        memory_errors=("outofmemoryerror",),
        cuda_packages=("torch-cuda",),
        parallel=Parallel(
            through="one process a device, `DistributedDataParallel`; gloo on CPUs, NCCL (RCCL) "
            "on GPUs",
            seen="gloo: x86-64 Linux, PyTorch 2.13; NCCL: never",
            processes=True,
            own_cores=True,
        ),
        tunables=(
            Tunable(
                "memory_format",
                ("contiguous", "channels_last"),
                "order of the model's and the images' values in memory: NCHW or NHWC",
                ("cpu", "gpu"),
                word="Conv2D",
            ),
            Tunable(
                "adam",
                ("default", "fused"),
                "`fused=True`: all of Adam in one kernel",
                ("cpu", "gpu"),
            ),
            Tunable(
                "data",
                ("host", "device"),
                "all samples on the device before the first step",
                ("gpu", "tpu"),
            ),
            Tunable(
                "compile",
                ("off", "default", "reduce-overhead"),
                "`torch.compile` of forward pass and loss, in that mode; needs a C++ compiler",
                ("gpu",),
            ),
            Tunable(
                "compile",
                ("off", "default"),
                "`torch.compile` of forward pass and loss, in that mode; needs a C++ compiler",
                ("cpu",),
            ),
            Tunable(
                "threads",
                ("default", "all"),
                "one thread for each usable CPU, where PyTorch takes fewer (hyper-threads)",
                ("cpu",),
            ),
        ),
    )

    def list_devices(self) -> List[Device]:
        from epochmark.engines._torch.devices import list_places

        return [device for device, _ in list_places()]

    def open(self, settings: Settings) -> Device:
        from epochmark.engines._torch import devices

        device, self._device = devices.find_device(self.info.title, settings.device)
        self._settings = settings
        self._tuned = self.info.all_settings(device.id, settings.tuned_settings, settings.workload)
        devices.set_threads(settings.threads, all_cpus=self._tuned.get("threads") == "all")
        devices.set_seed(settings.seed)
        self._low_precision = devices.set_precision(settings.precision, device, self._device)
        return device

    def load(self, inputs: Inputs, targets: Targets) -> Data:
        from epochmark.engines._torch.training import to_tensors

        return to_tensors(self._settings.workload, inputs, targets)

    def build(self, weights: Weights) -> None:
        self._training = self._new_training(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        inputs, targets = data
        training = self._training
        if self._tuned.get("data") == "device":
            inputs, targets = inputs.to(self._device), targets.to(self._device)
        for batch in timed_batches(
            self._settings, len(targets), stopwatch, training.synchronise, training.take_sums
        ):
            training.step(*self._fetch((inputs, targets), batch))

    def observed_devices(self) -> List[str]:
        """Where the parameters, Adam's moments and the scores of one sample are."""
        from epochmark.engines._torch.devices import device_id

        workload = self._settings.workload
        inputs, _ = self.load(blank_sample(workload), blank_targets(workload))
        return sorted({device_id(tensor.device) for tensor in self._training.tensors(inputs)})

    def evaluate(self, inputs: Inputs, targets: Targets) -> Tuple[float, float]:
        size = evaluation_batch(self._settings.workload, images=1000)
        return evaluated(self._training, self.load(inputs, targets), size)

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        training = self._new_training(weights, optimizer)
        losses = []
        for batch in batches:
            inputs, targets = self.load(*batch)
            losses.append(float(training.step(inputs.to(self._device), targets.to(self._device))))
        return losses

    def state(self) -> TrainingState:
        return self._training.state()

    def effective_settings(self) -> Dict[str, Any]:
        from epochmark.engines._torch.devices import describe

        parameter = next(self._training.model.parameters())
        return {
            "execution": self._execution(),
            **layout_of(
                self._settings.workload,
                "NHWC" if self._tuned.get("memory_format") == "channels_last" else "NCHW",
            ),
            "data": "index gather on the device"
            if self._tuned.get("data") == "device"
            else "index gather from host memory, each batch moved to the device",
            "autocast": str(self._low_precision or "none").replace("torch.", ""),
            "compute_type": str(self._low_precision or parameter.dtype).replace("torch.", ""),
            **describe(self._device),
        }

    def _execution(self) -> str:
        if self._device.type == "xla":
            return "lazy, one graph a step"
        mode = self._tuned.get("compile", "off")
        return "eager" if mode == "off" else f"compiled, mode {mode}"

    def operations(self) -> Operations:
        from epochmark.engines._torch.operations import operations_on

        return replace(operations_on(self._device), fetch=self._fetch)

    def data_parallel(self, group: Group) -> DataParallel:
        from epochmark.engines._torch.parallel import TorchDataParallel

        return TorchDataParallel(self, group)

    def _fetch(self, data: Data, batch: Indices) -> Data:
        """Gathered where the data lies, and moved to the device."""
        from epochmark.engines._torch.training import gathered

        return gathered(data, batch, self._device)

    def _new_training(self, weights: Weights, optimizer: Optional[Optimizer] = None) -> Training:
        from epochmark.engines._torch.training import Training

        return Training(
            self._settings, weights, self._device, self._low_precision, self._tuned, optimizer
        )


ENGINE = TorchEngine()
