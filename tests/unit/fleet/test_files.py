"""Files from anywhere: what is broken is named, the others are read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from epochmark.errors import EpochmarkError
from epochmark.fleet.files import MAX_RUNS, FleetFiles, read_fleet, read_names
from epochmark.records.bundle import encode_bundle
from epochmark.records.machine.limits_file import save_limits
from epochmark.records.upgrades import encode_record
from tests.report.samples import machine, machine_limits
from tests.unit.fleet.samples import records_of


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A bundle of a node's six runs."""
    file = tmp_path / "sound.json"
    file.write_bytes(encode_bundle(records_of("a"), keep_machine_ids=True))
    return file


def read_beside(sound: Path, content: bytes) -> FleetFiles:
    """The sound file and one with this content."""
    broken = sound.with_name("broken.json")
    broken.write_bytes(content)
    found = read_fleet([broken, sound])
    assert len(found.runs) == 6
    return found


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"PK\x03\x04", "it is not valid JSON"),
        (b"\xff\xfe", "it is not text in UTF-8"),
        (b'{"hello": "world"}', "it is not a bundle of records"),
        (b'{"epochmark_bundle": 99, "records": []}', "it is a bundle of version 99"),
        (b"[" * 100_000, ""),
        (b'{"schema": 99, "timing": 1}', "it has schema 99"),
    ],
)
def test_a_foreign_file_is_named_and_the_others_are_read(
    sound: Path, content: bytes, why: str
) -> None:
    (trouble,) = read_beside(sound, content).troubles
    assert trouble.startswith(f"{sound.with_name('broken.json')}: ")
    assert why in trouble


def test_a_changed_record_is_left_out_of_its_bundle(sound: Path) -> None:
    document = json.loads(sound.read_bytes())
    document["records"][0]["timing"]["laps"][5]["end_ns"] += 1
    found = read_fleet([write(sound, document)])
    assert len(found.runs) == 5
    assert any("it was changed after it was written" in trouble for trouble in found.troubles)
    assert any("it is not as it was written" in trouble for trouble in found.troubles)


def write(sound: Path, document: object) -> Path:
    file = sound.with_name("changed.json")
    file.write_text(json.dumps(document), "utf-8")
    return file


def test_a_bundle_of_thousands_of_broken_records_is_one_short_complaint(sound: Path) -> None:
    document = json.loads(sound.read_bytes())
    document["records"] = [{"schema": 4}] * 5_000
    found = read_beside(sound, json.dumps(document).encode())
    assert len(found.troubles) == 4
    assert found.troubles[-1].endswith("4,998 more records that cannot be read")


def test_what_might_block_is_refused(sound: Path) -> None:
    pipe = sound.with_name("pipe.json")
    os.mkfifo(pipe)
    found = read_fleet([pipe, sound])
    assert found.troubles == [f"{pipe}: it is not a regular file"]


def test_a_missing_file_is_named(sound: Path) -> None:
    missing = sound.with_name("missing.json")
    assert read_fleet([missing, sound]).troubles == [f"{missing}: No such file or directory"]


def test_no_run_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"")
    with pytest.raises(
        EpochmarkError, match=r"no run could be read:\n.*a\.json: it is empty"
    ) as no:
        read_fleet([tmp_path])
    assert no.value.exit_code == 2


def test_a_folder_stands_for_its_json_files(tmp_path: Path) -> None:
    for number, record in enumerate(records_of("a")):
        (tmp_path / f"{number}.json").write_bytes(encode_record(record))
    (tmp_path / "notes.txt").write_text("not one of them")
    found = read_fleet([tmp_path])
    assert len(found.runs) == 6
    assert found.troubles == []


def test_more_runs_than_can_be_held_are_refused(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_RUNS > 60_000
    monkeypatch.setattr("epochmark.fleet.files.MAX_RUNS", 10)
    with pytest.raises(EpochmarkError, match="more than 10 runs"):
        read_fleet([sound, sound])


def test_limits_are_read_as_such(sound: Path) -> None:
    saved = save_limits(sound.parent, machine_limits(machine()), "limits.json")
    found = read_fleet([sound, saved])
    assert [each.machine for each in found.limits] == [machine()]
    assert found.troubles == []


def test_progress_is_told_by_file(sound: Path) -> None:
    told: list[tuple[int, int]] = []
    read_fleet([sound, sound], lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_names_are_lines_of_ids_and_names(tmp_path: Path) -> None:
    file = tmp_path / "names"
    file.write_text("# rack 1\nabc123  node-1 # left\n\ndef456 node 2\n")
    assert read_names(file) == {"abc123": "node-1", "def456": "node 2"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"abc123\n", "line 1: a machine id and a name are wanted"),
        (b"abc123 " + b"n" * 256, "line 1: the name has more than 255 characters"),
        (b"\xff\xfe", "cannot be read"),
        (b"x" * (5 << 20), "it is larger than 4 MiB"),
    ],
)
def test_what_is_no_list_of_names_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "names"
    file.write_bytes(content)
    with pytest.raises(EpochmarkError, match=why) as refused:
        read_names(file)
    assert refused.value.exit_code == 2
