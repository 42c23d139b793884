"""What identifies MNIST: the SHA-256 of its four original files, whatever they were packed in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from epochmark.workloads.mnist_files import (
    IDX_FILES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
)

SHA256: Mapping[str, str] = {
    TRAIN_IMAGES.name: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    TRAIN_LABELS.name: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    TEST_IMAGES.name: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    TEST_LABELS.name: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

Contents = Mapping[str, bytes]
"""The bytes of the four IDX files by file name."""


class SourceError(Exception):
    """One source does not yield MNIST; the message is the reason, without the source's name."""


def idx_contents(arrays: Mapping[str, npt.NDArray[np.uint8]]) -> Contents:
    """The four files' bytes from arrays by file name.

    Raises ``SourceError`` unless each array is uint8 and of its file's shape.
    """
    contents: dict[str, bytes] = {}
    for file in IDX_FILES:
        array = arrays[file.name]
        if array.dtype != np.uint8 or array.shape != file.shape:
            raise SourceError(
                f"{file.name} would have {array.dtype} values of shape {array.shape}, "
                f"not uint8 of shape {file.shape}"
            )
        contents[file.name] = file.header + array.tobytes()
    return contents


def verify_contents(contents: Contents) -> None:
    """Raise ``SourceError`` naming the first file whose bytes are not the original's."""
    for file in IDX_FILES:
        if hashlib.sha256(contents[file.name]).hexdigest() != SHA256[file.name]:
            raise SourceError(f"SHA-256 of {file.name} is not that of MNIST")


def verify_folder(folder: Path) -> None:
    """Raise ``SourceError`` unless ``folder`` holds the four original files, byte for byte."""
    for file in IDX_FILES:
        path = folder / file.name
        try:
            if not path.is_file():
                raise SourceError(f"{file.name} is missing")
            if path.stat().st_size != file.size:
                raise SourceError(
                    f"{file.name} has {path.stat().st_size} bytes, expected {file.size}"
                )
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise SourceError(f"{file.name}: {error.strerror or error}") from error
        if digest != SHA256[file.name]:
            raise SourceError(f"SHA-256 of {file.name} is not that of MNIST")
