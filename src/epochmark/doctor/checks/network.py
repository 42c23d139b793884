"""The network, for what is not here yet: packages of engines."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator

from epochmark.doctor.contract import Check, Line, note, ok
from epochmark.doctor.facts import Facts
from epochmark.environments.requirements import NUMPY
from epochmark.hardware.gpus.asking import ToolOutput, ask

_PIP = ("pip", "index", "versions", "--retries=0", "--timeout=2", "--disable-pip-version-check")

ANSWER_S = 2.0
"""pip itself takes half a second of that to start on an ordinary machine."""


def examine(facts: Facts) -> Iterator[Line]:
    """pip is asked for a package that every engine needs, wherever it is configured to look."""
    package = NUMPY.partition(">")[0]
    said = ask([sys.executable, "-P", "-m", *_PIP, package], ANSWER_S)
    line = index_line(said, package)
    if line is not None:
        yield line


def index_line(said: ToolOutput | None, package: str) -> Line | None:
    """What pip's answer means; None where this Python has no pip, which only environments need."""
    if said is None or "No module named pip" in said.text:
        return None
    if said.status == 0 and package in said.text:
        return ok("pip reaches its package index")
    if said.status is None:
        again = shlex.join([sys.executable, "-m", *_PIP[:3], package])
        return note(
            f"pip had no answer from its package index within {ANSWER_S:g} seconds",
            f"{again}    (without this limit)",
        )
    lines = [line for line in said.text.splitlines() if line.startswith("ERROR: ")]
    why = lines[0].removeprefix("ERROR: ")[:200] if lines else f"exit status {said.status}"
    return note(
        f"pip does not reach its package index ({why}): engines cannot be installed",
        "pip config list    shows where it looks; HTTPS_PROXY names a proxy",
    )


CHECK = Check(
    name="network",
    looks_at="whether pip, as it is configured, reaches its package index",
    notes="it does not, or not within two seconds: only installing engines needs it",
    faults="none",
    examine=examine,
    needs_drivers=False,
)
