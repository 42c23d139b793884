"""What ``epochmark table`` shows: measured runs by comparability key, then published machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from epochmark.analysis.comparing.batch_sizes import BatchSweep, batch_sweeps
from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.analysis.comparing.references import Reference
from epochmark.analysis.timing.headline import workload_of
from epochmark.records.record import Record
from epochmark.report.figures import (
    NONE,
    accuracy_text,
    bare_seconds,
    device_name,
    images_text,
    interval_text,
    labelled_machine,
    seconds_text,
    shortened,
    validity_text,
)
from epochmark.report.tables.batch_sweep import (
    SWEEP_COLUMNS,
    VARIANTS_NOTE,
    crossover_lines,
    sweep_rows,
)
from epochmark.report.tables.references import further_rows, post_table

MEASURED_HEADER = (
    "rank", "machine", "device", "s/epoch", "interval", "elapsed", "images/s", "accuracy",
    "ratio", "validity", "id",
)  # fmt: skip
COARSE_RATIO = 0.02
"""A ratio that may be so much higher, relative to itself, has no two decimals."""
FURTHER_HEADER = ("machine", "device", "framework", "s/epoch", "notes")


@dataclass(frozen=True)
class Section:
    """A titled table of text with notes below it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def all_sections(records: Sequence[Record], references: Sequence[Reference]) -> list[Section]:
    """Measured runs, one section per comparability key with the published figures of that key
    among them, then batch sweeps and the published machines, unranked.

    A run that is alone with its key and stands in a sweep is shown there only.
    """
    sweeps = batch_sweeps(records)
    in_sweeps = _alone_in(sweeps, records)
    return [
        *measured_sections([one for one in records if one.id not in in_sweeps], references),
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
    """After a run: its rank among the references of its own key, if there are any; else the
    original post's machines, unranked. Of a workload that nobody has published, nothing."""
    key = key_of(record)
    references = [one for one in references if one.key.workload == key.workload]
    if not references:
        return []
    if any(_is_comparable(reference, key) for reference in references):
        return [_measured_section(key, [record], references)]
    return [published_section(references)]


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
    published = [reference for reference in references if _is_comparable(reference, key)]
    ranked: list[tuple[float, Record | Reference]] = [
        *((_steady(record), record) for record in records if _is_ranked(record)),
        *((reference.seconds_per_epoch, reference) for reference in published),
    ]
    ranked.sort(key=lambda pair: pair[0])
    fastest = ranked[0][0] if ranked else None
    rows = [_ranked_row(one, str(n), fastest) for n, (_, one) in enumerate(ranked, start=1)]
    others = [record for record in records if not _is_ranked(record)]
    rows += [_measured_row(record, NONE, None) for record in others]
    notes = []
    if others:
        notes.append("Only valid runs are ranked.")
    if published:
        notes.append(
            "Published figures are ranked by what was printed; their precision was not observed, "
            "it is what the framework does by default."
        )
    title = "Measured here and published" if published else "Measured here"
    return Section(f"{title}: {key}", MEASURED_HEADER, tuple(rows), tuple(notes))


def _is_comparable(reference: Reference, key: ComparabilityKey) -> bool:
    return reference.rankable and reference.key == key


def _ranked_row(one: Record | Reference, rank: str, fastest_s: float | None) -> tuple[str, ...]:
    if isinstance(one, Record):
        return _measured_row(one, rank, fastest_s)
    return (
        rank,
        one.machine,
        one.device,
        f"{one.seconds_per_epoch:g}",
        f"{one.low_s:g} to {one.high_s:g}",
        NONE,
        NONE,
        NONE,
        NONE if fastest_s is None else _ratio_text(one, fastest_s),
        f"published, {one.confidence}",
        NONE,
    )


def _ratio_text(reference: Reference, fastest_s: float) -> str:
    """A published figure over the fastest; a range where it was printed with few digits."""
    low, high = reference.low_s / fastest_s, reference.high_s / fastest_s
    if high - low <= COARSE_RATIO * low:
        return f"{reference.seconds_per_epoch / fastest_s:.2f}"
    return f"{low:.2g} to {high:.2g}"


def _is_ranked(record: Record) -> bool:
    return record.headline.validity == "valid" and record.headline.steady_epoch_s is not None


def _steady(record: Record) -> float:
    assert record.headline.steady_epoch_s is not None, "only ranked records are compared"
    return record.headline.steady_epoch_s


def _measured_row(record: Record, rank: str, fastest_s: float | None) -> tuple[str, ...]:
    return (
        rank,
        shortened(labelled_machine(record)),
        shortened(device_name(record)),
        bare_seconds(record.headline.steady_epoch_s),
        interval_text(record),
        seconds_text(record.headline.elapsed_s),
        images_text(record),
        accuracy_text(record),
        NONE if fastest_s is None else f"{_steady(record) / fastest_s:.2f}",
        validity_text(record),
        record.id[:8],
    )


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
