"""When the head of a Ray cluster is taken for lost; without Ray."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest
from epochmark.bench.scaling.nodes import muster
from epochmark.bench.scaling.request import nodes_request
from epochmark.cli.commands.this_machine._nodes import ANSWERED, ready_nodes
from epochmark.errors import EpochmarkError
from epochmark.fleet.launchers import ray_cluster, ray_ranks
from epochmark.fleet.launchers.ray_places import trouble_of
from epochmark.fleet.launchers.ray_ranks import HeldNode, _why_not_free
from epochmark.fleet.launchers.ray_tour import Orders, Tour

KEPT = "Records are kept."
LOST = r"was lost: Connection refused\nRecords are kept"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "CHECK_S", 0.0)
    monkeypatch.setattr(ray_cluster, "RETRY_S", 0.01)
    monkeypatch.setattr(ray_cluster, "GONE_S", 0.0)


class Ray:
    """A cluster that knows one node, and has lost another."""

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": "a", "Alive": True}, {"NodeID": "b", "Alive": False}]


@pytest.mark.usefixtures("impatient")
def test_a_node_is_not_given_back_without_a_head() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    held = HeldNode(Ray(), ray_cluster.Head(address, KEPT), node("a"), None)
    with pytest.raises(ray_cluster.HeadLostError, match=LOST):
        held.leave()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("answers", "kept"), [(True, ANSWERED), (False, "Nothing of this scaling is kept.")]
)
def test_a_head_that_is_lost_costs_no_answer_that_was_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answers: bool, kept: str
) -> None:
    """It may be lost when the nodes are given back."""

    @contextlib.contextmanager
    def held(cluster: Any, head: ray_cluster.Head, *rest: Any) -> Iterator[list[Any]]:
        heads.append(head)
        yield []
        head.wait()

    def ended(status: int) -> None:
        raise SystemExit(status)

    heads: list[ray_cluster.Head] = []
    ready = SimpleNamespace(node=node("a"), interpreter="own", machine=None, remark="")
    monkeypatch.setattr(ray_cluster, "connected", lambda *_: contextlib.nullcontext(Ray()))
    monkeypatch.setattr(ray_ranks, "held_nodes", held)
    monkeypatch.setattr(muster, "mustered", lambda *_: [ready])
    monkeypatch.setattr(os, "_exit", ended)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"

    def work() -> None:
        if not answers:
            heads[0].wait()

    planned = PlannedRun(RunRequest(engine="torch"))
    request = nodes_request(planned, [1, 2], "weak", 0.01, 9.0)
    with pytest.raises(SystemExit), ready_nodes(request, address, None, False):
        work()
    assert kept in capsys.readouterr().err


def test_a_node_that_is_gone_is_not_called_busy() -> None:
    head = ray_cluster.Head("local", KEPT)
    busy, gone = (HeldNode(Ray(), head, node(name), None) for name in "ab")
    assert _why_not_free(Ray(), [busy, gone]) == "this Ray cluster has lost b"
    assert _why_not_free(Ray(), [busy]) == "other work of this Ray cluster uses a; try again later"


def test_what_went_wrong_on_a_node_is_said_in_short() -> None:
    lacking = RuntimeError("File x\nModuleNotFoundError: No module named 'epochmark'")
    assert trouble_of(lacking, "get it") == "it has no epochmark; get it"
    other = RuntimeError("No module named 'epochmark.bench.scaling'")
    assert "it has another epochmark than" in trouble_of(other, "get it")
    ours = RuntimeError("a traceback")
    ours.cause = EpochmarkError("another run measures")  # type: ignore[attr-defined]
    assert trouble_of(ours, "get it") == "another run measures"
    assert trouble_of(RuntimeError("a\nlast line\n"), "get it") == "last line"


def node(name: str) -> ray_cluster.RayNode:
    return ray_cluster.RayNode(name, name, {"CPU": 1.0})


@pytest.mark.usefixtures("impatient")
def test_a_head_that_was_seen_not_to_answer_is_lost() -> None:
    """However long ago it answered: we may have been stopped since."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        head = ray_cluster.Head(f"127.0.0.1:{listening.getsockname()[1]}", KEPT)
        head.check()
    head.check()
    with pytest.raises(ray_cluster.HeadLostError, match=LOST):
        head.check()


@pytest.mark.usefixtures("impatient")
def test_what_needs_a_head_waits_until_it_answers_or_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
    head = ray_cluster.Head(f"127.0.0.1:{address[1]}", KEPT)
    started: list[socket.socket] = []
    monkeypatch.setattr(ray_cluster, "GONE_S", 600.0)
    starting = threading.Timer(0.2, lambda: started.append(socket.create_server(address)))
    starting.start()
    head.wait()
    starting.join()
    started[0].close()
    monkeypatch.setattr(ray_cluster, "GONE_S", 0.0)
    with pytest.raises(ray_cluster.HeadLostError, match=LOST):
        head.wait()


@pytest.mark.usefixtures("impatient")
def test_nothing_is_asked_of_a_head_that_is_gone() -> None:
    """Ray would block, and end us without a word: here any use of it fails."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        head = ray_cluster.Head(f"127.0.0.1:{listening.getsockname()[1]}", KEPT)
    node = ray_cluster.RayNode("id", "node-0", {"CPU": 1.0})
    tour = Tour(None, head, [node], Orders((("fake",),), 60.0, 1), lambda *came: None, print)
    with pytest.raises(ray_cluster.HeadLostError, match=LOST):
        tour.go()
