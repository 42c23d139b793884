"""Where the time goes, from process start to the end of the fit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from epochmark.analysis.timing.beside import STANDING_CPUS, waits_of
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.findings import FindingCode
from epochmark.records.wording import counted
from epochmark.report.digits import range_text, value_text
from epochmark.report.explanations._rule import Evidence, Rule, Sentence
from epochmark.report.figures import percent, seconds_text
from epochmark.report.tables.runs import compiles_again

HELD_UP = frozenset(
    {
        FindingCode.STEAL_TIME.value,
        FindingCode.MEMORY_PRESSURE.value,
        FindingCode.QUOTA_THROTTLED.value,
        FindingCode.SUSPENDED.value,
        FindingCode.UNWATCHED.value,
    }
)
"""Findings that say already why a worker stood still, or that it is unknown."""
TUNED_INPUT = "keras-tensorflow"
"""The engine whose ``fit`` is known to sleep between epochs (docs/engines.md)."""
LARGE_SHARE = 0.05
"""Of the whole time: anything less is lost in the spread of most runs."""
FIRST_SHARE = 0.5
"""Of the beginning: with less than that, the first step is not what makes it slow."""


class _Parts(NamedTuple):
    """Seconds of start-up, of the beginning beyond steady speed, of all epochs at that, and what a
    measured run took more than these three (or less)."""

    startup_s: float
    beginning_s: float
    steady_s: float
    rest_s: float

    @property
    def total_s(self) -> float:
        return sum(self)


def whole_time(evidence: Evidence) -> Iterator[Sentence]:
    """Start-up, the beginning, steady epochs, and the rest where it matters."""
    parts, steady = _parts(evidence), evidence.steady
    if parts is None or steady is None:
        return
    total_s, epochs = parts.total_s, evidence.record.workload.epochs
    start = f"The whole run took {seconds_text(total_s)}"
    if evidence.record.headline.elapsed_s is None:
        fit = steady.projected_s(epochs)
        ends = (parts.startup_s + fit.low, parts.startup_s + fit.high)
        whole = Interval(total_s, *ends, fit.count)
        start = f"A whole run takes {value_text(whole)} s (projected, {range_text(whole)} s)"
    yield Sentence(
        f"{start}: start-up {_part(parts.startup_s, total_s)}, extra time at the beginning "
        f"{_part(parts.beginning_s, total_s)}, and {counted(epochs, 'epoch')} "
        f"at steady speed {_part(parts.steady_s, total_s)}{_rest_text(parts)}.",
        {**parts._asdict(), "epochs": epochs},
    )


def start_up(evidence: Evidence) -> Iterator[Sentence]:
    """A start-up that matters."""
    parts = _parts(evidence)
    if parts is None or parts.startup_s < LARGE_SHARE * parts.total_s:
        return
    yield Sentence(
        f"Start-up alone is {percent(parts.startup_s / parts.total_s)} of that: importing the "
        "framework, reading the data and building the model, before the clock of the fit starts.",
        {"startup_s": parts.startup_s, "total_s": parts.total_s},
    )


def compilation(evidence: Evidence) -> Iterator[Sentence]:
    """A beginning that matters."""
    parts, first_s = _parts(evidence), evidence.clocks.first_step_s
    if parts is None or parts.beginning_s < LARGE_SHARE * parts.total_s:
        return
    enough = math.ceil(parts.beginning_s * (1 / LARGE_SHARE - 1) / evidence.epoch_s)
    figures = {"beginning_s": parts.beginning_s, "total_s": parts.total_s, "epochs": float(enough)}
    start = f"The beginning costs {seconds_text(parts.beginning_s)}"
    if first_s is not None and first_s - evidence.step_s >= FIRST_SHARE * parts.beginning_s:
        figures |= {"first_step_s": first_s, "step_s": evidence.step_s}
        times = f"{first_s / evidence.step_s:,.0f}"
        start = (
            f"The first step took {seconds_text(first_s)}, {times} times a steady one: the engine "
            "compiles and allocates there"
        )
    yield Sentence(
        f"{start}.",
        figures,
        "compare steady epochs rather than elapsed times; the beginning is less than "
        f"{percent(LARGE_SHARE)} only from {enough:,} epochs on",
    )


def second_compilation(evidence: Evidence) -> Iterator[Sentence]:
    """The smaller last batch, as if compiled again."""
    clocks = evidence.clocks
    if clocks.smaller_batch_s is None or not compiles_again(clocks) or evidence.is_eager:
        return
    yield Sentence(
        "The first smaller batch, the last of epoch 1, took "
        f"{seconds_text(clocks.smaller_batch_s)} more than the next one, as if its shape were "
        "compiled again.",
        {"smaller_batch_s": clocks.smaller_batch_s},
    )


def standing_still(evidence: Evidence) -> Iterator[Sentence]:
    """A worker that computed nothing for a while."""
    calm, found = evidence.record.calm, {finding.code for finding in evidence.record.findings}
    if calm is None or not calm.end_s or not evidence.on_cpu or found & HELD_UP:
        return
    waited_s, fit_s = sum(wait.span.lasted_s for wait in waits_of(calm)), calm.end_s[-1]
    if waited_s < LARGE_SHARE * fit_s:
        return
    by_tuner = evidence.record.engine.name == TUNED_INPUT
    yield Sentence(
        f"For {seconds_text(waited_s)} of the {seconds_text(fit_s)} that the fit took, its "
        "processes computed nothing, and nothing else kept the processor from them: the framework "
        f"waited{' for the tuner of its input (tf.data)' if by_tuner else ''}.",
        {"standing_s": waited_s, "fit_s": fit_s},
        "scripts that call fit wait as well (docs/engines.md, 'What fit of Keras on TensorFlow "
        "waits for'); --tuning tuned trains without that tuner, and so do keras-jax and keras-torch"
        if by_tuner
        else None,
    )


def _parts(evidence: Evidence) -> _Parts | None:
    """None where the run's length was not that of its epochs, or its start-up is not known."""
    steady, startup_s = evidence.steady, evidence.record.timing.startup_s
    run = evidence.record.workload
    if steady is None or startup_s is None or run.max_steps is not None or run.settle:
        return None
    beginning_s, steady_s = steady.warm_up_excess_s, run.epochs * evidence.epoch_s
    elapsed_s = evidence.record.headline.elapsed_s
    rest_s = 0.0 if elapsed_s is None else elapsed_s - beginning_s - steady_s
    return _Parts(startup_s, beginning_s, steady_s, rest_s)


