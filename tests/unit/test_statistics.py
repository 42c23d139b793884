"""Statistics of laps: hand-made series with known answers, and properties of any series."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochmark.analysis.timing.intervals import (
    Interval,
    count_outliers,
    effective_count,
    interval_rank,
    mean_interval,
    median_interval,
    student_quantile,
)
from epochmark.analysis.timing.steady_epoch import epoch_seconds, steady_epoch, warm_up_length
from epochmark.analysis.timing.trend import drift
from epochmark.records.record import Lap

SCATTERED = [1.02, 0.97, 1.04, 0.99, 1.01, 0.96, 1.03, 0.98, 1.0]
"""Nine values around 1 in an order without autocorrelation."""

times = st.floats(1e-4, 1e4, allow_nan=False)
series = st.lists(times, min_size=1, max_size=120)


def laps_of(seconds: list[float], steps: int = 469, per_epoch: int = 1) -> list[Lap]:
    """Laps that last so long, ``per_epoch`` of them an epoch, of equally many steps."""
    end, laps = 0.0, []
    for index, lasted in enumerate(seconds):
        end += lasted
        number = 1 + index // per_epoch
        laps.append(Lap(epoch=number, steps=steps // per_epoch, end_ns=round(end * 1e9)))
    return laps


def test_the_interval_of_nine_independent_values_is_the_second_to_the_eighth() -> None:
    # 2 P(B < 2) = 2 (1 + 9) / 512 = 0.039
    assert median_interval(SCATTERED) == Interval(1.0, 0.97, 1.03, 9)


def test_fewer_than_six_values_give_the_whole_range() -> None:
    assert median_interval([3.0, 1.0, 2.0]) == Interval(2.0, 1.0, 3.0, 3)


def test_autocorrelated_values_count_for_fewer() -> None:
    rising = sorted(SCATTERED)
    assert effective_count(SCATTERED) == 9
    assert effective_count(rising) < 3
    assert median_interval(rising) == Interval(1.0, 0.96, 1.04, 9)


def test_a_slow_wave_under_fast_noise_is_seen() -> None:
    wave = [(index // 20) % 2 + 0.8 * (index % 2) for index in range(120)]
    assert effective_count(wave) < 20


def test_of_a_level_that_moves_slowly_the_noise_of_single_values_widens_nothing() -> None:
    levels = [4.0, 5.0, 6.0, 7.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 2.0, 3.0]
    noisy = [level + noise for level in levels for noise in (-1.5, 0.0, 0.0, 0.0, 1.5)]
    assert effective_count(noisy) < 6
    assert median_interval(noisy) == Interval(4.5, 2.0, 7.0, 60)
    # of 59 values there are too few for twelve stretches of five
    assert median_interval(noisy[:-1]) == Interval(4.5, 0.5, 8.5, 59)


@given(st.lists(st.floats(0.001, 1000.0), min_size=12, max_size=30), st.integers(5, 9))
def test_that_interval_holds_the_median_as_well(levels: list[float], repeated: int) -> None:
    slow = [level for level in levels for _ in range(repeated)]
    interval = median_interval(slow)
    assert min(slow) <= interval.low <= interval.median <= interval.high <= max(slow)


def test_equal_values_are_independent() -> None:
    assert effective_count([2.0] * 30) == 30
    assert median_interval([2.0] * 30) == Interval(2.0, 2.0, 2.0, 30)


@given(series)
def test_the_interval_holds_the_median_and_lies_in_the_range(values: list[float]) -> None:
    interval = median_interval(values)
    assert min(values) <= interval.low <= interval.median <= interval.high <= max(values)
    assert interval.count == len(values)


@given(series)
def test_the_interval_holds_the_mean_and_lies_in_the_range(values: list[float]) -> None:
    interval = mean_interval(values, [1.0] * len(values))
    assert min(values) <= interval.low <= interval.median <= interval.high <= max(values)


@given(series)
def test_the_effective_count_is_between_one_and_the_length(values: list[float]) -> None:
    assert 1 <= effective_count(values) <= len(values)


@given(series, st.integers(1, 10))
def test_figures_scale_with_the_unit(values: list[float], power: int) -> None:
    scaled = [value * 2.0**power for value in values]
    assert median_interval(scaled).low == median_interval(values).low * 2.0**power
    assert warm_up_length(scaled) == warm_up_length(values)
    assert count_outliers(scaled) == count_outliers(values)


@pytest.mark.parametrize(
    ("values", "length"),
    [
        ([2.0, 1.0, 1.01, 0.99, 1.0, 1.01, 0.99, 1.0, 1.0, 1.0], 1),
        ([1.0, 1.01, 0.99, 1.0, 1.0, 1.0], 0),
        ([1.6, 1.3, 1.1, 1.0, 1.01, 0.99, 1.0, 1.01, 1.0, 0.99], 3),
        # a machine that starts fast and then throttles has no warm-up
        ([0.7, 0.7, 0.8, 1.0, 1.01, 1.0, 0.99, 1.0], 0),
        # a later hiccup is none either
        ([1.0, 3.0, 1.01, 0.99, 1.0, 1.0], 0),
        ([5.0, 1.0], 1),
        ([5.0], 0),
    ],
)
def test_warm_up_is_found_from_the_data(values: list[float], length: int) -> None:
    assert warm_up_length(values) == length


@given(series)
def test_at_most_half_is_warm_up(values: list[float]) -> None:
    assert 0 <= warm_up_length(values) <= len(values) // 2


def test_outliers_are_counted_on_both_sides() -> None:
    assert count_outliers([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 3.0, 0.2]) == 2


def test_half_a_percent_is_no_outlier_however_steady_the_rest() -> None:
    assert count_outliers([1.0] * 20 + [1.005]) == 0


def test_drift_is_the_change_over_the_series() -> None:
    found = drift([float(second) for second in range(11)], [1 + 0.01 * n for n in range(11)])
    assert found is not None
    assert found.change == pytest.approx(0.1 / 1.05)
    assert found.z > 2


@pytest.mark.parametrize("count", [10, 20, 60, 200])
def test_a_machine_that_slows_down_to_its_limit_drifts(count: int) -> None:
    """The bend must not pass for autocorrelation, however many values show it."""
    times = [float(n) for n in range(count)]
    found = drift(times, [8 - 3 * math.exp(-4 * n / count) for n in range(count)])
    assert found is not None
    assert found.change > 0.2
    assert found.z > 2.58


def test_one_outlier_is_no_drift() -> None:
    found = drift([float(second) for second in range(9)], [*SCATTERED[:8], 5.0])
    assert found is not None
    assert abs(found.z) < 1.96


@pytest.mark.parametrize("count", [9, 64])
def test_the_interval_of_a_change_holds_zero_where_there_is_no_trend(count: int) -> None:
    ends = [float(second) for second in range(count)]
    level = (SCATTERED * 8)[:count]
    flat = drift(ends, level)
    rising = drift(ends, [value + 0.3 * n / count for n, value in enumerate(level)])
    assert flat is not None
    assert rising is not None
    assert flat.low < 0 < flat.high
    assert 0 < rising.low < rising.change < rising.high
    assert rising.high - rising.low < 0.3


def test_few_values_have_no_drift() -> None:
    assert drift([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) is None


@given(st.lists(times, min_size=6, max_size=60))
def test_drift_backwards_is_drift_the_other_way(values: list[float]) -> None:
    ends = [float(index) for index in range(len(values))]
    forwards, backwards = drift(ends, values), drift(ends, values[::-1])
    assert forwards is not None
    assert backwards is not None
    assert backwards.change == pytest.approx(-forwards.change, rel=1e-9, abs=1e-12)


def test_ten_epochs_of_a_keras_run() -> None:
    steady = steady_epoch(laps_of([3.0, *SCATTERED]), 469)
    assert steady is not None
    assert steady.unit == "epoch"
    assert steady.warm_up_units == 1
    assert steady.warm_up_s == 3.0
    assert steady.warm_up_excess_s == pytest.approx(2.0)
    assert steady.interval.median == pytest.approx(1.0)
    assert steady.interval.low == pytest.approx(0.97)
    assert steady.epoch_end_seen
    assert steady.projected_s(10).median == pytest.approx(12.0)


def test_a_quick_run_adds_what_the_change_of_epochs_takes() -> None:
    """Twenty laps an epoch; compiling takes 3 s, every change of epochs 0.4 s on top."""
    seconds = [0.1 * value for value in SCATTERED * 7][:56]
    seconds[0] += 3.0
    for first_of_epoch in (20, 40):
        seconds[first_of_epoch - 1] += 0.3
        seconds[first_of_epoch] += 0.1
    steady = steady_epoch(laps_of(seconds, steps=400, per_epoch=20), 400)
    assert steady is not None
    assert steady.unit == "lap"
    assert steady.epoch_end_seen
    assert steady.warm_up_units == 1
    assert steady.interval.median == pytest.approx(2.0 + 0.4, rel=0.02)
    assert steady.interval.low < steady.interval.median < steady.interval.high


def test_a_quick_run_measures_what_a_whole_one_does_where_some_laps_are_slow() -> None:
    """Every fifth lap takes twice as long: an epoch of twenty has four of them, a median none."""
    seconds = [0.2 if number % 5 == 3 else 0.1 for number in range(200)]
    whole = steady_epoch(laps_of(seconds, steps=400, per_epoch=20), 400)
    quick = steady_epoch(laps_of(seconds[:50], steps=400, per_epoch=20), 400)
    assert whole is not None
    assert quick is not None
    assert (whole.unit, quick.unit) == ("epoch", "lap")
    assert whole.interval.median == pytest.approx(2.4)
    assert quick.interval.median == pytest.approx(2.4, rel=0.02)
    assert quick.projected_s(10).low < 24.0 < quick.projected_s(10).high


def test_a_change_of_epochs_seen_once_is_not_known_exactly() -> None:
    def steady(changes: tuple[float, ...]) -> Interval:
        seconds = [0.1] * 70
        for first_of_epoch, extra in zip((20, 40, 60), changes, strict=False):
            seconds[first_of_epoch] += extra
        found = steady_epoch(laps_of(seconds[: 56 + 10 * (len(changes) - 2)], 400, 20), 400)
        assert found is not None
        return found.interval

    once, twice = steady((0.4, 0.4)), steady((0.4, 0.4, 0.4))
    assert (once.low, once.high) == pytest.approx((2.2, 2.6))
    assert (twice.low, twice.high) == pytest.approx((2.4, 2.4))


def test_the_interval_of_a_mean_is_students() -> None:
    # ten values of mean 1 and standard deviation 0.0258; t of nine degrees is 2.262
    found = mean_interval([*SCATTERED, 1.0], [1.0] * 10)
    assert found.median == pytest.approx(1.0)
    reach = 2.262 * statistics.stdev([*SCATTERED, 1.0]) / 10**0.5
    assert (found.low, found.high) == pytest.approx((1 - reach, 1 + reach), rel=1e-4)
    assert mean_interval([1.0, 3.0], [3.0, 1.0]) == Interval(1.5, 1.0, 3.0, 2)
    with pytest.raises(ValueError, match="no values"):
        mean_interval([], [])


@pytest.mark.parametrize(("degrees", "quantile"), [(5, 2.5706), (10, 2.2281), (30, 2.0423)])
def test_students_quantiles(degrees: int, quantile: float) -> None:
    assert student_quantile(degrees) == pytest.approx(quantile, abs=0.003)


def test_a_quick_run_within_one_epoch_has_seen_no_end() -> None:
    laps = [
        Lap(epoch=1, steps=20, end_ns=round((3.0 + 0.1 * number) * 1e9)) for number in range(1, 15)
    ]
    steady = steady_epoch(laps, 400)
    assert steady is not None
    assert not steady.epoch_end_seen
    assert steady.interval.median == pytest.approx(2.0)
    assert steady.warm_up_excess_s == pytest.approx(3.0)


def test_laps_count_where_too_few_epochs_are_warm_for_an_interval() -> None:
    """A full run, of whose ten epochs the first five were 3 % slower."""
    rng = random.Random(1)
    seconds = [rng.gauss(4.12 if lap < 40 else 4.0, 0.02) / 8 for lap in range(80)]
    steady = steady_epoch(laps_of(seconds, steps=400, per_epoch=8), 400)
    assert steady is not None
    assert (steady.unit, steady.knows_its_spread) == ("lap", True)
    assert 3.99 < steady.interval.median < 4.13
    epochs_only = steady_epoch(laps_of([sum(seconds[at : at + 8]) for at in range(0, 80, 8)]), 469)
    assert epochs_only is not None
    assert epochs_only.interval.count == 5


def test_whole_epochs_count_rather_than_their_laps_where_there_are_enough() -> None:
    steady = steady_epoch(laps_of([0.25] * 80, steps=400, per_epoch=8), 400)
    assert steady is not None
    assert steady.unit == "epoch"
    assert steady.interval == Interval(2.0, 2.0, 2.0, 10)


def test_a_single_epoch_is_given_as_it_is() -> None:
    steady = steady_epoch(laps_of([4.0]), 469)
    assert steady is not None
    assert steady.interval == Interval(4.0, 4.0, 4.0, 1)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_no_figure_is_taken_from_one_or_two_laps(count: int) -> None:
    laps = [Lap(epoch=1, steps=100, end_ns=n * 10**9) for n in range(1, count + 1)]
    assert steady_epoch(laps, 469) is None


def test_an_epoch_in_laps_lasts_as_long_as_they_do() -> None:
    assert epoch_seconds(laps_of([0.5, 0.25, 1.0, 1.0], steps=400, per_epoch=2), 400) == [0.75, 2.0]


@given(st.lists(times, min_size=1, max_size=400), st.integers(1, 20))
def test_any_laps_give_a_figure_within_what_was_seen(seconds: list[float], per_epoch: int) -> None:
    laps = laps_of(seconds, steps=400 - 400 % per_epoch, per_epoch=per_epoch)
    steady = steady_epoch(laps, 400 - 400 % per_epoch)
    if steady is not None:
        interval = steady.interval
        assert 0 < interval.low <= interval.median <= interval.high
        assert steady.warm_up_s >= 0
        assert steady.warm_up_excess_s >= 0


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6])
def test_one_far_epoch_of_ten_is_never_an_end_of_the_interval(seed: int, rho: float) -> None:
    random = np.random.default_rng(seed)
    noise = random.standard_normal(10)
    for index in range(1, 10):
        noise[index] = rho * noise[index - 1] + math.sqrt(1 - rho * rho) * noise[index]
    values = (20 + 0.4 * noise).tolist()
    place, factor = int(random.integers(10)), float(random.choice([0.5, 1.5, 2.0]))
    values[place] *= factor
    found = median_interval(values)
    others = values[:place] + values[place + 1 :]
    assert min(others) <= found.low <= found.median <= found.high <= max(others)
    assert found.count == 10


def test_what_is_far_more_often_than_once_in_ten_is_a_spread() -> None:
    slowing = [19.8, 19.9, 19.9, 20.0, 20.0, 20.1, 20.1, 20.2, 39.0, 40.0]
    assert median_interval(slowing).high == 39.0


def test_of_seven_values_one_may_be_far_and_of_six_none() -> None:
    values = [10.0, 10.1, 9.9, 20.0, 10.2, 9.8, 10.0]
    assert median_interval(values).high == 10.2
    assert median_interval(values[:-1]).high == 20.0


@pytest.mark.parametrize("counts", [range(1, 400), (1_000, 9_999, 20_000)])
def test_the_rank_of_the_interval_is_the_largest_that_keeps_95_percent(
    counts: Iterable[int],
) -> None:
    for count in counts:
        rank, term, below, all_ways = 0, 1, 1, 2**count
        while 40 * below <= all_ways:  # twice the probability is 5 % at most
            rank += 1
            term = term * (count - rank + 1) // rank
            below += term
        assert interval_rank(count) == max(1, rank), count
