"""What the report says besides its charts: the answer, the table, the findings, the method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from epochmark.analysis.machine.sensed import energy_of, why_no_energy
from epochmark.analysis.timing.headline import replay_verdict, steady_of
from epochmark.analysis.timing.intervals import MIN_INTERVAL_VALUES
from epochmark.records.dates import local_time
from epochmark.records.findings import MEANING, FindingCode
from epochmark.records.machine.tuned_settings import settings_text
from epochmark.records.record import Record
from epochmark.records.wording import counted
from epochmark.report.figures import (
    NONE,
    accuracy_text,
    arithmetic_text,
    bare_seconds,
    device_id,
    device_name,
    energy_text,
    halves_text,
    images_text,
    interval_text,
    other_workload,
    replayed_text,
    seconds_text,
    steady_text,
    target_text,
    unit_of,
)
from epochmark.report.subject import Subject
from epochmark.report.tables.long import arithmetic_of, long_rows, seconds_of, throughput_of
from epochmark.report.text.machine import memory_text

LONGEST = 100
"""Letters of a cell, or of a fact beside the answer."""
MOST_NAMED = 6
"""Runs named under one finding; the table has them all."""


@dataclass(frozen=True)
class Answer:
    """The first thing to be read: one sentence, its figure with the ``interval`` in words, and
    a few facts beside it."""

    sentence: str
    figure: str
    unit: str
    interval: str
    facts: tuple[tuple[str, str], ...]
    validity: str


@dataclass(frozen=True)
class Cell:
    """A cell of the table; ``number`` is what it is sorted by, None for text."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Problem:
    """A finding, what it means and what to do, and the runs that have it."""

    code: str
    title: str
    validity: str
    remedy: str
    runs: tuple[tuple[str, str], ...]
    more: int


def answer_of(subject: Subject) -> Answer:
    """How fast this machine is, and whether to believe it, from the run in focus."""
    record = subject.focus
    if record is None:
        return Answer("No run yet: 'epochmark run' makes the first.", "", "", "", (), "")
    headline, cpu = record.headline, record.machine.cpu
    tuned = "" if record.engine.tuning == "stock" else f" ({record.engine.tuning})"
    where = f"{record.engine.name}{tuned} on {device_id(record)}"
    validity = ("validity", headline.validity)
    reasons = ", ".join(finding.code for finding in record.findings)
    if headline.validity == "invalid" or headline.steady_epoch_s is None:
        why = f": {reasons}" if reasons else ""
        sentence = f"No valid result from {cpu} yet: its run with {where} is invalid{why}."
        return Answer(sentence, "", "", "", (validity,), headline.validity)
    variant = "".join(f", {departure}" for departure in record.workload.variant)
    doubtful = reasons and headline.validity != "valid"
    doubt = f" The run is {headline.validity}: {reasons}." if doubtful else ""
    sentence = (
        f"{cpu} trains one epoch of {record.workload.name}{variant} in "
        f"{steady_text(record)} s with {where}.{doubt}"
    )
    known = (
        ("elapsed", seconds_text(headline.elapsed_s)),
        (f"{unit_of(record.workload.name)}/s", images_text(record)),
        ("to target", target_text(record)),
        ("test accuracy", accuracy_text(record)),
        ("loss by half", halves_text(record)),
        validity,
    )
    facts = tuple((term, fact) for term, fact in known if fact != NONE)
    return Answer(
        sentence,
        steady_text(record),
        "seconds per epoch",
        _interval(record),
        facts,
        headline.validity,
    )


def _interval(record: Record) -> str:
    """How well the figure is known; empty for a run without one or with one epoch only."""
    steady = steady_of(record)
    if steady is None or steady.interval.count == 1:
        return ""
    enough = steady.interval.count >= MIN_INTERVAL_VALUES
    name = "95 % interval" if enough else f"all {steady.unit}s"
    return f"{name}: {interval_text(record)} s"


TABLE_HEADER = (
    "machine", "engine", "settings", "s/epoch", "interval", "images/s", "GFLOP/s", "of peak",
    "accuracy", "elapsed (s)", "validity", "date", "id",
)  # fmt: skip


def table_of(subject: Subject) -> list[list[Cell]]:
    """A row per run, newest first, then a row per published figure, under ``TABLE_HEADER``."""
    newest_first = tuple(reversed(subject.records))
    return [_row(row) for row in long_rows(newest_first, subject.references)]


def _row(row: dict[str, Any]) -> list[Cell]:
    seconds, interval = seconds_of(row)
    reached, share = arithmetic_of(row)
    low, high = row["steady_epoch_low_s"], row["steady_epoch_high_s"]
    findings = f" ({row['findings']})" if row["findings"] else ""
    accuracy, images, elapsed = row["test_accuracy"], row["images_per_s"], row["elapsed_s"]
    other = other_workload(row["workload"].rpartition(" v")[0])
    settings = [*other, row["tuning"], row["precision"], row["variant"]]
    return [
        _text(_where(row)),
        Cell(row["engine"]),
        Cell(", ".join(part for part in settings if part)),
        Cell("" if seconds == NONE else seconds, row["steady_epoch_s"]),
        Cell("" if interval == NONE else interval, None if low is None else high - low),
        Cell("" if images is None else throughput_of(row), images),
        Cell("" if reached == NONE else reached, row["gflop_per_s"]),
        Cell("" if share == NONE else share, row["percent_of_peak"]),
        Cell("" if accuracy is None else f"{accuracy:.2%}", accuracy),
        Cell("" if elapsed is None else bare_seconds(elapsed), elapsed),
        Cell(row["validity"] + findings),
        Cell(row["measured"][:10]),
        Cell(row["id"][:8] if row["origin"] == "measured" else "published"),
    ]


