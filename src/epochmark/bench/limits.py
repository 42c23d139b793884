"""Measure what this machine can do at most, in worker processes: ``epochmark limits``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

import epochmark
from epochmark.bench.interpreter import Interpreter
from epochmark.bench.launcher import WorkerOutcome, launch
from epochmark.bench.scrub import scrubbed
from epochmark.hardware.memory import last_level_cache_bytes, usable_memory_bytes
from epochmark.results.limits import (
    EngineLimits,
    MultiplyAdds,
    NativeProduct,
    ProcessorLimits,
    Product,
    Timed,
    Triad,
)
from epochmark.worker.protocol import (
    Figure,
    Hello,
    LimitsJob,
    Opened,
    Phase,
    Report,
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
"""Of the three arrays where the caches are small or not told."""

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
            f"({cache_bytes >> 20} MiB): its figure may be one of caches"
        )
    return TriadSize(array_bytes, cache_bytes, problem)


def measure_processor(on_progress: OnProgress) -> ProcessorLimits:
    """Peaks, matrix products and bandwidth by the native kernels.

    What could not be measured is among its ``problems``. Raises ``KeyboardInterrupt`` when the user
    stopped it.
    """
    size = triad_size(last_level_cache_bytes(), usable_memory_bytes())
    outcome = _launch(LimitsJob(None, "cpu", MNIST_CNN.name, size.array_bytes), on_progress)
    problems = [size.problem, *_troubles(outcome), _failure(outcome)]
    return ProcessorLimits(
        measured=_now(),
        epochmark_version=epochmark.__version__,
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
    with interpreter.in_use():
        outcome = _launch(LimitsJob(engine, device, MNIST_CNN.name, 0), on_progress, interpreter)
    hello, opened = outcome.last(Hello), outcome.last(Opened)
    used = outcome.last(UsedSettings)
    timed = {
        what: next((one.timed for one in _figures(outcome, what, _Bare)), None)
        for what in ("convolution", "dispatch", "input")
    }
    return EngineLimits(
        measured=_now(),
        epochmark_version=epochmark.__version__,
        engine=engine,
        device=opened.device if opened else device,
        device_description=opened.description[:300] if opened else None,
        versions=hello.versions if hello else {},
        settings=used.settings if used else {},
        product=next(iter(_figures(outcome, "product", Product)), None),
        **timed,
        problem="; ".join(filter(None, [*_troubles(outcome), _failure(outcome)])) or None,
    )


class _Bare(msgspec.Struct, frozen=True):
    """A figure without facts."""

    timed: Timed


def _launch(
    job: LimitsJob, on_progress: OnProgress, interpreter: Interpreter | None = None
) -> WorkerOutcome:
    def tell(report: Report) -> None:
        if isinstance(report, Phase):
            on_progress(report.name)

    interpreter = interpreter or Interpreter.own()
    try:
        outcome = launch(lambda spawned_ns: job, interpreter.python, interpreter.environment, tell)
    except OSError as error:
        return WorkerOutcome(detail=f"its interpreter cannot be started: {error.strerror or error}")
    if outcome.ending == "interrupted":
        raise KeyboardInterrupt
    return outcome


def _figures(outcome: WorkerOutcome, what: str, kind: type[T], **more: Any) -> list[T]:
    """What the worker reported, checked as the file's own structures."""
    return [
        msgspec.convert(
            {**one.facts, **more, "timed": {"work": one.work, "seconds": one.seconds}}, kind
        )
        for one in outcome.every(Figure)
        if one.what == what
    ]


def _troubles(outcome: WorkerOutcome) -> Iterator[str]:
    return (scrubbed(one.message) for one in outcome.every(Trouble))


def _failure(outcome: WorkerOutcome) -> str | None:
    """How the worker ended, and where, if not as it should."""
    if outcome.ending == "finished":
        return None
    phase = outcome.last(Phase)
    return scrubbed(f"{outcome.detail} ({phase.name if phase else 'starting'})")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
