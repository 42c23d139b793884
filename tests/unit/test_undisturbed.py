"""The speed of an unsteady run in its calm stretches: invented traces whose calm speed is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import msgspec
import pytest

from epochmark.analysis.timing.headline import headline_of
from epochmark.analysis.timing.undisturbed import undisturbed, undisturbed_of
from epochmark.records.record import Finding, Lap, Record
from epochmark.report.charts import speed
from epochmark.report.drawing.theme import light
from epochmark.report.subject import Subject
from epochmark.report.tables.columns import text_of
from epochmark.report.tables.long import long_rows
from epochmark.report.text.answer import answer_lines
from tests.unit.samples import record

SEEDS = range(25)
LAPS, LAPS_AN_EPOCH, STEPS = 240, 16, 29
PER_EPOCH = LAPS_AN_EPOCH * STEPS
EPOCH_S = 4.0
Slowness = Callable[[random.Random], Iterator[float]]
"""How many times as long each lap takes as it would undisturbed."""


def laps(slowness: Slowness, seed: int, sigma: float = 0.01) -> list[Lap]:
    """A minute or two in laps of a quarter of a second."""
    chance = random.Random(seed)
    factors = slowness(chance)
    end_s, made = 0.0, []
    for number in range(LAPS):
        end_s += next(factors) * chance.gauss(1, sigma) * EPOCH_S / LAPS_AN_EPOCH
        epoch = 1 + number // LAPS_AN_EPOCH
        made.append(Lap(epoch=epoch, steps=STEPS, end_ns=round(end_s * 1e9)))
    return made


def calm_for_a_fifth(chance: random.Random) -> Iterator[float]:
    """Pieces of two to four seconds; between them loads that change within a second or two."""
    calm_s = loaded_s = 0.0
    while True:
        if 4 * calm_s <= loaded_s:
            for _ in range(chance.randint(8, 16)):
                calm_s += 1
                yield 1.0
        factor = chance.uniform(1.12, 2.0)
        for _ in range(chance.randint(1, 6)):
            loaded_s += factor
            yield factor


def changing(every: int) -> Slowness:
    """A load that changes after that many laps, and is never none."""

    def factors(chance: random.Random) -> Iterator[float]:
        while True:
            factor = chance.uniform(1.0, 2.0)
            yield from [factor] * every

    return factors


def drifting(chance: random.Random) -> Iterator[float]:
    """Half as fast again at first as in the end."""
    for number in range(LAPS):
        yield 1 + number / LAPS / 2


@pytest.mark.parametrize("sigma", [0.005, 0.01, 0.02])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_calm_speed_of_a_run_that_was_calm_for_a_fifth(seed: int, sigma: float) -> None:
    found = undisturbed(laps(calm_for_a_fifth, seed, sigma), PER_EPOCH)
    assert found is not None
    assert found.epoch_s == pytest.approx(EPOCH_S, rel=0.02)
    assert 0.1 <= found.share <= 0.35
    assert sum(span.lasted_s for span in found.stretches) > 3


@pytest.mark.parametrize("slowness", [changing(1), changing(4), drifting])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_that_was_never_calm_has_no_calm_stretch(seed: int, slowness: Slowness) -> None:
    assert undisturbed(laps(slowness, seed), PER_EPOCH) is None


def test_a_run_that_was_calm_throughout_has_its_own_speed() -> None:
    found = undisturbed(laps(lambda chance: iter(lambda: 1.0, None), 1), PER_EPOCH)
    assert found is not None
    assert found.epoch_s == pytest.approx(EPOCH_S, rel=0.005)
    assert found.share > 0.95


def test_a_slower_speed_that_was_held_for_longer_is_not_taken() -> None:
    def two_speeds(chance: random.Random) -> Iterator[float]:
        while True:
            yield from [1.0] * 10
            yield from [1.5] * 30

    found = undisturbed(laps(two_speeds, 3), PER_EPOCH)
    assert found is not None
    assert found.epoch_s == pytest.approx(EPOCH_S, rel=0.01)


def test_what_comes_before_the_warm_part_is_left_out() -> None:
    made = laps(calm_for_a_fifth, 1)
    found = undisturbed(made, PER_EPOCH, warm_up_s=10.0)
    assert found is not None
    assert found.stretches[0].start_s >= 10.0


def test_too_few_laps_have_no_stretch() -> None:
    assert undisturbed([], PER_EPOCH) is None
    assert undisturbed(laps(calm_for_a_fifth, 1)[:5], PER_EPOCH) is None


def test_an_unsteady_run_says_its_calm_speed_or_that_it_has_none() -> None:
    calm = run_of(laps(calm_for_a_fifth, 1), "unsteady")
    (line,) = [line for line in answer_lines(calm) if "calm stretches" in line]
    assert "s per epoch when undisturbed, 2" in line
    assert "not ranked" in line
    never = run_of(laps(changing(1), 1), "unsteady")
    assert any("no calm stretch" in line for line in answer_lines(never))


def test_the_chart_of_its_speed_draws_it() -> None:
    calm = run_of(laps(calm_for_a_fifth, 1), "unsteady")
    drawing = speed.CHART.draw(Subject((calm,), (), calm), light(720))
    assert drawing is not None
    assert "when undisturbed" in [entry.text for entry in drawing.key]
    never = run_of(laps(changing(1), 1), "unsteady")
    drawing = speed.CHART.draw(Subject((never,), (), never), light(720))
    assert drawing is not None
    assert "when undisturbed" not in [entry.text for entry in drawing.key]


def test_other_runs_say_nothing_of_it() -> None:
    disturbed = run_of(laps(calm_for_a_fifth, 1), "foreign-load")
    assert undisturbed_of(disturbed) is None
    assert not any("calm stretch" in line for line in answer_lines(disturbed))


def test_the_rows_of_tables_have_it() -> None:
    (row,) = long_rows([run_of(laps(calm_for_a_fifth, 1), "unsteady")], ())
    assert row["undisturbed_epoch_s"] == pytest.approx(EPOCH_S * 469 / PER_EPOCH, rel=0.02)
    assert text_of(["undisturbed_share"], row)[0].endswith("%")
    (row,) = long_rows([record()], ())
    assert text_of(["undisturbed_epoch_s", "undisturbed_share"], row) == ("-", "-")


def run_of(made: list[Lap], finding: str) -> Record:
    """A run of these laps that was found so."""
    base = record()
    replace = msgspec.structs.replace
    run = replace(
        base,
        findings=[Finding(code=finding, detail="it was")],
        workload=replace(base.workload, epochs=LAPS // LAPS_AN_EPOCH),
        timing=replace(base.timing, laps=made, fit_ns=made[-1].end_ns),
    )
    return replace(run, headline=headline_of(run))
