"""Documents of races that are not trusted, and what is said of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from typer.testing import CliRunner

from epochmark.analysis.racing.standings import gate
from epochmark.analysis.racing.verdict import GateVerdict
from epochmark.cli import app
from epochmark.judge.documents.races import RaceFiles, check_race, decode_race
from epochmark.judge.results import ResultFiles
from epochmark.records.bundle import documents_in, encode_bundle
from epochmark.records.documents.kinds import kind_of
from epochmark.records.documents.race import (
    Race,
    Standing,
    encode_race,
    is_intact_race,
    race_digest,
)
from epochmark.records.json_text import RecordError
from epochmark.records.record import Record
from epochmark.report.text.race import race_lines
from tests.report.samples import sample, sample_race
from tools import write_docs

ODD: tuple[Any, ...] = (None, -1, 2**70, "x" * 5000, [[]])


def places_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container in a document with a key of it, but of lists only the first entry."""
    keys = value if isinstance(value, dict) else range(min(1, len(value)))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places_of(value[key])


def test_odd_values_are_read_or_refused_in_words() -> None:
    fields = json.loads(encode_race(sample_race(0.02, 0.03)))
    refused = 0
    for container, key in list(places_of(fields)):
        before = container[key]
        for value in ODD:
            container[key] = value
            with contextlib.suppress(RecordError):
                race_lines(decode_race(json.dumps(fields).encode()))
                refused -= 1
            refused += 1
        container[key] = before
    assert refused > 100
    decode_race(json.dumps(fields).encode())


def test_the_published_schema_takes_and_refuses_what_reading_does() -> None:
    schema = json.loads((write_docs.DOCS / "race.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    fields = json.loads(encode_race(sample_race(0.02, 0.03)))
    assert validator.is_valid(fields)
    in_record = {id(container) for container, _ in places_of(fields["entries"][0]["record"])}
    refused = 0
    for container, key in [*places_of(fields)]:
        if id(container) in in_record:
            continue
        before = container[key]
        for value in ODD:
            container[key] = value
            assert validator.is_valid(fields) == fits(fields), (key, value)
            refused += not fits(fields)
        container[key] = before
    assert refused > 50


def fits(fields: dict[str, Any]) -> bool:
    """Whether the fields have the types of a race."""
    try:
        msgspec.convert(fields, Race)
    except msgspec.ValidationError:
        return False
    return True


def test_numbers_that_another_tool_rewrote_are_the_same_race() -> None:
    race = sample_race(0.02, 0.03)
    fields = json.loads(encode_race(race))
    fields["max_seconds"] = int(fields["max_seconds"])
    assert is_intact_race(fields)
    fields["max_seconds"] += 1
    assert not is_intact_race(fields)
    assert race_digest(fields) != race.digest


def test_text_of_a_race_that_cannot_be_printed_is_named() -> None:
    race = msgspec.structs.replace(sample_race(0.010, 0.020), label="a\x1b[2Jb")
    text = "it has text that cannot be printed: 'a\\x1b[2Jb'"
    assert text in check_race(encode_race(race)).problems
    assert text not in check_race(encode_race(sample_race(0.010, 0.020))).problems


def test_a_bundle_holds_races_beside_records_without_machine_ids() -> None:
    race = sample_race(0.02, 0.03)
    documents, whole = documents_in(encode_bundle([sample(1), race]))
    assert whole
    assert [kind_of(document) for document in documents] == [Record, Race]
    exported = decode_race(documents[1])
    assert exported.digest == race.digest
    assert {entry.record.machine.machine_id for entry in exported.entries} == {None}


@pytest.mark.parametrize("command", ["results rm", "results show", "report", "check"])
def test_an_id_of_a_race_and_a_record_is_none(results: ResultFiles, command: str) -> None:
    files = [results.save(sample(1)), RaceFiles.of_user().save(sample_race(0.02, 0.03))]
    done = CliRunner().invoke(app, [*command.split(), "000"])
    assert done.exit_code == 2
    assert "several results have an id that begins with '000'" in done.stderr
    assert all(file.exists() for file in files)
    assert CliRunner().invoke(app, ["results", "rm", "0000"]).exit_code == 0
    assert [file.exists() for file in files] == [True, False]


def test_a_report_of_a_race_has_the_records_of_a_bundle(
    results: ResultFiles, tmp_path: Path
) -> None:
    """Of the user's own it has none, since only a race is named."""
    results.save(sample(1))
    race = sample_race(0.02, 0.03)
    RaceFiles.of_user().save(race)
    bundle, page = tmp_path / "bundle.json", tmp_path / "page.html"
    bundle.write_bytes(encode_bundle([sample(2), sample(3)]))
    command = ["report", "0000", "--with", str(bundle), "-o", str(page)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.stderr
    assert "report of 2 records" in done.stdout
    assert sample(1).id[:8] not in page.read_text("utf-8")


def test_a_gate_is_for_entries_beside_the_first() -> None:
    slower, faster = sample_race(0.02, 0.03), sample_race(0.03, 0.02)
    ratio = slower.standings[1].ratio
    assert ratio is not None
    for race, allowed, verdict in (
        (slower, 0.03, GateVerdict.FAIL),
        (faster, 0.03, GateVerdict.PASS),
        (slower, ratio - 1, GateVerdict.STRADDLES),
    ):
        gated = msgspec.structs.replace(race, gate=allowed)
        assert gate(gated, gated.standings) is verdict
        assert race_lines(gated)[-1].startswith("Gate: ")


def test_a_race_whose_time_is_over_says_what_the_looks_found() -> None:
    ending = race_lines(sample_race(0.02, 0.03))[-1]
    assert ending.endswith("given: no look before found every ratio known to 1 %.")


def test_a_gate_is_undecided_of_an_entry_that_is_out() -> None:
    for steps_s, verdict in (
        ((0.03, 0.02, 0.02), GateVerdict.STRADDLES),
        ((0.02, 0.03, 0.02), GateVerdict.FAIL),
    ):
        raced = msgspec.structs.replace(sample_race(*steps_s), gate=0.03)
        out = Standing(place="out", reason="it crashed")
        found = [*raced.standings[:2], out]
        assert gate(raced, found) is verdict
