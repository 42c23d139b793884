"""What lives on a node while it is measured: it starts ``epochmark run``, and trains nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

from epochmark._version import __version__
from epochmark.system import usual_niceness

SUPERVISOR = "epochmark.fleet.launchers.supervisor"
CLEARED = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
"""What Ray sets for its own workers, and what would confine a run ..."""
CLEARED_PREFIX = "RAY_"
"""... or let it take itself for one of them."""
MOST_SAID = 2_000
"""Characters of what a run wrote to stderr, from its end."""


class Done(NamedTuple):
    """What ``epochmark run --json`` printed, what it said besides, and how it ended."""

    document: bytes
    said: str
    status: int


class About(TypedDict):
    """The version of epochmark on a node, which must be ours, and the niceness of its runs; a
    dictionary, since the node may have other code than we, which says more or less."""

    epochmark: str
    niceness: int


class NodeRunner:
    """One a node; made there by the launcher's engine."""

    def about(self) -> About:
        """Asked for first."""
        return About(epochmark=__version__, niceness=usual_niceness())

    def run(self, arguments: Sequence[str]) -> Done:
        """A run in processes of its own, which end when this one does: then their input ends."""
        command = [sys.executable, "-m", SUPERVISOR, "run", *arguments, "--json"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(command, env=cleared(os.environ), stderr=said, **pipes) as running,
        ):
            assert running.stdout is not None, "it is a pipe"
            document = running.stdout.read()
            status = running.wait()
            said.seek(0)
            return Done(document, said.read().decode(errors="replace")[-MOST_SAID:], status)


def cleared(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run: without what Ray set for its own workers."""
    return {
        name: value
        for name, value in variables.items()
        if name not in CLEARED and not name.startswith(CLEARED_PREFIX)
    }
