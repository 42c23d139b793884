"""The folder of result files: written whole, found by shortened id, never trusted."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import msgspec
import pytest

from epochmark.errors import EpochmarkError
from epochmark.judge.results import ResultFiles
from epochmark.records.files import write_atomically
from tests.unit.samples import FOLDER, record


@pytest.fixture
def files(tmp_path: Path) -> ResultFiles:
    return ResultFiles(tmp_path / "new" / "results")


def test_a_saved_record_comes_back(files: ResultFiles) -> None:
    saved = record()
    file = files.save(saved, b"what the worker wrote")
    assert file.name == f"2026-11-24-fake-cpu-{saved.id[:8]}.json"
    assert file.with_suffix(".stderr.txt").read_bytes() == b"what the worker wrote"
    stored, unreadable = files.load()
    assert [(each.file, each.record) for each in stored] == [(file, saved)]
    assert unreadable == []
    files.remove(stored[0])
    assert list(files.folder.iterdir()) == []


def test_no_name_of_a_device_leads_out_of_the_folder(files: ResultFiles) -> None:
    device = msgspec.structs.replace(record().device, requested="gpu:1/../../../x")
    with pytest.raises(EpochmarkError, match=r"'gpu:1/\.\./\.\./\.\./x' is not a device"):
        files.save(msgspec.structs.replace(record(), device=device))
    assert not list(files.folder.parent.rglob("*.json"))


def test_records_come_oldest_first(files: ResultFiles) -> None:
    for number, day in enumerate((3, 1, 2)):
        created = f"2026-01-0{day}T00:00:00Z"
        files.save(msgspec.structs.replace(record(), id=f"{number}" * 12, created=created))
    stored, _ = files.load()
    assert [each.record.created[9] for each in stored] == ["1", "2", "3"]


def test_an_empty_or_missing_folder_has_no_records(files: ResultFiles, tmp_path: Path) -> None:
    assert files.load() == ([], [])
    tmp_path.joinpath("file").write_text("no folder")
    assert ResultFiles(tmp_path / "file").load() == ([], [])


def test_odd_files_are_named_and_the_rest_is_read(files: ResultFiles) -> None:
    """None of them may block the listing (a FIFO, a device), fill the memory, or end it."""
    good = files.save(record())
    folder = files.folder
    os.mkfifo(folder / "fifo.json")
    (folder / "folder.json").mkdir()
    (folder / "endless.json").symlink_to("/dev/zero")
    (folder / "dangling.json").symlink_to("nowhere")
    (folder / "circle.json").symlink_to("circle.json")
    (folder / "empty.json").touch()
    (folder / "cut.json").write_bytes(good.read_bytes()[:500])
    (folder / "latin.json").write_bytes(b'{"schema": 1, "label": "gr\xfc\xdfe"}')
    with (folder / "huge.json").open("wb") as huge:
        huge.truncate(1 << 40)
    stored, unreadable = files.load()
    assert [each.file for each in stored] == [good]
    reasons = {each.file.name: each.reason for each in unreadable}
    assert set(reasons) == {
        "fifo.json", "folder.json", "endless.json", "dangling.json", "circle.json", "empty.json",
        "cut.json", "latin.json", "huge.json",
    }  # fmt: skip
    assert "larger than 16 MiB" in reasons["huge.json"]
    assert reasons["fifo.json"] == reasons["endless.json"] == "it is not a regular file"


def test_an_id_may_be_shortened_while_it_is_unique(files: ResultFiles) -> None:
    for identifier in ("abc100000000", "abc200000000", "f00000000000"):
        files.save(msgspec.structs.replace(record(), id=identifier))
    assert files.find("f").record.id == "f00000000000"
    assert files.find("abc1").record.id == "abc100000000"
    for wrong, message in (
        ("abc", "abc100000000, abc200000000; type more of it"),
        ("", "no result has an id"),
        ("0", "no result has an id"),
        ("*", "no result has an id"),
        ("F", "no result has an id"),
    ):
        with pytest.raises(EpochmarkError) as raised:
            files.find(wrong)
        assert message in str(raised.value)
        assert raised.value.exit_code == 2


def test_a_copied_file_is_no_ambiguous_id(files: ResultFiles) -> None:
    file = files.save(record())
    shutil.copy(file, files.folder / "backup.json")
    with pytest.raises(EpochmarkError, match=r"backup\.json are copies of one record"):
        files.find(record().id)


def test_writing_replaces_the_file_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text("old")
    write_atomically(file, b"new")
    assert file.read_text() == "new"
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.json"]
    with pytest.raises(OSError, match="Not a directory"):
        write_atomically(file / "below.json", b"")


def test_a_file_system_that_cannot_sync_folders_is_good_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network and FUSE file systems answer EINVAL; the file itself is whole by then."""
    really = os.fsync

    def files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        really(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    write_atomically(tmp_path / "file.json", b"content")
    assert (tmp_path / "file.json").read_bytes() == b"content"


def test_the_users_folder_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCHMARK_RESULTS", str(FOLDER))
    assert len(ResultFiles.of_user().load()[0]) == len(list(FOLDER.glob("*.json")))
    monkeypatch.delenv("EPOCHMARK_RESULTS")
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert ResultFiles.of_user().folder.name == "results"
