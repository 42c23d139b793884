"""What a results folder may hold, and what its records may say, harms no one who looks at them."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

import epochmark
from epochmark.bench.scrub import scrubbed, scrubbed_record
from epochmark.cli import app
from epochmark.errors import EpochmarkError
from epochmark.hardware.machine import machine_id
from epochmark.judge.results import ResultFiles
from epochmark.records.record import Record
from epochmark.report.subject import subject_of
from tests.report.samples import finished, machine, sample

HOSTILE = "a\u202ebcd\u2066\u200f\x1b[2J\x9b2J\u2028e"


def dated(number: int, created: str) -> Record:
    """A valid run of this date."""
    return finished(msgspec.structs.replace(sample(number), created=created))


def invoke(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("created", ["2031-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_a_date_that_cannot_be_is_never_the_newest(results: ResultFiles, created: str) -> None:
    """In the table, for whoever names an engine, in the report, and among bundles."""
    odd, newest = dated(2, created), dated(1, "2026-11-20T10:00:00Z")
    for record in (odd, newest, dated(3, "2026-11-10T10:00:00Z")):
        results.save(record)
    assert results.load()[0][-1].record.id == newest.id
    subject = subject_of(epochmark.load_results(), [], None)
    assert subject.focus is not None
    assert subject.focus.id == newest.id
    assert [own.id for own in subject.newest_own()] == [newest.id]
    assert newest.id[:8] in invoke("explain")
    assert newest.id[:8] in invoke("explain", "native")


@pytest.fixture
def hostile(results: ResultFiles) -> Record:
    """A record all of whose free text turns the direction of writing and moves the cursor."""
    record = sample(1)
    replace = msgspec.structs.replace
    on = replace(machine(), cpu=HOSTILE, model=HOSTILE, os=HOSTILE, kernel=HOSTILE)
    engine = replace(
        record.engine, title=HOSTILE, versions={HOSTILE: HOSTILE}, settings={HOSTILE: HOSTILE}
    )
    device = replace(record.device, resolved_description=HOSTILE)
    record = finished(
        replace(record, label=HOSTILE, machine=on, engine=engine, device=device,
                environment={HOSTILE: HOSTILE})
    )  # fmt: skip
    results.save(record)
    return record


@pytest.mark.parametrize(
    "arguments",
    [
        ("results", "list"),
        ("results", "list", "--json"),
        ("results", "show", "0001"),
        ("results", "show", "0001", "--json"),
        ("table",),
        ("table", "--json"),
        ("table", "--format", "csv"),
        ("table", "--format", "markdown"),
        ("table", "--format", "html"),
        ("explain", "0001"),
        ("explain", "0001", "--json"),
    ],
    ids=" ".join,
)
def test_no_text_of_a_record_turns_or_moves_what_is_shown(
    hostile: Record, arguments: tuple[str, ...]
) -> None:
    shown = CliRunner().invoke(app, list(arguments)).output
    assert shown
    assert [c for c in shown if not c.isprintable() and c not in "\r\n"] == []
    if "show" in arguments and "--json" in arguments:
        assert json.loads(shown)["label"] == HOSTILE
    if "csv" in arguments:
        assert len(list(csv.DictReader(io.StringIO(shown)))) > 1


def test_nor_what_is_written_for_others(hostile: Record, tmp_path: Path) -> None:
    for name, command in (("report.html", "report"), ("bundle.json", "results export")):
        file = tmp_path / name
        option = ["-o"] if command == "report" else []
        invoke(*command.split(), *option, str(file))
        text = file.read_text("utf-8")
        assert [c for c in text if not c.isprintable() and c not in "\n\t"] == []
    (problem,) = [result.problems for result in epochmark.check(tmp_path / "bundle.json")]
    assert "cannot be printed" in str(problem)


def test_files_with_names_of_ours_are_not_written_through_links(
    results: ResultFiles, tmp_path: Path
) -> None:
    results.save(sample(1))
    precious = tmp_path / "precious"
    for name, command in (
        ("report.html", ["report"]),
        ("page.html", ["report", "-o", str(results.folder / "page.html")]),
        ("out.json", ["results", "export", str(results.folder / "out.json")]),
    ):
        precious.write_text("precious")
        (results.folder / name).symlink_to(precious)
        invoke(*command)
        assert precious.read_text() == "precious"
        assert not (results.folder / name).is_symlink()
    (results.folder / "machine-id").unlink()
    (results.folder / "machine-id").symlink_to(precious)
    fresh = machine_id(results.folder)
    assert fresh is not None
    assert precious.read_text() == "precious"
    assert machine_id(results.folder) == fresh
    (results.folder / "circle.html").symlink_to("circle.html")
    invoke("report", "-o", str(results.folder / "circle.html"))


@pytest.mark.parametrize("name", ["machine-id", "machine-limits", "tuned-settings", "a.json"])
def test_a_pipe_in_the_place_of_a_file_blocks_nothing(results: ResultFiles, name: str) -> None:
    results.save(sample(1))
    os.mkfifo(results.folder / name)
    done = threading.Event()

    def theme() -> None:
        machine_id(results.folder)
        CliRunner().invoke(app, ["report"])
        CliRunner().invoke(app, ["explain", "0001"])
        done.set()

    looking = threading.Thread(target=theme, daemon=True)
    looking.start()
    looking.join(timeout=60)
    assert done.is_set(), f"{name} blocks"


def test_all_text_of_a_record_is_scrubbed_where_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/srv/people/ada")
    record = sample(1, label="/srv/people/ada")
    replace = msgspec.structs.replace
    said = "cached in /srv/people/ada/.cache and /home/bob/x; not /srv/people/adam\x1b"
    scrubbed_said = "cached in ~/.cache and ~/x; not /srv/people/adam "
    engine = replace(record.engine, settings={"cache": said}, versions={"numpy": said})
    device = replace(record.device, resolved_description=said)
    made = scrubbed_record(
        replace(record, engine=engine, device=device, environment={"XLA_FLAGS": said})
    )
    assert made.engine.settings == {"cache": scrubbed_said}
    assert made.engine.versions == {"numpy": scrubbed_said}
    assert made.device.resolved_description == scrubbed_said
    assert made.environment == {"XLA_FLAGS": scrubbed_said}
    assert made.label == "/srv/people/ada"
    assert made.timing == record.timing


def test_without_a_home_folder_nothing_is_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")
    assert scrubbed("no file /opt/lib/x.so") == "no file /opt/lib/x.so"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 4_000_001)  # an id that no passwd entry has
    assert scrubbed("no file /opt/lib/x.so") == "no file /opt/lib/x.so"
    monkeypatch.delenv("EPOCHMARK_RESULTS", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    with pytest.raises(EpochmarkError, match="set HOME, or EPOCHMARK_RESULTS"):
        ResultFiles.of_user()
    monkeypatch.setenv("EPOCHMARK_RESULTS", "~/results")
    with pytest.raises(EpochmarkError, match="set HOME, or EPOCHMARK_RESULTS"):
        ResultFiles.of_user()
    monkeypatch.setenv("EPOCHMARK_RESULTS", "/srv/results")
    assert ResultFiles.of_user().folder == Path("/srv/results")
