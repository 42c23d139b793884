"""A worker as those see it who listen to it and let it take turns, wherever its processes are."""

from __future__ import annotations

import os
from typing import Protocol

READ_BYTES = 1 << 16


class Worker(Protocol):
    """``report_end`` and ``stderr_end`` are descriptors of what it says and prints; ``exited`` can
    be read once it has ended. ``spawned_ns`` is ``time.monotonic_ns`` of its start."""

    spawned_ns: int
    report_end: int
    stderr_end: int
    exited: int

    @property
    def pid(self) -> int | None:
        """Of its process; None where that is on another machine."""

    def ask_to_stop(self) -> None:
        """Ask the fit to end at its next lap."""

    def take_turn(self) -> None:
        """Let a parked fit go on, all processes of the worker with it."""

    def suspend(self) -> None:
        """Stop all of its processes, so that no pool of threads spins, until ``resume``."""

    def resume(self) -> None:
        """Let the processes run again; a parked fit stays parked."""

    def memory_bytes(self) -> int:
        """Resident memory of all of its processes, as far as the system shows it; 0: unknown."""

    def cpu_seconds(self) -> float:
        """CPU seconds of its processes so far, as far as the system shows them."""

    def wait(self) -> int | str:
        """Its exit status once it has ended; or why that is not known."""

    def end(self, at_once: bool) -> int | None:
        """Leave no process of it alive; return its exit status, if that is known."""

    def read_rest_of_stderr(self, tail: bytes) -> bytes:
        """The tail of what it printed, with all that is left of it."""


def read_some(descriptor: int, *, is_far: bool) -> bytes:
    """What can be read now; nothing at the end, which a lost connection is. ``is_far``: it comes
    from another machine, so that whatever prevents reading, such as that there is no route to it
    any more, is that it was lost; of a pipe here it raises ``OSError``."""
    try:
        return os.read(descriptor, READ_BYTES)
    except OSError:
        if is_far:
            return b""
        raise
