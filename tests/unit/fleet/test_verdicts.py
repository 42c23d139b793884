"""Who is slow, who is suspected, and who is not judged at all."""

from __future__ import annotations

import msgspec
import pytest

from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.fleet.report import FleetReport
from epochmark.fleet.shown.text import answer_text, group_lines, note_lines
from epochmark.fleet.verdicts import JudgedNode
from epochmark.records.findings import FindingCode
from epochmark.records.record import Finding, Record
from tests.report.explained import watched
from tests.unit.fleet.samples import Change, fleet, healthy, records_of, report_of

replace = msgspec.structs.replace


def judged(report: FleetReport, name: str) -> JudgedNode:
    (found,) = [
        node for group in report.groups for node in group.findings.judged if node.name == name
    ]
    return found


def disturbed(record: Record) -> Record:
    found = Finding(code=FindingCode.FOREIGN_LOAD.value, detail="they used 1.00 CPUs")
    return replace(record, findings=[found])


def loaded(cpus: float) -> Change:
    """Runs beside other programs that use so many CPUs, found as foreign load."""

    def change(record: Record) -> Record:
        calm = watched((record.timing.fit_ns or 0) / NANOSECONDS, 1.9)
        return disturbed(replace(record, calm=replace(calm, foreign_cpu_s=[cpus * calm.end_s[0]])))

    return change


def test_a_node_slow_in_both_rounds_is_slow() -> None:
    report = report_of(fleet({**healthy(8), "node-9": 1.12}))
    assert report.nodes("slow") == ["node-9"]
    assert answer_text(report) == "1 of 9 nodes is slow: node-9."
    assert judged(report, "node-9").times_as_long == pytest.approx(1.12, abs=0.02)


def test_a_healthy_fleet_has_no_slow_node() -> None:
    report = report_of(fleet(healthy(8)))
    assert {node.verdict for group in report.groups for node in group.findings.judged} == {"alike"}
    assert answer_text(report) == "No node is slow: 8 of 8 nodes judged."


def test_three_percent_are_not_worth_a_name() -> None:
    assert report_of(fleet({**healthy(8), "node-9": 1.03})).nodes("slow") == []


def test_one_round_only_makes_a_suspect() -> None:
    report = report_of(fleet({**healthy(8), "node-9": 1.12}, runs=3))
    assert report.nodes("slow") == []
    assert judged(report, "node-9").verdict == "suspected"
    assert judged(report, "node-9").remark == "one round only"


def test_slow_in_one_of_two_rounds_is_not_slow() -> None:
    records = [
        *fleet(healthy(8)),
        *records_of("node-9", runs=6)[:3],
        *records_of("node-9", 1.12, runs=6)[3:],
    ]
    report = report_of(records)
    assert report.nodes("slow") == []
    assert judged(report, "node-9").remark == "in one of two rounds"


def test_a_node_with_one_round_is_held_against_the_newest() -> None:
    """The whole room is slower in the second round, in which this node has its only one."""
    nodes = [f"node-{number}" for number in range(8)]
    first = [record for node in nodes for record in records_of(node)[:3]]
    second = [record for node in [*nodes, "node-9"] for record in records_of(node, 1.12)[3:]]
    report = report_of([*first, *second])
    assert judged(report, "node-9").verdict == "alike"


def test_a_fast_node_is_listed() -> None:
    report = report_of(fleet({**healthy(8), "node-9": 0.88}))
    assert report.nodes("fast") == ["node-9"]
    assert report.nodes("slow") == []


def test_nodes_that_all_differ_have_no_outlier() -> None:
    """8 % are no more than 3.5 robust standard deviations of such nodes."""
    speeds = {f"node-{number}": 0.9 + number * 0.025 for number in range(9)}
    assert report_of(fleet(speeds)).nodes("slow") == []


def test_disturbed_runs_are_named_and_never_judged() -> None:
    records = [*fleet(healthy(8)), *records_of("node-9", 1.12, change=disturbed)]
    report = report_of(records)
    assert judged(report, "node-9").verdict == "not judged"
    assert judged(report, "node-9").remark == "0 of 3 valid runs"
    assert "node-9: 6 of 6 runs not judged: disturbed (foreign-load)" in note_lines(report)


def test_the_load_that_every_node_of_a_cluster_has_takes_no_run_out() -> None:
    speeds = healthy(8)
    records = [
        *fleet(speeds, change=loaded(0.03)),
        *records_of("node-9", 1.12, change=loaded(0.03)),
    ]
    assert report_of(records).nodes("slow") == ["node-9"]
    records = [*fleet(speeds), *records_of("node-9", 1.12, change=loaded(0.06))]
    assert judged(report_of(records), "node-9").remark == "0 of 3 valid runs"


def test_the_newest_two_rounds_count() -> None:
    """A node that was mended is no longer slow."""
    mended = [
        replace(record, id=f"{number:012x}", created=f"2026-11-21T10:{number:02d}:00Z")
        for number, record in enumerate(records_of("node-9"))
    ]
    report = report_of([*fleet({**healthy(8), "node-9": 1.12}), *mended])
    assert judged(report, "node-9").verdict == "alike"


def test_fewer_than_five_are_compared_in_pairs() -> None:
    report = report_of(fleet({**healthy(2), "node-2": 1.2}))
    assert report.nodes("slow") == []
    (group,) = report.groups
    lines = group_lines(group)
    assert lines[0] == "Fewer than 5 alike nodes have no outliers; compared in pairs:"
    assert sum("times as fast as node-2" in line for line in lines) == 2
    assert answer_text(report) == "3 nodes: none could be judged."


def test_a_single_node_has_nothing_to_be_compared_with() -> None:
    (group,) = report_of(records_of("node-0")).groups
    assert group_lines(group) == ["One node: there is nothing to compare it with."]


def test_two_speeds_are_said() -> None:
    speeds = {f"node-{number}": 1.0 if number < 6 else 1.15 for number in range(12)}
    (group,) = report_of(fleet(speeds)).groups
    (line,) = group_lines(group)
    assert line.startswith("Two speeds: 6 nodes at 9.7")
    assert line.endswith("node-10, node-11, node-6, node-7, node-8, node-9.")


def test_one_speed_has_no_two_clusters() -> None:
    (group,) = report_of(fleet({**healthy(12), "node-12": 1.12})).groups
    assert group.clusters is None
