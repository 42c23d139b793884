"""Is a record whole, consistent and plausible? Everything derivable in it is derived again.

This proves consistency, not authenticity: who edits a record with care, or makes one up, and
computes everything anew, is not found out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

import epochmark
from epochmark.bench.departures import departures, threads_named
from epochmark.bench.validity import judge
from epochmark.results.digest import digest_of
from epochmark.results.headline import headline_of, observed_precision
from epochmark.results.record import Headline, Record
from epochmark.results.upgrades import RecordError, decode_record
from epochmark.workloads import WORKLOADS

SAME = 1e-9
"""Two derivations of one figure differ by rounding only."""
SAME_LOSS = 2e-5
"""Running losses are kept to six digits."""

_ARCHITECTURES = {
    "Apple": ("arm64", "aarch64"),
    "Intel": ("x86_64", "i686", "AMD64"),
    "AMD": ("x86_64", "i686", "AMD64"),
}


@dataclass(frozen=True)
class Checked:
    """A record's document after the check. ``record`` is None when it could not be read at all;
    ``problems`` are sentences, none when everything fits."""

    name: str
    record: Record | None
    problems: tuple[str, ...]


def check_record(document: bytes) -> Checked:
    """Derive everything in a record's JSON anew and compare."""
    try:
        record = decode_record(document)
    except RecordError as error:
        return Checked(_name_of(document), None, (f"it cannot be read: {error}",))
    stored: dict[str, Any] = msgspec.json.decode(document)
    problems = [*_digest(stored)]
    if problems or record.epochmark_version == epochmark.__version__:
        # an intact record of another version was judged by the rules of that version
        problems += [*_headline(stored, record), *_findings(record), *_precision(record)]
    problems += [
        *_losses(record),
        *_labels(record),
        *_machine(record),
        *_date(record),
    ]
    return Checked(record.id, record, tuple(problems))


def _name_of(document: bytes) -> str:
    """What to call a record that cannot be read."""
    try:
        return str(msgspec.json.decode(document)["id"])[:40]
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError):
        return "a record without an id"


def _digest(stored: dict[str, Any]) -> Iterator[str]:
    digest = stored.get("digest")
    if digest is None:
        yield "it carries no digest of its content"
    elif digest != digest_of(stored):
        yield "its content was changed after it was written: the digest is another one"


def _headline(stored: dict[str, Any], record: Record) -> Iterator[str]:
    """Stored figures against those that laps and findings give; the validity against that of the
    findings derived anew."""
    try:
        said = msgspec.convert(stored["headline"], Headline)
    except msgspec.ValidationError:  # of an older schema: derived on reading, so there is no claim
        return
    derived = headline_of(msgspec.structs.replace(record, findings=judge(record)))
    for field in msgspec.structs.fields(Headline):
        claim, truth = getattr(said, field.name), getattr(derived, field.name)
        if not _same(claim, truth):
            yield f"the headline says {field.name} {claim}, its raw data give {truth}"


def _same(claim: object, truth: object) -> bool:
    if isinstance(claim, float) and isinstance(truth, float):
        return math.isclose(claim, truth, rel_tol=SAME)
    return claim == truth


def _findings(record: Record) -> Iterator[str]:
    """Stored findings against those the record itself gives."""
    stored = {finding.code for finding in record.findings}
    derived = {finding.code: finding.detail for finding in judge(record)}
    for code in sorted(derived.keys() - stored):
        yield f"the finding {code} is missing: {derived[code]}"
    for code in sorted(stored - derived.keys()):
        yield f"nothing in it gives the finding {code}"


def _losses(record: Record) -> Iterator[str]:
    """The running loss at the end of an epoch is the loss of that epoch."""
    last = {lap.epoch: lap.loss for lap in record.timing.laps}
    for epoch in record.learning.epochs:
        running = last.get(epoch.epoch)
        if running is None or epoch.loss is None:
            continue
        if not math.isclose(running, epoch.loss, rel_tol=SAME_LOSS):
            yield (
                f"the loss of epoch {epoch.epoch} is given as {epoch.loss:.6g}, "
                f"its last lap has {running:.6g}"
            )
            return


def _labels(record: Record) -> Iterator[str]:
    """What the run is called must be what it was."""
    run = record.workload
    workload = WORKLOADS[run.name]
    if run.version != workload.version:
        yield f"it is of {run.name} version {run.version}, only {workload.version} is known here"
    wanted = departures(record, threads_named(record))
    if sorted(run.variant) != wanted:
        yield (
            f"it is labelled {', '.join(sorted(run.variant)) or 'no variant'}, its fields say "
            f"{', '.join(wanted) or 'no variant'}"
        )
    tuned = record.engine.tuned_settings is not None
    if tuned != (record.engine.tuning == "tuned"):
        has = "has" if tuned else "lacks"
        yield f"it is labelled {record.engine.tuning}, and {has} tuned settings"


def _precision(record: Record) -> Iterator[str]:
    """The observed precision is the tightest whose tolerance the replay met."""
    observed = observed_precision(record)
    if record.precision.observed != observed:
        yield f"it is labelled {record.precision.observed}, its replay shows {observed}"


def _machine(record: Record) -> Iterator[str]:
    """A processor of that name has that architecture."""
    machine = record.machine
    for maker, architectures in _ARCHITECTURES.items():
        if machine.cpu.startswith(maker) and machine.architecture not in architectures:
            yield f"a processor called {machine.cpu} is not of architecture {machine.architecture}"


def _date(record: Record) -> Iterator[str]:
    created = datetime.fromisoformat(record.created)
    if created > datetime.now(UTC) + timedelta(days=1):
        yield f"it was measured in the future: {record.created}"
