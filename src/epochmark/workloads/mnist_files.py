"""The four original MNIST files in IDX format, and how to read a folder that holds them.

Runs in the worker too, so in foreign interpreters: Python 3.9, standard library and numpy only.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Union

import numpy as np
import numpy.typing as npt


class IdxFile(NamedTuple):
    """One file in IDX format: big-endian 32-bit magic and shape, then one unsigned byte a value.

    The magic is 0x0800 (unsigned bytes) plus the number of dimensions.
    """

    name: str
    shape: tuple[int, ...]

    @property
    def header(self) -> bytes:
        """What the file must begin with."""
        return np.array([0x0800 + len(self.shape), *self.shape], dtype=">i4").tobytes()

    @property
    def size(self) -> int:
        """Size of the whole file in bytes."""
        return len(self.header) + int(np.prod(self.shape))


TRAIN_IMAGES = IdxFile("train-images-idx3-ubyte", (60_000, 28, 28))
TRAIN_LABELS = IdxFile("train-labels-idx1-ubyte", (60_000,))
TEST_IMAGES = IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28))
TEST_LABELS = IdxFile("t10k-labels-idx1-ubyte", (10_000,))
IDX_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

Bytes = npt.NDArray[np.uint8]


def read_idx_folder(folder: Union[str, Path]) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Training images, training labels, test images, test labels, all uint8 and read-only.

    Shapes ``(60000, 28, 28)``, ``(60000,)``, ``(10000, 28, 28)``, ``(10000,)``. Raises
    ``ValueError`` for a file of another size or header or for a label above 9, ``OSError`` for one
    that cannot be read. Content is not verified here: ``epochmark.datasets`` does that once, before
    a worker is started.
    """
    train_images, train_labels, test_images, test_labels = (
        _read_idx(Path(folder) / file.name, file) for file in IDX_FILES
    )
    for labels, file in ((train_labels, TRAIN_LABELS), (test_labels, TEST_LABELS)):
        if labels.max() > 9:
            raise ValueError(f"{file.name}: a label is {labels.max()}, expected 0 to 9")
    return train_images, train_labels, test_images, test_labels


def _read_idx(path: Path, file: IdxFile) -> Bytes:
    with path.open("rb") as stream:
        content = stream.read(file.size + 1)
    if len(content) != file.size:
        at_least = "more than " if len(content) > file.size else ""
        raise ValueError(
            f"{path}: {at_least}{min(len(content), file.size)} bytes, expected {file.size}"
        )
    if not content.startswith(file.header):
        raise ValueError(f"{path}: not the IDX header of {file.name}")
    values = np.frombuffer(content, dtype=np.uint8, offset=len(file.header))
    return values.reshape(file.shape)