def _where(row: dict[str, Any]) -> str:
    """The machine, and its device where that says more."""
    machine, device = row["machine"], row["device"]
    return machine if device in machine else f"{machine} · {device}"


def _text(text: str) -> Cell:
    """Text of any length, cut where it would make the row tall; the record has it all."""
    return Cell(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def findings_of(subject: Subject) -> list[Problem]:
    """Every finding that occurs, in the order of the closed list, with the newest runs first."""
    runs: dict[FindingCode, list[tuple[str, str]]] = {}
    for record in reversed(subject.records):
        for finding in record.findings:
            name = f"{record.engine.name} on {device_name(record)} ({record.id[:8]})"
            runs.setdefault(FindingCode(finding.code), []).append((name, finding.detail))
    return [
        Problem(
            code=code.value,
            title=MEANING[code].title,
            validity=MEANING[code].validity,
            remedy=MEANING[code].remedy,
            runs=tuple(runs[code][:MOST_NAMED]),
            more=max(0, len(runs[code]) - MOST_NAMED),
        )
        for code in FindingCode
        if code in runs
    ]


def method_of(subject: Subject) -> list[tuple[str, str]]:
    """How the run in focus was measured, as (term, description)."""
    record = subject.focus
    if record is None:
        return []
    run, engine, machine = record.workload, record.engine, record.machine
    versions = ", ".join(f"{name} {version}" for name, version in sorted(engine.versions.items()))
    settings = ", ".join(f"{name} {value}" for name, value in sorted(engine.settings.items()))
    tuned = "" if engine.tuned_settings is None else settings_text(engine.tuned_settings)
    environment = ", ".join(f"{name}={v}" for name, v in sorted(record.environment.items()))
    work = counted(run.max_steps, "step") if run.max_steps else counted(run.epochs, "epoch")
    if run.settle:
        work = "until thermally steady"
    virtual = ", virtual machine" if machine.virtualized else ""
    facts = [
        ("workload", f"{run.name} version {run.version}: {work} at batch {run.batch_size}, "
         f"seed {run.seed}"),
        ("engine", f"{engine.title}, {engine.tuning}; {versions or 'no framework'}"),
        ("tuned settings", tuned),
        ("settings", settings),
        ("device", f"asked for {record.device.requested}, opened {record.device.resolved}, "
         f"tensors seen on {', '.join(record.device.observed) or 'nothing'}"),
        ("precision", f"asked for {record.precision.requested}, "
         f"observed {record.precision.observed or 'none'}{_replay(record)}"),
        ("steady epoch", _steady(record)),
        ("arithmetic", arithmetic_text(record)),
        ("machine", f"{machine.model or machine.cpu}, {machine.usable_cores} usable cores, "
         f"{memory_text(machine) or 'memory not known'}, "
         f"{machine.os} {machine.os_version}{virtual}"),
        ("energy", _energy(record)),
        ("power", _power(record)),
        ("environment", environment),
        ("measured", f"{local_time(record.created)}, epochmark {record.epochmark_version}, "
         f"run {record.id}"),
    ]  # fmt: skip
    return [(term, description) for term, description in facts if description]


def _energy(record: Record) -> str:
    """Energy per epoch by what it covers, or why it was not measured."""
    if record.sensors is None:
        return ""
    energies = "; ".join(map(energy_text, energy_of(record)))
    return energies or f"not measured: {why_no_energy(record)}"


def _power(record: Record) -> str:
    """Mains or battery, power mode, frequency governor: as far as the system says."""
    machine = record.machine
    mode = None if machine.power_mode is None else f"power mode {machine.power_mode}"
    governor = None if machine.cpu_governor is None else f"CPU governor {machine.cpu_governor}"
    return ", ".join(part for part in (machine.power_source, mode, governor) if part)


def _replay(record: Record) -> str:
    verdict = replay_verdict(record)
    if verdict is None:
        return ""
    return f"; {replayed_text(record)} agree with float64 to {verdict.max_error:.1e}"


def _steady(record: Record) -> str:
    """How the headline was found."""
    steady = steady_of(record)
    if steady is None:
        return ""
    warm_up = f"the first {seconds_text(steady.warm_up_s)} were warm-up"
    return (
        f"median of {steady.interval.count} warm {steady.unit}s, "
        f"{seconds_text(steady.interval.low)} to {seconds_text(steady.interval.high)}; "
        f"{warm_up if steady.warm_up_s else 'no warm-up was found'}"
    )
