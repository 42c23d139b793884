"""Comparing two figures: how many times as fast, with how many digits, or why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochmark.analysis.comparing.comparability import ComparabilityKey
from epochmark.analysis.comparing.comparison import (
    Side,
    compare,
    ratio_interval,
    side_of_record,
    side_of_reference,
)
from epochmark.analysis.comparing.references import load_references
from epochmark.analysis.comparing.regression import regression
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.findings import FindingCode
from epochmark.records.machine.identity import same_machine
from epochmark.records.record import Lap
from epochmark.report.digits import decimals_of
from epochmark.report.subject import measured_here
from epochmark.report.text.comparison import comparison_lines, regression_text, verdict_text
from tests.report.samples import machine, sample

KEY = ComparabilityKey("mnist-cnn v1", (), "float32", "stock", "torch")
TORCH = Side(
    name="torch",
    steady_epoch=Interval(10.0, 9.9, 10.1, 9),
    exact_bounds=False,
    key=KEY,
    machine=machine(),
    device="cpu",
    context={"torch": "2.9", "power": "mains"},
    unfit=None,
)
NATIVE = replace(
    TORCH,
    name="native",
    steady_epoch=Interval(5.46, 5.36, 5.56, 9),
    key=KEY._replace(engine_family="native kernels 3"),
    context={"threads": "2", "power": "mains"},
)


def test_the_faster_is_named_first_with_its_interval() -> None:
    expected = "native is 1.83 times as fast as torch (95 % interval 1.79 to 1.88)"
    assert verdict_text(compare(TORCH, NATIVE)) == expected
    assert verdict_text(compare(NATIVE, TORCH)) == expected


def test_the_time_to_the_target_stands_beside_the_epoch_where_there_is_a_target() -> None:
    reached = replace(TORCH, time_to_target_s=150.0)
    lines = comparison_lines(compare(reached, NATIVE))
    (line,) = [line for line in lines if "the target after" in line]
    assert line.startswith("torch: 10.00 s per epoch (9.90 to 10.10 s), the target after 150.0 s;")


def test_overlapping_figures_cannot_be_distinguished() -> None:
    near = replace(NATIVE, steady_epoch=Interval(9.95, 9.8, 10.1, 9))
    comparison = compare(TORCH, near)
    assert comparison.verdict == "alike"
    assert "no clear difference between" in verdict_text(comparison)


def test_less_than_a_percent_between_two_runs_is_no_difference() -> None:
    steady = replace(TORCH, steady_epoch=Interval(10.0, 9.999, 10.001, 9))
    close = replace(steady, name="other", steady_epoch=Interval(10.05, 10.049, 10.051, 9))
    assert compare(steady, close).verdict == "alike"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": KEY._replace(workload="mnist-cnn v2")}, "workload differs"),
        ({"key": KEY._replace(variant=("2 epochs",))}, "variant differs: none and 2 epochs"),
        ({"key": KEY._replace(precision="tf32")}, "observed precision differs: float32 and tf32"),
        ({"key": KEY._replace(tuning="tuned")}, "tuning differs: stock and tuned"),
        (
            {"key": KEY._replace(engine_family="jax"), "machine": machine("another")},
            "engine and machine both differ: torch and jax on two machines",
        ),
        (
            {"key": KEY._replace(engine_family="jax"), "device": "gpu:0"},
            "engine and device both differ: torch and jax, cpu and gpu:0",
        ),
        ({"unfit": "it is disturbed (foreign-load)"}, "other: it is disturbed (foreign-load)"),
        ({"steady_epoch": None, "unfit": "it has no steady epoch"}, "other: it has no steady"),
    ],
)
def test_what_differs_in_the_key_is_named(changes: dict[str, object], reason: str) -> None:
    other = replace(TORCH, name="other", **changes)  # type: ignore[arg-type]
    comparison = compare(TORCH, other)
    assert comparison.verdict == "not comparable"
    assert comparison.ratio is None
    assert any(text.startswith(reason) for text in comparison.reasons)
    assert "torch and other are not comparable" in comparison_lines(comparison)


@pytest.mark.parametrize("changes", [{"machine": machine("another")}, {"device": "gpu:0"}])
def test_machines_and_devices_compare_under_one_engine(changes: dict[str, object]) -> None:
    other = replace(TORCH, name="other", steady_epoch=Interval(2.0, 1.99, 2.01, 9), **changes)  # type: ignore[arg-type]
    assert compare(TORCH, other).verdict == "faster"


@pytest.mark.parametrize(("count", "verdict"), [(1, "not comparable"), (5, "not ranked")])
def test_runs_of_few_epochs_are_not_ranked(count: int, verdict: str) -> None:
    record = sample(epochs=count)
    laps = [Lap(epoch=n, steps=469, end_ns=n * 10**9) for n in range(1, count + 1)]
    timing = msgspec.structs.replace(record.timing, laps=laps)
    side = side_of_record(msgspec.structs.replace(record, timing=timing), "short")
    other = replace(side, name="other", steady_epoch=Interval(2.0, 2.0, 2.0, 9), unfit=None)
    comparison = compare(side, replace(other, doubt=None))
    assert comparison.verdict == verdict
    text = "\n".join(comparison_lines(comparison))
    assert ("one steady epoch only" if count == 1 else "known from 5 epochs only") in text


DISTURBED = replace(
    NATIVE, steady_epoch=Interval(5.0, 4.0, 6.0, 9), doubt="disturbed (foreign-load)"
)
DOUBTFUL = replace(TORCH, doubt="disturbed (unsteady)")


def test_disturbed_runs_whose_intervals_are_apart_are_graded() -> None:
    comparison = compare(DOUBTFUL, DISTURBED)
    assert comparison.verdict == "not ranked"
    assert comparison.reasons == ()
    assert verdict_text(comparison) == (
        "native is about 1.6 to 2.6 times as fast as torch; both runs were disturbed, not ranked"
    )
    lines = comparison_lines(comparison)
    assert "  - native: disturbed (foreign-load)" in lines
    assert "  - torch: disturbed (unsteady)" in lines


def test_one_disturbed_run_is_enough_for_no_rank() -> None:
    assert verdict_text(compare(TORCH, DISTURBED)).endswith("; native is disturbed, not ranked")


def test_disturbed_runs_whose_intervals_overlap_cannot_be_distinguished() -> None:
    near = replace(DISTURBED, steady_epoch=Interval(9.0, 7.0, 10.5, 9))
    text = verdict_text(compare(DOUBTFUL, near))
    assert text == (
        "no clear difference between native and torch (anything from 0.94 to 1.45); both runs were "
        "disturbed, not ranked"
    )


def test_a_disturbed_record_is_graded_and_a_wrong_one_is_not_compared() -> None:
    disturbed = side_of_record(sample(findings=[FindingCode.FOREIGN_LOAD]), "run")
    assert (disturbed.unfit, disturbed.doubt) == (None, "disturbed (foreign-load)")
    for code in (FindingCode.LOSS_FLAT, FindingCode.STEPS_LIMITED):
        assert side_of_record(sample(findings=[code]), "run").unfit is not None


def test_possible_causes_are_listed() -> None:
    other = replace(TORCH, machine=machine("another"), context={"torch": "2.8", "power": "battery"})
    assert compare(TORCH, other).differences == ("torch: 2.9 and 2.8", "power: mains and battery")


def test_a_published_two_seconds_is_one_and_a_half_to_two_and_a_half() -> None:
    by_id = {reference.id: reference for reference in load_references()}
    fast = side_of_reference(by_id["gtx-1080-ti"])
    assert fast.steady_epoch == Interval(2.0, 1.5, 2.5, 1)
    slow = replace(fast, name="slow", steady_epoch=Interval(5.0, 4.5, 5.5, 1))
    # 5 s is 4.5 to 5.5 s: the ratio lies between 4.5 / 2.5 and 5.5 / 1.5
    assert verdict_text(compare(slow, fast)) == (
        "gtx-1080-ti is 2.5 times as fast as slow (anything from 1.8 to 3.7)"
    )


def test_a_doubtful_reference_is_not_compared() -> None:
    doubtful = next(reference for reference in load_references() if reference.doubt)
    side = side_of_reference(doubtful)
    assert compare(side, replace(side, name="other")).verdict == "not comparable"


@pytest.mark.parametrize(
    ("low", "high", "decimals"),
    [
        (1.79, 1.88, 2),
        (1.2, 2.1, 1),
        (1.0, 9.0, 0),
        (50.0, 90.0, 0),
        (40.0, 100.0, -1),
        (1.8300, 1.8301, 2),
        (1335.0, 1672.0, -1),
        (1200.0, 1900.0, -2),
        (1.1, 60.0, 0),  # "0 to 60" would be no interval of a ratio
    ],
)
def test_digits_follow_the_interval(low: float, high: float, decimals: int) -> None:
    assert decimals_of(Interval((low + high) / 2, low, high, 9), 2) == decimals


@pytest.mark.parametrize(
    ("slow", "text"),
    [
        (Interval(44.0, 31.1, 65.3, 9), "44 times as fast as slow (95 % interval 31 to 66)"),
        (
            Interval(1520, 1235, 1872, 9),
            "1,500 times as fast as slow (95 % interval 1,200 to 1,900)",
        ),
    ],
)
def test_a_large_ratio_is_rounded_to_tens_and_hundreds(slow: Interval, text: str) -> None:
    fast = replace(TORCH, steady_epoch=Interval(1.0, 1.0, 1.0, 9))
    comparison = compare(replace(TORCH, name="slow", steady_epoch=slow), fast)
    assert verdict_text(comparison).endswith(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (Interval(10.043, 9.91, 10.18, 9), "10.04 s per epoch (9.91 to 10.18 s)"),
        (Interval(44.123, 31.1, 65.3, 9), "44 s per epoch (31 to 66 s)"),
        (Interval(10.0432, 10.0432, 10.0432, 9), "10.04 s per epoch (10.04 to 10.05 s)"),
        (
            Interval(0.00073612, 0.00071, 0.00076, 9),
            "0.000736 s per epoch (0.000710 to 0.000760 s)",
        ),
        (Interval(1234.5, 1234.2, 1234.9, 9), "1,234 s per epoch (1,234 to 1,235 s)"),
    ],
)
def test_seconds_have_the_digits_of_their_interval(seconds: Interval, text: str) -> None:
    side = replace(TORCH, steady_epoch=seconds)
    lines = comparison_lines(compare(side, side))
    assert any(f"torch: {text}" in line for line in lines), lines


seconds = st.floats(0.01, 1e4)
intervals = st.builds(
    lambda median, down, up: Interval(median, median / (1 + down), median * (1 + up), 9),
    seconds,
    st.floats(0, 0.5),
    st.floats(0, 0.5),
)


@given(intervals, intervals)
def test_the_ratio_lies_in_its_interval_and_that_in_the_extremes(a: Interval, b: Interval) -> None:
    ratio, widest = ratio_interval(a, b, False), ratio_interval(a, b, True)
    slack = 1 + 1e-9
    assert widest.low <= ratio.low * slack
    assert ratio.low <= ratio.median * slack
    assert ratio.median <= ratio.high * slack
    assert ratio.high <= widest.high * slack


@given(intervals, intervals)
def test_turning_a_ratio_round_turns_its_interval(a: Interval, b: Interval) -> None:
    there, back = ratio_interval(a, b, False), ratio_interval(b, a, False)
    assert there.low == pytest.approx(1 / back.high)
    assert there.high == pytest.approx(1 / back.low)


def test_an_exported_record_is_of_a_machine_with_the_same_hardware() -> None:
    here = machine()
    exported = msgspec.structs.replace(here, machine_id=None)
    other = replace(NATIVE, machine=exported)
    comparison = compare(TORCH, other)
    assert comparison.verdict == "faster"
    assert "machine: similar, but not known to be one" in comparison.differences[0]
    elsewhere = replace(NATIVE, machine=msgspec.structs.replace(exported, cpu="another"))
    (reason,) = compare(TORCH, elsewhere).reasons
    assert reason.startswith("engines differ: ")
    assert reason.endswith("perhaps on different machines")


def test_a_machine_confined_to_fewer_cores_is_another_one() -> None:
    whole = sample()
    confined = msgspec.structs.replace(whole.machine, usable_cores=1)
    part = msgspec.structs.replace(whole, machine=confined)
    whole_side, part_side = side_of_record(whole, "whole"), side_of_record(part, "part")
    assert whole_side.machine != part_side.machine
    assert "usable cores: 2 and 1" in compare(whole_side, part_side).differences


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"cpu": "another"}, "processor: AMD EPYC and another"),
        ({"microarchitecture": "zen5"}, "microarchitecture: "),
        ({"architecture": "aarch64"}, "architecture: x86_64 and aarch64"),
        ({"memory_bytes": 64 << 30}, "memory: "),
        ({"cpu_quota": 0.5}, "CPU quota: none and 0.5 CPUs"),
    ],
)
def test_machines_that_share_a_home_folder_are_two_in_spite_of_one_id(
    change: dict[str, Any], difference: str
) -> None:
    here = sample(engine="torch")
    there = sample(engine="native")
    there = msgspec.structs.replace(there, machine=msgspec.structs.replace(there.machine, **change))
    assert here.machine.machine_id == there.machine.machine_id
    comparison = compare(side_of_record(here, "here"), side_of_record(there, "there"))
    assert comparison.verdict == "not comparable"
    assert any("engine and machine both differ" in reason for reason in comparison.reasons)
    assert any(line.startswith(difference) for line in comparison.differences)
    assert measured_here([here, there], here.machine)[0] is here


@pytest.mark.parametrize("gib", [4, 8, 16, 24, 32, 64, 96, 128, 512])
def test_what_a_kernel_keeps_of_the_memory_makes_no_other_machine(gib: int) -> None:
    """MemTotal differs by some percent between kernels, and falls short of what was sold."""
    sold, less, least = (
        msgspec.structs.replace(machine(), memory_bytes=int(share * (gib << 30)))
        for share in (1.0, 0.985, 0.955)
    )
    assert same_machine(sold, less)
    assert same_machine(less, least)
    for other in (gib * 3 // 4, gib * 4 // 3, 2 * gib):
        assert not same_machine(sold, msgspec.structs.replace(machine(), memory_bytes=other << 30))


def test_this_machine_is_the_one_with_this_processor() -> None:
    mine = sample(1)
    theirs = sample(2)
    twin = msgspec.structs.replace(theirs.machine, cpu="another")
    theirs = msgspec.structs.replace(theirs, machine=twin)
    assert list(measured_here([mine, theirs], mine.machine)) == [mine]
    assert list(measured_here([mine, theirs], twin)) == [theirs]
    fewer = msgspec.structs.replace(mine.machine, usable_cores=1)
    assert list(measured_here([mine, theirs], fewer)) == [mine]
    assert len(measured_here([mine, theirs], msgspec.structs.replace(twin, cpu="third"))) == 2


def test_what_only_one_side_says_is_no_cause() -> None:
    other = replace(TORCH, name="other", context={"power": "battery", "kernel": "6.1"})
    assert compare(TORCH, other).differences == ("power: mains and battery",)


def test_a_variable_that_only_one_run_had_is_a_cause() -> None:
    plain, set_ = sample(1), sample(2)
    set_ = msgspec.structs.replace(set_, environment={"OMP_NUM_THREADS": "1"})
    differences = compare(side_of_record(plain, "plain"), side_of_record(set_, "set")).differences
    assert differences == ("OMP_NUM_THREADS: not set and 1",)


def took(name: str, low: float, high: float) -> Side:
    return replace(TORCH, name=name, steady_epoch=Interval((low + high) / 2, low, high, 9))


@pytest.mark.parametrize(
    ("low", "high", "verdict", "text"),
    [
        (10.5, 10.7, "slower", "new takes 1.050 to 1.070 times as long as old: slower by more"),
        (10.2, 10.4, "undecided", "undecided whether that is more than the 3% allowed"),
        (10.1, 10.2, "within", "within the 3% allowed"),
        (8.0, 8.1, "within", "new takes 0.800 to 0.810 times as long as old"),
    ],
)
def test_the_whole_interval_decides_whether_a_run_became_slower(
    low: float, high: float, verdict: str, text: str
) -> None:
    old, new = took("old", 10.0, 10.0), took("new", low, high)
    found = regression(compare(old, new), old, 0.03)
    assert found.verdict == verdict
    assert text in regression_text(found, "old", "new")


def test_what_is_not_comparable_or_not_valid_decides_nothing() -> None:
    old, new = took("old", 10.0, 10.0), took("new", 20.0, 20.0)
    disturbed = replace(new, doubt="disturbed (foreign-load)")
    assert regression(compare(old, disturbed), old, 0.03).verdict == "undecided"
    elsewhere = replace(new, key=KEY._replace(tuning="tuned"))
    found = regression(compare(old, elsewhere), old, 0.03)
    assert found.verdict == "undecided"
    assert "cannot be ranked" in regression_text(found, "old", "new")
