"""Why a node is slow: each rule speaks when its figures do, and not otherwise."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from epochmark.fleet.causes import Beside, causes_of
from epochmark.fleet.files import FleetFiles
from epochmark.fleet.report import fleet_report
from epochmark.fleet.runs import Reading, run_of
from epochmark.fleet.shown.text import why_text
from epochmark.records.machine.machine_limits import EngineLimits, Product
from epochmark.records.record import Gpu, Record, RunLimits, SensorColumn, SensorLog
from tests.report.samples import machine_limits, timed
from tests.unit.fleet.samples import fleet, healthy, records_of, report_of

replace = msgspec.structs.replace
LASTED_S = 100


def sensed(frequency: float, temperature: float, throttled: float) -> Callable[[Record], Record]:
    """A run during which the sensors of its processor read this."""
    at_s = [float(second) for second in range(0, LASTED_S, 2)]
    kinds = [
        ("frequency", "MHz", [frequency] * len(at_s)),
        ("temperature", "°C", [temperature] * len(at_s)),
        ("throttle_level", "1", [float(at / LASTED_S < throttled) for at in at_s]),
    ]
    columns = [
        SensorColumn(quantity=name, unit=unit, scope="CPU", values=list(values))  # type: ignore[arg-type]
        for name, unit, values in kinds
    ]
    log = SensorLog(sensor="made-up", source="a test", at_s=at_s, columns=columns, problems=[])
    return lambda record: replace(record, sensors=[log])


def limited(peak: float, bandwidth: float) -> Callable[[Record], Record]:
    limits = RunLimits(
        measured="2026-11-24T12:00:00Z",
        float32_gflop_per_s=peak,
        float32_source="avx512 multiply-adds",
        triad_gb_per_s=bandwidth,
    )
    return lambda record: replace(record, limits=limits)


def why(slow: Callable[[Record], Record], others: Callable[[Record], Record]) -> str:
    """What is said about a slow node whose records are changed so, among others."""
    records = [*fleet(healthy(6), change=others), *records_of("node-9", 1.2, change=slow)]
    (group,) = report_of(records).groups
    node = group.findings.judged[0]
    assert (node.name, node.verdict) == ("node-9", "slow")
    return why_text(group, node)


def test_throttling_heat_and_clock_are_named() -> None:
    said = why(sensed(1400, 95, 0.4), sensed(1980, 70, 0.0))
    assert "heat throttled it in 35% of the readings, the others in 0%" in said
    assert "it was at 95 °C, the others at 70: look at its cooling" in said
    assert "it ran at 1,400 MHz, the others at 1,980" in said


def test_peak_and_bandwidth_are_named() -> None:
    said = why(limited(400, 30), limited(490, 60))
    assert "its arithmetic peak is 400 GFLOP/s, the others' 490" in said
    assert "its memory reaches 30 GB/s, the others' 60: look for a missing module" in said


def test_what_is_equal_is_no_cause() -> None:
    alike = limited(490, 60)
    assert why(alike, alike) == "its records do not say why"


def test_a_narrow_pcie_link_is_named_with_what_to_do() -> None:
    def linked(lanes: int) -> Callable[[Record], Record]:
        gpu = Gpu(name="NVIDIA H200", pcie_generation=5, pcie_width=lanes)

        def change(record: Record) -> Record:
            device = replace(record.device, requested="gpu", resolved="gpu:0", observed=["gpu:0"])
            return replace(record, device=device, machine=replace(record.machine, gpus=[gpu]))

        return change

    assert why(linked(8), linked(16)) == (
        "its PCIe link of the GPU is generation 5 with 8 lanes, the others' generation 5 with 16 "
        "lanes: seat the card again, look at its slot and at the settings of the board"
    )


def test_a_kernel_that_the_others_do_not_have_is_named() -> None:
    def newer(record: Record) -> Record:
        return replace(record, machine=replace(record.machine, kernel="7.0"))

    said = why(newer, lambda record: record)
    assert said.startswith("its kernel is 7.0, the others' ")


def test_a_variable_that_only_one_node_has_is_named() -> None:
    def pinned(record: Record) -> Record:
        return replace(record, environment={"OMP_PROC_BIND": "spread"})

    said = why(pinned, lambda record: record)
    assert said == "its OMP_PROC_BIND is spread, the others' not set"


def test_limits_of_a_node_are_used() -> None:
    """What ``epochmark limits --json`` printed on each node, among the files."""
    records = [*fleet(healthy(6)), *records_of("node-9", 1.2)]
    machines = {record.machine.machine_id: record.machine for record in records}

    def engine(product: float) -> EngineLimits:
        return EngineLimits(
            measured="2026-11-24T12:00:00Z",
            epochmark_version="0",
            engine="native",
            device="cpu",
            product=Product(size=1024, timed=timed(product)),
        )

    slow = records[-1].machine.machine_id
    limits = [
        machine_limits(machine, engine(200.0 if name == slow else 300.0))
        for name, machine in machines.items()
    ]
    files = FleetFiles([run_of(record, "now") for record in records], limits)
    (group,) = fleet_report(files, {}).groups
    node = group.findings.judged[0]
    assert "its matrix product reaches 200 GFLOP/s, the others' 300" in why_text(group, node)


@pytest.mark.parametrize(
    ("reading", "own", "others", "rule"),
    [
        ("clock", 1880.0, 1980.0, "clock"),
        ("clock", 1890.0, 1980.0, None),
        ("input", 6.0, 12.0, "input"),
        ("temperature", 80.0, 70.0, "temperature"),
        ("temperature", 79.0, 70.0, None),
        ("throttled", 0.05, 0.0, "throttled"),
        ("throttled", 0.3, 0.2, None),
        ("foreign", 0.04, 0.01, "load"),
        ("foreign", 0.02, 0.01, None),
    ],
)
def test_each_rule_has_its_limit(
    reading: Reading, own: float, others: float, rule: str | None
) -> None:
    found = causes_of(Beside({reading: own}, {reading: others}))
    assert [cause.rule for cause in found] == ([rule] if rule else [])
