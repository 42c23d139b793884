"""The cache of a data set: kept whole by every run, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from epochmark.datasets import cache, get_mnist, mnist_status
from epochmark.datasets.cache import cache_folder, store
from epochmark.datasets.mirrors import NpzMirror
from epochmark.datasets.mnist import Contents, verify_folder
from epochmark.errors import EpochmarkError
from epochmark.workloads._data.mnist_files import IDX_FILES, TEST_LABELS
from tests.unit.datasets.shelf import Shelf, only_mnist_in_cache, quiet

pytestmark = [
    pytest.mark.slow,  # downloads, unpacks and verifies all of MNIST again and again
    pytest.mark.usefixtures("home"),
]

CONTENTS_FROM_URL = """
import sys
from epochmark.datasets import get_mnist
from epochmark.datasets.mirrors import NpzMirror
from epochmark.errors import EpochmarkError
try:
    print(get_mnist(None, lambda what, done, total: None, [NpzMirror(sys.argv[1])]))
except EpochmarkError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("damage", ["changed byte", "missing file", "cut file", "a file instead"])
def test_damaged_cache_is_reported_and_replaced(
    damage: str, contents: Contents, shelf: str, npz: bytes
) -> None:
    folder = store(contents, cache_folder())
    victim = folder / TEST_LABELS.name
    if damage == "changed byte":
        victim.write_bytes(contents[victim.name][:-1] + b"\xff")
    elif damage == "missing file":
        victim.unlink()
    elif damage == "cut file":
        victim.write_bytes(contents[victim.name][:-1])
    else:
        folder.rename(folder.parent / "aside")
        for path in (folder.parent / "aside").iterdir():
            path.unlink()
        (folder.parent / "aside").rmdir()
        folder.write_text("not a folder")
    assert mnist_status().state == "damaged"
    Shelf.files = {"/mnist.npz": npz}
    said: list[str] = []
    get_mnist(None, lambda what, done, total: said.append(what), [NpzMirror(f"{shelf}mnist.npz")])
    verify_folder(folder)
    assert any("is damaged" in what for what in said)
    assert only_mnist_in_cache()


def test_status_of_a_good_cache(contents: Contents) -> None:
    assert mnist_status().state == "absent"
    store(contents, cache_folder())
    status = mnist_status()
    assert (status.state, status.detail) == ("verified", "")
    assert status.size_bytes == sum(file.size for file in IDX_FILES)


def test_leftovers_of_a_killed_run_are_cleared(contents: Contents) -> None:
    leftover = cache_folder().parent / "incoming-mnist-killed"
    leftover.mkdir(parents=True)
    (leftover / "part").write_bytes(b"x")
    store(contents, cache_folder())
    assert only_mnist_in_cache()


def test_another_run_that_never_ends_writing_is_explained(
    contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = cache_folder().parent
    parent.mkdir(parents=True)
    monkeypatch.setattr(cache, "_LOCK_WAIT_S", 0.0)
    holder = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(EpochmarkError, match="another run has been writing there"):
            store(contents, cache_folder())
    finally:
        os.close(holder)
    verify_folder(store(contents, cache_folder()))


def test_file_system_without_locks_still_gets_a_cache(
    contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    verify_folder(store(contents, cache_folder()))
    assert only_mnist_in_cache()


def test_ctrl_c_while_writing_leaves_nothing(
    contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store(contents, cache_folder())
    assert list(cache_folder().parent.iterdir()) == []


def start(url: str, before: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", before + CONTENTS_FROM_URL, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src")},
    )


@pytest.mark.parametrize("before", ["nothing", "a damaged cache"])
def test_two_runs_at_once_both_end_well(
    shelf: str, npz: bytes, contents: Contents, before: str
) -> None:
    if before == "a damaged cache":
        (store(contents, cache_folder()) / TEST_LABELS.name).unlink()
    Shelf.files = {"/mnist.npz": npz}
    Shelf.meeting = threading.Barrier(2)  # neither is served before both have asked
    runs = [start(f"{shelf}mnist.npz") for _ in range(2)]
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert (run.returncode, out.strip(), err) == (0, str(cache_folder()), "")
    verify_folder(cache_folder())
    assert only_mnist_in_cache()


def test_full_disk_is_explained_and_leaves_nothing(shelf: str, npz: bytes) -> None:
    Shelf.files = {"/mnist.npz": npz}
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10**7, 10**7))\n"
    run = start(f"{shelf}mnist.npz", before=limit)
    err = run.communicate(timeout=120)[1]
    assert run.returncode == 1
    assert "could not be kept" in err
    assert "File too large" in err
    assert "XDG_CACHE_HOME" in err
    assert "EPOCHMARK_DATA" in err
    assert list(cache_folder().parent.iterdir()) == []


def test_cache_that_cannot_be_made_is_explained(
    home: Path, contents: Contents, npz: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    (home / "mnist.npz").write_bytes(npz)
    with pytest.raises(EpochmarkError, match="obtained and verified, but could not be kept"):
        get_mnist(home / "mnist.npz", quiet)


def test_ctrl_c_during_a_download_leaves_nothing(shelf: str, npz: bytes) -> None:
    Shelf.files = {"/mnist.npz": npz}
    Shelf.stall = threading.Event()
    run = start(f"{shelf}mnist.npz")
    assert Shelf.reached.wait(60)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode != 0
    assert not cache_folder().parent.exists()
