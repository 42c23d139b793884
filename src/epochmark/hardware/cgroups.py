"""The control groups that limit our CPU time and memory, as a container's do: version 2 and 1.

``root`` is where the system's ``proc`` and ``sys`` folders lie. ``/proc/self/mountinfo`` says where
a hierarchy is mounted and which part of it (proc_pid_mountinfo(5)), ``/proc/self/cgroup`` which
group is ours (cgroups(7)). A container may see the last part of that path only, so of the groups
around us those count whose files are there.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path, PurePosixPath

MOST_CPUS = 1e6
UNLIMITED_BYTES = 1 << 60
"""From here on a limit is none: version 1 writes the largest number of pages that there can be."""

MOST_BYTES = 1 << 16
"""Read of a file about memory: they have some kilobytes."""
MEMORY_FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Of version 2 and 1: the limit, what is in use, and what of ``memory.stat`` counts pages of files
(Linux, cgroup-v2.rst and cgroup-v1/memory.rst)."""


def quota_statistics(root: Path = Path("/")) -> Path | None:
    """The ``cpu.stat`` of the group that allows us the least CPU time; of equals the nearest."""
    tightest = min(_quotas(root), key=itemgetter(0), default=None)
    return None if tightest is None else tightest[1] / "cpu.stat"


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The least CPUs' worth of time that a group around us allows; None where none limits it."""
    return min((quota for quota, _ in _quotas(root)), default=None)


def memory_limit(root: Path = Path("/")) -> int | None:
    """The least bytes of memory that a group around us allows; None where none limits them."""
    limits = []
    files = [
        group / maximum
        for controller, (maximum, _, _) in MEMORY_FILES.items()
        for group in _groups(root, controller)
    ]
    for file in files:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(_start_of(file)))  # or "max"
    return min((limit for limit in limits if 0 < limit < UNLIMITED_BYTES), default=None)


def memory_left(root: Path = Path("/")) -> int | None:
    """The least bytes that a group around us can still give: its limit less what is in use in it,
    without pages of files that are dropped when memory is short. None where none limits them, or
    says what is in use."""
    left = []
    for controller, (maximum, usage, droppable) in MEMORY_FILES.items():
        for group in _groups(root, controller):
            with contextlib.suppress(OSError, ValueError):
                limit = int(_start_of(group / maximum))  # or "max"
                if 0 < limit < UNLIMITED_BYTES:
                    used = int(_start_of(group / usage)) - _droppable(group, droppable)
                    left.append(max(0, limit - max(0, used)))
    return min(left, default=None)


def _droppable(group: Path, name: str) -> int:
    """Bytes of files that were not used lately; 0 where the group does not say."""
    with contextlib.suppress(OSError):
        found = re.search(rf"(?m)^{name} (\d{{1,18}})$", _start_of(group / "memory.stat"))
        return int(found[1]) if found else 0
    return 0


def _start_of(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(MOST_BYTES).decode("ascii", errors="replace")


def _quotas(root: Path) -> list[tuple[float, Path]]:
    """Every group around us that limits our CPU time, and to how many CPUs; the nearest first."""
    readers: dict[str, Callable[[Path], tuple[str, str]]] = {"": _quota_2, "cpu": _quota_1}
    found = []
    for controller, read in readers.items():
        for group in _groups(root, controller):
            with contextlib.suppress(OSError, ValueError, ArithmeticError):
                allowed, period = read(group)
                cpus = int(allowed) / int(period)  # or "max"; -1: no limit
                if 0 < cpus < MOST_CPUS:
                    found.append((cpus, group))
    return found


def _quota_2(group: Path) -> tuple[str, str]:
    """Microseconds of CPU time in each period of that length."""
    allowed, period = (group / "cpu.max").read_text("ascii").split()
    return allowed, period


def _quota_1(group: Path) -> tuple[str, str]:
    allowed = (group / "cpu.cfs_quota_us").read_text("ascii")
    return allowed, (group / "cpu.cfs_period_us").read_text("ascii")


def _groups(root: Path, controller: str) -> list[Path]:
    """Our group in this controller's hierarchy and those around it, the nearest first; that of
    version 2 has no name. Some of the folders may not be there."""
    own = _own_group(root, controller)
    groups: list[Path] = []
    for part, mount in _mounts(root, controller):
        inside = own.relative_to(part) if own.is_relative_to(part) else own.relative_to("/")
        folder = mount / inside
        groups += [group for group in (folder, *folder.parents) if group.is_relative_to(mount)]
    return list(dict.fromkeys(groups))


def _own_group(root: Path, controller: str) -> PurePosixPath:
    """The path of our group; ``/`` where nothing says it. One outside of our namespace begins with
    ``/..`` and cannot be seen."""
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(",") and path.startswith("/"):
            return PurePosixPath(path) if ".." not in path.split("/") else PurePosixPath("/")
    return PurePosixPath("/")


def _mounts(root: Path, controller: str) -> Iterator[tuple[PurePosixPath, Path]]:
    """Which part of the controller's hierarchy is mounted, and where; the usual place where nothing
    says so."""
    found = False
    for line in _lines(root / "proc/self/mountinfo"):
        fields, _, behind = line.partition(" - ")
        kind, _, options = behind.partition(" ")
        names = options.rpartition(" ")[2].split(",")
        is_version_1 = kind == "cgroup" and controller in names
        if is_version_1 or (kind, controller) == ("cgroup2", ""):
            part, place = (_plain(field) for field in f"{fields}     ".split(" ")[3:5])
            found = True
            yield PurePosixPath("/", part), root / place.lstrip("/")
    if not found:
        yield PurePosixPath("/"), root / "sys/fs/cgroup" / controller


def _plain(field: str) -> str:
    """A path as mountinfo writes it, with octal numbers for spaces and the like."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
