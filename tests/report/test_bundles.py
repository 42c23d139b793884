"""Records leave one machine in a bundle and arrive on another, checked."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

import epochmark
from epochmark.cli import app
from epochmark.errors import EpochmarkWarning
from epochmark.judge.results import ResultFiles
from epochmark.records.bundle import sum_of_records
from epochmark.records.digest import digest_of
from epochmark.records.upgrades import encode_record
from tests.report.samples import failed, finished, machine, sample
from tests.report.test_check import judged

SAVED = Path(__file__).parents[1] / "records"


def bundle_of(records: list[dict[str, Any]]) -> bytes:
    """A bundle with the right sum, whatever is in it."""
    return json.dumps(
        {
            "epochmark_bundle": 1,
            "epochmark_version": "0.1.0",
            "sha256": sum_of_records(records),
            "records": records,
        }
    ).encode()


def fields_of(number: int, **changes: Any) -> dict[str, Any]:
    """A record's fields with top-level changes and a digest that fits them."""
    fields: dict[str, Any] = {**json.loads(encode_record(sample(number))), **changes}
    return {**fields, "digest": digest_of(fields)}


def test_records_arrive_as_they_left_but_for_the_machine_id(
    results: ResultFiles, tmp_path: Path
) -> None:
    records = [judged(record) for record in (sample(1), sample(2, label="<b>ü</b>"), failed(3))]
    epochmark.export_results(records, tmp_path / "bundle.json")
    added, refused = epochmark.import_results(tmp_path / "bundle.json")
    assert refused == []
    without_id = [
        msgspec.structs.replace(r, machine=msgspec.structs.replace(r.machine, machine_id=None))
        for r in records
    ]
    assert added == without_id
    by_id = sorted(epochmark.load_results(), key=lambda record: record.id)
    assert by_id == without_id
    assert [result.problems for result in epochmark.check(tmp_path / "bundle.json")] == [(), (), ()]


def test_the_machine_id_goes_along_when_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    epochmark.export_results([sample(1)], file, keep_machine_ids=True)
    assert epochmark.load_results(file)[0].machine.machine_id == "0" * 16


