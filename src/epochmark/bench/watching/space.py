"""Before minutes are spent: is there room for a run's temporary files?"""

from __future__ import annotations

import contextlib
import shutil

from epochmark.bench.process.temporary import temporary_root
from epochmark.bench.request import RunRequest
from epochmark.errors import EpochmarkError
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


def free_temporary_bytes() -> int | None:
    """What is free for this user where temporary files go; None where that is not known."""
    with contextlib.suppress(OSError, EpochmarkError):  # what is wrong there, the run itself says
        return shutil.disk_usage(temporary_root()).free
    return None


def check_space(request: RunRequest) -> None:
    """Raise ``EpochmarkError`` (exit code 2), with the figures, where the temporary files of a run
    would not fit."""
    need, free = temporary_bytes(request.workload), free_temporary_bytes()
    if free is None or need <= free:
        return
    raise EpochmarkError(
        f"the temporary files of a run of {request.workload.name} need {need / 1e6:,.0f} MB, and "
        f"{free / 1e6:,.0f} MB are free in {temporary_root()}.\n"
        "Free some space there, or set TMPDIR to another folder.",
        exit_code=2,
    )
