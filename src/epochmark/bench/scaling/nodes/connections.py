"""Connections between the machines of a training: each begins with a secret, and none hangs for
long where the other machine is gone.

They are not encrypted, as those of gloo, NCCL and Ray are not.
"""

from __future__ import annotations

import contextlib
import hmac
import socket
import time
from collections.abc import Callable

CONTROL, LINK = "control", "link"
"""What a connection is for: orders of the launcher; what a worker reports and hears."""
CONNECT_S = 20.0
GREETING_S = 5.0
LONGEST_GREETING = 200
IDLE_S, INTERVAL_S, PROBES = 10, 5, 4
"""Another machine that answers nothing for half a minute is gone."""


def bound(address: str) -> socket.socket:
    """A socket at a port of this address that the system chooses, so that none can be in use."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.bind((address, 0))
    return made


def port_of(made: socket.socket) -> int:
    """The port that it is bound to."""
    port: int = made.getsockname()[1]
    return port


def connect(address: str, port: int, token: str, purpose: str) -> socket.socket:
    """A connection to an agent. Raises ``OSError``."""
    made = socket.create_connection((address, port), timeout=CONNECT_S)
    made.settimeout(None)
    _watch(made)
    made.sendall(f"{token} {purpose}\n".encode())
    return made


def accept_both(
    listening: socket.socket, token: str, on_connection: Callable[[str, socket.socket], None]
) -> None:
    """Hand over the connection for orders, and that for reports, as they come; whoever does not
    know the token is turned away."""
    due = {CONTROL, LINK}
    while due:
        made, _ = listening.accept()
        purpose = _purpose(made, token)
        if purpose not in due:
            made.close()
            continue
        due.remove(purpose)
        _watch(made)
        on_connection(purpose, made)


def _purpose(made: socket.socket, token: str) -> str:
    """What it says that it is for, byte by byte: what comes after that is for others. All of it
    has ``GREETING_S``, so that a stranger who dawdles keeps no rank out for long."""
    greeting, deadline = b"", time.monotonic() + GREETING_S
    with contextlib.suppress(OSError):
        while not greeting.endswith(b"\n") and len(greeting) < LONGEST_GREETING:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return ""
            made.settimeout(left_s)
            byte = made.recv(1)
            if not byte:
                return ""
            greeting += byte
        made.settimeout(None)
        said, _, purpose = greeting.decode("ascii", "replace").strip().partition(" ")
        return purpose if hmac.compare_digest(said.encode(), token.encode()) else ""
    return ""


def _watch(made: socket.socket) -> None:
    """Let the system end it once the other machine is gone without a word; and send at once."""
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    settings = {
        "TCP_KEEPIDLE": IDLE_S,
        "TCP_KEEPINTVL": INTERVAL_S,
        "TCP_KEEPCNT": PROBES,
        "TCP_USER_TIMEOUT": 1000 * (IDLE_S + INTERVAL_S * PROBES),
    }
    for name, value in settings.items():
        if hasattr(socket, name):  # not on every system
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
