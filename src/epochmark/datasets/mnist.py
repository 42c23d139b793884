"""What identifies MNIST: the SHA-256 of its four original files, whatever they were packed in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from epochmark.workloads._data.mnist_files import IDX_FILES

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
        if hashlib.sha256(contents[file.name]).hexdigest() != file.sha256:
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
        if digest != file.sha256:
            raise SourceError(f"SHA-256 of {file.name} is not that of MNIST")
