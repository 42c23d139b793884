"""The small charts in text: right in their figures, plain where bars cannot be shown."""

from __future__ import annotations

import pytest

from epochmark.analysis.timing.intervals import Interval
from epochmark.records.findings import FindingCode
from epochmark.records.record import Record
from epochmark.report.subject import Subject
from epochmark.report.text.charts import (
    MOST_BARS,
    bar_lines,
    comparison_lines,
    lap_line,
    sparkline,
)
from tests.report.samples import failed, machine, sample

BLOCKS = "█▏▎▍▌▋▊▉▁▂▃▄▅▆▇"


def lines(focus: Record, *others: Record, width: int | None = 80) -> list[str]:
    return comparison_lines(Subject((*others, focus), (), focus), width)


def known(**seconds: float) -> list[tuple[str, Interval]]:
    """Names with seconds that are known exactly."""
    return [(name, Interval(value, value, value, 9)) for name, value in seconds.items()]


def test_bars_are_as_long_as_their_figures() -> None:
    shown = bar_lines(known(a=1.0, b=2.0, c=4.0), 80)
    assert [line.count("█") for line in shown] == [10, 20, 40]
    assert [line.split()[-2] for line in shown] == ["1.000", "2.000", "4.000"]


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_lines_fit_the_terminal(width: int) -> None:
    others = [sample(n, on=machine(f"{n} " + "long " * 20)) for n in range(2, 30)]
    shown = lines(sample(1, step_s=0.1), *others, width=width)
    assert max(map(len, shown[2:])) <= width
    assert len(shown) == MOST_BARS + 2
    assert any("this machine" in line for line in shown)


@pytest.mark.parametrize("width", [None, 59])
def test_piped_or_narrow_is_plain(width: int | None) -> None:
    shown = lines(sample(1), sample(2, on=machine("Another")), width=width)
    assert not set("".join(shown)) & set(BLOCKS)
    assert "Another" in "".join(shown)
    line = lap_line(sample(1), width)
    assert line is not None
    assert not set(line) & set(BLOCKS)
    assert "images/s" in line


def test_machines_of_the_same_key_come_before_engines() -> None:
    torch = sample(3, engine="torch")
    (title, _, *shown) = lines(sample(1), sample(2, on=machine("Another")), torch)
    assert "same engine" in title
    assert not any("torch" in line for line in shown)
    (title, _, *shown) = lines(sample(1), torch)
    assert "not ranked" in title
    assert any("torch" in line for line in shown)


def test_alone_or_invalid_there_is_nothing_to_show() -> None:
    assert lines(sample(1)) == []
    assert lines(failed(1)) == []
    assert lines(sample(1, findings=[FindingCode.PARITY_FAILED]), sample(2)) == []


def test_bars_a_hundred_times_apart_are_logarithmic_and_say_so() -> None:
    shown = bar_lines(known(a=1.0, b=10.0, c=100.0), 80)
    lengths = [line.count("█") for line in shown]
    assert lengths[0] >= 4
    assert lengths[1] - lengths[0] == lengths[2] - lengths[1]
    slow = sample(3, engine="torch", step_s=2.5)
    assert "shorter is faster, logarithmic:" in lines(sample(1), slow)[0]
    assert "logarithmic" not in lines(sample(1), slow, width=None)[0]
    near = sample(3, engine="torch", step_s=0.05)
    assert lines(sample(1), near)[0].endswith("shorter is faster:")


def test_engines_are_sorted_by_speed() -> None:
    engines = [sample(n, engine=name, step_s=s) for n, (name, s) in enumerate(
        [("jax", 0.2), ("torch", 0.05), ("keras-torch", 0.1)], start=2)]  # fmt: skip
    shown = lines(sample(1, step_s=0.08), *engines)[2:]
    assert [line.split()[0] for line in shown] == ["torch", "native", "keras-torch", "jax"]


def test_the_sparkline_shows_a_slow_start_and_a_dip() -> None:
    assert sparkline([1.0, 7.0, 7.0, 3.5, 7.0]) == "▂██▅█"
