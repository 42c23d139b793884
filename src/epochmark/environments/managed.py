"""The folder of managed environments: find them, hold them, remove them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from epochmark.engines import EngineInfo
from epochmark.environments.manifest import MANIFEST, Manifest, read_manifest
from epochmark.environments.requirements import (
    Platform,
    environment_name,
    fitting_rows,
    rows_of_system,
)
from epochmark.errors import EpochmarkError
from epochmark.folders import user_folder
from epochmark.system import wait_for_lock

FOLDER_VARIABLE = "EPOCHMARK_ENVIRONMENTS"
BUILDING_PREFIX = ".building-"
REMOVING_PREFIX = ".removing-"


@dataclass(frozen=True)
class Environment:
    """A finished environment."""

    folder: Path
    manifest: Manifest

    @property
    def python(self) -> Path:
        """Its interpreter; a link that must not be resolved, or the environment is lost."""
        return self.folder / "bin" / "python"

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep it from being removed by another process."""
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):  # gone: starting its interpreter will say so
                descriptor = os.open(self.folder / MANIFEST, os.O_RDONLY | os.O_CLOEXEC)
                held.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield


class Environments:
    """One folder of environments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_user(cls) -> Environments:
        """The folder named by ``EPOCHMARK_ENVIRONMENTS``, else one in the user's data folder."""
        return cls(user_folder(FOLDER_VARIABLE, "environments"))

    def all(self) -> list[Environment]:
        """Every finished environment, by name. A folder without our manifest is none."""
        found = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for folder in sorted(self.folder.iterdir()):
                manifest = None if folder.name.startswith(".") else read_manifest(folder)
                if manifest is not None and manifest.name == folder.name:
                    found.append(Environment(folder, manifest))
        return found

    def find(self, name: str) -> Environment | None:
        """The finished environment called ``name`` whose interpreter is there."""
        for environment in self.all():
            if environment.manifest.name == name and environment.python.exists():
                return environment
        return None

    def ready_for(self, info: EngineInfo, machine: Platform) -> Environment | None:
        """A finished environment for this engine, the one for the best accelerator first; last
        those for accelerators that were not seen here, which the user asked for."""
        for row in [*fitting_rows(info, machine), *rows_of_system(info, machine)]:
            environment = self.find(environment_name(row))
            if environment is not None:
                return environment
        return None

    @contextlib.contextmanager
    def changing(self, on_wait: Callable[[str], None]) -> Iterator[None]:
        """Hold the folder: no two installs at once. Leftovers of killed ones are removed.

        ``on_wait`` is called (once) with the process that holds it now.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.folder / ".lock", flags, 0o600)
        except OSError as error:
            raise EpochmarkError(
                f"environments cannot be kept in {self.folder}: {error.strerror}.\n"
                f"Set {FOLDER_VARIABLE} to a writable folder."
            ) from error
        try:
            wait_for_lock(descriptor, on_wait)
            self._remove_leftovers()
            yield
        finally:
            os.close(descriptor)

    def _remove_leftovers(self) -> None:
        for prefix in (BUILDING_PREFIX, REMOVING_PREFIX):
            for folder in self.folder.glob(f"{prefix}*"):
                if folder.is_dir() and not folder.is_symlink():
                    shutil.rmtree(folder, ignore_errors=True)

    def check_python(self, name: str, version: Sequence[int]) -> None:
        """Raise ``EpochmarkError`` (exit code 2) if ``name`` is there with another Python."""
        there = self.find(name)
        if there is not None and there.manifest.python.split(".")[:2] != [*map(str, version[:2])]:
            raise EpochmarkError(
                f"{name} already exists, with Python {there.manifest.python}.\n"
                f"To make it again with another Python: epochmark engines remove {name}",
                exit_code=2,
            )

    def check_replaceable(self, name: str) -> None:
        """Raise ``EpochmarkError`` where ``name`` is taken by what is not known to be ours, such
        as an environment whose manifest is damaged or of a newer epochmark."""
        folder = self.folder / name
        if os.path.lexists(folder):
            self._require_ours(name)

    def _require_ours(self, name: str) -> Path:
        folder = self.folder / name
        manifest = None if "/" in name or folder.is_symlink() else read_manifest(folder)
        if manifest is None or manifest.name != name:
            raise EpochmarkError(
                f"{folder} is not an environment that this epochmark made; it is left alone.\n"
                "If its manifest is damaged or from a newer version, delete that folder yourself.",
                exit_code=2,
            )
        return folder

    def remove(self, name: str) -> None:
        """Delete the environment called ``name``; call it while ``changing``.

        Raises ``EpochmarkError`` for anything that is no environment of ours, and for one that a
        run uses now. It first loses its name, so that a half-deleted one never passes for ready.
        """
        folder = self._require_ours(name)
        with contextlib.ExitStack() as held:
            descriptor = os.open(folder / MANIFEST, os.O_RDONLY | os.O_CLOEXEC)
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise EpochmarkError(
                    f"the environment {name} is in use by another epochmark run; "
                    "remove it when that has ended"
                ) from error
            doomed = self.folder / f"{REMOVING_PREFIX}{name}"
            try:
                folder.rename(doomed)
                shutil.rmtree(doomed)
            except OSError as error:
                raise EpochmarkError(
                    f"{folder} could not be removed completely: {error.strerror}: {error.filename}"
                ) from error
