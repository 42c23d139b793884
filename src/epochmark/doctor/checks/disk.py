"""Disks: room for results, environments and temporary files, and the right to write them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from epochmark.bench.process.temporary import temporary_root
from epochmark.doctor.contract import Check, Line, fault, note, ok
from epochmark.doctor.facts import Facts
from epochmark.engines import all_infos
from epochmark.environments.managed import FOLDER_VARIABLE, Environments
from epochmark.environments.requirements import Platform, fitting_rows
from epochmark.errors import EpochmarkError
from epochmark.folders import user_cache
from epochmark.judge.results import ResultFiles

_MB = 10**6
LEAST_MB = 60
"""For results and temporary files; MNIST takes as much."""


def examine(facts: Facts) -> Iterator[Line]:
    """A line for each folder that cannot be used, and one for all that can."""
    machine = Platform.here()
    rows = [row for info in all_infos() for row in fitting_rows(info, machine)[:1]]
    largest = max((row.installed_mb for row in rows), default=0)
    places: dict[str, tuple[str, Callable[[], Path], int]] = {
        "results": ("EPOCHMARK_RESULTS", lambda: ResultFiles.of_user().folder, LEAST_MB),
        "environments": (FOLDER_VARIABLE, lambda: Environments.of_user().folder, largest),
        "copies of data": ("XDG_CACHE_HOME", lambda: user_cache(""), LEAST_MB),
        "temporary files": ("TMPDIR", temporary_root, LEAST_MB),
    }
    good: dict[str, list[str]] = {}
    for what, (variable, find, least_mb) in places.items():
        try:
            line = folder_line(what, find(), variable, least_mb)
        except EpochmarkError as error:
            text, _, advice = str(error).partition("\n")
            line = fault(text, advice or f"set {variable} to a writable folder")
        if line.state == "ok":
            good.setdefault(line.text, []).append(what)
        else:
            yield line
    for free, names in good.items():
        yield ok(f"{free} free for {', '.join(names)}")


def folder_line(what: str, folder: Path, variable: str, least_mb: int) -> Line:
    """Whether a folder, or the nearest one above it that is there, can be written and has room.

    The text of a good one is how much."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return fault(
            f"{what} cannot be written in {there}",
            f"set {variable} to a writable folder",
        )
    free_mb = shutil.disk_usage(there).free // _MB
    text = f"{free_mb / 1000:,.1f} GB"
    if free_mb < LEAST_MB:
        return fault(
            f"only {free_mb} MB free for {what} in {there}",
            f"free some space, or set {variable} to a folder on another disk",
        )
    if free_mb < least_mb:
        return note(
            f"{text} free for {what} in {there}, and the largest engine for this machine needs "
            f"{least_mb / 1000:.1f} GB",
            f"free some space, or set {variable} to a folder on another disk",
        )
    return ok(text)


CHECK = Check(
    name="disk",
    looks_at="the folders of results, environments, copies of data and temporary files",
    notes="less room than the largest engine for this machine needs",
    faults="a folder that cannot be written, or with less than 60 MB free",
    examine=examine,
    needs_drivers=False,
)
