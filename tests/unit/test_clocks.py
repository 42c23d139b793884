"""Start-up, first step, smaller batch, steady epoch; and ranks among published figures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from epochmark.analysis.comparing.references import load_references
from epochmark.analysis.timing.start_up import clocks_of
from epochmark.records.record import Lap, Record
from epochmark.report.tables.runs import RUN_COLUMNS, run_notes, run_rows, steady_text
from epochmark.report.tables.sections import beside_references, measured_sections
from tests.report.samples import finished, sample

S = 10**9


def laps(*entries: tuple[int, int, float]) -> list[Lap]:
    """Laps from (epoch, steps, seconds it took)."""
    made, end_ns = [], 0
    for epoch, steps, seconds in entries:
        end_ns += round(seconds * S)
        made.append(Lap(epoch=epoch, steps=steps, end_ns=end_ns))
    return made


def with_laps(record: Record, *entries: tuple[int, int, float], **timing: Any) -> Record:
    made = laps(*entries)
    changed = msgspec.structs.replace(record.timing, laps=made, fit_ns=made[-1].end_ns, **timing)
    return finished(msgspec.structs.replace(record, timing=changed))


def test_the_first_step_and_the_smaller_batch_stand_apart() -> None:
    record = with_laps(
        sample(),
        (1, 1, 3.0), (1, 467, 46.7), (1, 1, 2.1), (2, 468, 46.8), (2, 1, 0.1), (3, 469, 46.9),
        startup_s=5.0,
    )  # fmt: skip
    clocks = clocks_of(record)
    assert clocks.startup_s == 5.0
    assert clocks.first_step_s == pytest.approx(3.0)
    assert clocks.smaller_batch_s == pytest.approx(2.0)
    assert "compiled again" in "".join(run_notes([record]))


def test_an_engine_that_reports_epochs_only_shows_what_the_first_took_more() -> None:
    epochs = [(epoch, 469, 14.0 if epoch == 1 else 10.0) for epoch in range(1, 11)]
    record = with_laps(sample(), *epochs)
    clocks = clocks_of(record)
    assert clocks.first_step_s is None
    assert clocks.smaller_batch_s is None
    assert clocks.warm_up_excess_s == pytest.approx(4.0)
    (row,) = run_rows([record])
    assert row[RUN_COLUMNS.index("first step")] == "+4.00 s"


def test_ratios_stand_inside_a_key_only() -> None:
    def took(seconds: float, family: str) -> Record:
        record = with_laps(sample(), *((epoch, 469, seconds) for epoch in range(1, 11)))
        engine = msgspec.structs.replace(record.engine, family=family, settings={})
        return msgspec.structs.replace(record, engine=engine)

    rows = run_rows([took(10.0, "torch"), took(2.0, "jax"), took(25.0, "torch")])
    ratio = RUN_COLUMNS.index("ratio")
    assert [row[ratio] for row in rows] == ["1.00", "1.00", "2.50"]


def test_the_spread_has_no_more_digits_than_the_figure() -> None:
    seconds = [10.0, 10.2, 10.4, 10.1, 10.3, 10.2, 10.1, 10.3, 10.0, 10.4]
    record = with_laps(sample(), *((n, 469, s) for n, s in enumerate(seconds, 1)))
    figure, sign, spread = steady_text(record).split()
    assert sign == "±"
    assert len(figure.split(".")[1]) == len(spread.split(".")[1]) == 2


def test_a_keras_run_is_ranked_among_the_published_figures_of_its_key() -> None:
    record = with_laps(sample(), *((epoch, 469, 20.0) for epoch in range(1, 11)))
    keras = msgspec.structs.replace(record.engine, family="keras-tensorflow", settings={})
    record = msgspec.structs.replace(record, engine=keras)
    (section,) = beside_references(record, load_references())
    assert section.title.startswith("Measured here and published: mnist-cnn v1, keras-tensorflow")
    ranks = [row[0] for row in section.rows]
    assert ranks == [str(number) for number in range(1, len(ranks) + 1)]
    figures = [float(row[3]) for row in section.rows]
    assert figures == sorted(figures)
    validity = [row[9] for row in section.rows]
    assert validity.count("valid") == 1
    assert all(text == "valid" or text.startswith("published, ") for text in validity)
    assert measured_sections([record], load_references()) == [section]


def test_another_engine_is_not_ranked_among_them() -> None:
    record = with_laps(sample(), *((epoch, 469, 20.0) for epoch in range(1, 11)))
    (section,) = beside_references(record, load_references())
    assert "not ranked" in section.title
