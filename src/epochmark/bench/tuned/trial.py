"""One trial of tuned settings: a short run in a fresh worker, and seconds of a warm step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.bench.plan import PlannedRun
from epochmark.bench.session import Bench
from epochmark.errors import EpochmarkError
from epochmark.records.findings import MEANING, FindingCode
from epochmark.records.record import Lap, Record
from epochmark.worker import protocol
from epochmark.worker.protocol import Message

MIN_LAPS = 8
"""Warm laps of a trial; the first lap compiles."""
MIN_WARM_S = 2.0
MIN_SLOW_STEPS = 2
MAX_WARM_S = 8.0
"""Where a lap takes long, so few steps are enough after that. JAX, whose calls return before the
work is done, has laps of dozens of steps on a slow device."""
MAX_SILENCE_S = 60.0
"""A setting that compiles longer than that, or calls a step that long, is given up."""
DISTURBANCES = (FindingCode.FOREIGN_LOAD, FindingCode.STEAL_TIME, FindingCode.UNWATCHED)
"""What makes a trial's time doubtful."""


@dataclass(frozen=True)
class WarmSteps:
    """What one trial gave: ``step_s``, or None and the ``problem``. ``wrong``: it trained, but not
    what it should. ``disturbed``: the machine was not calm."""

    step_s: float | None
    problem: str = ""
    wrong: bool = False
    disturbed: bool = False


class TrialStop:
    """Fed with every report of the worker; says whether the trial knows enough."""

    def __init__(self) -> None:
        self._first_ns: int | None = None
        self._laps = self._steps = 0
        self._stopping = False

    def __call__(self, report: Message) -> bool:
        if self._stopping or not isinstance(report, protocol.LapEnd):
            return False
        if self._first_ns is None:
            self._first_ns = report.end_ns
            return False
        self._laps += 1
        self._steps += report.steps
        warm_s = (report.end_ns - self._first_ns) / NANOSECONDS
        enough = self._laps >= MIN_LAPS and warm_s >= MIN_WARM_S
        self._stopping = enough or (self._steps >= MIN_SLOW_STEPS and warm_s >= MAX_WARM_S)
        return self._stopping


def try_settings(bench: Bench, planned: PlannedRun, settings: Mapping[str, str]) -> WarmSteps:
    """Train a few steps of a planned run with these settings, replay included.

    Only counters watch the machine during it. Raises ``KeyboardInterrupt`` when the user stopped
    it.
    """
    request = replace(
        planned.request, tuned_settings=settings, epochs=None, max_steps=None, quick=True,
        settle=False, batch_size=None, label=None,
    )  # fmt: skip
    short = replace(bench, limits=None, sensors=None, patience_s=MAX_SILENCE_S)
    try:
        measured = short.measure(replace(planned, request=request), trial=TrialStop())
    except EpochmarkError as error:
        return WarmSteps(None, str(error).partition("\n")[0])
    if measured.interrupted:
        raise KeyboardInterrupt
    return _reading_of(measured.record)


def _reading_of(record: Record) -> WarmSteps:
    """Seconds of a step, if the work was right and in float32."""
    if record.failure is not None:
        return WarmSteps(None, record.failure.message)
    wrong = [finding for finding in record.findings if _is_wrong(FindingCode(finding.code))]
    if wrong:
        return WarmSteps(None, wrong[0].detail, wrong=True)
    step_s = warm_step_s(record.timing.laps)
    disturbed = any(FindingCode(finding.code) in DISTURBANCES for finding in record.findings)
    return WarmSteps(step_s, "" if step_s else "too few laps for a result", disturbed=disturbed)


def _is_wrong(code: FindingCode) -> bool:
    """Whether a setting trains wrongly; trials are not continued, the run with the best one is."""
    return MEANING[code].validity == "invalid" and code != FindingCode.CONTINUATION_MISSING


def warm_step_s(laps: Sequence[Lap]) -> float | None:
    """Seconds of a step: the lower quartile of the laps after the first, in which it compiled.

    Not the median, since whatever disturbs a trial only makes it slower. None without such laps.
    """
    steps_s = sorted(
        (after.end_ns - before.end_ns) / NANOSECONDS / after.steps
        for before, after in pairwise(laps)
    )
    return steps_s[len(steps_s) // 4] if steps_s else None
