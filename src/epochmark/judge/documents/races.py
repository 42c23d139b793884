"""The races on this machine: kept, read, and checked. What follows from turns is not believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from epochmark._version import __version__
from epochmark.analysis.racing.standings import standings
from epochmark.judge._checks.shape import unprintable_text
from epochmark.judge.check import Checked, check_record, name_of
from epochmark.judge.documents.files import DocumentFiles, differing
from epochmark.judge.reading import decode_record
from epochmark.records.dates import is_credible, moment
from epochmark.records.documents.race import (
    Race,
    RaceEntry,
    encode_race,
    is_intact_race,
    upgraded_race,
)
from epochmark.records.json_text import RecordError, parsed
from epochmark.records.upgrades import encode_record


def decode_race(document: bytes) -> Race:
    """A race from JSON of any schema we know, its standings derived again. Raises ``RecordError``.

    The document is not trusted: it is bounded, every field is checked, every record in it read as
    any other.
    """
    race = upgraded_race(document)
    try:
        moment(race.created)
    except ValueError:
        raise RecordError(f"there is no such date: {race.created}") from None
    race = msgspec.structs.replace(race, entries=[*map(_judged, race.entries)])
    return msgspec.structs.replace(race, standings=standings(race))


def _judged(entry: RaceEntry) -> RaceEntry:
    record = decode_record(encode_record(entry.record))
    taken = entry.warm_up_laps + sum(turn.laps for turn in entry.turns)
    if taken > len(record.timing.laps):
        raise RecordError(
            f"{entry.name!r} has turns of {taken} laps, and {len(record.timing.laps)}"
        )
    starts = [turn.start_s for turn in entry.turns]
    if starts != sorted(starts):
        raise RecordError(f"the turns of {entry.name!r} are not in time order")
    return msgspec.structs.replace(entry, record=record)


def check_race(document: bytes) -> Checked:
    """Derive everything in the JSON of a race again, its records' included, and compare."""
    try:
        race = decode_race(document)
    except RecordError as error:
        return Checked(name_of(document), None, (f"it cannot be read: {error}",))
    stored: dict[str, Any] = parsed(document)
    problems = [*_digest(stored), *_entries(stored), *_dates(race), *_text(race)]
    names = [entry.name for entry in race.entries]
    differences = [*differing(stored, "standings", race, names)]
    if race.epochmark_version == __version__:
        problems, differences = [*problems, *differences], []
    return Checked(race.id, None, tuple(problems), tuple(differences), race)


def _digest(stored: dict[str, Any]) -> Iterator[str]:
    if not is_intact_race(stored):
        yield "its content was changed after it was written: the digest does not match"


def _entries(stored: dict[str, Any]) -> Iterator[str]:
    for entry in stored["entries"]:
        checked = check_record(msgspec.json.encode(entry["record"]))
        yield from (f"{entry['name']}: {problem}" for problem in checked.problems)


def _dates(race: Race) -> Iterator[str]:
    if not is_credible(race.created):
        yield f"it cannot have been raced at {race.created}"


def _text(race: Race) -> Iterator[str]:
    """Its own; that of its records is checked with them."""
    own = msgspec.structs.replace(race, entries=[], standings=[])
    yield from unprintable_text([own, [entry.name for entry in race.entries]])


class RaceFiles(DocumentFiles[Race]):
    """The folder of races, beside the records of runs."""

    folder_name = "races"
    noun = "race"

    def encode(self, document: Race) -> bytes:
        return encode_race(document)

    def decode(self, document: bytes) -> Race:
        return decode_race(document)
