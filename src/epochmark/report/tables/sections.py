"""What ``epochmark table`` shows: this machine's newest runs, or all by comparability key, and the
published machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from epochmark.analysis.comparing.batch_sizes import BatchSweep, batch_sweeps
from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.analysis.comparing.references import Reference
from epochmark.analysis.comparing.standing import comparable_with, newest_comparable
from epochmark.analysis.timing.headline import workload_of
from epochmark.records.machine.identity import same_machine
from epochmark.records.record import Machine, Record
from epochmark.report.figures import shortened
from epochmark.report.subject import Subject
from epochmark.report.tables.batch_sweep import (
    SWEEP_COLUMNS,
    VARIANTS_NOTE,
    crossover_lines,
    sweep_rows,
)
from epochmark.report.tables.long import long_rows
from epochmark.report.tables.ranking import ranked_section
from epochmark.report.tables.references import further_rows, post_table
from epochmark.report.tables.runs import SIDE_BY_SIDE, newest_section
from epochmark.report.tables.section import Section

MEASURED_COLUMNS = (
    "rank", "machine (label)", "device", "steady_epoch_s", "interval", "elapsed_s",
    "time_to_target_s", "images_per_s", "test_accuracy", "first_half_loss (second)", "ratio",
    "validity (findings)", "id (of a run)",
)  # fmt: skip
MEASURED_OPTIONAL = (
    "first_half_loss (second)", "time_to_target_s", "test_accuracy", "elapsed_s", "images_per_s",
    "interval",
)  # fmt: skip
AMONG_COLUMNS = ("rank", "machine", "device_id", "steady_epoch_s", "interval", "ratio")
AMONG_OPTIONAL = ("interval",)
FURTHER_HEADER = ("machine", "device", "framework", "s/epoch", "notes")
THIS_MACHINE = "this machine"
PRECISION_NOTE = (
    "Published figures are ranked by what was printed; their precision was not observed, it is "
    "what the framework does by default."
)


def newest_sections(
    subject: Subject, here: Machine | None, columns: str | None = None
) -> list[Section]:
    """The newest run of each way to train on the machine that the subject is about, and its place
    among the published machines where one of them did what those did.

    ``here`` is the machine that this is shown on; ``columns`` are those that the user names.
    """
    if subject.focus is None:
        return [published_section(subject.references)]
    about = subject.focus.machine
    cores = f"{about.usable_cores} core{'s' if about.usable_cores != 1 else ''}"
    name = f"{shortened(about.model or about.cpu)}, {cores}"
    if is_about(subject, here):
        name = f"This machine ({name})"
    newest = newest_section(name, subject.own, columns)
    if columns is not None:
        return [newest]
    notes = (SIDE_BY_SIDE,) if "ratio" in newest.header else ()
    return [
        replace(newest, notes=notes),
        *among_published(subject.own, subject.references),
    ]


def is_about(subject: Subject, here: Machine | None) -> bool:
    """Whether the subject is about the machine that this is shown on."""
    if subject.focus is None or here is None or here.machine_id is None:
        return False
    return same_machine(subject.focus.machine, here)


def among_published(records: Sequence[Record], references: Sequence[Reference]) -> list[Section]:
    """The newest believable run of a machine that did what published machines did, among those;
    nothing where there is none."""
    found = newest_comparable(records, references)
    if found is None:
        return []
    comparable = comparable_with(key_of(found), references)
    own, *others = long_rows([found], comparable)
    title = f"Among the published machines: {key_of(found)}"
    rows = [{**own, "machine": THIS_MACHINE}, *others]
    return [ranked_section(title, rows, AMONG_COLUMNS, AMONG_OPTIONAL)]


def all_sections(records: Sequence[Record], references: Sequence[Reference]) -> list[Section]:
    """Measured runs, one section per comparability key with the published figures of that key
    among them, then batch sweeps and the published machines, unranked.

    A run that is alone with its key and stands in a sweep is shown there only.
    """
    sweeps = batch_sweeps(records)
    in_sweeps = _alone_in(sweeps, records)
    apart = [record for record in records if record.id not in in_sweeps]
    return [
        *measured_sections(apart, references),
        *sweep_sections(sweeps),
        published_section(references),
        _further_section(references),
    ]


def sweep_sections(sweeps: Sequence[BatchSweep]) -> list[Section]:
    """A section for each engine that was swept, all its devices together, with the batch size and
    epochs from which on another device beats the CPU."""
    groups: dict[str, list[BatchSweep]] = {}
    for sweep in sweeps:
        machine = sweep.points[0].record.machine
        title = f"Batch sweep: {sweep.key} ({shortened(machine.model or machine.cpu)})"
        groups.setdefault(title, []).append(sweep)
    return [
        Section(
            title,
            SWEEP_COLUMNS,
            tuple(sweep_rows([point.record for sweep in members for point in sweep.points])),
            (VARIANTS_NOTE, *crossover_lines(members)),
        )
        for title, members in groups.items()
    ]


def _alone_in(sweeps: Sequence[BatchSweep], records: Sequence[Record]) -> set[str]:
    """Ids of the sweeps' runs that have another batch size than the workload, and no other run to
    be ranked with."""
    keys = Counter(key_of(record) for record in records)
    return {
        point.record.id
        for sweep in sweeps
        for point in sweep.points
        if point.batch_size != workload_of(point.record.workload).batch_size
        and keys[key_of(point.record)] == 1
    }


def beside_references(record: Record, references: Sequence[Reference]) -> list[Section]:
    """After a run: its rank among the references of its own key, if there are any; otherwise the
    original post's machines, unranked. Nothing for a workload without published figures."""
    of_workload = [
        reference for reference in references if reference.key.workload == key_of(record).workload
    ]
    if not of_workload:
        return []
    return among_published([record], of_workload) or [published_section(of_workload)]


