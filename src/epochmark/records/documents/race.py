"""The document of a race: what each entry was, and every turn of it (docs/race.md).

An entry's record is that of a run, raw laps and proof included. Which of its laps belong to which
turn is said beside it; whatever follows from that is derived again on reading.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from epochmark.records.digest import digest_of
from epochmark.records.fields import (
    Count,
    Date,
    Digest,
    LongText,
    PositiveCount,
    RecordId,
    Seconds,
    ShortText,
)
from epochmark.records.json_text import RecordError, parsed, retyped, to_json
from epochmark.records.record import Record
from epochmark.records.upgrades import MAX_RECORD_BYTES, newest_form

RACE_SCHEMA = 1
MOST_ENTRIES = 6
MOST_TURNS = 50_000

RaceEnding = Literal["resolved", "time", "epochs", "interrupted", "too few entries"]
Place = Literal["reference", "faster", "slower", "alike", "unknown", "out"]
Ratio = Annotated[float, Meta(gt=0.0, lt=1e12)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of the document: immutable, and strict about unknown fields."""


class RaceTurn(_Part, frozen=True, kw_only=True):
    """A turn of an entry: as many of its next laps as ``laps`` says. ``start_s`` is when it began,
    from the first turn of the race on, and ``wall_s`` how long it took, both by the launcher's
    clock."""

    start_s: Seconds
    wall_s: Seconds
    laps: PositiveCount


class RaceEntry(_Part, frozen=True, kw_only=True):
    """Who raced. ``name`` is as it was typed, without the folders of a path. The first
    ``warm_up_laps`` of the record's laps came before the first turn; no lap contains time in which
    the entry was parked."""

    name: ShortText
    warm_up_laps: Count
    turns: Annotated[list[RaceTurn], Meta(max_length=MOST_TURNS)]
    record: Record


class Standing(_Part, frozen=True, kw_only=True):
    """What follows for an entry. ``ratio`` is its seconds per sample over the reference's, with its
    95 % interval; None where fewer than six pairs of turns count, or it is out.

    ``alike``: the interval holds 1. ``unknown``: no interval. ``out``: not ranked, and ``reason``
    says why. ``first_part`` is how many times as long a sample takes at the beginning of a turn,
    and ``left_out`` whether that part is left out.
    """

    place: Place
    ratio: Ratio | None = None
    low: Ratio | None = None
    high: Ratio | None = None
    pairs: Count = 0
    blocks: Count = 0
    first_part: Ratio | None = None
    left_out: bool = False
    reason: LongText | None = None


class Race(_Part, frozen=True, kw_only=True):
    """One race. ``target`` is the half width of an interval, as a share, at which it was to end;
    ``gate`` how much slower than the first an entry may be, as a share, where that was asked. It
    had the ending ``epochs`` where an entry had trained all that a run may have. ``standings`` are
    derived, one for each entry in their order, and not part of the digest."""

    race_schema: PositiveCount
    id: RecordId
    created: Date
    epochmark_version: ShortText
    label: ShortText | None
    target: Annotated[float, Meta(gt=0.0, le=1.0)]
    max_seconds: Seconds
    seconds: Seconds
    ending: RaceEnding
    gate: Annotated[float, Meta(ge=0.0, le=10.0)] | None
    entries: Annotated[list[RaceEntry], Meta(min_length=2, max_length=MOST_ENTRIES)]
    standings: Annotated[list[Standing], Meta(max_length=MOST_ENTRIES)] = []
    digest: Digest | None = None


def names_of(race: Race) -> list[str]:
    """The entries as they were typed; equal ones are numbered."""
    typed = [entry.name for entry in race.entries]
    return [
        name if typed.count(name) == 1 else f"{name} ({typed[: place + 1].count(name)})"
        for place, name in enumerate(typed)
    ]


def first_ranked(race: Race) -> str:
    """The name of the entry that the others are compared with, the first that is not out; empty
    where all are."""
    named = zip(names_of(race), race.standings, strict=True)
    return next((name for name, standing in named if standing.place != "out"), "")


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From schema N of the race to N + 1, by N; the records in it have upgrades of their own."""


def is_race_fields(fields: Any) -> bool:
    """Whether a parsed document looks like that of a race; it may still be a broken one."""
    return isinstance(fields, dict) and "race_schema" in fields


def upgraded_race(document: bytes) -> Race:
    """A race from JSON of any schema we know; its records are held to their types, and not looked
    at otherwise. Raises ``RecordError``."""
    if len(document) > MAX_RECORD_BYTES:
        raise RecordError(f"it is larger than {MAX_RECORD_BYTES >> 20} MiB")
    fields = parsed(document)
    if not is_race_fields(fields):
        raise RecordError("it has no schema number of a race, so it is none")
    try:
        return msgspec.convert(_in_newest_form(fields), Race)
    except RecursionError as error:
        raise RecordError("it is nested too deeply") from error
    except msgspec.ValidationError as error:
        raise RecordError(str(error)) from error


def _in_newest_form(fields: dict[str, Any]) -> dict[str, Any]:
    intact = is_intact_race(fields)
    schema = fields["race_schema"]
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise RecordError("its schema number is none")
    if schema > RACE_SCHEMA:
        raise RecordError(
            f"it has schema {schema} of a race, this version of epochmark reads up to "
            f"{RACE_SCHEMA}: upgrade epochmark to read it"
        )
    fields = retyped(fields, Race)
    for number in range(schema, RACE_SCHEMA):
        fields = {**UPGRADES[number](fields), "race_schema": number + 1}
    if isinstance(fields.get("entries"), list):
        fields = {**fields, "entries": [_with_newest_record(entry) for entry in fields["entries"]]}
    return {**fields, "digest": race_digest(fields)} if intact else fields


def _with_newest_record(entry: Any) -> Any:
    record = entry.get("record") if isinstance(entry, dict) else None
    return {**entry, "record": newest_form(record)} if isinstance(record, dict) else entry


def encode_race(race: Race) -> bytes:
    """The race as indented JSON, ending in a newline."""
    return to_json(race, indent=1) + b"\n"


def race_digest(fields: dict[str, Any]) -> str:
    """SHA-256 (hexadecimal) of a race's JSON fields: of what was raced, without what is derived,
    its records by digests of their own."""
    content = {name: fields[name] for name in fields if name not in ("digest", "standings")}
    content = retyped(content, Race)
    if isinstance(content.get("entries"), list):
        content["entries"] = [_by_digest(entry) for entry in content["entries"]]
    stated = {name: value for name, value in content.items() if value is not None}
    return hashlib.sha256(msgspec.json.encode(stated, order="sorted")).hexdigest()


def _by_digest(entry: Any) -> Any:
    record = entry.get("record") if isinstance(entry, dict) else None
    return {**entry, "record": digest_of(record)} if isinstance(record, dict) else entry


def is_intact_race(fields: dict[str, Any]) -> bool:
    """Whether the fields are those the digest was taken of."""
    return fields.get("digest") == race_digest(fields)


def sealed_race(race: Race) -> Race:
    """The race with the digest of its content."""
    return msgspec.structs.replace(race, digest=race_digest(msgspec.to_builtins(race)))
