"""Direct arithmetic against the machine's peak: what is shown, and what cannot be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from epochmark.analysis.machine.arithmetic import (
    ceiling_of,
    direct_gflop_per_s,
    most_images_per_s,
    share_of_peak,
)
from epochmark.judge.check import check_record
from epochmark.judge.validity import judge
from epochmark.records.record import Record, RunLimits
from epochmark.records.upgrades import encode_record
from epochmark.report.page import report_page
from epochmark.report.subject import subject_of
from epochmark.report.tables.columns import long_section
from epochmark.report.tables.long import long_rows
from epochmark.report.text.answer import answer_lines
from tests.report.samples import failed, finished, sample

TRAINING = 71_565_312
"""FLOP of an image: three times the forward pass but the first layer's input gradient."""
CONVOLUTIONS = 64_479_744
"""The part of it in convolutions: 2 passes of 26x26x9x32, 3 of 24x24x288x64, two FLOP each."""
replace = msgspec.structs.replace


def limits(float32: float, bfloat16: float | None = None) -> RunLimits:
    return RunLimits(
        measured="2026-01-01T12:00:00Z",
        float32_gflop_per_s=float32,
        float32_source="avx512 multiply-adds, 2 threads",
        bfloat16_gflop_per_s=bfloat16,
    )


def run(
    known: RunLimits | None,
    *,
    requested: str = "stock",
    observed: str | None = "float32",
    **fields: Any,
) -> Record:
    """A run at about 5,000 images/s, or 360 GFLOP/s of direct arithmetic."""
    record = sample(1, **fields)
    precision = replace(record.precision, requested=requested, observed=observed)
    return finished(replace(record, limits=known, precision=precision))


def beats_its_peak(record: Record) -> bool:
    return "limits-stale" in [finding.code for finding in judge(record)]


def test_a_speed_is_given_as_direct_arithmetic() -> None:
    assert direct_gflop_per_s(run(None), 1000.0) == pytest.approx(TRAINING * 1000 / 1e9)
    assert direct_gflop_per_s(run(None), None) is None


def test_the_share_of_the_peak_may_exceed_it() -> None:
    record = run(limits(200.0))
    images = record.headline.images_per_s
    assert images is not None
    assert share_of_peak(record) == pytest.approx(images * TRAINING / 200e9)
    assert (share_of_peak(record) or 0) > 1
    assert share_of_peak(run(None)) is None


def test_convolutions_may_be_filtered_and_nothing_else() -> None:
    most = most_images_per_s(run(limits(100.0)))
    assert most == pytest.approx(100e9 / (CONVOLUTIONS / 5.1 + TRAINING - CONVOLUTIONS))
    assert most is not None
    # 3.6 times the peak as direct arithmetic
    assert most * TRAINING / 100e9 == pytest.approx(3.63, abs=0.01)


@pytest.mark.parametrize(
    ("requested", "observed", "device", "bfloat16", "peak"),
    [
        ("stock", "float32", "cpu", None, 100.0),
        ("float32", "float32", "cpu", 300.0, 100.0),
        ("stock", "bfloat16", "cpu", 300.0, 300.0),
        ("bfloat16", "float32", "cpu", 300.0, 300.0),
        ("bfloat16", "bfloat16", "cpu", 50.0, 100.0),
        # that precision, or that device, was not measured
        ("stock", "bfloat16", "cpu", None, None),
        ("bfloat16", "float32", "cpu", None, None),
        ("stock", "tf32", "cpu", 300.0, None),
        ("float16", "tf32", "cpu", 300.0, None),
        ("stock", None, "cpu", 300.0, None),
        ("stock", "float32", "gpu:0", 300.0, None),
    ],
)
def test_the_peak_is_that_of_the_precision(
    requested: str, observed: str | None, device: str, bfloat16: float | None, peak: float | None
) -> None:
    record = run(limits(100.0, bfloat16), requested=requested, observed=observed, device=device)
    ceiling = ceiling_of(record)
    assert (ceiling.gflop_per_s if ceiling else None) == peak


def test_faster_than_the_measured_peak_shows_that_it_is_stale() -> None:
    images = run(None).headline.images_per_s
    assert images is not None
    just = images * TRAINING / 1e9 / 3.63
    assert beats_its_peak(run(limits(0.98 * just)))
    assert not beats_its_peak(run(limits(1.02 * just)))
    assert not beats_its_peak(run(None))


def test_a_peak_measured_on_a_busy_machine_bounds_nothing_and_is_marked() -> None:
    record = run(replace(limits(50.0), steady=False))
    assert not beats_its_peak(record)
    assert share_of_peak(record) is not None
    assert shown(record).endswith("(avx512 multiply-adds, 2 threads; measured while it was busy)")


