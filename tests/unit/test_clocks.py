"""Start-up, first step, smaller batch, steady epoch; and ranks among published figures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from epochmark.analysis.comparing.references import load_references
from epochmark.analysis.timing.start_up import clocks_of
from epochmark.records.findings import FindingCode
from epochmark.records.record import Lap, Record
from epochmark.report.tables.runs import run_notes, runs_section
from epochmark.report.tables.section import Section
from epochmark.report.tables.sections import beside_references, measured_sections
from epochmark.report.text.standing import standing_text
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


def column(section: Section, heading: str) -> list[str]:
    """The cells of one column."""
    return [row[section.header.index(heading)] for row in section.rows]


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
    assert "compiled again" in "".join(run_notes([record], runs_section([record])))


def test_an_engine_that_reports_epochs_only_shows_what_the_first_took_more() -> None:
    epochs = [(epoch, 469, 14.0 if epoch == 1 else 10.0) for epoch in range(1, 11)]
    record = with_laps(sample(), *epochs)
    clocks = clocks_of(record)
    assert clocks.first_step_s is None
    assert clocks.smaller_batch_s is None
    assert clocks.warm_up_excess_s == pytest.approx(4.0)
    assert column(runs_section([record]), "first step") == ["+4.00 s"]


def test_ratios_stand_inside_a_key_only() -> None:
    def took(seconds: float, family: str) -> Record:
        record = with_laps(sample(), *((epoch, 469, seconds) for epoch in range(1, 11)))
        engine = msgspec.structs.replace(record.engine, family=family, settings={})
        return msgspec.structs.replace(record, engine=engine)

    section = runs_section([took(10.0, "torch"), took(2.0, "jax"), took(25.0, "torch")])
    assert column(section, "s/epoch") == ["2.000", "10.00", "25.00"]
    assert column(section, "ratio") == ["-", "1", "2.50"]


def test_an_asymmetric_interval_stands_as_one() -> None:
    seconds = [104.0, 119.0, 120.0, 118.0, 311.0, 119.5, 250.0, 118.5, 120.5, 310.0]
    record = with_laps(sample(), *((n, 469, s) for n, s in enumerate(seconds, 1)))
    section = runs_section([record])
    (low, high) = (float(end) for end in column(section, "interval")[0].split(" to "))
    assert low < 119
    assert high > 250
    assert "±" not in "".join(cell for row in section.rows for cell in row)


def keras(seconds: float, *findings: FindingCode) -> Record:
    """A full run of what the published machines were timed with, all epochs alike."""
    record = with_laps(
        sample(findings=findings), *((epoch, 469, seconds) for epoch in range(1, 11))
    )
    engine = msgspec.structs.replace(
        record.engine, name="keras-tensorflow", family="keras-tensorflow", settings={}
    )
    return msgspec.structs.replace(record, engine=engine)


def test_a_keras_run_is_ranked_among_the_published_figures_of_its_key() -> None:
    (section,) = beside_references(keras(20.0), load_references())
    assert section.title.startswith("Among the published machines: mnist-cnn v1, keras-tensorflow")
    ranks = column(section, "rank")
    assert ranks == [str(number) for number in range(1, len(ranks) + 1)]
    figures = [float(cell) for cell in column(section, "s/epoch")]
    assert figures == sorted(figures)
    assert column(section, "machine").count("this machine") == 1
    (whole,) = measured_sections([keras(20.0)], load_references())
    assert column(whole, "s/epoch") == column(section, "s/epoch")
    validity = column(whole, "validity")
    assert validity.count("valid") == 1
    assert all(text == "valid" or text.startswith("published, ") for text in validity)


def test_the_place_among_published_machines_in_words() -> None:
    text = standing_text(keras(20.0), load_references())
    assert text is not None
    assert "this one is 3rd of 9 with keras-tensorflow (20.00 s per epoch): slower than" in text
    assert "Mac mini 2020 (M1) on its CPU (16 s), faster than" in text
    fastest = standing_text(keras(1.0), load_references())
    assert fastest is not None
    assert "is 1st of 9" in fastest
    assert "slower than" not in fastest
    between = standing_text(keras(22.0), load_references())
    assert between is not None
    assert "3rd to 5th of 9" in between, "printed digits decide no place"


def test_a_disturbed_run_has_no_rank_but_a_place_where_it_would_be() -> None:
    disturbed = keras(20.0, FindingCode.UNSTEADY)
    text = standing_text(disturbed, load_references())
    assert text is not None
    assert "would be 3rd of 9" in text
    assert "not ranked: the run was disturbed (unsteady)" in text
    assert standing_text(sample(), load_references()) is None
    assert standing_text(keras(20.0, FindingCode.PARITY_FAILED), load_references()) is None


def test_another_engine_is_not_ranked_among_them() -> None:
    record = with_laps(sample(), *((epoch, 469, 20.0) for epoch in range(1, 11)))
    (section,) = beside_references(record, load_references())
    assert "not ranked" in section.title
