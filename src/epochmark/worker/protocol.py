"""What the launcher sends the worker (one job) and what the worker reports (JSON lines).

Job and reports are plain dataclasses; both ends share these definitions, so the protocol exists
once. Floats that are not finite travel as null. Python 3.9.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Dict, List, Optional, Type, Union

from epochmark.engines import Settings
from epochmark.workloads import WORKLOADS

MAX_LINE_BYTES = 1 << 20
GO_ON = b"go on\n"
STOP = b"stop\n"
"""What the launcher may say after the job."""
ENDED = b"ended "
"""Begins what the agent of a rank on another node writes where that rank's reports end: then comes
its exit status."""

OptionalFloat = Optional[float]


@dataclass(frozen=True)
class Job:
    """One run as the launcher asks for it. ``spawned_ns`` is ``time.monotonic_ns`` at the spawn.

    The job is the first line of the worker's standard input. ``STOP`` after it asks the fit to end
    at its next lap, which the launcher may do in a ``quick`` run. A ``trial`` of tuned settings
    leaves test set and continuation out. A worker that ``takes_turns`` parks whenever a turn is
    over, and trains on at the word ``GO_ON``. Training states go to ``states_file``
    (``workloads._proof``). ``variables`` are those of the environment to be reported, besides
    the engine's own ones (``engines.Variables.recorded``).
    """

    engine: str
    settings: Settings
    data_folder: str
    weights_file: str
    replay_weights_file: str
    states_file: str
    spawned_ns: int
    variables: List[str]
    trial: bool = False
    takes_turns: bool = False


@dataclass(frozen=True)
class LimitsJob:
    """What to measure for ``epochmark limits``: an engine's own operations on a device, or without
    one the processor, by the native kernels.

    ``triad_array_bytes`` is the size of each of the three arrays that bandwidth is measured with.
    """

    engine: Optional[str]
    device: str
    workload: str
    triad_array_bytes: int


@dataclass(frozen=True)
class ScaleJob:
    """A data-parallel training in turns, and its proof (``worker.scaling``).

    The launcher starts the process of ``rank`` 0, which starts the others. ``cores`` are those of
    each process; empty: wherever the system puts them. ``meeting`` is where several processes find
    each other (``engines.Group``), None where one process holds all ``devices``. ``all_reduces`` is
    how often the sum of as many numbers as there are parameters is timed.

    Over several nodes the others are started there (``bench.scaling.nodes``): rank 0 has ``links``,
    descriptors of a connection to each, and ``listening``, that of the port where all meet.
    """

    engine: str
    settings: Settings
    data_folder: str
    weights_file: str
    replay_weights_file: str
    spawned_ns: int
    variables: List[str]
    devices: int
    meeting: Optional[str]
    cores: List[List[int]]
    all_reduces: int
    rank: int = 0
    links: List[int] = field(default_factory=list)
    listening: Optional[int] = None


@dataclass(frozen=True)
class ReplayJob:
    """An extra replay with an engine's ``settings``, which times nothing: initial weights by name,
    and ``inputs`` and ``targets`` of all batches, as files of NumPy's."""

    engine: str
    settings: Settings
    weights_file: str
    batches_file: str


AnyJob = Union[Job, LimitsJob, ReplayJob, ScaleJob]
JOBS: Dict[str, Type[AnyJob]] = {
    kind.__name__: kind for kind in (Job, LimitsJob, ReplayJob, ScaleJob)
}


def encode_job(job: AnyJob) -> bytes:
    """A job as the worker's first line: flat, the settings beside the rest, a workload by name."""
    values: Dict[str, Any] = {"job": type(job).__name__, **vars(job)}
    if not isinstance(job, LimitsJob):
        del values["settings"]
        values.update(vars(job.settings), workload=job.settings.workload.name)
    return json.dumps(values).encode() + b"\n"


def decode_job(line: bytes) -> AnyJob:
    """The job that ``encode_job`` wrote."""
    values = json.loads(line)
    kind = JOBS[values.pop("job")]
    if kind is not LimitsJob:
        asked = {field.name: values.pop(field.name) for field in fields(Settings)}
        asked["workload"] = WORKLOADS[asked["workload"]]
        values["settings"] = Settings(**asked)
    return kind(**values)


@dataclass(frozen=True)
class Hello:
    """The worker lives. ``versions`` are those of the engine's distributions; ``environment`` is
    what surrounds it and can change the work (``worker.train.surroundings_of``)."""

    python: str
    versions: Dict[str, str]
    environment: Dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """A new phase begins: ``starting``, ``loading``, ``building``, ``training``, ``checking``."""

    name: str


@dataclass(frozen=True)
class Opened:
    """The engine picked a device. ``versions``: as of ``Hello``, now that its framework is
    imported and can be asked."""

    device: str
    description: str
    versions: Dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LapEnd:
    """A lap ended ``end_ns`` after the clock started; ``loss`` and ``accuracy`` are the epoch's so
    far."""

    epoch: int
    steps: int
    end_ns: int
    loss: OptionalFloat
    accuracy: OptionalFloat


@dataclass(frozen=True)
class EpochEnd:
    """An epoch ended, with its mean training loss and accuracy."""

    epoch: int
    loss: OptionalFloat
    accuracy: OptionalFloat


