"""Hardware by the name its owners use, so that alike machines stand together."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources

from epochmark.records.record import Machine, Record
from epochmark.report.figures import device_id, device_name

_NOISE = re.compile(
    r"\((?:R|TM|C)\)|[®™]|@.*$|\b(?:CPU|Processor|GeForce)\b|\b\d+-Core\b|\bwith Radeon.*$"
    r"|^NVIDIA (?=(?:GeForce )?(?:RTX|GTX))",
    re.IGNORECASE,
)
"""What makers and systems add to a name, and owners leave out."""
LONGEST_SLUG = 60


@cache
def _aliases() -> dict[str, str]:
    """Names as systems report them, in lower case, and the usual ones."""
    text = (resources.files("epochmark.board.derived") / "aliases.json").read_text("utf-8")
    aliases: dict[str, str] = json.loads(text)
    return aliases


def device_kind(record: Record) -> str:
    """``cpu``, ``gpu`` or ``tpu``, without the device's number."""
    return device_id(record).partition(":")[0]


def chip_name(record: Record) -> str:
    """The chip that trained: its alias, else its name without trademarks, clocks, core counts."""
    reported = device_name(record)
    plain = " ".join(_NOISE.sub(" ", reported).split()) or reported
    return _aliases().get(reported.lower()) or _aliases().get(plain.lower(), plain)


def slug_of(name: str) -> str:
    """A name as part of a page's address: ``amd-epyc-9b14``."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_SLUG] or "unnamed"


def hardware_name(record: Record) -> str:
    """The chip, and of a processor how much of it could be used: virtual machines, fewer cores, a
    quota and a power mode are other hardware."""
    name = chip_name(record)
    return name if device_kind(record) != "cpu" else ", ".join([name, *_share_of(record.machine)])


def _share_of(machine: Machine) -> list[str]:
    cores = machine.usable_cores
    parts = [f"{cores} usable core{'s' if cores != 1 else ''}"]
    if machine.cpu_quota is not None:
        parts.append(f"time for {machine.cpu_quota:g} of them")
    if machine.virtualized:
        parts.append("virtual machine")
    if machine.power_mode is not None:
        parts.append(f"power mode {machine.power_mode}")
    return parts