def test_importing_twice_changes_nothing(results: ResultFiles, tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    epochmark.export_results([sample(1)], file)
    epochmark.import_results(file)
    assert epochmark.import_results(file) == ([], [])
    assert len(list(results.folder.glob("*.json"))) == 1


def test_a_single_record_file_can_be_imported(results: ResultFiles, tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_bytes(encode_record(sample(1)))
    added, _ = epochmark.import_results(file)
    assert [record.id for record in added] == [sample(1).id]


def test_an_edited_record_is_refused_and_the_others_are_taken(
    results: ResultFiles, tmp_path: Path
) -> None:
    edited = fields_of(2)
    edited["learning"]["test_accuracy"] = 0.9999
    file = tmp_path / "bundle.json"
    file.write_bytes(bundle_of([fields_of(1), edited, fields_of(3)]))
    added, refused = epochmark.import_results(file)
    assert [record.id for record in added] == [sample(1).id, sample(3).id]
    assert [result.name for result in refused] == [sample(2).id]


def test_a_record_cannot_take_the_place_of_another(results: ResultFiles, tmp_path: Path) -> None:
    """Neither under its id nor under one that begins the same, which would give the same file."""
    results.save(sample(1))
    before = {file.name: file.read_bytes() for file in results.folder.iterdir()}
    for other_id in (sample(1).id, sample(1).id[:8] + "ffff"):
        twin = finished(msgspec.structs.replace(sample(1, step_s=0.001), id=other_id))
        with pytest.warns(EpochmarkWarning, match="implausible"):
            epochmark.export_results([twin], tmp_path / "bundle.json")
        added, refused = epochmark.import_results(tmp_path / "bundle.json")
        assert (added, len(refused)) == ([], 1)
    assert {file.name: file.read_bytes() for file in results.folder.iterdir()} == before


@pytest.mark.parametrize("name", ["../../escaped", "/etc/escaped", "a\0b", "a/b", "", "x" * 300])
def test_an_engine_name_never_leads_out_of_the_folder(
    results: ResultFiles, tmp_path: Path, name: str
) -> None:
    fields = fields_of(1)
    fields["engine"]["name"] = name
    fields["digest"] = digest_of(fields)
    file = tmp_path / "bundle.json"
    file.write_bytes(bundle_of([fields]))
    added, refused = epochmark.import_results(file)
    assert (added, len(refused)) == ([], 1)
    assert list(tmp_path.rglob("*escaped*")) == []


@pytest.mark.parametrize(
    "records",
    [
        [{}], [None], [[]], ["text"], [1e400], [{"schema": 99}], [{"schema": 1, "id": "x"}],
        [{"id": {"a": "b"}}],
    ],
)  # fmt: skip
def test_broken_records_are_refused_one_by_one(
    results: ResultFiles, tmp_path: Path, records: list[Any]
) -> None:
    file = tmp_path / "bundle.json"
    file.write_bytes(bundle_of([*records, fields_of(1)]).replace(b"Infinity", b"1"))
    added, refused = epochmark.import_results(file)
    assert [record.id for record in added] == [sample(1).id]
    assert refused


def test_a_bundle_has_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bundle.json"
    file.write_bytes(bundle_of([{}] * 10_001))
    with pytest.raises(epochmark.EpochmarkError, match="neither a bundle nor a record"):
        epochmark.check(file)
    monkeypatch.setattr("epochmark.records.bundle.MAX_BUNDLE_BYTES", 100)
    with pytest.raises(epochmark.EpochmarkError, match="larger than"):
        epochmark.check(file)


def test_a_newer_bundle_is_refused_with_advice(tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    for document in (
        bundle_of([]).replace(b'"epochmark_bundle": 1', b'"epochmark_bundle": 2'),
        b'{"epochmark_bundle": 2, "what": "version 1 does not know"}',
    ):
        file.write_bytes(document)
        with pytest.raises(epochmark.EpochmarkError, match="upgrade epochmark"):
            epochmark.load_results(file)


def invoke(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


def test_a_run_of_a_bundle_is_compared_without_importing_it(
    results: ResultFiles, tmp_path: Path
) -> None:
    results.save(sample(1, step_s=0.02))
    single, several = str(tmp_path / "one.json"), str(tmp_path / "several.json")
    there = sample(2, step_s=0.04, on=machine("Another"))
    epochmark.export_results([there], single)
    epochmark.export_results([there, sample(3)], several)
    for arguments in (("native", single), ("native", "0002", "--with", several)):
        code, said = invoke("compare", *arguments)
        assert code == 0, said
        assert "times as fast" in said
    assert "0002" in invoke("explain", single)[1]
    for arguments, reason in (
        (("native", several), "holds 2 records, not one (00020000, 00030000"),
        (("native", "00", "--with", several), "2 records have an id that begins with '00'"),
        (("native", "0009", "--with", several), "no result has an id"),
    ):
        code, said = invoke("compare", *arguments)
        assert code == 2
        assert reason in said
    assert len(list(results.folder.glob("*.json"))) == 1


def test_an_export_names_the_records_that_will_be_refused(
    results: ResultFiles, tmp_path: Path
) -> None:
    old = SAVED / "native-2-epochs.json"
    results.folder.mkdir(exist_ok=True)
    (results.folder / old.name).write_bytes(old.read_bytes())
    results.save(sample(1))
    file = str(tmp_path / "bundle.json")
    code, said = invoke("results", "export", file)
    assert (code, "2 records exported" in said) == (0, True)
    old_id = json.loads(old.read_text("utf-8"))["id"]
    assert said.count("will refuse") == 1
    assert f"check and import will refuse {old_id}:\n" in said
    assert "  - the finding parity-failed is missing" in said
    assert invoke("results", "import", file)[0] == 1


def test_nothing_to_export_and_nothing_new_are_said(results: ResultFiles, tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    code, said = invoke("results", "export", str(file))
    assert code == 2
    assert "epochmark run" in said
    assert not file.exists()
    epochmark.export_results([sample(1)], file)
    assert invoke("results", "import", str(file)) == (0, "1 record imported\n")
    assert "here already" in invoke("results", "import", str(file))[1]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_what_is_written_to_be_shared_can_be_read_by_others_and_follows_links(
    results: ResultFiles, tmp_path: Path
) -> None:
    file, link = tmp_path / "bundle.json", tmp_path / "link.json"
    link.symlink_to(file)
    before = os.umask(0o027)
    try:
        epochmark.export_results([sample(1)], link)
    finally:
        os.umask(before)
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert stat.S_IMODE(results.save(sample(1)).stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes like these")
def test_a_bundle_can_be_written_into_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    epochmark.export_results([sample(1)], pipe)
    reader.join()
    assert json.loads(read[0])["epochmark_bundle"] == 1
    assert pipe.is_fifo()
