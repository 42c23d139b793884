"""The environment a worker starts from: ours for interpreters of ours, the user's for others."""

from __future__ import annotations

import contextlib
import os
import site
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path

from epochmark.engines._shared.variables import known_variables

_KEPT = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "DYLD_LIBRARY_PATH",
    "PATH",
    "TMPDIR",
    "TZ",
    "XDG_CACHE_HOME",
    "CUDA_HOME",
    "CUDA_PATH",
    "GLOO_SOCKET_IFNAME",
    "NCCL_SOCKET_IFNAME",
    "OCL_ICD_VENDORS",
    "ROCM_PATH",
)
"""What a run needs, besides what chooses its device. All else that could change the work stays
behind: threads, precision, layout, compilers, caches and switches are those of the framework
itself."""

_COMPILERS = ("CC", "CXX")

_PATHS = (
    "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME", "CUDA_HOME", "CUDA_PATH", "OCL_ICD_VENDORS", "ROCM_PATH",
    "PYTHONHOME", "PYTHONUSERBASE", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH", "CONDA_PREFIX",
    "VIRTUAL_ENV",
)  # fmt: skip
"""Folders, and lists of them, that mean the folder we were started in; a worker has its own. Those
of frameworks are in the files of the engines."""

_PRELOADED = ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES")
"""Names of libraries are looked up; only those with a separator are paths."""


def own_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker in an interpreter of ours gets: the allow-list, without the user's packages and
    without the user's files that would change precision or layout."""
    known = known_variables()
    names = {*_KEPT, *known.places, *known.handed} - {*_COMPILERS}
    kept = {name: value for name, value in environment.items() if name in names}
    return {**_absolute(kept), "PYTHONNOUSERSITE": "1", **dict(known.fixed)}


def with_our_packages(environment: Mapping[str, str]) -> dict[str, str]:
    """For our own interpreter: where it has numpy only through the user's settings (``pip install
    --user``, ``PYTHONPATH``), the worker gets that folder as well."""
    users = {*_users_folders()}
    if PathFinder.find_spec("numpy", [entry for entry in sys.path if entry not in users]):
        return dict(environment)
    found = PathFinder.find_spec("numpy", [entry for entry in sys.path if entry in users])
    if found is None or found.origin is None:
        return dict(environment)
    return {**environment, "PYTHONPATH": str(Path(found.origin).absolute().parent.parent)}


def _users_folders() -> Iterator[str]:
    """Entries of our search path that the user's settings put there."""
    for entry in ("", *os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        yield entry
        with contextlib.suppress(FileNotFoundError):  # the folder we are in was deleted
            yield str(Path(entry).absolute())
    yield site.getusersitepackages()


def foreign_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker in the user's own interpreter gets: everything, as it is, paths made absolute.

    Only what macOS sets for *our* interpreter is left out: it would make another one take ours for
    itself.
    """
    return _absolute(
        {name: value for name, value in environment.items() if name != "__PYVENV_LAUNCHER__"}
    )


def _absolute(environment: Mapping[str, str]) -> dict[str, str]:
    """The same, whatever the folder a process starts in."""
    absolute = dict(environment)
    for name in (*_PATHS, *known_variables().folders):
        if name in environment and "://" not in environment[name]:
            entries = environment[name].split(os.pathsep)
            absolute[name] = os.pathsep.join(map(_from_here, entries))
    for name in _PRELOADED:
        if name in environment:
            entries = environment[name].replace(os.pathsep, " ").split()
            absolute[name] = " ".join(
                _from_here(entry) if os.sep in entry else entry for entry in entries
            )
    return absolute


def _from_here(path: str) -> str:
    """Absolute, from the folder we are in; what is empty or begins with a home folder stays."""
    return path if not path or path.startswith("~") else str(Path(path).absolute())