@dataclass(frozen=True)
class Parked:
    """The worker is warm, or a turn of its training is over: the device has done all it was given,
    and nothing more is computed until the launcher says so. No lap contains the time until then."""


@dataclass(frozen=True)
class Fitted:
    """The fit returned ``fit_ns`` after the clock started; ``startup_s`` came before the clock.
    ``trained_ns`` is when its training was done, where an engine reports that.

    CPU seconds and involuntary context switches are those of all the worker's threads during the
    fit; ``reporting_cpu_s`` is the part of it that the stopwatch took to report. ``busy_threads``
    did the work, and may run on ``their_cpus`` CPUs all together. None: the system does not say.
    """

    startup_s: float
    fit_ns: int
    trained_ns: Optional[int] = None
    cpu_s: OptionalFloat = None
    involuntary_switches: Optional[int] = None
    reporting_cpu_s: float = 0.0
    busy_threads: Optional[int] = None
    their_cpus: Optional[int] = None


@dataclass(frozen=True)
class Observed:
    """What was seen after the fit: where the tensors are, the settings used, the test result."""

    observed_devices: List[str]
    settings: Dict[str, str]
    test_loss: OptionalFloat
    test_accuracy: OptionalFloat


@dataclass(frozen=True)
class Continued:
    """The trained model went on: losses of the single steps, mean loss of the repeated ones, both
    before each update; the optimizer's own count of steps before and after; loss and accuracy on
    the first test images, from the trained weights. None where the engine does not know.

    ``problem`` says why not, where it did not come to an end; nothing else counts then.
    """

    losses: List[OptionalFloat] = field(default_factory=list)
    repeated_loss: OptionalFloat = None
    steps: Optional[int] = None
    steps_after: Optional[int] = None
    test_loss: OptionalFloat = None
    test_accuracy: OptionalFloat = None
    problem: Optional[str] = None


@dataclass(frozen=True)
class Replayed:
    """Losses of the parity replay, and of its steps with plain SGD."""

    losses: List[OptionalFloat]
    sgd_losses: List[OptionalFloat]


@dataclass(frozen=True)
class SplitReplayed:
    """Losses of the replay split over several devices: of all steps with Adam, and of the first
    with plain SGD."""

    adam: List[OptionalFloat]
    sgd: List[OptionalFloat]


@dataclass(frozen=True)
class DevicePart:
    """A device of a data-parallel training at its end: where the parameters lie and the SHA-256 of
    their bytes; the cores of its process, empty where that is bound to none; seconds of a forward
    pass, which waits for no other device; None: not known."""

    device: str
    sha256: str
    cores: List[int]
    forward_s: OptionalFloat = None


@dataclass(frozen=True)
class Figure:
    """A piece of work, timed for ``epochmark limits``: ``what`` (``multiply_adds``, ``product``,
    ``triad``, ``convolution``, ``dispatch``, ``input``) or ``epochmark scale`` (``all_reduce``),
    the ``facts`` that distinguish it from others, how much ``work`` one call does, and the
    ``seconds`` of each repetition, per call."""

    what: str
    facts: Dict[str, Union[str, int]]
    work: float
    seconds: List[float]


@dataclass(frozen=True)
class UsedSettings:
    """The settings an engine really used."""

    settings: Dict[str, str]


@dataclass(frozen=True)
class Trouble:
    """Something that could not be measured, and why, in a sentence; all else goes on."""

    message: str


@dataclass(frozen=True)
class Failed:
    """The engine raised. ``usage`` is true when the request cannot be met (no such device)."""

    phase: str
    exception: str
    message: str
    usage: bool


@dataclass(frozen=True)
class Finished:
    """Everything was reported; the worker is about to exit."""

    peak_memory_bytes: Optional[int]


Message = Union[
    Hello, Phase, Opened, LapEnd, EpochEnd, Parked, Fitted, Observed, Continued, Replayed,
    SplitReplayed, DevicePart, Figure, UsedSettings, Trouble, Failed, Finished,
]  # fmt: skip
MESSAGES: Dict[str, Type[Message]] = {
    kind.__name__: kind
    for kind in (
        Hello, Phase, Opened, LapEnd, EpochEnd, Parked, Fitted, Observed, Continued, Replayed,
        SplitReplayed, DevicePart, Figure, UsedSettings, Trouble, Failed, Finished,
    )
}  # fmt: skip


def finite(value: Optional[float]) -> Optional[float]:
    """``value`` as a Python float, or None where it is missing, NaN or infinite."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


class MessagePipe:
    """The worker's end of the private pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, report: Message) -> None:
        """Write one report as one line."""
        line = json.dumps({"report": type(report).__name__, **asdict(report)}, allow_nan=False)
        remaining = line.encode() + b"\n"
        while remaining:
            remaining = remaining[os.write(self._descriptor, remaining) :]


class PhasedRun:
    """A job being carried out; ``phase`` says how far it came when something raises."""

    def __init__(self, pipe: MessagePipe) -> None:
        self._pipe = pipe
        self.phase = "starting"

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self._pipe.send(Phase(phase))
