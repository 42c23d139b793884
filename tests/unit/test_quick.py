"""When a quick run ends: on scripted laps of a hundred steps an epoch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from epochmark.bench.quick import QuickStop, seconds_left
from epochmark.worker.protocol import EpochEnd, LapEnd

STEPS = 400
EPOCHS = 10
NOISE = (1.0, 1.004, 0.997, 1.002, 0.996, 1.003, 0.999)
WORSE = tuple((0.5, 2.0)[index // 50 % 2] for index in range(400))
WILD = (1.7, 0.6, 1.1, 0.5, 1.0)
ROUGH = (1.0, 1.2, 0.85, 1.1, 0.8, 1.15, 0.95)


def laps(lap_s: float, noise: tuple[float, ...], per_epoch: int = 40) -> Iterator[LapEnd]:
    """Ten epochs of equal laps with some noise."""
    end_s = 0.0
    for index in range(EPOCHS * per_epoch):
        end_s += lap_s * noise[index % len(noise)]
        yield LapEnd(
            epoch=1 + index // per_epoch,
            steps=STEPS // per_epoch,
            end_ns=round(end_s * 1e9),
            loss=None,
            accuracy=None,
        )


def stopped_after(reports: Iterator[LapEnd], epochs: int = EPOCHS) -> tuple[float, float]:
    """Epochs and seconds after which a run of that many epochs was asked to stop."""
    stop = QuickStop(STEPS, epochs)
    steps = 0
    for lap in reports:
        steps += lap.steps
        assert not stop(EpochEnd(lap.epoch, None, None))
        if stop(lap):
            return steps / STEPS, lap.end_ns / 1e9
    raise AssertionError("it never stopped")


def test_a_steady_run_ends_soon_after_its_second_epoch() -> None:
    epochs, _ = stopped_after(laps(0.25, NOISE))
    assert 2 < epochs <= 2.25


def test_a_rough_run_ends_after_a_quarter_of_the_work() -> None:
    epochs, _ = stopped_after(laps(0.25, ROUGH))
    assert 2.5 <= epochs < 2.6


def test_a_run_too_rough_for_a_figure_goes_on_until_it_has_one() -> None:
    epochs, seconds = stopped_after(laps(0.25, WILD))
    assert 3 < epochs < 5
    assert seconds < 60


def test_and_ends_with_half_of_the_work_if_it_gets_none() -> None:
    epochs, seconds = stopped_after(laps(0.2, WORSE))
    # the lap after that is its last
    assert epochs == 5 - 1 / 40
    assert seconds < 60


def test_or_with_its_budget() -> None:
    epochs, seconds = stopped_after(laps(0.4, WORSE))
    assert 60 <= seconds < 61
    assert epochs < 5


def test_half_of_a_short_run_is_less_than_what_a_quick_run_looks_at_first() -> None:
    assert stopped_after(laps(0.25, NOISE), epochs=2)[0] == 1 - 1 / 40


@pytest.mark.parametrize("lap_s", [0.25, 30.0])
def test_it_never_ends_with_fewer_than_six_laps(lap_s: float) -> None:
    epochs, _ = stopped_after(laps(lap_s, NOISE, per_epoch=4), epochs=2)
    assert epochs == 5 / 4


def test_a_slow_machine_ends_with_its_budget_of_time() -> None:
    epochs, seconds = stopped_after(laps(3.0, NOISE))
    assert 60 <= seconds < 64
    assert epochs < 1


def test_a_fast_device_goes_on_for_a_few_seconds() -> None:
    epochs, seconds = stopped_after(laps(0.25, NOISE, per_epoch=2), epochs=100)
    assert seconds >= 3
    assert epochs > 2.5


def test_it_asks_only_once() -> None:
    stop = QuickStop(STEPS, EPOCHS)
    assert sum(stop(lap) for lap in laps(0.25, NOISE)) == 1


def test_a_run_of_few_long_laps_goes_on_until_it_has_six() -> None:
    epochs, _ = stopped_after(laps(2.0, NOISE, per_epoch=2))
    assert epochs > 4


def test_the_time_left_is_that_of_a_quarter_of_the_work() -> None:
    assert seconds_left(STEPS, 1000, STEPS // 2, elapsed_s=5.0, step_s=0.025) == 20.0
    assert seconds_left(STEPS, 1000, 2 * STEPS, elapsed_s=20.0, step_s=0.025) == 5.0


def test_a_fast_device_trains_three_seconds_and_a_slow_one_ends_with_its_budget() -> None:
    assert seconds_left(STEPS, 1000, 40 * STEPS, elapsed_s=1.0, step_s=0.0001) == 2.0
    assert seconds_left(STEPS, 1000, 10, elapsed_s=10.0, step_s=1.0) == 50.0


def test_one_that_goes_on_without_a_figure_has_its_budget() -> None:
    assert seconds_left(STEPS, 1000, 3 * STEPS, elapsed_s=30.0, step_s=0.025) == 30.0
    assert seconds_left(STEPS, 1000, 6 * STEPS, elapsed_s=61.0, step_s=0.025) == 0.0


def test_half_of_the_work_is_left_at_most() -> None:
    assert seconds_left(STEPS, EPOCHS, 4 * STEPS, elapsed_s=20.0, step_s=0.0125) == 5.0
