"""Which runs are of one machine, and what contradicts that."""

from __future__ import annotations

import msgspec

from epochmark.fleet.files import FleetFiles
from epochmark.fleet.nodes import Fleet, nodes_of
from epochmark.fleet.runs import run_of
from epochmark.records.record import Record
from tests.unit.fleet.samples import machine_id, records_of

replace = msgspec.structs.replace


def fleet_in(files: dict[str, list[Record]], names: dict[str, str] | None = None) -> Fleet:
    runs = [run_of(record, file) for file, records in files.items() for record in records]
    return nodes_of(FleetFiles(runs).runs, names or {})


def with_id(records: list[Record], identity: str | None) -> list[Record]:
    return [
        replace(record, machine=replace(record.machine, machine_id=identity)) for record in records
    ]


def counts(fleet: Fleet) -> dict[str, int]:
    return {node.name: len(node.runs) for node in fleet.nodes}


def test_without_ids_each_file_is_a_node() -> None:
    files = {f"in/{name}.json": with_id(records_of(name), None) for name in ("a", "b")}
    assert counts(fleet_in(files)) == {"a": 6, "b": 6}


def test_files_of_one_name_are_called_by_their_folders() -> None:
    files = {f"{name}/results.json": with_id(records_of(name), None) for name in ("a", "b")}
    assert counts(fleet_in(files)) == {"a/results": 6, "b/results": 6}


def test_a_node_of_several_files_is_called_by_its_id() -> None:
    records = records_of("a")
    found = fleet_in({"1.json": records[:3], "2.json": records[3:]})
    assert counts(found) == {machine_id("a")[:8]: 6}
    assert found.notes == ()


def test_two_machines_under_one_id_are_seen_by_their_times() -> None:
    """They share a home folder: no machine makes two runs at once."""
    files = {f"{name}.json": with_id(records_of(name), "shared") for name in ("a", "b")}
    found = fleet_in(files)
    assert counts(found) == {"a": 6, "b": 6}
    (note,) = found.notes
    assert note.startswith(
        "several machines under one machine id (shared): a.json and b.json were measured at the "
        "same time"
    )


def test_two_machines_under_one_id_are_seen_by_their_hardware() -> None:
    other = [
        replace(record, machine=replace(record.machine, cpu="Another CPU"))
        for record in records_of("b")
    ]
    found = fleet_in({"all.json": [*with_id(records_of("a"), "x"), *with_id(other, "x")]})
    assert sorted(counts(found).values()) == [6, 6]
    (note,) = found.notes
    assert note.startswith("2 machines under one machine id (x)")


def test_two_ids_with_one_name_are_one_machine() -> None:
    files = {"all.json": [*records_of("a")[:3], *records_of("b")[3:]]}
    names = {machine_id("a"): "rack-1", machine_id("b"): "rack-1"}
    assert counts(fleet_in(files, names)) == {"rack-1": 6}


def test_one_run_under_two_ids_is_said() -> None:
    records = records_of("a")
    found = fleet_in({"1.json": with_id(records, "first"), "2.json": with_id(records, "second")})
    assert counts(found) == {"1": 6}
    (note,) = found.notes
    assert note.startswith("one machine under two ids (first and second)")


def test_an_export_without_ids_beside_the_records_counts_once() -> None:
    records = records_of("a")
    found = fleet_in({"export.json": with_id(records, None), "node.json": records})
    assert counts(found) == {"node": 6}
    assert found.notes == ()


def test_names_without_runs_did_not_answer() -> None:
    names = {machine_id("a"): "rack-1", machine_id("b"): "rack-2"}
    assert fleet_in({"a.json": records_of("a")}, names).silent == ("rack-2",)


def test_a_wrong_clock_is_named_and_its_runs_count() -> None:
    records = [
        replace(record, created=f"2031-01-01T00:{number:02d}:00Z")
        for number, record in enumerate(records_of("a"))
    ]
    found = fleet_in({"a.json": records})
    assert counts(found) == {"a": 6}
    (note,) = found.notes
    assert note.startswith("the clock of a is wrong: a run is dated 2031-01-01T00:00:00Z")


def test_clocks_that_differ_by_hours_change_nothing() -> None:
    late = [
        replace(record, created=record.created.replace("2026-11-20", "2026-11-24"))
        for record in records_of("b")
    ]
    found = fleet_in({"a.json": records_of("a"), "b.json": late})
    assert counts(found) == {"a": 6, "b": 6}
    assert found.notes == ()
