"""MNIST as mirrors have it, a server for it, and a home without any."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from epochmark.datasets.containers import NPZ_MEMBERS
from epochmark.datasets.mnist import Contents
from epochmark.workloads._data.mnist_files import IDX_FILES, read_idx_folder
from tests.unit.datasets.shelf import Shelf


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


@pytest.fixture
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
