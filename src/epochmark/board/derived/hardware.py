"""Hardware by the name its owners use, so that alike machines stand together."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources

from epochmark.analysis.machine.gpus import GPU_POWER_LIMIT, gpu_facts
from epochmark.records.record import Machine, Record
from epochmark.report.figures import device_id, device_name

_NOISE = re.compile(
    r"\((?:R|TM|C)\)|[®™]|@.*$|\b(?:CPU|Processor|GeForce)\b|\b(?:\d+|Dual|Quad|Six|Eight)-Core\b"
    r"|\b(?:with|w/) Radeon.*$|\bRev [0-9.]+$|^\d+th Gen (?=Intel)"
    r"|^NVIDIA (?=(?:GeForce )?(?:RTX|GTX))",
    re.IGNORECASE,
)
"""What makers and systems add to a name, and owners leave out."""
LONGEST_SLUG = 60


@cache
def chips() -> dict[str, list[str]]:
    """``chips.json``: the usual name of a chip, and how drivers and systems write it."""
    text = (resources.files("epochmark.board.derived") / "chips.json").read_text("utf-8")
    table: dict[str, list[str]] = json.loads(text)
    return table


@cache
def _usual() -> dict[str, str]:
    """Names in lower case, and the usual ones."""
    return {name.lower(): usual for usual, names in chips().items() for name in (usual, *names)}


def usual_name(reported: str) -> str:
    """What a chip is called that a system calls so: its alias, else the name without trademarks,
    clocks, core counts."""
    plain = " ".join(_NOISE.sub(" ", reported).split()) or reported
    return _usual().get(reported.lower()) or _usual().get(plain.lower(), plain)


def device_kind(record: Record) -> str:
    """``cpu``, ``gpu`` or ``tpu``, without the device's number."""
    return device_id(record).partition(":")[0]


def chip_name(record: Record) -> str:
    """The chip that trained."""
    return usual_name(device_name(record))


def slug_of(name: str) -> str:
    """A name as part of a page's address: ``amd-epyc-9b14``. Several names may share one."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_SLUG] or "unnamed"


def hardware_name(record: Record) -> str:
    """The chip, and how much of it could be used: a virtual machine and a power mode are other
    hardware, of a processor also fewer cores and a quota, of a GPU its power limit."""
    machine = record.machine
    own = _cores_of(machine) if device_kind(record) == "cpu" else _power_limit_of(record)
    return ", ".join([chip_name(record), *own, *_limits_of(machine)])


def _cores_of(machine: Machine) -> list[str]:
    cores = machine.usable_cores
    parts = [f"{cores} usable core{'s' if cores != 1 else ''}"]
    if machine.cpu_quota is not None:
        parts.append(f"time for {machine.cpu_quota:g} of them")
    return parts


def _power_limit_of(record: Record) -> list[str]:
    """Older records and some drivers do not have it."""
    limit = gpu_facts(record).get(GPU_POWER_LIMIT)
    return [] if limit is None else [f"power limit {limit}"]


def _limits_of(machine: Machine) -> list[str]:
    parts = ["virtual machine"] if machine.virtualized else []
    if machine.power_mode is not None:
        parts.append(f"power mode {machine.power_mode}")
    return parts
