"""Temporary files: where the user wants them, seen by no one else, and gone in the end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from epochmark.bench.process.lock import measuring_alone
from epochmark.bench.process.temporary import temporary_folder
from epochmark.errors import EpochmarkError
from tests.pipeline.program import TIMEOUT_S, Program, read_until


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("variable", ["TMPDIR", "TEMP", "TMP"])
@pytest.mark.parametrize("problem", ["not there", "a file", "not for writing"])
def test_a_wrong_folder_is_an_error_that_names_it(
    program: Program, variable: str, problem: str
) -> None:
    """Else the run would go on elsewhere, under another lock than its neighbours'."""
    wrong = program.folder / "wrong"
    if problem == "a file":
        wrong.touch()
    elif problem == "not for writing":
        wrong.mkdir(mode=0o500)
        if os.access(wrong, os.W_OK):
            wrong = Path("/proc/self")  # root writes everywhere but here
    done = program.run("run", "fake", environment={"TMPDIR": None, variable: str(wrong)})
    assert done.returncode == 2
    assert f"{wrong}, as {variable} says" in done.stderr
    assert "Set TMPDIR to a writable folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert program.records() == []


def test_a_full_folder_is_named_with_advice(program: Program) -> None:
    """A real limit of a file's size, below that of the weights."""
    command = shlex.join(program.command("run", "fake"))
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 1000; exec {command}"],
        env=program.variables({}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1
    assert f"temporary files cannot be written in {program.folder / 'tmp'}" in done.stderr
    assert "set TMPDIR to another folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert left_in(program.folder / "tmp") == []


def test_what_a_killed_launcher_left_is_removed_by_the_next_run(program: Program) -> None:
    temporary = program.folder / "tmp"
    program.script(fail_in="fit", fail_how="hang")
    killed = program.start("run", "fake")
    read_until(killed, "training")
    workers = psutil.Process(killed.pid).children(recursive=True)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=TIMEOUT_S)
    psutil.wait_procs(workers, timeout=10)
    assert any("weights" in name for name in left_in(temporary))

    program.script()
    assert program.run("run", "fake").returncode == 0
    assert left_in(temporary) == []


def test_only_our_own_abandoned_folders_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's folder of such a name, a link to a folder of ours, and one in use stay."""
    temporary, elsewhere = tmp_path / "tmp", tmp_path / "elsewhere"
    for folder in (temporary, elsewhere, temporary / "epochmark-results"):
        folder.mkdir()
    precious = temporary / "epochmark-results" / "record.json"
    precious.write_text("{}", encoding="utf-8")
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    with temporary_folder("weights") as ours:
        copied = [file.name for file in ours.iterdir()]
    (elsewhere / "left").mkdir()
    for name in copied:
        (elsewhere / "left" / name).touch()
    (temporary / "epochmark-weights-link").symlink_to(elsewhere / "left")
    marked_by_a_link = temporary / "epochmark-weights-marked"
    marked_by_a_link.mkdir()
    for name in copied:
        (marked_by_a_link / name).symlink_to(elsewhere / "left" / name)
    (temporary / "epochmark-weights-left").mkdir()
    for name in copied:
        (temporary / "epochmark-weights-left" / name).touch()
    (temporary / "epochmark-weights-left" / "link").symlink_to(elsewhere)

    monkeypatch.setenv("TMPDIR", str(temporary))
    with temporary_folder("weights") as in_use, measuring_alone(lambda holder: None):
        assert left_in(temporary) == sorted(
            [
                "epochmark-results",
                "epochmark-weights-link",
                "epochmark-weights-marked",
                in_use.name,
            ]
        )
    assert precious.exists()
    assert (elsewhere / "left").is_dir()


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_what_stands_in_the_place_of_the_lock_is_refused_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    precious, lock = tmp_path / "precious", tmp_path / f"epochmark-{os.getuid()}.lock"
    precious.write_text("years of work", encoding="utf-8")
    if kind == "link":
        lock.symlink_to(precious)
    elif kind == "hard link":
        lock.hardlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with pytest.raises(EpochmarkError, match=str(lock)), measuring_alone(lambda holder: None):
        pass
    assert precious.read_text("utf-8") == "years of work"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a file of another user")
def test_another_users_lock_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    lock = tmp_path / f"epochmark-{os.getuid()}.lock"
    lock.touch(0o666)
    os.chown(lock, 12345, 12345)
    with (
        pytest.raises(EpochmarkError, match="not a private file of this user"),
        measuring_alone(lambda holder: None),
    ):
        pass
