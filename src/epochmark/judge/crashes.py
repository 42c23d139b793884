"""What a signal that ended a worker says about it."""

from __future__ import annotations

import signal

CRASHES = {
    "SIGSEGV": "it accessed memory that it does not own",
    "SIGBUS": "it accessed memory that could not be loaded (a truncated file, or a full disk)",
    "SIGILL": "it used an instruction that this processor does not support",
    "SIGABRT": "it aborted itself",
    "SIGFPE": "it divided by zero, or similar",
    "SIGSYS": "it made a forbidden system call",
    "SIGTRAP": "it aborted itself",
}
"""Signals that come from a mistake in the process itself, and what each means."""


def signal_name(status: int) -> str:
    """Name of the signal behind a negative exit status (``SIGKILL``)."""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
