"""Who is alike, and who is not, in what."""

from __future__ import annotations

from typing import Any

import msgspec

from epochmark.fleet.groups import Departure
from epochmark.fleet.shown.text import sections_of
from epochmark.records.record import Gpu, Record, SensorColumn, SensorLog
from tests.report.samples import failed
from tests.unit.fleet.samples import RUNS, fleet, healthy, machine_id, records_of, report_of

replace = msgspec.structs.replace


def on_gpu(driver: str) -> Any:
    """A run on a GPU of a machine with this driver."""
    log = SensorLog(
        sensor="nvidia-gpu",
        source=f"NVML, driver {driver}",
        at_s=[1.0],
        columns=[
            SensorColumn(
                quantity="frequency", unit="MHz", scope="GPU 0 NVIDIA H200", values=[1980.0]
            )
        ],
        problems=[],
    )

    def change(record: Record) -> Record:
        device = replace(
            record.device,
            requested="gpu",
            resolved="gpu:0",
            resolved_description="NVIDIA H200",
            observed=["gpu:0"],
        )
        return replace(record, device=device, sensors=[log])

    return change


def test_a_node_with_another_driver_is_named_and_not_judged() -> None:
    records = [
        *fleet(healthy(6), change=on_gpu("595.57")),
        *records_of("node-12", 1.2, change=on_gpu("580.82.07")),
    ]
    report = report_of(records)
    assert report.departures == (Departure("node-12", "GPU driver", "580.82.07", "595.57"),)
    assert report.nodes("slow") == []
    first = sections_of(report)[0]
    assert first.title == "Not alike, so not judged"
    assert first.rows[0][0] == "node-12"


def test_a_node_with_another_power_limit_is_named_and_not_judged() -> None:
    def limited(watts: float) -> Any:
        gpu = Gpu(name="NVIDIA H200", driver="595.57", power_limit_w=watts)

        def change(record: Record) -> Record:
            made: Record = on_gpu("595.57")(record)
            return replace(made, machine=replace(made.machine, gpus=[gpu, gpu]))

        return change

    report = report_of(
        [*fleet(healthy(6), change=limited(700)), *records_of("node-12", 1.2, change=limited(500))]
    )
    assert report.departures == (Departure("node-12", "GPU power limit", "500 W", "700 W"),)
    assert report.nodes("slow") == []


def test_a_run_that_does_not_know_its_power_limit_stays_with_its_node() -> None:
    """Its record is older, or the driver did not answer this time."""
    silent = machine_id("node-0 3")[:12]

    def limited(record: Record) -> Record:
        made: Record = on_gpu("595.57")(record)
        if made.id == silent:
            return replace(made, sensors=None)
        gpu = Gpu(name="NVIDIA H200", driver="595.57", power_limit_w=700.0)
        return replace(made, machine=replace(made.machine, gpus=[gpu]))

    report = report_of(fleet(healthy(6), change=limited))
    (group,) = report.groups
    assert report.departures == ()
    assert [len(node.member.runs) for node in group.findings.judged] == [RUNS] * 6


def test_versions_hardware_and_power_set_nodes_apart() -> None:
    def odd(record: Record) -> Record:
        machine = replace(record.machine, usable_cores=1, power_mode="power-saver")
        engine = replace(record.engine, versions={"torch": "2.8.0"})
        return replace(record, machine=machine, engine=engine)

    report = report_of([*fleet(healthy(6)), *records_of("node-7", change=odd)])
    assert {(each.part, each.own, each.others) for each in report.departures} == {
        ("usable cores", "1", "2"),
        ("power mode", "power-saver", "unknown"),
        ("torch", "2.8.0", "unknown"),
    }


def test_two_large_groups_are_both_judged() -> None:
    def other(record: Record) -> Record:
        return replace(record, machine=replace(record.machine, cpu="Another CPU"))

    speeds = {f"node-{number}": 2.0 for number in range(10, 16)}
    slow = records_of("node-20", 2.3, change=other)
    report = report_of([*fleet(healthy(6)), *fleet(speeds, change=other), *slow])
    assert [len(group.group.members) for group in report.groups] == [7, 6]
    assert report.nodes("slow") == ["node-20"]
    assert report.departures == ()


def test_a_kernel_alone_does_not_set_a_node_apart() -> None:
    def newer(record: Record) -> Record:
        return replace(record, machine=replace(record.machine, kernel="7.0"))

    report = report_of([*fleet(healthy(6)), *records_of("node-7", change=newer)])
    assert report.departures == ()


def test_failed_runs_stay_with_their_node() -> None:
    record = failed(1)
    record = replace(record, machine=replace(record.machine, machine_id=machine_id("node-0")))
    report = report_of([*fleet(healthy(6)), record])
    (group,) = report.groups
    assert report.departures == ()
    assert [len(node.member.runs) for node in group.findings.judged if node.name == "node-0"] == [7]


def test_a_node_of_failed_runs_only_is_not_judged() -> None:
    record = failed(1)
    record = replace(record, machine=replace(record.machine, machine_id=machine_id("node-9")))
    report = report_of([*fleet(healthy(6)), record])
    assert report.nodes("not judged") == ["node-9"]
    assert report.departures == ()