def _rest_text(parts: _Parts) -> str:
    """Empty where it does not matter."""
    part = _part(abs(parts.rest_s), parts.total_s)
    if abs(parts.rest_s) < LARGE_SHARE * parts.total_s:
        return ""
    if parts.rest_s < 0:
        return f"; faster epochs took {part} less"
    return f"; slower epochs, waiting and tidying up took {part} more"


def _part(seconds: float, total_s: float) -> str:
    return f"{seconds_text(seconds)} ({percent(seconds / total_s)})"


RULES = (
    Rule(
        name="whole-time",
        question="time",
        needs="figure",
        says_when=(
            "start-up is known and neither --steps nor --settle set the run's length; what the "
            "fit took beyond beginning and steady epochs is mentioned from "
            f"{percent(LARGE_SHARE)} on"
        ),
        reason=(
            "start-up and beginning happen once, epochs many times, so they are reported separately"
        ),
        apply=whole_time,
    ),
    Rule(
        name="start-up",
        question="time",
        needs="figure",
        says_when=f"start-up is at least {percent(LARGE_SHARE)} of the whole run",
        reason="anything less is lost in the spread of most runs",
        apply=start_up,
    ),
    Rule(
        name="compilation",
        question="time",
        needs="figure",
        says_when=(
            f"the extra time at the beginning is at least {percent(LARGE_SHARE)} of "
            "the whole run; the first step is named if at least "
            f"{percent(FIRST_SHARE)} of that is its own"
        ),
        reason="anything less is lost in the spread of most runs",
        apply=compilation,
    ),
    Rule(
        name="second-compilation",
        question="time",
        needs="figure",
        says_when=(
            "the first smaller last batch takes a tenth of the first step (and 20 ms) longer than "
            "the second one; not for eager engines"
        ),
        reason="compilers of fixed shapes compile the smaller last batch of an epoch separately",
        apply=second_compilation,
    ),
    Rule(
        name="standing-still",
        question="time",
        needs="right work",
        says_when=(
            f"on the CPU, for at least {percent(LARGE_SHARE)} of the fit the engine's processes "
            f"used less than {STANDING_CPUS} CPUs, and no finding says why"
        ),
        reason="training on the CPU keeps it busy; a worker without work waits for its framework",
        apply=standing_still,
    ),
)
