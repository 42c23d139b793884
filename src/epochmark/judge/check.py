"""Is a record whole, consistent and plausible? Everything derivable in it is derived again.

This proves consistency, not authenticity: who edits a record with care, or makes one up, and
recomputes everything, is not detected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import msgspec

from epochmark.analysis.machine.calm import foreign_is_impossible
from epochmark.analysis.timing.headline import (
    headline_of,
    is_known,
    observed_precision,
    steps_per_epoch,
    workload_of,
)
from epochmark.analysis.timing.steady_epoch import steady_epoch
from epochmark.engines import engine_names, get_engine, is_hidden
from epochmark.judge._checks.counters import TICKS_S
from epochmark.judge._checks.shape import unprintable_text
from epochmark.judge.consistency import contradictions
from epochmark.judge.departures import departures, threads_named
from epochmark.judge.reading import decode_as_written
from epochmark.judge.validity import judge
from epochmark.records.dates import is_credible, moment
from epochmark.records.digest import is_intact
from epochmark.records.documents.kinds import Document
from epochmark.records.documents.race import Race
from epochmark.records.documents.scaling import Scaling
from epochmark.records.findings import FindingCode, worst_validity
from epochmark.records.json_text import RecordError, parsed, retyped
from epochmark.records.record import Finding, Headline, Record

SAME = 1e-9
"""Two derivations of one figure differ by rounding only."""
COUNTED_SHARE = 0.75
"""Linux accounts for all CPU time, but for what its host takes unseen."""

_VERSION = re.compile(r"[0-9][0-9A-Za-z.+!_-]*")
_ARCHITECTURES = {
    "Apple": ("arm64", "aarch64"),
    "Intel": ("x86_64", "i686", "AMD64"),
    "AMD": ("x86_64", "i686", "AMD64"),
}


@dataclass(frozen=True)
class Checked:
    """A record's document after the check. ``record`` is None when it could not be read at all;
    ``problems`` are sentences, none when everything fits. ``differences`` are what today's rules
    say otherwise of a record that was judged by other ones, where they trust it no less. ``race``
    and ``scaling`` are those of such a document, which is no record."""

    name: str
    record: Record | None
    problems: tuple[str, ...]
    differences: tuple[str, ...] = ()
    race: Race | None = None
    scaling: Scaling | None = None

    @property
    def document(self) -> Document | None:
        """What was read, of whichever kind it is."""
        return self.record or self.race or self.scaling


def check_record(document: bytes) -> Checked:
    """Derive everything in a record's JSON again and compare."""
    try:
        written = decode_as_written(document)
    except RecordError as error:
        return Checked(name_of(document), None, (f"it cannot be read: {error}",))
    record, rules = written.record, written.other_rules
    stored: dict[str, Any] = parsed(document)
    if not is_known(record.workload):
        return Checked(record.id, record, (*_digest(stored), _unknown(record)))
    problems = [*_digest(stored), *contradictions(record), *unprintable_text(record)]
    differences: tuple[str, ...] = ()
    derived = judge(record)
    if rules is None or problems:
        problems += [*_headline(stored, record, derived), *_findings(record, derived)]
        problems += _precision(record)
    else:
        problems += _old_headline(stored, record)
        said = _differences(record, derived)
        if said and _trusts_less(record, derived):
            problems.append(f"judged by the rules of {rules}: today's rules {said}")
        elif said:
            differences = (f"judged by the rules of {rules}: today's rules {said}",)
    for check in (_labels, _engine, _machine, _foreign, _counted, _dates):
        problems += check(record)
    return Checked(record.id, written.judged_today(), tuple(problems), differences)


def only_tests_the_tool(record: Record) -> bool:
    """Whether a run is of an engine that trains nothing."""
    return is_hidden(record.engine.family)


def _unknown(record: Record) -> str:
    run = record.workload
    return (
        f"it is of {run.name} version {run.version}, which this version of epochmark does not "
        "know: upgrade epochmark to check it"
    )


def name_of(document: bytes) -> str:
    """What to call a record that cannot be read."""
    try:
        name = str(parsed(document)["id"])[:40]
    except (RecordError, RecursionError, KeyError, TypeError):
        return "a record without an id"
    return name if name.isprintable() else ascii(name)


def _digest(stored: dict[str, Any]) -> Iterator[str]:
    if stored.get("digest") is None:
        yield "it has no digest of its content"
    elif not is_intact(stored):
        yield "its content was changed after it was written: the digest does not match"


def _differences(record: Record, derived: list[Finding]) -> str:
    """What today's rules say that the record does not; empty where that is nothing."""
    stored = {finding.code for finding in record.findings}
    today = {finding.code: finding.detail for finding in derived}
    parts = [f"would add {code} ({today[code]})" for code in sorted(today.keys() - stored)]
    parts += [f"would drop {code}" for code in sorted(stored - today.keys())]
    if next(_precision(record), None):
        observed = observed_precision(record)
        parts.append(f"would call it {observed or 'of no precision'}")
    return ", ".join(parts)


def _trusts_less(record: Record, derived: list[Finding]) -> bool:
    """Whether today's findings make a run worse than its own do."""
    own, today = (
        [FindingCode(finding.code) for finding in findings]
        for findings in (record.findings, derived)
    )
    return worst_validity([*own, *today]) != worst_validity(own)


