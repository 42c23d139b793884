"""The races on this machine: kept, read, and checked. What follows from turns is not believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from epochmark._version import __version__
from epochmark.analysis.racing.standings import standings
from epochmark.errors import EpochmarkError
from epochmark.judge.check import Checked, check_record, name_of, same_figure
from epochmark.judge.reading import decode_record
from epochmark.judge.results import UnreadableFile
from epochmark.records.dates import is_credible, moment
from epochmark.records.json_text import RecordError, parsed, retyped
from epochmark.records.race import (
    Race,
    RaceEntry,
    Standing,
    encode_race,
    is_intact_race,
    upgraded_race,
)
from epochmark.records.store import RecordFolder
from epochmark.records.upgrades import encode_record

FOLDER = "races"
"""Beside the records of runs."""


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
    problems = [*_digest(stored), *_entries(stored), *_dates(race)]
    differences = [*_standings(stored, race)]
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


def _standings(stored: dict[str, Any], race: Race) -> Iterator[str]:
    """What stands in the file against what the turns give."""
    try:
        said = msgspec.convert(retyped(stored, Race)["standings"], list[Standing])
    except (KeyError, msgspec.ValidationError):
        said = []
    if len(said) != len(race.standings):
        yield f"it has {len(said)} standings of {len(race.standings)} entries"
        return
    for entry, claim, truth in zip(race.entries, said, race.standings, strict=True):
        for field in msgspec.structs.fields(Standing):
            ours, theirs = getattr(truth, field.name), getattr(claim, field.name)
            if not same_figure(theirs, ours):
                yield f"it says {field.name} {theirs} of {entry.name}, its turns give {ours}"


@dataclass(frozen=True)
class StoredRace:
    """A race and the file it came from."""

    file: Path
    race: Race


class RaceFiles(RecordFolder):
    """The folder of races, beside the records of runs."""

    @classmethod
    def of_user(cls) -> Self:
        return cls(super().of_user().folder / FOLDER)

    def save(self, race: Race) -> Path:
        """Write the race, if it can be read again, and return its path. Raises
        ``EpochmarkError``."""
        document = encode_race(race)
        try:
            decode_race(document)
        except RecordError as error:
            raise EpochmarkError(f"no document can be made of this race: {error}") from error
        return self.write_file(f"{race.created[:10]}-race-{race.id[:8]}.json", document)

    def load(self) -> tuple[list[StoredRace], list[UnreadableFile]]:
        """All races, oldest first, and the files that could not be read."""
        found: list[StoredRace] = []
        unreadable: list[UnreadableFile] = []
        for file, content in self.documents():
            try:
                if not isinstance(content, bytes):
                    raise RecordError(str(content))
                found.append(StoredRace(file, decode_race(content)))
            except RecordError as error:
                unreadable.append(UnreadableFile(file, str(error)))
        found.sort(key=lambda stored: (stored.race.created, stored.race.id))
        return found, unreadable

    def find(self, id_start: str) -> StoredRace | None:
        """The race whose id begins so; None for none. Raises ``EpochmarkError`` (exit code 2) for
        several."""
        matches = [stored for stored in self.load()[0] if stored.race.id.startswith(id_start)]
        if len(matches) > 1:
            ids = ", ".join(stored.race.id for stored in matches[:5])
            raise EpochmarkError(
                f"{len(matches)} races have an id that begins with {id_start!r}: {ids}; type more "
                "of it",
                exit_code=2,
            )
        return matches[0] if matches and id_start else None

    def remove(self, stored: StoredRace) -> None:
        """Delete a race's file."""
        try:
            stored.file.unlink()
        except OSError as error:
            raise EpochmarkError(f"{stored.file} cannot be removed: {error.strerror}") from error
