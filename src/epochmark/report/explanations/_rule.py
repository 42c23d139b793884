"""What a rule is: a named function from the evidence about a run to sentences with figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from epochmark.analysis.comparing.batch_sizes import BatchSweep
from epochmark.analysis.timing.headline import steps_per_epoch
from epochmark.analysis.timing.start_up import Clocks
from epochmark.analysis.timing.steady_epoch import SteadyEpoch
from epochmark.records.fields import Validity
from epochmark.records.findings import MEANING, FindingCode
from epochmark.records.machine.machine_limits import EngineLimits, Limits
from epochmark.records.record import Record, RunLimits

Question = Literal["trust", "time", "limit", "setting", "unknown"]
"""What a sentence is about, in the order of the answer: whether to believe the run, where its time
goes, what holds it back, how it was set up, and what is not measured yet."""

Needs = Literal["anything", "right work", "figure", "time"]
"""Which runs a rule may speak about: all; those whose work is right; of these those that came as
far as a steady epoch, disturbed or not; those whose time can be trusted as well."""

SAME_RATE = 1.05
"""Two rates this close are one: they repeat to a few percent."""


@dataclass(frozen=True)
class Evidence:
    """All that rules may look at.

    ``limits`` are those of the machine the run was made on, ``engine_limits`` those of its engine
    with the same versions on the same device, as far as they repeated; None where not measured.
    ``sweep`` is a batch sweep of the same engine, versions, device and settings, ``beside`` are
    all that differ from it in nothing but the device, itself included.
    """

    record: Record
    clocks: Clocks
    steady: SteadyEpoch | None
    limits: Limits | None
    engine_limits: EngineLimits | None
    sweep: BatchSweep | None
    beside: tuple[BatchSweep, ...]

    @property
    def device(self) -> str:
        """The resolved device, or the requested one."""
        return self.record.device.resolved or self.record.device.requested

    @property
    def on_cpu(self) -> bool:
        """Whether the processor trained."""
        return self.device == "cpu"

    @property
    def is_eager(self) -> bool:
        """Whether the engine hands over a step's operations one by one, and compiles none."""
        return self.record.engine.settings.get("execution", "").startswith("eager")

    @property
    def run_limits(self) -> RunLimits | None:
        """Peaks and bandwidth of the processor, as the record has them, else as known now."""
        return self.record.limits or (self.limits.for_run() if self.limits else None)

    @property
    def stock_limits(self) -> EngineLimits | None:
        """``engine_limits`` where they apply to the steps of this run: they are measured with
        stock settings."""
        return self.engine_limits if self.record.engine.tuning == "stock" else None

    @property
    def worthless(self) -> Validity | None:
        """What the time of the run is when nothing may be concluded from it: ``invalid``, or
        ``disturbed`` (a partial run may be that as well); otherwise None."""
        found = {MEANING[FindingCode(finding.code)].validity for finding in self.record.findings}
        order: tuple[Validity, ...] = ("invalid", "disturbed")
        return next((validity for validity in order if validity in found), None)

    @property
    def epoch_s(self) -> float:
        """Seconds of a steady epoch; only for rules that need a time."""
        assert self.steady is not None, "rules about time are asked about runs that have one"
        return self.steady.interval.median

    @property
    def step_s(self) -> float:
        """Seconds of a steady step."""
        return self.epoch_s / steps_per_epoch(self.record.workload)


@dataclass(frozen=True)
class Sentence:
    """One sentence, the figures it rests on (names end in their unit), and what to try."""

    sentence: str
    figures: Mapping[str, float | str]
    advice: str | None = None


@dataclass(frozen=True)
class Rule:
    """One rule; ``says_when`` and ``reason`` document it in docs/measurement/explaining.md."""

    name: str
    question: Question
    needs: Needs
    says_when: str
    reason: str
    apply: Callable[[Evidence], Iterator[Sentence]] = field(repr=False)


def milliseconds(seconds: float) -> str:
    """``45.0 ms`` with three digits."""
    ms = 1e3 * seconds
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms"
