"""What an engine can do; what is known of it without its framework is in ``info``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Callable, ClassVar, Mapping, Optional, Protocol, Sequence

import numpy as np
import numpy.typing as npt

from epochmark.engines._shared.info import EngineInfo
from epochmark.engines._shared.parallel import DataParallel, Group
from epochmark.engines._shared.versions import versions_of
from epochmark.workloads import Workload
from epochmark.workloads._proof.float64 import Float64, Judge
from epochmark.workloads.spec import Optimizer

Weights = Mapping[str, npt.NDArray[np.float32]]
"""Trainable arrays by ``<layer>.kernel`` and ``<layer>.bias``, shaped as in ``workloads.spec``."""

Inputs = npt.NDArray[Any]
"""Images ``(n, height, width)`` of bytes, or symbols ``(n, context)``."""
Targets = npt.NDArray[Any]
"""The class of each image ``(n,)``, or the symbol that follows each ``(n, context)``."""
Batch = tuple[Inputs, Targets]
Indices = npt.NDArray[np.int64]


class UnavailableError(Exception):
    """What the user asked for cannot be had here; the message, one line, says what can."""


class DeviceUnavailableError(UnavailableError):
    """The device asked for is not there; the message lists what is."""


@dataclass(frozen=True)
class Device:
    """One place an engine can train: ``id`` as a user types it (``cpu``, ``gpu:1``)."""

    id: str
    description: str

    @property
    def kind(self) -> str:
        return self.id.split(":")[0]


ENOUGH_EPOCHS = 10
"""With fewer, a warm-up may leave too few for an interval, which then needs laps inside epochs."""


@dataclass(frozen=True)
class Settings:
    """How the training is asked for. ``threads`` None leaves the engine's own default.

    ``epochs`` and ``batch_size`` are those of this run, which may depart from the workload's;
    ``max_steps`` ends the run after that many optimizer steps in all. A ``quick`` run can stop
    between laps. ``tuned_settings`` are the tunables that depart from stock, by name
    (``EngineInfo.all_settings``).
    """

    workload: Workload
    device: str
    precision: str
    tuning: str
    seed: int
    epochs: int
    batch_size: int
    threads: Optional[int] = None
    max_steps: Optional[int] = None
    quick: bool = False
    tuned_settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def laps_inside_epochs(self) -> bool:
        """Whether engines that otherwise end whole epochs only (Keras) end laps inside them too."""
        return self.quick or self.epochs < ENOUGH_EPOCHS


class Stopwatch(Protocol):
    """The worker's clock as an engine sees it. Synchronise the device before each call, except to
    ``wants_lap``."""

    def wants_lap(self) -> bool:
        """True when it is time for a lap inside the epoch (hand-written loops only; cheap)."""

    def lap(
        self, steps: int, loss: Optional[float] = None, accuracy: Optional[float] = None
    ) -> bool:
        """A lap of ``steps`` steps ends here; ``loss`` and ``accuracy`` are the epoch's so far.
        False asks the engine to stop in the middle of the epoch, without a call of ``epoch``."""

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        """An epoch's last lap, of ``steps`` steps, ends here, with the epoch's mean training loss
        and accuracy, weighted by samples. False asks the engine to stop."""

    def trained(self) -> None:
        """All of the training is done; what ``fit`` does from here on is the framework's tidying
        up. Only for frameworks that take long over it."""


@dataclass(frozen=True)
class Operations:
    """A framework's own float32 operations on the opened device, as a user writes them.

    Arrays are the framework's; ``put`` brings one of NumPy's to the device, ``get`` one back.
    ``multiply`` is the product of two square matrices of ``product_size`` rows. ``convolve`` is a
    convolution without padding of images and a kernel, whose axes lie as ``image_axes`` (n, height,
    width, channels) and ``kernel_axes`` (height, width, in, out) say; with ``pools``, ReLU and
    pooling by 2 x 2 come with it. ``add`` is the sum of two arrays without dimensions. All of them
    may return before the device has computed anything; ``wait`` returns when it has computed this
    result and all before it.

    ``fetch`` brings a batch of what ``load`` returned, by its indices ``(n,)``, to the device as
    ``fit`` does: images and labels. None where ``fit`` leaves that to a pipeline of the framework,
    or does it in the kernels of the step.
    """

    put: Callable[[npt.NDArray[np.float32]], Any]
    get: Callable[[Any], npt.NDArray[np.float32]]
    multiply: Callable[[Any, Any], Any]
    convolve: Callable[[Any, Any], Any]
    add: Callable[[Any, Any], Any]
    wait: Callable[[Any], Any]
    fetch: Optional[Callable[[Any, Indices], tuple[Any, Any]]] = None
    image_axes: str = "NHWC"
    kernel_axes: str = "HWIO"
    product_size: int = 2048
    pools: bool = False


@dataclass(frozen=True)
class TrainingState:
    """All that the next training step depends on, besides its batch.

    ``weights`` and the two moments of Adam, ``first`` (of gradients) and ``second`` (of their
    squares), have the names, shapes and layouts of ``Weights``: float32, in host memory, copies.
    ``steps`` counts the optimizer's steps so far, read from the framework's own counter; None where
    it has none.
    """

    weights: Weights
    first: Weights
    second: Weights
    steps: Optional[int]


class Engine(ABC):
    """One framework on one back end. The worker calls the methods in the order they stand here."""

    info: ClassVar[EngineInfo]

    def versions(self) -> dict[str, str]:
        """Version of each distribution in ``info.distributions`` that is installed, and of others
        that bring the same modules (``tf-nightly``); of a module that was imported and is of no
        distribution, its own word."""
        return versions_of(self.info.modules, self.info.distributions)

    def user_settings(self) -> dict[str, str]:
        """What files of the user's change in this framework, by the name of the file."""
        return {}

    @abstractmethod
    def list_devices(self) -> list[Device]:
        """Every device this engine can train on here, in this interpreter."""

    @abstractmethod
    def open(self, settings: Settings) -> Device:
        """Import the framework and pick the device (the *resolved* one).

        Raises ``DeviceUnavailableError`` when ``settings.device`` is not there: an engine never
        falls back to another device by itself.
        """

    @abstractmethod
    def load(self, inputs: Inputs, targets: Targets) -> Any:
        """Samples and their targets as this framework's users hold them in host memory before
        training: images ``(n, 28, 28)`` and labels ``(n,)``, or symbols ``(n, context)`` and those
        that follow them ``(n, context)``. Outside the clock."""

    @abstractmethod
    def build(self, weights: Weights) -> None:
        """Make model and optimizer with these initial weights on the device; compile nothing."""

    @abstractmethod
    def fit(self, data: Any, stopwatch: Stopwatch) -> None:
        """Train on what ``load`` returned. The clock starts at the call and ends at the return.

        Called again, untimed, with a few batches: then the trained model goes on."""

    @abstractmethod
    def observed_devices(self) -> list[str]:
        """Ids of the devices where parameters and outputs really live, asked of the framework."""

    @abstractmethod
    def evaluate(self, inputs: Inputs, targets: Targets) -> tuple[float, float]:
        """Mean loss and accuracy of the trained model on a test set, over all targets."""

    @abstractmethod
    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> list[float]:
        """Train a new model from ``weights`` on these batches in this order, with the code that
        ``fit`` uses, and return the mean loss of each batch before its update. ``optimizer`` takes
        the place of the workload's: plain SGD shows the scale of gradients, which Adam hides."""

    @abstractmethod
    def state(self) -> TrainingState:
        """The trained model and its optimizer as they are now, after any number of calls of
        ``fit``: our own float64 code continues from here and compares."""

    def judge(self, workload: Workload) -> Judge:
        """Who says what ``state`` must be after the steps that follow the fit: our float64 code.
        An engine that computes nothing says it itself."""
        return Float64(workload, self.info.adam_form)

    def effective_settings(self) -> dict[str, Any]:
        """What the run really used and a record should name: threads, instruction set, layout."""
        return {}

    def operations(self) -> Optional[Operations]:
        """What ``epochmark limits`` times, after ``open`` and ``build``; None where this engine
        does not offer it."""
        return None

    def data_parallel(self, group: Group) -> DataParallel:
        """Its training on several devices, where ``info.parallel`` says how."""
        raise NotImplementedError(f"{self.info.name} trains on one device")