def test_the_finding_has_the_figures_and_makes_nothing_invalid() -> None:
    record = run(limits(50.0))
    (found,) = judge(record)
    assert "50 GFLOP/s (avx512 multiply-adds, 2 threads) allow" in found.detail
    assert finished(replace(record, findings=[found])).headline.validity == "valid"


def test_a_step_counts_without_a_steady_epoch_too() -> None:
    record = run(limits(50.0))
    laps = record.timing.laps[:2]
    workload = replace(record.workload, max_steps=sum(lap.steps for lap in laps))
    short = replace(record, workload=workload, timing=replace(record.timing, laps=laps))
    assert finished(short).headline.steady_epoch_s is None
    assert beats_its_peak(short)


def test_check_derives_it_again_from_the_record() -> None:
    honest = finished(replace(run(limits(50.0)), findings=judge(run(limits(50.0)))))
    assert check_record(encode_record(honest)).problems == ()
    silent = finished(replace(honest, findings=[]))
    problems = check_record(encode_record(silent)).problems
    assert any("finding limits-stale is missing" in problem for problem in problems)


def shown(record: Record) -> str:
    """The line of the answer about arithmetic."""
    (line,) = [line for line in answer_lines(record) if line.split()[:1] == ["arithmetic"]]
    return line.split(maxsplit=1)[1]


def at(gflop_per_s: float, known: RunLimits | None) -> Record:
    """A run of exactly this speed."""
    record = run(known)
    images = gflop_per_s * 1e9 / TRAINING
    return replace(record, headline=replace(record.headline, images_per_s=images))


def test_the_answer_has_the_share_of_the_peak() -> None:
    assert shown(at(142, None)) == "142 GFLOP/s, counted as direct arithmetic"
    peak = "(avx512 multiply-adds, 2 threads)"
    below, above = shown(at(142, limits(169.0))), shown(at(240, limits(200.0)))
    assert below.endswith(f"arithmetic: 84% of the peak, 169 GFLOP/s {peak}")
    assert above.endswith(f": 120% of the peak (direct-arithmetic equivalent), 200 GFLOP/s {peak}")


def test_a_run_without_a_speed_says_none() -> None:
    record = failed(1)
    timing = replace(record.timing, laps=record.timing.laps[:1])
    record = finished(replace(record, timing=timing, limits=limits(100.0)))
    assert not [line for line in answer_lines(record) if "arithmetic" in line]
    (row,) = long_rows([record], ())
    assert (row["gflop_per_s"], row["percent_of_peak"]) == (None, None)


def test_tables_and_report_hold_it() -> None:
    records = [at(142, limits(169.0)), at(100, None)]
    known, unknown = long_rows(records, ())
    assert known["gflop_per_s"] == pytest.approx(142)
    assert known["percent_of_peak"] == pytest.approx(100 * 142 / 169)
    assert (unknown["gflop_per_s"], unknown["percent_of_peak"]) == (pytest.approx(100), None)
    section = long_section([known, unknown])
    places = [section.header.index(name) for name in ("GFLOP/s", "of peak")]
    assert [[row[place] for place in places] for row in section.rows] == [
        ["142", "84%"],
        ["100.0", "-"],
    ]
    page = report_page(subject_of(records[:1], (), None))
    assert "84% of the peak, 169 GFLOP/s" in page
    assert '<td data-n="142">142</td><td data-n="84.0237">84%</td>' in page


@pytest.mark.parametrize(
    ("limits_of", "machine_of", "beaten"),
    [
        ({"power_source": "battery"}, {"power_source": "mains"}, False),
        ({"power_source": "battery"}, {"power_source": "battery"}, True),
        ({"cpu_quota": 1.0}, {"cpu_quota": None}, False),
        ({}, {"power_source": "mains"}, True),
    ],
)
def test_a_peak_bounds_runs_with_the_same_supply_only(
    limits_of: dict[str, Any], machine_of: dict[str, Any], beaten: bool
) -> None:
    record = run(replace(limits(50.0), **limits_of))
    record = replace(record, machine=replace(record.machine, **machine_of))
    assert beats_its_peak(record) is beaten


def test_an_answer_says_where_no_bound_of_the_device_is_known() -> None:
    unknown = "how fast gpu:0 can be at most is unknown"
    assert unknown in "\n".join(answer_lines(run(None, device="gpu:0")))
    assert unknown not in "\n".join(answer_lines(run(None)))
