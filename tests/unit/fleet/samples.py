"""Fleets of made-up nodes: their records are real structures, their speeds are chosen."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from epochmark.fleet.files import FleetFiles
from epochmark.fleet.report import FleetReport, fleet_report
from epochmark.fleet.runs import run_of
from epochmark.records.bundle import encode_bundle
from epochmark.records.record import Record
from tests.report.samples import finished, sample

STEP_S = 0.02
RUNS = 6
"""Two rounds."""

Change = Callable[[Record], Record]
replace = msgspec.structs.replace


def machine_id(node: str) -> str:
    """As random as a real one, and the same in every test."""
    return hashlib.sha256(node.encode()).hexdigest()[:16]


def records_of(
    node: str, times: float = 1.0, *, runs: int = RUNS, change: Change = lambda record: record
) -> list[Record]:
    """The runs of a node that takes so many times as long as the others, a quarter of an hour
    apart."""
    return [finished(change(_record(node, times, number))) for number in range(runs)]


@functools.cache
def _record(node: str, times: float, number: int) -> Record:
    made = sample(int(machine_id(f"{node} {number}")[:4], 16), step_s=STEP_S * times)
    return replace(
        made,
        id=machine_id(f"{node} {number}")[:12],
        created=f"2026-11-20T{10 + number // 4:02d}:{number % 4 * 15:02d}:00Z",
        machine=replace(made.machine, machine_id=machine_id(node)),
    )


def fleet(speeds: Mapping[str, float], **options: Any) -> list[Record]:
    """The records of all nodes; ``speeds`` are how many times as long each takes."""
    return [
        record for node, times in speeds.items() for record in records_of(node, times, **options)
    ]


def healthy(count: int) -> dict[str, float]:
    """As many nodes of one speed."""
    return {f"node-{number}": 1.0 for number in range(count)}


def report_of(
    records: Iterable[Record],
    names: Mapping[str, str] | None = None,
    earlier: Iterable[Record] | None = None,
) -> FleetReport:
    """The report about these records, each node under its own name, as if each came in a file."""
    every = [*records]
    known = {machine_id(f"node-{number}"): f"node-{number}" for number in range(100)}
    ids = {record.machine.machine_id for record in every}
    called = {each: name for each, name in known.items() if each in ids} if names is None else names
    before = None if earlier is None else FleetFiles([run_of(each, "before") for each in earlier])
    return fleet_report(FleetFiles([run_of(each, "now") for each in every]), called, before)


def write_bundles(folder: Path, records: Iterable[Record]) -> None:
    """A bundle for each machine id, ``node-...json``."""
    by_id: dict[str | None, list[Record]] = {}
    for record in records:
        by_id.setdefault(record.machine.machine_id, []).append(record)
    for number, own in enumerate(by_id.values()):
        bundle = encode_bundle(own, keep_machine_ids=True)
        (folder / f"node-{number}.json").write_bytes(bundle)
