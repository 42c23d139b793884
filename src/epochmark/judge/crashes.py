"""What a signal that ended a worker says about it."""

from __future__ import annotations

import signal

CRASHES = {
    "SIGSEGV": "it touched memory that it does not have",
    "SIGBUS": "it touched memory that could not be brought in (a file cut short, or a full disk)",
    "SIGILL": "it met an instruction that this processor does not know",
    "SIGABRT": "it gave up by itself",
    "SIGFPE": "it divided by zero or the like",
    "SIGSYS": "it asked the system for something forbidden",
    "SIGTRAP": "it gave up by itself",
}
"""Signals that come from a mistake in the process itself, and what each means."""


def signal_name(status: int) -> str:
    """Name of the signal behind a negative exit status (``SIGKILL``)."""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