def published_section(references: Sequence[Reference]) -> Section:
    """The original post's machines in its layout, not ranked against anything."""
    post = post_table(references)
    return Section(
        "Published by the original post (2021), measured with other engines: not ranked",
        post.header,
        tuple((row.machine, row.cpu, row.gpu, row.tpu) for row in post.rows),
        tuple(f"{mark} {text}".strip() for mark, text in post.footnotes),
    )


def measured_sections(
    records: Sequence[Record], references: Sequence[Reference] = ()
) -> list[Section]:
    """One section per key; inside it the valid runs and the rankable references ranked by seconds
    per epoch, then the other runs."""
    by_key: dict[ComparabilityKey, list[Record]] = {}
    for record in records:
        by_key.setdefault(key_of(record), []).append(record)
    return [_measured_section(key, by_key[key], references) for key in sorted(by_key)]


def _measured_section(
    key: ComparabilityKey, records: Sequence[Record], references: Sequence[Reference]
) -> Section:
    published = comparable_with(key, references)
    title = f"{'Measured here and published' if published else 'Measured here'}: {key}"
    rows = long_rows(records, published)
    section = ranked_section(title, rows, MEASURED_COLUMNS, MEASURED_OPTIONAL)
    return replace(section, notes=(PRECISION_NOTE,)) if published else section


def _further_section(references: Sequence[Reference]) -> Section:
    rows = further_rows(references)
    numbers: dict[str, int] = {}
    for row in rows:
        for text in (*row.footnotes, f"source: {row.source}"):
            numbers.setdefault(text, len(numbers) + 1)
    return Section(
        "Published elsewhere, not ranked",
        FURTHER_HEADER,
        tuple(
            (
                row.machine,
                row.device,
                row.framework,
                row.seconds,
                " ".join(
                    f"[{numbers[text]}]" for text in (*row.footnotes, f"source: {row.source}")
                ),
            )
            for row in rows
        ),
        tuple(f"[{number}] {text}" for text, number in numbers.items()),
    )
