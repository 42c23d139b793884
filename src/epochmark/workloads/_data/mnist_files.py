"""The four original MNIST files in IDX format, and how to read a folder that holds them.

Runs in the worker too, so in foreign interpreters: Python 3.9, standard library and numpy only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple, Union

import numpy as np
import numpy.typing as npt


class IdxFile(NamedTuple):
    """One file in IDX format: big-endian 32-bit magic and shape, then one unsigned byte a value.

    The magic is 0x0800 (unsigned bytes) plus the number of dimensions. ``sha256`` is that of the
    original file (hexadecimal).
    """

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def header(self) -> bytes:
        """What the file must begin with."""
        return np.array([0x0800 + len(self.shape), *self.shape], dtype=">i4").tobytes()

    @property
    def size(self) -> int:
        """Size of the whole file in bytes."""
        return len(self.header) + int(np.prod(self.shape))


TRAIN_IMAGES = IdxFile(
    "train-images-idx3-ubyte",
    (60_000, 28, 28),
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
)
TRAIN_LABELS = IdxFile(
    "train-labels-idx1-ubyte",
    (60_000,),
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
)
TEST_IMAGES = IdxFile(
    "t10k-images-idx3-ubyte",
    (10_000, 28, 28),
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
)
TEST_LABELS = IdxFile(
    "t10k-labels-idx1-ubyte",
    (10_000,),
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
IDX_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

Bytes = npt.NDArray[np.uint8]


def read_idx_folder(
    folder: Union[str, Path], verify: bool = False
) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Training images, training labels, test images, test labels, all uint8 and read-only.

    Shapes ``(60000, 28, 28)``, ``(60000,)``, ``(10000, 28, 28)``, ``(10000,)``. Raises
    ``ValueError`` for a file of another size or header or for a label above 9, ``OSError`` for one
    that cannot be read; with ``verify`` also for one whose bytes are not the original's. A worker
    wants that: the files that ``epochmark.datasets`` has verified may be others by now.
    """
    train_images, train_labels, test_images, test_labels = (
        _read_idx(Path(folder) / file.name, file, verify) for file in IDX_FILES
    )
    for labels, file in ((train_labels, TRAIN_LABELS), (test_labels, TEST_LABELS)):
        if labels.max() > 9:
            raise ValueError(f"{file.name}: a label is {labels.max()}, expected 0 to 9")
    return train_images, train_labels, test_images, test_labels


def _read_idx(path: Path, file: IdxFile, verify: bool) -> Bytes:
    with path.open("rb") as stream:
        content = stream.read(file.size + 1)
    if len(content) != file.size:
        at_least = "more than " if len(content) > file.size else ""
        raise ValueError(
            f"{path}: {at_least}{min(len(content), file.size)} bytes, expected {file.size}"
        )
    if not content.startswith(file.header):
        raise ValueError(f"{path}: not the IDX header of {file.name}")
    if verify and hashlib.sha256(content).hexdigest() != file.sha256:
        raise ValueError(f"{path}: not MNIST's {file.name}; it was changed after it was verified")
    values = np.frombuffer(content, dtype=np.uint8, offset=len(file.header))
    return values.reshape(file.shape)
