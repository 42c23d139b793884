"""What MNIST comes packed in, sound and hostile."""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from epochmark.datasets import containers
from epochmark.datasets.containers import gunzip, read_file, read_zip
from epochmark.datasets.mnist import SourceError, verify_contents
from epochmark.workloads._data.mnist_files import (
    IDX_FILES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    read_idx_folder,
)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


ZEROS = {
    "x_train.npy": np.zeros((60_000, 28, 28), np.uint8),
    "y_train.npy": np.zeros(60_000, np.uint8),
    "x_test.npy": np.zeros((10_000, 28, 28), np.uint8),
    "y_test.npy": np.zeros(10_000, np.uint8),
}


def npz(**changed: bytes) -> bytes:
    members = {name: npy(array) for name, array in ZEROS.items()}
    return zipped(members | {f"{name}.npy": content for name, content in changed.items()})


def test_well_formed_archive_of_other_images_is_not_mnist() -> None:
    contents = read_zip(npz())
    with pytest.raises(SourceError, match="SHA-256 of train-images-idx3-ubyte is not that of"):
        verify_contents(contents)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (npy(np.zeros(60_000, np.int64)), "y_train.npy unpacks to|holds int64"),
        (npy(np.zeros(59_999, np.uint8)), r"holds uint8 values of shape \(59999,\)"),
        (npy(np.zeros(60_000, np.uint8))[:-1], "holds 59999 values"),
        (npy(np.zeros(60_000, np.uint8)) + b"x", "holds 60001 values"),
        (b"\x93NUMPY\x09\x00", "not a NumPy array file"),
        (b"", "not a NumPy array file"),
        (bytes(70_000), "unpacks to 70000 bytes"),
        (b"\x93NUMPY\x01\x00\x20\x00" + b"{'shape': (1 << 99)}".ljust(32), "not a NumPy"),
        (
            b"\x93NUMPY\x01\x00\x70\x00"
            + b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,)}".ljust(112),
            r"of shape \(1000000000000,\)",
        ),
    ],
)
def test_malformed_array_is_refused(changed: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        read_zip(npz(y_train=changed))


class Trap:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    with pytest.raises(SourceError, match="holds object values"):
        read_zip(npz(y_train=npy(np.array([Trap(trap)], dtype=object))))
    assert not trap.exists()


def test_member_that_lies_about_its_size_is_not_unpacked_further(tmp_path: Path) -> None:
    bomb = 300_000_000
    honest = zipped({"x_train.npy": b"", "y_test.npy": b"", "x_test.npy": b"", "y_train.npy": b""})
    packed = zipped(
        {"x_train.npy": bytes(bomb), "y_test.npy": b"", "x_test.npy": b"", "y_train.npy": b""}
    )
    assert len(packed) > len(honest)
    lying = packed.replace(bomb.to_bytes(4, "little"), TRAIN_IMAGES.size.to_bytes(4, "little"))
    assert lying != packed
    tracemalloc.start()
    try:
        with pytest.raises(SourceError):
            read_zip(lying)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * TRAIN_IMAGES.size


def test_member_that_declares_too_much_is_refused_unread() -> None:
    with pytest.raises(SourceError, match="unpacks to 60000000 bytes, more than"):
        read_zip(npz(x_train=bytes(60_000_000)))


@pytest.mark.parametrize(
    "packed",
    [b"", b"PK", b"PK\x03\x04" + bytes(100), zipped({"../x_train.npy": b""}), zipped({})],
)
def test_other_zip_files_are_refused(packed: bytes) -> None:
    with pytest.raises(SourceError, match="zip file"):
        read_zip(packed)


def test_damaged_zip_file_is_refused() -> None:
    packed = bytearray(npz())
    packed[2_000:2_100] = b"\xff" * 100
    with pytest.raises(SourceError, match="not a valid zip file"):
        read_zip(bytes(packed))


def test_lzma_members_are_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as archive:
        for name in ZEROS:
            archive.writestr(name, b"x")
    with pytest.raises(SourceError, match="packed in an unusual way"):
        read_zip(stream.getvalue())


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("", r"has shape"),
        ("label\n1,2\n", r"has shape \(1, 2\)"),
        ("label\n1,x\n", "not a table of bytes"),
        ("label\n1,2\n1\n", "not a table of bytes"),
        ("label\n" + "0," * 784 + "0\n", r"has shape \(1, 785\), expected \(60000, 785\)"),
        ("label\n" + "0," * 784 + "256\n", "not a table of bytes"),
    ],
)
def test_malformed_csv_is_refused(table: str, reason: str) -> None:
    packed = zipped({containers.TRAIN_CSV: table.encode(), containers.TEST_CSV: b""})
    with pytest.raises(SourceError, match=reason):
        read_zip(packed)


def test_gzip_yields_exactly_the_file() -> None:
    content = TEST_LABELS.header + bytes(10_000)
    assert gunzip(gzip.compress(content), TEST_LABELS) == content


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (b"plain text", "not a complete gzip file"),
        (gzip.compress(bytes(10_008), mtime=0)[:-9], "not a complete gzip file"),
        (gzip.compress(bytes(10_007), mtime=0), "does not unpack to 10008 bytes"),
        (gzip.compress(bytes(100_000_000), 1, mtime=0), "does not unpack to 10008 bytes"),
    ],
)
def test_other_gzip_content_is_refused(packed: bytes, reason: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=reason):
            gunzip(packed, TEST_LABELS)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_only_regular_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    large = tmp_path / "large"
    large.write_bytes(bytes(11))
    with pytest.raises(SourceError, match="not a regular file"):
        read_file(pipe)
    with pytest.raises(SourceError, match="not a regular file"):
        read_file(Path("/dev/zero"))
    with pytest.raises(SourceError, match="larger than 10 bytes"):
        read_file(large, limit=10)


def write_zeros(folder: Path) -> None:
    for file in IDX_FILES:
        (folder / file.name).write_bytes(file.header + bytes(file.size - len(file.header)))


def test_worker_reads_the_four_files(tmp_path: Path) -> None:
    write_zeros(tmp_path)
    arrays = read_idx_folder(tmp_path)
    assert [array.shape for array in arrays] == [file.shape for file in IDX_FILES]
    assert all(array.dtype == np.uint8 for array in arrays)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (TRAIN_LABELS.header + bytes(59_999), "60007 bytes, expected 60008"),
        (TRAIN_LABELS.header + bytes(60_001), "more than 60008 bytes, expected 60008"),
        (bytes(60_008), "not the IDX header"),
        (TRAIN_LABELS.header + bytes([10]) + bytes(59_999), "a label is 10"),
    ],
)
def test_worker_refuses_a_malformed_file(tmp_path: Path, content: bytes, reason: str) -> None:
    write_zeros(tmp_path)
    (tmp_path / TRAIN_LABELS.name).write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_idx_folder(tmp_path)
