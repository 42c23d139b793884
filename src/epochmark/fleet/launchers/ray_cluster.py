"""A Ray cluster (2.49 or newer), connected, and the nodes that it offers."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from epochmark.errors import ClusterLostError, EpochmarkError
from epochmark.fleet.launchers.shipping import wheel_in

ANSWER_S = 5.0
"""An address that does not answer for so long does not answer."""
CHECK_S = 5.0
RETRY_S = 0.5
GONE_S = 20.0
"""A head may be started again; Ray itself waits for a minute."""
INSTALL = "pip install 'epochmark[ray]'"

State = Literal["done", "running", "waiting", "failed"]


@dataclass
class RayNode:
    """A node of the cluster, which others reach at ``address``; ``trouble`` says why it is not
    measured to the end, ``remark`` what is odd about it."""

    id: str
    name: str
    resources: dict[str, float]
    address: str = ""
    state: State = "waiting"
    trouble: str = ""
    remark: str = ""
    rounds: int = 0


class HeadLostError(ClusterLostError):
    """The cluster's head does not answer any more. Whoever catches it ends the process at once
    (``os._exit``): without its head Ray crashes an ordinary end."""


class Head:
    """The head of a cluster, watched: where it has been gone for a minute, Ray ends our process
    without a word of ours. That of a ``local`` cluster is our own child."""

    def __init__(self, address: str, kept: str) -> None:
        """``kept`` says what is left of the work where it is lost; it may change."""
        self._address, self.kept = address, kept
        self._asked_at = time.monotonic()
        self._silent_since: float | None = None

    def check(self) -> None:
        """Raise ``HeadLostError`` where it has not answered for a while; to be called often."""
        if time.monotonic() - self._asked_at >= CHECK_S:
            self._answers()

    def wait(self) -> None:
        """Until it answers; to be called before what needs it, which would block without a word.

        Raises ``HeadLostError`` where it does not for a while.
        """
        while not self._answers():
            time.sleep(RETRY_S)

    def _answers(self) -> bool:
        """Only silence that was seen counts: not the time in which we did not ask, or did not run.

        Raises ``HeadLostError`` where that lasted too long.
        """
        if self._address == "local":
            return True
        now = self._asked_at = time.monotonic()
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
        except OSError as error:
            if self._silent_since is None:
                self._silent_since = now
            if now - self._silent_since > GONE_S:
                why = error.strerror or str(error)
                raise HeadLostError(_lost(self._address, why, self.kept)) from error
            return False
        self._silent_since = None
        return True


def _lost(address: str, why: str, kept: str) -> str:
    return f"the Ray cluster at {address} was lost: {why}\n{kept}"


@contextlib.contextmanager
def connected(address: str, kept: str, ship: bool = False) -> Iterator[Any]:
    """Ray, connected to the cluster at this address; ``local`` starts one on this machine.
    ``kept`` says what is left of the work where the cluster is lost. ``ship``: its nodes run our
    own wheel, which Ray sends and installs there.

    Raises ``EpochmarkError`` where that cannot be.
    """
    ray = _imported()
    if address != "local":
        _check_answer(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # what Ray's threads print, such as that a node is gone, must not mix with our answer
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        with tempfile.TemporaryDirectory() as folder:
            _connect(ray, address, [str(wheel_in(Path(folder)))] if ship else [])
        try:
            yield ray
        except HeadLostError:
            raise  # to shut Ray down would wait for the head
        except ray.exceptions.RayError as error:
            ray.shutdown()
            raise EpochmarkError(_lost(address, short(error), kept)) from error
        except BaseException:
            ray.shutdown()
            raise
        ray.shutdown()


def _connect(ray: Any, address: str, wheels: Sequence[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env=_shipped(wheels) if wheels else None,
        )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise EpochmarkError(
            f"the Ray cluster at {address} cannot be used: {short(error)}", exit_code=2
        ) from error
    finally:
        signal.signal(signal.SIGTERM, before)  # Ray's own handler ends the process at once


def _shipped(wheels: Sequence[str]) -> dict[str, Any]:
    """Ray's runtime environment with these wheels, made on a node once an actor starts there.

    Ray would also make it on the driver's own node at once, and delete it there again while nodes
    that share the folder (those of one machine) use it.
    """
    return {"py_modules": [*wheels], "config": {"eager_install": False}}


def _imported() -> Any:
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise EpochmarkError(
            f"Ray is not installed in this Python; get it with: {INSTALL}", exit_code=2
        ) from error


def _check_answer(address: str) -> None:
    """Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise EpochmarkError(
            f"--ray takes HOST:PORT of a Ray cluster's head, or local; not {address!r}", exit_code=2
        )
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise EpochmarkError(
            f"no Ray cluster answers at {address}: {why}.\n"
            "Start one with 'ray start --head' and name the address that it prints.",
            exit_code=2,
        ) from error


def nodes_in(ray: Any) -> list[RayNode]:
    """The nodes of the cluster that offer CPUs, by name: host names where they differ, else Ray's
    names. Raises ``EpochmarkError`` where there is none: a head may offer none, and is left out."""
    alive = [each for each in ray.nodes() if each["Alive"] and each["Resources"].get("CPU")]
    if not alive:
        raise EpochmarkError("no node of this Ray cluster offers a CPU")
    hosts = Counter(each["NodeManagerHostname"] for each in alive)
    named = Counter(each["NodeName"] for each in alive)
    nodes = []
    for each in alive:
        name = each["NodeManagerHostname"]
        if hosts[name] > 1:
            name = each["NodeName"]
            name = name if named[name] == 1 else f"{name}-{each['NodeID'][:6]}"
        address = each["NodeManagerAddress"]
        nodes.append(RayNode(each["NodeID"], name, dict(each["Resources"]), address))
    return sorted(nodes, key=lambda node: node.name)


def short(error: Exception) -> str:
    """The last line of what Ray says, which may be a whole traceback; of versions that differ all
    of it, both sides."""
    if "Version mismatch" in str(error):
        return " ".join(str(error).split())[:300]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    return text[:300]
