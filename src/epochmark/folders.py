"""Folders of the user's: results, environments, caches; and who has no home."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from epochmark.errors import EpochmarkError


def user_folder(variable: str, name: str) -> Path:
    """The folder that an environment variable names, else ``name`` in the user's data folder.

    Raises ``EpochmarkError`` where no home folder is known (``in_home``).
    """
    named = os.environ.get(variable)
    if named:
        folder = in_home(Path(named).expanduser, f"{variable} to other than {named}")
        return folder.absolute()
    import platformdirs

    data = in_home(
        lambda: platformdirs.user_data_path("epochmark"), f"{variable} to a folder for {name}"
    )
    return data / name


def in_home(find: Callable[[], Path], instead: str) -> Path:
    """The folder that ``find`` gives, which it may look for in the user's home folder.

    Raises ``EpochmarkError`` where that is unknown (no ``HOME``, and no entry for this user among
    the system's); ``instead`` says what else to do then.
    """
    try:
        found = find()
    except RuntimeError:  # of Path.expanduser, and of platformdirs
        found = Path("~")
    if found.parts[:1] == ("~",):  # older versions of platformdirs leave it so
        raise EpochmarkError(f"no home folder is known here: set HOME, or {instead}", exit_code=2)
    return found


def user_cache(instead: str) -> Path:
    """Our folder of copies and answers that can be had again.

    Raises ``EpochmarkError`` where no home folder is known (``in_home``).
    """
    import platformdirs

    return in_home(
        lambda: Path(platformdirs.user_cache_dir("epochmark", appauthor=False)),
        f"XDG_CACHE_HOME to a folder for copies{instead}",
    )
