"""A fleet beside its own past."""

from __future__ import annotations

from epochmark.fleet.past import Past
from epochmark.fleet.shown.text import group_lines
from epochmark.records.record import Record
from tests.unit.fleet.samples import fleet, healthy, report_of


def lines_and_past(now: list[Record], before: list[Record]) -> tuple[list[str], Past]:
    (group,) = report_of(now, earlier=before).groups
    assert group.past is not None
    return group_lines(group), group.past


def test_a_whole_group_slower_than_its_baseline_is_said() -> None:
    now = fleet(dict.fromkeys(healthy(8), 1.08))
    (line,), past = lines_and_past(now, fleet(healthy(8)))
    assert past.change == "slower"
    assert line.startswith("The whole group is slower than its baseline: an epoch takes 1.0")


def test_an_unchanged_group_has_no_clear_difference() -> None:
    (line,), past = lines_and_past(fleet(healthy(8)), fleet(healthy(8)))
    assert past.change == "alike"
    assert line.startswith("As a whole no clear difference from its baseline")


def test_a_node_is_held_against_its_own_past() -> None:
    _, past = lines_and_past(fleet({**healthy(8), "node-3": 1.1}), fleet(healthy(8)))
    assert past.change == "alike"
    assert max(past.times_as_long, key=past.times_as_long.__getitem__) == "node-3"


def test_a_baseline_of_other_machines_says_so() -> None:
    now = fleet(healthy(8))
    before = fleet({f"node-{number}": 1.0 for number in range(20, 28)})
    (line,), past = lines_and_past(now, before)
    assert past.change == "unknown"
    assert line == "Baseline: it has 0 nodes of this group; six are needed to compare the group."
