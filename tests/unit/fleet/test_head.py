"""When the head of a Ray cluster is taken for lost; without Ray."""

from __future__ import annotations

import socket
import threading

import pytest

from epochmark.fleet.launchers import ray_cluster
from epochmark.fleet.launchers.ray_tour import Orders, Tour

KEPT = "Records are kept."
LOST = r"was lost: Connection refused\nRecords are kept"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "CHECK_S", 0.0)
    monkeypatch.setattr(ray_cluster, "RETRY_S", 0.01)
    monkeypatch.setattr(ray_cluster, "GONE_S", 0.0)


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
