"""Before minutes are spent: is another program busy on this machine right now?"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from epochmark.analysis.machine.calm import counts_all
from epochmark.analysis.timing.beside import FOREIGN_CPUS_BESIDE, has_room
from epochmark.bench.watching.watch import OpenCounters, foreign_cpu_s
from epochmark.hardware.counters import Counters
from epochmark.hardware.processes import descendants

LOOK_S = 1.0
NOTED_CPUS = 0.1
"""Over one second, from which on it is said who is busy: less is no more than the ticks of 10 ms in
which each CPU counts, and starting us is itself a stir. Beside a run that leaves half of the CPUs
idle it is the limit for a whole run."""
BUSY_CPUS = 0.3
"""From here on it is waited for: less costs a run a third at most, and may never end."""
WAIT_S = 10.0


@dataclass(frozen=True)
class Culprit:
    """The busiest foreign process: its name, CPUs used, and seconds since it started."""

    name: str
    cpus: float
    age_s: float


@dataclass(frozen=True)
class Busy:
    """Foreign CPU use over the last look, and who it was, if known."""

    foreign_cpus: float
    cpus: int
    culprit: Culprit | None

    @property
    def is_worth_a_wait(self) -> bool:
        """Whether a run waits for its end, for a while."""
        return self.foreign_cpus >= BUSY_CPUS

    def __str__(self) -> str:
        used = f"{self.foreign_cpus:.1f} of {self.cpus} CPU{'s' if self.cpus != 1 else ''}"
        if self.culprit is None:
            return f"other programs use {used}"
        culprit = self.culprit
        who = f"{culprit.name}, started {_ago(culprit.age_s)}"
        if culprit.cpus > 0.8 * self.foreign_cpus:
            return f"another process uses {used}: {who}"
        return f"other programs use {used}; the busiest ({culprit.cpus:.1f}) is {who}"


@dataclass(frozen=True)
class Unwatched:
    """Who uses the processor cannot be seen here."""

    def __str__(self) -> str:
        return (
            "this system does not report how busy its processor is, so other programs that "
            "disturb a run go unseen; runs are marked as disturbed"
        )


Sight = Busy | Unwatched | None
"""What a look saw; None: calm."""


def look(
    open_counters: OpenCounters,
    own_cpus: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Sight:
    """Watch the machine for ``LOOK_S``; None when it is calm enough for work that will keep
    ``own_cpus`` busy, by default all."""
    counters = open_counters(os.getpid())
    try:
        return _look(counters, counters.cpus if own_cpus is None else own_cpus, sleep)
    finally:
        counters.close()


def _look(counters: Counters, own_cpus: int, sleep: Callable[[float], None]) -> Sight:
    processes = _cpu_seconds()
    before = counters.read()
    sleep(LOOK_S)
    after = counters.read()
    lasted_s = after.at_s - before.at_s
    foreign_s = foreign_cpu_s(before, after)
    if foreign_s is None or before.idle_s is None or after.idle_s is None:
        return Unwatched()
    own_s, idle_s = after.own_s - before.own_s, after.idle_s - before.idle_s
    stolen_s = (after.steal_s or 0.0) - (before.steal_s or 0.0)
    if not counts_all(counters.cpus, lasted_s, foreign_s + own_s, idle_s, stolen_s, own_s):
        return Unwatched()
    foreign_cpus = foreign_s / lasted_s
    room = has_room(idle_s / lasted_s - own_cpus, own_cpus, foreign_cpus)
    if foreign_cpus < (FOREIGN_CPUS_BESIDE if room else NOTED_CPUS):
        return None
    return Busy(foreign_cpus, counters.cpus, _culprit(processes, lasted_s))


def wait_for_calm(
    open_counters: OpenCounters,
    on_busy: Callable[[Busy], None],
    own_cpus: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Sight:
    """Look until nothing is worth a wait, for ``WAIT_S`` at most, and not where that is unknown;
    what was seen last.

    ``on_busy`` is called once with what is going on.
    """
    looks = int(WAIT_S / LOOK_S)
    seen: Sight = None
    for number in range(looks):
        seen = look(open_counters, own_cpus, sleep)
        if not isinstance(seen, Busy) or not seen.is_worth_a_wait:
            break
        if number == 0:
            on_busy(seen)
    return seen


def _cpu_seconds() -> dict[tuple[int, float], tuple[str, float]]:
    """CPU seconds so far of every process that is not ours, by process id and start; of none where
    the system does not show them."""
    own = {os.getpid(), *descendants(os.getpid())}
    found = {}
    with contextlib.suppress(Exception):  # as in ``hardware.processes``
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid not in own:
                    times = process.cpu_times()
                    key = (process.pid, process.create_time())
                    found[key] = (process.name(), times.user + times.system)
    return found


def _culprit(before: dict[tuple[int, float], tuple[str, float]], lasted_s: float) -> Culprit | None:
    """The process that used most CPU time since ``before`` was taken."""
    used = [
        (cpu_s - before.get(key, ("", 0.0))[1], name, key[1])
        for key, (name, cpu_s) in _cpu_seconds().items()
    ]
    if not used:
        return None
    cpu_s, name, created_s = max(used)
    # a process's start is only known as a time of day; an age of minutes does not mind its steps
    return Culprit(name, cpu_s / lasted_s, max(0.0, time.time() - created_s))


def _ago(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
