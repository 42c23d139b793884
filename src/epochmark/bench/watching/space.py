"""Before minutes are spent: is there room for a run's temporary files?"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from epochmark.bench.request import RunRequest
from epochmark.errors import EpochmarkError
from epochmark.records.wording import counted
from epochmark.workloads import Workload
from epochmark.workloads._proof.memory import state_bytes
from epochmark.workloads._proof.training_state import STATES
from epochmark.workloads.memory_traffic import FLOAT_BYTES
from epochmark.workloads.shapes import parameter_count

WEIGHTS_FILES = 2
"""The initial weights, and those of the replay."""


def temporary_bytes(workload: Workload) -> int:
    """What the files of a run take: weights, and the training states that the worker writes."""
    weights = FLOAT_BYTES * parameter_count(workload)
    return WEIGHTS_FILES * weights + STATES * state_bytes(workload)


def free_bytes(folder: Path) -> int | None:
    """What is free there for this user; None where the system does not say."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free
    return None


def check_space(request: RunRequest, folder: Path, runs: int = 1) -> None:
    """Raise ``EpochmarkError`` (exit code 2), with the figures, where the temporary files of a run,
    or of several at the same time, would not fit into the folder for them."""
    need, free = runs * temporary_bytes(request.workload), free_bytes(folder)
    if free is None or need <= free:
        return
    raise EpochmarkError(
        f"the temporary files of {counted(runs, 'run')} of {request.workload.name} need "
        f"{need / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free in {folder}.\n"
        "Free some space there, or set TMPDIR to another folder.",
        exit_code=2,
    )
