"""The processor: how much of it may be used, and by whom it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from epochmark import native
from epochmark.bench.watching.preflight import Busy, look
from epochmark.doctor.contract import Check, Line, fault, note, ok
from epochmark.doctor.facts import Facts
from epochmark.engines._shared.variables import known_variables
from epochmark.errors import EpochmarkError
from epochmark.hardware.cgroups import cpu_quota
from epochmark.hardware.counters import Reading, open_counters
from epochmark.system import usable_cores


def examine(facts: Facts) -> Iterator[Line]:
    """Kernels, cores, quota, variables, other programs."""
    yield kernels_line()
    yield from cores_lines(usable_cores(), os.cpu_count() or 1, cpu_quota(facts.root))
    yield from thread_lines(facts)
    seen = look(WithChildren)
    if seen is None:
        yield ok("no other program is busy")
    elif isinstance(seen, Busy):
        yield note(str(seen), "end it, or wait: a run beside it is marked as disturbed")
    else:
        yield note(str(seen))


class WithChildren:
    """Counters of this machine for which the tools that other checks have started are ours, also
    those that have ended."""

    def __init__(self, root: int) -> None:
        self._counters = open_counters(root)
        self.source, self.cpus = self._counters.source, self._counters.cpus

    def read(self) -> Reading:
        self._counters.look_for_children()
        reading = self._counters.read()
        ended = os.times()
        return replace(reading, own_s=reading.own_s + ended.children_user + ended.children_system)

    def look_for_children(self) -> bool:
        return self._counters.look_for_children()

    def close(self) -> None:
        self._counters.close()


def kernels_line() -> Line:
    """Whether the embedded kernels can be loaded, and the best instruction set for them."""
    try:
        return ok(f"the native engine's kernels use {native.instruction_sets()[0]}")
    except EpochmarkError as error:
        text, _, advice = str(error).partition(". ")
        return fault(text, advice)


def cores_lines(usable: int, there: int, quota: float | None) -> Iterator[Line]:
    """How many of the logical cores may be used, and for how much of the time."""
    if usable < there:
        yield note(
            f"only {usable} of {there} logical cores may be used here (taskset, a container)",
            "start it without taskset, or allow the container more cores",
        )
    elif quota is None or quota >= usable:
        yield ok(f"all {usable} logical cores may be used")
    if quota is not None and quota < usable:
        yield note(
            f"a control group allows the time of {quota:g} of {usable} CPUs: threads will be "
            "paused again and again",
            f"raise the limit (docker update --cpus {usable} CONTAINER), or run with --threads "
            f"{max(1, int(quota))}",
        )


def thread_lines(facts: Facts) -> Iterator[Line]:
    """Variables that set the number of threads. Our own interpreters do not get them."""
    for name in known_variables().threads:
        value = facts.variables.get(name, "")
        counts = "THREAD" in name or name == "PYTHON_CPU_COUNT"
        if counts and value.isascii() and value.isdecimal() and 0 < int(value) < usable_cores():
            yield note(
                f"{name}={value} limits threads, but only in runs with --python",
                f"unset {name}",
            )


CHECK = Check(
    name="processor",
    looks_at="the native kernels, usable cores, quota, variables that set threads, other programs "
    "(for one second)",
    notes="fewer cores or less time than there are; variables that limit threads; busy programs",
    faults="the kernels cannot be loaded",
    examine=examine,
    needs_drivers=False,
)