def _claims(stored: dict[str, Any]) -> Headline | None:
    """The headline as it stands in the file; None in one of an older schema, which does not fit:
    it is derived on reading, so there is no claim."""
    try:
        return msgspec.convert(retyped(stored["headline"], Headline), Headline)
    except msgspec.ValidationError:
        return None


def _headline(stored: dict[str, Any], record: Record, derived: list[Finding]) -> Iterator[str]:
    """Stored figures against those that laps give; the validity against that of the findings
    derived again."""
    said = _claims(stored)
    truth = headline_of(msgspec.structs.replace(record, findings=derived))
    for field in msgspec.structs.fields(Headline):
        yield from _claim(field.name, said, truth)


def _old_headline(stored: dict[str, Any], record: Record) -> Iterator[str]:
    """Of one by older rules what no rule changes; what the steady epoch is now, or would be with
    all that the framework waited, must lie inside of what it was said to be."""
    said, truth = _claims(stored), record.headline
    for name in ("elapsed_s", "test_accuracy", "validity"):
        yield from _claim(name, said, truth)
    if said is None or said.steady_epoch_s is None or truth.steady_epoch_s is None:
        return
    low, high = said.steady_epoch_low_s, said.steady_epoch_high_s
    claim, now = said.steady_epoch_s, [truth.steady_epoch_s]
    with_waits = steady_epoch(record.timing.laps, steps_per_epoch(record.workload))
    if with_waits is not None and not record.workload.settle:
        now.append(with_waits.interval.median)
    if (
        low is None
        or high is None
        or not any(low <= min(claim, figure) <= max(claim, figure) <= high for figure in now)
    ):
        yield from _claim("steady_epoch_s", said, truth)
    images_per_s = workload_of(record.workload).train_samples / claim
    if not same_figure(said.images_per_s, images_per_s):
        yield f"the headline says images_per_s {said.images_per_s} beside {images_per_s} by epoch"


def _claim(name: str, said: Headline | None, truth: Headline) -> Iterator[str]:
    if said is not None and not same_figure(getattr(said, name), getattr(truth, name)):
        claim = getattr(said, name)
        yield f"the headline says {name} {claim}, its raw data give {getattr(truth, name)}"


def same_figure(claim: object, truth: object) -> bool:
    if isinstance(claim, float) and isinstance(truth, float):
        return math.isclose(claim, truth, rel_tol=SAME)
    return claim == truth


def differing_fields(
    claim: msgspec.Struct, truth: msgspec.Struct
) -> Iterator[tuple[str, object, object]]:
    """Fields in which two of one kind differ: their names, what is claimed, and what is true."""
    for field in msgspec.structs.fields(truth):
        ours, theirs = getattr(truth, field.name), getattr(claim, field.name)
        if not same_figure(theirs, ours):
            yield field.name, theirs, ours


def _findings(record: Record, derived: list[Finding]) -> Iterator[str]:
    """Stored findings against those the record itself gives."""
    stored = {finding.code for finding in record.findings}
    today = {finding.code: finding.detail for finding in derived}
    for code in sorted(today.keys() - stored):
        yield f"the finding {code} is missing: {today[code]}"
    for code in sorted(stored - today.keys()):
        yield f"its data do not support the finding {code}"


def _labels(record: Record) -> Iterator[str]:
    """What the run is called must be what it was."""
    run = record.workload
    if not is_known(run):
        return
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


def _engine(record: Record) -> Iterator[str]:
    """An engine that is known here has this family and this form of Adam; versions look like
    versions."""
    engine = record.engine
    if engine.name in engine_names():
        info = get_engine(engine.name).info
        if (engine.family, engine.adam_form) != (info.family, info.adam_form):
            yield (
                f"{engine.name} is of family {info.family} and computes Adam in the form "
                f"{info.adam_form}, not of {engine.family} and in {engine.adam_form}"
            )
    versions = [record.epochmark_version, *engine.versions.values()]
    if record.outcome == "completed":
        versions.append(engine.python)
    for version in versions:
        if not _VERSION.fullmatch(version):
            yield f"{version!r} is not a version"


def _foreign(record: Record) -> Iterator[str]:
    """A machine uses at least what our own processes use of it."""
    if record.calm is not None and foreign_is_impossible(record.calm):
        yield "its own processes used more processor time than all processes together"


def _counted(record: Record) -> Iterator[str]:
    """Where the kernel counts all CPU time, no process's share of a sample can be missing."""
    calm = record.calm
    if calm is None or calm.source != "/proc":
        return
    if calm.own_cpu_s is None or calm.foreign_cpu_s is None or calm.idle_cpu_s is None:
        return
    steal_s = calm.steal_cpu_s or [0.0] * len(calm.end_s)
    columns = (calm.own_cpu_s, calm.foreign_cpu_s, calm.idle_cpu_s, steal_s)
    spans = pairwise([0.0, *calm.end_s])
    for (start, end), *used in zip(spans, *columns, strict=True):
        had_s = calm.cpus * (end - start)
        if sum(used) < COUNTED_SHARE * had_s - TICKS_S * calm.cpus:
            yield f"only {sum(used):.2f} CPU seconds are accounted for in a sample of {had_s:.2f}"
            return


def _dates(record: Record) -> Iterator[str]:
    if not is_credible(record.created):
        yield f"it cannot have been measured at {record.created}"
    limits = record.limits
    if limits and moment(limits.measured) > moment(record.created) + timedelta(days=1):
        yield f"its limits were measured after it, at {limits.measured}"
