"""PyTorch: the plain eager loop of its tutorials, on CPU, GPU (CUDA, ROCm, MPS, XPU) or TPU.

Stock here: ``nn.Sequential``, ``CrossEntropyLoss``, ``optim.Adam``, images as float32 tensors
``(n, 1, 28, 28)`` in host memory, each batch gathered by a shuffled index and moved to the device.
A ``DataLoader`` over the same tensors fetches and collates image by image in Python, some 2.5 ms a
batch: longer than a GPU's training step, so that the loader would be what is measured.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from dataclasses import replace
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ContextManager,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

from epochmark.engines._shared.batches import timed_batches
from epochmark.engines._shared.builds import TORCH_BUILDS
from epochmark.engines._shared.contract import (
    Batch,
    Device,
    Engine,
    EngineInfo,
    Indices,
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
from epochmark.engines._shared.layouts import nchw_weights, weights_from_nchw
from epochmark.engines._shared.on_torch import (
    TORCH_GPUS,
    Forward,
    compiled,
    device_id,
    list_places,
    operations_on,
    set_precision,
    synchronise,
    to_numpy,
    use_all_cpus,
)
from epochmark.engines._shared.requirements import TORCH

if TYPE_CHECKING:
    import torch

Data = Tuple["torch.Tensor", "torch.Tensor"]

EVALUATION_BATCH = 1000


class TorchEngine(Engine):
    info = EngineInfo(
        name="torch",
        title="PyTorch",
        summary="PyTorch, a plain eager loop",
        family="torch",
        adam_form="algorithm_1",
        devices=(
            Support("cpu", "PyTorch", "x86-64 Linux: PyTorch 2.13"),
            Support("gpu", TORCH_GPUS, "none of them"),
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
        tunables=(
            Tunable(
                "memory_format",
                ("contiguous", "channels_last"),
                "order of the model's and the images' values in memory: NCHW or NHWC",
                ("cpu", "gpu"),
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
                "all images on the device before the first step",
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
        return [device for device, _ in list_places()]

    def open(self, settings: Settings) -> Device:
        import torch

        places = list_places()
        device = choose_device(self.info.title, [device for device, _ in places], settings.device)
        self._settings = settings
        self._opened = device
        self._device = torch.device(dict(places)[device])
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self._tuned = self.info.all_settings(device.id, settings.tuned_settings)
        if self._tuned.get("threads") == "all":
            use_all_cpus()
        torch.manual_seed(settings.seed)
        self._low_precision = set_precision(settings.precision, device, self._device)
        return device

    def load(self, images: Pixels, labels: Labels) -> Data:
        import torch

        scale = self._settings.workload.pixel_scale
        pixels = torch.tensor(images, dtype=torch.float32).unsqueeze(1) / scale
        return pixels, torch.tensor(labels, dtype=torch.int64)

    def build(self, weights: Weights) -> None:
        self._training = self._new_training(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        images, labels = data
        training = self._training
        if self._tuned.get("data") == "device":
            images, labels = images.to(self._device), labels.to(self._device)
        for batch in timed_batches(
            self._settings, len(labels), stopwatch, self._synchronise, training.take_sums
        ):
            training.step(*self._fetch((images, labels), batch))

    def observed_devices(self) -> List[str]:
        """Where the parameters, Adam's moments and the logits of one image are."""
        import torch

        training = self._training
        with torch.no_grad():
            logits = training.model(torch.zeros(1, 1, 28, 28, device=self._device))
        moments = [
            state[name]
            for state in training.optimizer.state.values()
            for name in ("exp_avg", "exp_avg_sq")
        ]
        tensors = [*training.model.parameters(), *moments, logits]
        return sorted({device_id(tensor.device) for tensor in tensors})

    def evaluate(self, images: Pixels, labels: Labels) -> Tuple[float, float]:
        import torch

        test_images, test_labels = self.load(images, labels)
        training = self._training
        with torch.no_grad():
            for part in torch.arange(len(labels)).split(EVALUATION_BATCH):
                targets = test_labels[part].to(self._device)
                logits, loss = training.forward(test_images[part].to(self._device), targets)
                training.count(logits, loss, targets)
        loss_sum, correct = training.take_sums()
        return loss_sum / len(labels), correct / len(labels)

    def replay(self, weights: Weights, batches: Sequence[Batch]) -> List[float]:
        training = self._new_training(weights)
        losses = []
        for batch in batches:
            images, labels = self.load(*batch)
            losses.append(float(training.step(images.to(self._device), labels.to(self._device))))
        return losses

    def state(self) -> TrainingState:
        model = self._training.model
        kept = dict(self._training.optimizer.state)  # its own makes entries for who asks

        def ours(value: Callable[[torch.Tensor], torch.Tensor]) -> Weights:
            arrays = {name: to_numpy(value(one)) for name, one in model.named_parameters()}
            return weights_from_nchw(self._settings.workload, arrays)

        return TrainingState(
            weights=ours(lambda parameter: parameter),
            first=ours(lambda parameter: kept[parameter]["exp_avg"]),
            second=ours(lambda parameter: kept[parameter]["exp_avg_sq"]),
            steps=max(int(of_parameter["step"]) for of_parameter in kept.values()),
        )

    def effective_settings(self) -> Dict[str, Any]:
        import torch

        settings = {
            "execution": self._execution(),
            "layout": "NHWC" if self._tuned.get("memory_format") == "channels_last" else "NCHW",
            "data": "index gather on the device"
            if self._tuned.get("data") == "device"
            else "index gather from host memory, each batch moved to the device",
            "autocast": str(self._low_precision or "none").replace("torch.", ""),
            "compute_type": str(
                self._low_precision or next(self._training.model.parameters()).dtype
            ).replace("torch.", ""),
        }
        if self._device.type == "cpu":
            settings["threads"] = torch.get_num_threads()
            settings["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
        elif self._device.type == "cuda":
            settings["runtime"] = (
                f"ROCm {torch.version.hip}"
                if torch.version.hip
                else (f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}")
            )
        return settings

    def _execution(self) -> str:
        if self._device.type == "xla":
            return "lazy, one graph a step"
        mode = self._tuned.get("compile", "off")
        return "eager" if mode == "off" else f"compiled, mode {mode}"

    def operations(self) -> Operations:
        return replace(operations_on(self._device), fetch=self._fetch)

    def _fetch(self, data: Data, batch: Indices) -> Data:
        """Gathered where the data lies, and moved to the device."""
        import torch

        images, labels = data
        index = torch.from_numpy(batch).to(images.device)
        return images[index].to(self._device), labels[index].to(self._device)

    def _new_training(self, weights: Weights) -> Training:
        return Training(self._settings, weights, self._device, self._low_precision, self._tuned)

    def _synchronise(self) -> None:
        synchronise(self._device)


def make_model() -> torch.nn.Sequential:
    """``mnist-cnn`` as a PyTorch user writes it: NCHW, logits at the end."""
    from torch import nn

    return nn.Sequential(
        OrderedDict(
            conv_1=nn.Conv2d(1, 32, kernel_size=3),
            relu_1=nn.ReLU(),
            conv_2=nn.Conv2d(32, 64, kernel_size=3),
            relu_2=nn.ReLU(),
            pool=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            dense_1=nn.Linear(64 * 12 * 12, 128),
            relu_3=nn.ReLU(),
            dense_2=nn.Linear(128, 10),
        )
    )


class Training:
    """Model, optimizer and the epoch's sums, all on one device.

    ``low_precision`` is the type of autocast, None for float32. float16 comes with PyTorch's
    gradient scaler, as its users train it. ``tuned`` are the values of the engine's tunables.
    """

    def __init__(
        self,
        settings: Settings,
        weights: Weights,
        device: torch.device,
        low_precision: Optional[torch.dtype],
        tuned: Mapping[str, str],
    ) -> None:
        import torch

        arrays = nchw_weights(settings.workload, weights)
        self.model = make_model()
        self.model.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})
        self._channels_last = tuned.get("memory_format") == "channels_last"
        if self._channels_last:
            self.model.to(memory_format=torch.channels_last)
        self.model.to(device)
        self.criterion = torch.nn.CrossEntropyLoss()
        adam = settings.workload.optimizer
        self.optimizer = torch.optim.Adam(
            self.model.parameters(),
            lr=adam.learning_rate,
            betas=(adam.beta_1, adam.beta_2),
            eps=adam.epsilon,
            fused=True if tuned.get("adam") == "fused" else None,
        )
        self._compiled_forward: Forward = self.forward
        if tuned.get("compile", "off") != "off":
            self._compiled_forward = compiled(self.forward, tuned["compile"])
        self._device = device
        self._low_precision = low_precision
        self._scaler = torch.amp.GradScaler(device.type) if low_precision is torch.float16 else None
        self._reset_sums()

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One step of training; the mean loss before it, still on the device."""
        import torch

        self.optimizer.zero_grad()
        if self._channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        logits, loss = self._compiled_forward(images, labels)
        if self._scaler is None:
            loss.backward()
            self.optimizer.step()
        else:
            self._scaler.scale(loss).backward()
            self._scaler.step(self.optimizer)
            self._scaler.update()
        self.count(logits, loss, labels)
        if self._device.type == "xla":
            from torch_xla.core import xla_model

            xla_model.mark_step()
        return loss.detach()

    def forward(
        self, images: torch.Tensor, labels: torch.Tensor
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        """Logits and mean loss of a batch."""
        with self._autocast():
            logits = self.model(images)
            return logits, self.criterion(logits, labels)

    def count(self, logits: torch.Tensor, loss: torch.Tensor, labels: torch.Tensor) -> None:
        """Add a batch to the epoch's sums, on the device."""
        self._loss_sum += loss.detach() * len(labels)
        self._correct += (logits.detach().argmax(dim=1) == labels).sum()

    def take_sums(self) -> Tuple[float, float]:
        """Sum of losses and number of right answers since the last call; waits for the device."""
        loss_sum, correct = self._loss_sum.item(), self._correct.item()
        self._reset_sums()
        return loss_sum, correct

    def _reset_sums(self) -> None:
        import torch

        self._loss_sum = torch.zeros((), device=self._device)
        self._correct = torch.zeros((), device=self._device, dtype=torch.int64)

    def _autocast(self) -> ContextManager[Any]:
        import torch

        if self._low_precision is None:
            return contextlib.nullcontext()
        autocast: ContextManager[Any] = torch.autocast(self._device.type, dtype=self._low_precision)
        return autocast


ENGINE = TorchEngine()
