"""Measure what this machine can do at most, in worker processes: ``epochmark limits``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from epochmark._version import __version__
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.process.launcher import Recipients, WorkerOutcome, launch
from epochmark.bench.process.messages import MessageError
from epochmark.bench.scrub import scrubbed
from epochmark.bench.watching.load import LoadWatch
from epochmark.hardware.cgroups import cpu_quota
from epochmark.hardware.counters import open_counters
from epochmark.hardware.machine import power_source
from epochmark.hardware.memory import last_level_cache_bytes, usable_memory_bytes
from epochmark.records import dates
from epochmark.records.fields import PositiveCount
from epochmark.records.machine.machine_limits import (
    EngineLimits,
    MultiplyAdds,
    NativeProduct,
    ProcessorLimits,
    Product,
    Timed,
    Triad,
)
from epochmark.worker.protocol import (
    Failed,
    Figure,
    Finished,
    Hello,
    LimitsJob,
    Message,
    Opened,
    Phase,
    Trouble,
    UsedSettings,
)
from epochmark.workloads import MNIST_CNN

TIMES_CACHE = 4
"""STREAM's rule: its arrays are four times as large as the last-level caches, here in sum, since
all three are swept in turn (McCalpin, https://www.cs.virginia.edu/stream/ref.html)."""
MEMORY_SHARE = 1 / 8
"""Of the memory, at most: virtual machines may name a cache of which they own a small part."""
LEAST_BYTES = 384 << 20
"""Of the three arrays where the caches are small or unknown."""


class _Bare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A figure without facts."""

    timed: Timed


class _ToldTriad(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A triad as the worker reports it: the caches are the launcher's knowledge."""

    threads: PositiveCount
    array_bytes: PositiveCount
    timed: Timed


MAX_REPORTS = 90
"""Of one measurement. A processor has a dozen pieces of work for each number of threads."""
PROCESSOR_FIGURES: dict[str, tuple[type[msgspec.Struct], int]] = {
    "multiply_adds": (MultiplyAdds, 100),
    "product": (NativeProduct, 100),
    "triad": (_ToldTriad, 10),
}
ENGINE_FIGURES: dict[str, tuple[type[msgspec.Struct], int]] = {
    "product": (Product, 1),
    "convolution": (_Bare, 1),
    "dispatch": (_Bare, 1),
    "input": (_Bare, 1),
}
"""What each figure must be, and the most there may be, by what it is of."""

OnProgress = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class TriadSize:
    """Bytes of each array, of the last-level caches (None: unknown), and what is wrong with it."""

    array_bytes: int
    cache_bytes: int | None
    problem: str | None


def triad_size(cache_bytes: int | None, memory_bytes: int | None) -> TriadSize:
    """Arrays for the triad on a machine with such caches and so much memory (None: unknown)."""
    wanted = max(LEAST_BYTES, TIMES_CACHE * (cache_bytes or 0))
    allowed = LEAST_BYTES if memory_bytes is None else int(memory_bytes * MEMORY_SHARE)
    array_bytes = min(wanted, allowed) // 3 // 4096 * 4096
    problem = None
    if cache_bytes is not None and allowed < TIMES_CACHE * cache_bytes:
        share = "the memory is not known" if memory_bytes is None else "an eighth of the memory"
        problem = (
            f"the arrays of the triad take {3 * array_bytes >> 20} MiB ({share}), "
            f"which is less than {TIMES_CACHE} times the last-level caches "
            f"({cache_bytes >> 20} MiB): its figure may show the caches, not the memory"
        )
    return TriadSize(array_bytes, cache_bytes, problem)


def measure_processor(on_progress: OnProgress) -> ProcessorLimits:
    """Peaks, matrix products and bandwidth by the native kernels.

    What could not be measured is among its ``problems``. Raises ``KeyboardInterrupt`` when the user
    stopped it.
    """
    size = triad_size(last_level_cache_bytes(), usable_memory_bytes())
    watch = LoadWatch(open_counters)
    job = LimitsJob(None, "cpu", MNIST_CNN.name, size.array_bytes)
    outcome = _launch(job, on_progress, watch)
    problems = [size.problem, *_troubles(outcome), _failure(outcome)]
    return ProcessorLimits(
        measured=dates.now(),
        epochmark_version=__version__,
        **_circumstances(watch),
        multiply_adds=_figures(outcome, "multiply_adds", MultiplyAdds),
        products=_figures(outcome, "product", NativeProduct),
        triads=_figures(outcome, "triad", Triad, cache_bytes=size.cache_bytes),
        problems=[problem for problem in problems if problem],
    )


def measure_engine(
    engine: str, device: str, interpreter: Interpreter, on_progress: OnProgress
) -> EngineLimits:
    """An engine's own matrix product, convolution, dispatch and input on one device.

    A failure is its ``problem``. Raises ``KeyboardInterrupt`` when the user stopped it.
    """
    watch = LoadWatch(open_counters)
    with interpreter.in_use():
        job = LimitsJob(engine, device, MNIST_CNN.name, 0)
        outcome = _launch(job, on_progress, watch, interpreter)
    hello, opened = outcome.last(Hello), outcome.last(Opened)
    used = outcome.last(UsedSettings)
    return EngineLimits(
        measured=dates.now(),
        epochmark_version=__version__,
        **_circumstances(watch),
        engine=engine,
        device=opened.device if opened else device,
        device_description=opened.description[:300] if opened else None,
        versions=hello.versions if hello else {},
        settings=used.settings if used else {},
        product=next(iter(_figures(outcome, "product", Product)), None),
        convolution=_timed(outcome, "convolution"),
        dispatch=_timed(outcome, "dispatch"),
        input=_timed(outcome, "input"),
        problem="; ".join(filter(None, [*_troubles(outcome), _failure(outcome)]))[:2000] or None,
    )


def _timed(outcome: WorkerOutcome, what: str) -> Timed | None:
    return next((figure.timed for figure in _figures(outcome, what, _Bare)), None)


class LimitsOrder:
    """What a measurement may report: no more than there is to measure, and figures that the file of
    limits can hold."""

    def __init__(self, figures: Mapping[str, tuple[type[msgspec.Struct], int]]) -> None:
        self._figures = dict(figures)
        self._left = MAX_REPORTS
        self._came: set[type[Message]] = set()

    def take(self, report: Message, running_s: float) -> None:
        kind = type(report)
        self._left -= 1
        if self._left < 0:
            raise MessageError(f"more than {MAX_REPORTS} reports")
        if self._came & {Finished, Failed}:
            raise MessageError(f"{kind.__name__} after the end")
        if kind in self._came and kind not in (Phase, Figure, Trouble):
            raise MessageError(f"{kind.__name__} came twice")
        self._came.add(kind)
        if isinstance(report, Figure):
            self._check(report)
        elif kind not in (Hello, Phase, Opened, UsedSettings, Trouble, Failed, Finished):
            raise MessageError(f"{kind.__name__} in a measurement of limits")

    def _check(self, figure: Figure) -> None:
        kind, most = self._figures.get(figure.what, (_Bare, 0))
        if most == 0:
            raise MessageError(f"a figure of {figure.what[:40]!r}, or one too many of them")
        self._figures[figure.what] = kind, most - 1
        try:
            _converted(figure, kind)
        except msgspec.ValidationError as error:
            raise MessageError(f"the figure of {figure.what}: {error}") from error


def _circumstances(watch: LoadWatch) -> dict[str, Any]:
    """What the machine had to run on, and what it shared."""
    return {
        "foreign_cpus": watch.foreign_cpus(),
        "power_source": power_source(),
        "cpu_quota": cpu_quota(),
    }


def _launch(
    job: LimitsJob,
    on_progress: OnProgress,
    watch: LoadWatch,
    interpreter: Interpreter | None = None,
) -> WorkerOutcome:
    def tell(report: Message) -> None:
        if isinstance(report, Phase):
            on_progress(report.name)

    interpreter = interpreter or Interpreter.own()
    order = LimitsOrder(ENGINE_FIGURES if job.engine else PROCESSOR_FIGURES)
    try:
        outcome = launch(
            lambda spawned_ns: job,
            interpreter.python,
            interpreter.environment,
            Recipients(order, watch, tell),
        )
    except OSError as error:
        return WorkerOutcome(detail=f"its interpreter cannot be started: {error.strerror or error}")
    outcome.raise_if_interrupted()
    return outcome


def _figures(outcome: WorkerOutcome, what: str, kind: type[T], **more: Any) -> list[T]:
    """What the worker reported, as the file's own structures."""
    return [
        _converted(figure, kind, **more) for figure in outcome.every(Figure) if figure.what == what
    ]


def _converted(figure: Figure, kind: type[T], **more: Any) -> T:
    """Raises ``msgspec.ValidationError`` for what cannot be such a figure."""
    timed = {"work": figure.work, "seconds": figure.seconds}
    return msgspec.convert({**figure.facts, **more, "timed": timed}, kind)


def _troubles(outcome: WorkerOutcome) -> Iterator[str]:
    return (scrubbed(trouble.message) for trouble in outcome.every(Trouble))


def _failure(outcome: WorkerOutcome) -> str | None:
    """How the worker ended, and where, if not as it should."""
    if outcome.ending == "finished":
        return None
    phase = outcome.last(Phase)
    return scrubbed(f"{outcome.detail} ({phase.name if phase else 'starting'})")
