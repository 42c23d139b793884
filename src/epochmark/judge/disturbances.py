"""Was the time disturbed? Findings from what the machine did at the same time and from the laps.

Every limit is explained in docs/measurement/calm.md; benchmarks/calm_error_rates.py measures how
often they are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from epochmark.analysis.machine.calm import Calmness, calmness
from epochmark.analysis.machine.heat import signs_of_heat
from epochmark.analysis.machine.sensed import series_of
from epochmark.analysis.timing.beside import SWAP_IN_BYTES_PER_S, foreign_limit
from epochmark.analysis.timing.headline import steady_of, steps_per_epoch
from epochmark.analysis.timing.intervals import MIN_INTERVAL_VALUES
from epochmark.analysis.timing.settling import TEMPERATURE_CHANGE_C, WINDOW_S, is_steady
from epochmark.analysis.timing.steady_epoch import NANOSECONDS, SteadyEpoch
from epochmark.records.findings import MEANING, FindingCode, make_finding
from epochmark.records.record import Finding, Record

FOREIGN_CPU_S = 0.1
"""And at least so much in all: CPU time is counted in ticks of 10 ms on each CPU."""

LOST_SHARE = 0.02
"""Of wanted CPU time stolen or throttled, or of the fit stalled on memory."""
SUSPENDED_S = 0.5
"""Sleeping takes longer; the two clocks compared differ by microseconds."""

DRIFT_SHARE = 0.05
DRIFT_Z = 2.58
"""Two-sided 99 % of a normal distribution."""
UNSTEADY_SHARE = 0.05
"""Half the interval over the steady epoch: the figure would be known to one digit only."""
MIN_WARM_S = 2.0
"""Shorter series show the clock, the scheduler and the pipe rather than the machine."""

LAPS_AFTER_STOP = 4
"""Laps of a run that may end after it was asked to stop."""

DISTURBANCES = frozenset(
    code
    for code, meaning in MEANING.items()
    if meaning.validity == "disturbed" and code != FindingCode.LAPS_UNSYNCHRONISED
)
"""What is found here."""


def disturbances(record: Record) -> Iterator[Finding]:
    """All findings that make the time of a run untrustworthy though its work is right."""
    if record.calm is not None:
        yield from _calm(calmness(record.calm))
    yield from _power(record)
    yield from _steadiness(record)
    yield from _settling(record)


def is_unsteady(steady: SteadyEpoch) -> bool:
    """Whether the interval is too wide for a figure, as far as it is known: of laps inside epochs
    that is no spread, of whole epochs it is at least their range."""
    is_known = steady.unit == "epoch" or steady.knows_its_spread
    return is_known and steady.half_width > UNSTEADY_SHARE


def _calm(seen: Calmness) -> Iterator[Finding]:
    yield from _foreign_load(seen)
    if seen.steal_share is not None and seen.steal_share > LOST_SHARE:
        yield make_finding(
            FindingCode.STEAL_TIME,
            f"{seen.steal_share:.1%} of the processor time wanted, the limit is {LOST_SHARE:.0%}",
        )
    if seen.throttled_share is not None and seen.throttled_share > LOST_SHARE:
        yield make_finding(
            FindingCode.QUOTA_THROTTLED,
            f"{seen.throttled_share:.1%} of the processor time wanted, "
            f"the limit is {LOST_SHARE:.0%}",
        )
    if seen.memory_stall_share is not None and seen.memory_stall_share > LOST_SHARE:
        yield make_finding(
            FindingCode.MEMORY_PRESSURE,
            f"all programs stood still {seen.memory_stall_share:.1%} of the time, "
            f"the limit is {LOST_SHARE:.0%}",
        )
    elif (seen.swap_in_bytes_per_s or 0) > SWAP_IN_BYTES_PER_S:
        rate = (seen.swap_in_bytes_per_s or 0) / 2**20
        yield make_finding(
            FindingCode.MEMORY_PRESSURE,
            f"{rate:.1f} MiB a second were read back from swap, the limit is 1",
        )
    if seen.suspended_s is not None and seen.suspended_s > SUSPENDED_S:
        yield make_finding(FindingCode.SUSPENDED, f"for {seen.suspended_s:.0f} s")


def _foreign_load(seen: Calmness) -> Iterator[Finding]:
    if seen.foreign_cpus is None:
        yield make_finding(
            FindingCode.UNWATCHED,
            "the system counts no processor time, or less than the run itself used",
        )
        return
    limit = foreign_limit(seen.idle_cpus or 0.0, seen.own_cpus or 0.0, seen.foreign_cpus)
    if seen.foreign_cpus > limit and seen.foreign_cpus * seen.lasted_s > FOREIGN_CPU_S:
        yield make_finding(
            FindingCode.FOREIGN_LOAD,
            f"they used {seen.foreign_cpus:.3f} CPUs on average, the limit is {limit}",
        )


def _power(record: Record) -> Iterator[Finding]:
    """Plugging in or out changes what many machines allow themselves to draw."""
    changes = sum(
        before != after
        for series in series_of(record, "mains")
        for before, after in pairwise(series.values)
    )
    if changes:
        times = "once" if changes == 1 else f"{changes} times"
        yield make_finding(FindingCode.POWER_CHANGED, f"the power source changed {times}")


def _settling(record: Record) -> Iterator[Finding]:
    """A run that was to settle must have; it may go on for a few laps after that was seen."""
    if not record.workload.settle:
        return
    laps, per_epoch = record.timing.laps, steps_per_epoch(record.workload)
    temperatures = [(series.at_s, series.values) for series in series_of(record, "temperature")]
    ends = range(len(laps), max(0, len(laps) - LAPS_AFTER_STOP), -1)
    if not any(is_steady(laps[:end], per_epoch, temperatures) for end in ends):
        lasted_s = laps[-1].end_ns / NANOSECONDS if laps else 0.0
        yield make_finding(
            FindingCode.UNSETTLED,
            f"after {lasted_s:.0f} s the speed still had a trend, or fluctuated too much to tell, "
            f"or a temperature changed by over {TEMPERATURE_CHANGE_C:.0f} °C in {WINDOW_S:.0f} s",
        )


def _steadiness(record: Record) -> Iterator[Finding]:
    steady = steady_of(record)
    if steady is None or steady.warm_s < MIN_WARM_S:
        return
    trend = steady.drift
    if trend is not None and abs(trend.change) > DRIFT_SHARE and abs(trend.z) > DRIFT_Z:
        direction = "slower" if trend.change > 0 else "faster"
        detail = (
            f"it became {abs(trend.change):.1%} {direction} over {steady.warm_s:.0f} s, "
            f"the limit is {DRIFT_SHARE:.0%}"
        )
        signs = signs_of_heat(record) if trend.change > 0 else []
        if signs:
            yield make_finding(FindingCode.THROTTLED, "; ".join([detail, *signs]))
        else:
            yield make_finding(FindingCode.DRIFTING, detail)
    if not steady.knows_its_spread:
        count = steady.interval.count
        yield make_finding(
            FindingCode.FEW_LAPS,
            f"{count} steady {steady.unit}{'s' if count != 1 else ''}, an interval needs "
            f"{MIN_INTERVAL_VALUES}",
        )
    if is_unsteady(steady):
        yield make_finding(
            FindingCode.UNSTEADY,
            f"the steady epoch is known only to within {steady.half_width:.1%}, "
            f"the limit is {UNSTEADY_SHARE:.0%}",
        )
