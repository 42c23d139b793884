"""How fast a run can have been: the peaks of its processor, and two clocks."""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.analysis.machine.arithmetic import (
    beyond_processor,
    ceiling_of,
    direct_gflop_per_s,
    filtering_text,
    most_images_per_s,
)
from epochmark.analysis.timing.headline import headline_of, workload_of
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.engines import is_hidden
from epochmark.records.findings import FindingCode, make_finding
from epochmark.records.record import Finding, Record

UNACCOUNTED_SHARE = 0.05
UNACCOUNTED_S = 0.25
"""Time between the last lap and the end of the fit above both of these is work outside the laps."""

CLOCK_TOLERANCE_S = 0.5
"""Between an honest worker's reading of the clock and its report of it. Everything else that delays
a report is in the two limits that the launcher gives."""


def plausible(record: Record) -> Iterator[Finding]:
    """No faster than a processor with these cores can be, nor more work than its CPU time holds.

    A measured peak that is beaten by proven work was measured on a busier machine: that is no fault
    of the run.
    """
    beyond = None if is_hidden(record.engine.family) else beyond_processor(record)
    if beyond is not None:
        yield make_finding(FindingCode.IMPLAUSIBLE, beyond)
        return
    most, ceiling = most_images_per_s(record), ceiling_of(record)
    images_per_s = headline_of(record).images_per_s
    if most is None or ceiling is None or images_per_s is None or images_per_s <= most:
        return
    samples = workload_of(record.workload).samples
    yield make_finding(
        FindingCode.LIMITS_STALE,
        f"{images_per_s:,.0f} {samples}/s are {direct_gflop_per_s(record, images_per_s):,.0f} "
        f"GFLOP/s of direct arithmetic; {ceiling.gflop_per_s:,.0f} GFLOP/s ({ceiling.source}) "
        f"allow {most:,.0f} {samples}/s{filtering_text(record)}",
    )


def laps_account_for_the_fit(record: Record) -> Iterator[Finding]:
    """The laps must account for the whole fit but for what a framework tidies up after it."""
    timing, laps = record.timing, record.timing.laps
    if timing.fit_ns is None or not laps:
        return
    # an engine need not say when its training was done; then all of the fit counts
    trained_ns = timing.fit_ns if timing.trained_ns is None else timing.trained_ns
    after_ns = trained_ns - laps[-1].end_ns
    if after_ns > UNACCOUNTED_SHARE * trained_ns and after_ns > UNACCOUNTED_S * NANOSECONDS:
        yield make_finding(
            FindingCode.LAPS_UNSYNCHRONISED,
            f"the fit continued for {after_ns / NANOSECONDS:.2f} s after the last lap",
        )


def clocks_agree(record: Record) -> Iterator[Finding]:
    """The worker's clock and the launcher's must agree on the fit, and on every lap."""
    timing, seen = record.timing, record.timing.launcher
    if seen is None or timing.fit_ns is None:
        return
    apart_ns = max(timing.fit_ns - seen.fit_high_ns, seen.fit_low_ns - timing.fit_ns)
    if apart_ns > CLOCK_TOLERANCE_S * NANOSECONDS:
        yield make_finding(
            FindingCode.CLOCKS_DISAGREE,
            f"the worker says that the fit took {timing.fit_ns / NANOSECONDS:.2f} s; by the "
            f"launcher's clock it took {seen.fit_low_ns / NANOSECONDS:.2f} s at least and "
            f"{seen.fit_high_ns / NANOSECONDS:.2f} s at most",
        )
    elif seen.lap_gap_ns > CLOCK_TOLERANCE_S * NANOSECONDS:
        yield make_finding(
            FindingCode.CLOCKS_DISAGREE,
            f"a lap was reported {seen.lap_gap_ns / NANOSECONDS:.2f} s away from when the worker "
            "says that it ended",
        )
