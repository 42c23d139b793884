"""The agents of ranks on their nodes, with real processes and connections: what they start here is
a program of ours in place of a worker."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from epochmark.bench.process.interrupts import interrupts_later
from epochmark.bench.request import RunRequest
from epochmark.bench.scaling.nodes.connections import CONTROL, LINK, connect
from epochmark.bench.scaling.nodes.far_worker import LOST, FarWorker, far_worker
from epochmark.bench.scaling.nodes.on_node import AGENT
from epochmark.errors import ClusterLostError, EpochmarkError
from epochmark.worker.protocol import ScaleJob

HERE = "127.0.0.1"
pytestmark = pytest.mark.slow

WORKER = """#!{python}
import json, os, sys
reports, jobs = int(sys.argv[3]), int(sys.argv[4])
job = json.loads(os.fdopen(jobs, "rb").readline())
print("printed by rank", job["rank"], flush=True)
def say(**fields):
    os.write(reports, json.dumps(fields).encode() + b"\\n")
say(rank=job["rank"], weights=job["weights_file"], meeting=job["meeting"])
for link in job["links"]:  # the first rank shows what the others say, and passes on what it hears
    say(other=os.read(link, 4096).decode())
while heard := os.read(0, 4096):
    if heard == b"die\\n":
        os.kill(os.getpid(), 9)
    for link in job["links"]:
        os.write(link, heard)
        say(other=os.read(link, 4096).decode())
    say(rank=job["rank"], heard=heard.decode(), pid=os.getpid())
"""


@dataclass
class Place:
    """A node on this machine, whose agents have no actor but this."""

    name: str
    folder: Path
    agents: list[subprocess.Popen[bytes]]

    def ask(self, method: str, *arguments: Any) -> Any:
        assert method == "open"
        door = self.opened(*arguments)
        return lambda: door

    def check(self) -> None:
        pass

    def opened(self, first: bool, address: str = HERE) -> dict[str, Any]:
        python = self.folder / "python"
        python.write_text(WORKER.format(python=sys.executable))
        python.chmod(0o755)
        files = dict.fromkeys(("data_folder", "weights_file", "replay_weights_file"), self.name)
        given = {
            "address": address, "token": "secret", "first": first, "python": str(python),
            "environment": dict(os.environ), "folder": str(self.folder), "files": files,
        }  # fmt: skip
        agent = subprocess.Popen(
            [sys.executable, "-m", AGENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.agents.append(agent)
        assert agent.stdin is not None
        assert agent.stdout is not None
        agent.stdin.write(json.dumps(given).encode() + b"\n")
        agent.stdin.flush()
        said = json.loads(agent.stdout.readline())
        return {"address": HERE, "token": "secret", **said}

    def lose(self) -> None:
        """As a node does: whoever holds the agent's input is gone."""
        lost = self.agents[-1]
        assert lost.stdin is not None
        lost.stdin.close()
        lost.stdin = None


@pytest.fixture
def places(tmp_path: Path) -> Iterator[list[Place]]:
    made = [Place(name, tmp_path / name, []) for name in ("node-0", "node-1")]
    for place in made:
        place.folder.mkdir()
    yield made
    for agent in (agent for place in made for agent in place.agents):
        agent.communicate()


def job(spawned_ns: int) -> ScaleJob:
    settings = RunRequest(engine="torch").settings
    return ScaleJob("torch", settings, "", "", "", spawned_ns, [], 2, None, [], 0)


def begun(worker: FarWorker) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Who reads its next report, and what both ranks say first."""
    lines = split(worker.link)
    first, second = next(lines), next(lines)
    return lines, first, json.loads(second["other"])


def split(link: socket.socket) -> Iterator[dict[str, Any]]:
    """What comes, report by report."""
    came = b""
    while data := link.recv(4096):
        came += data
        *lines, came = came.split(b"\n")
        yield from map(json.loads, lines)


def test_ranks_get_their_nodes_files_and_hear_each_other(places: list[Place]) -> None:
    with far_worker(places, job) as worker:
        reports, first, second = begun(worker)
        assert (first["rank"], first["weights"]) == (0, "node-0")
        assert (second["rank"], second["weights"]) == (1, "node-1")
        assert first["meeting"] == second["meeting"]
        assert first["meeting"].startswith(f"tcp://{HERE}:")
        worker.take_turn()
        passed_on = json.loads(next(reports)["other"])
        assert (passed_on["rank"], passed_on["heard"]) == (1, "go on\n")
        own = next(reports)
        assert own["heard"] == "go on\n"
        ranks = [psutil.Process(each["pid"]) for each in (own, passed_on)]
        worker.suspend()
        assert {rank.status() for rank in ranks} == {psutil.STATUS_STOPPED}
        worker.resume()
        assert psutil.STATUS_STOPPED not in {rank.status() for rank in ranks}
        assert worker.cpu_seconds() > 0
        worker.link.sendall(b"die\n")
        assert [*reports] == []
        assert worker.wait() == -signal.SIGKILL
    assert worker.exit_status == -signal.SIGKILL
    printed = worker.read_rest_of_stderr(b"")
    assert printed == b"printed by rank 1\nprinted by rank 0\n"
    _, alive = psutil.wait_procs(ranks, timeout=30)
    assert alive == []


def test_a_suspended_rank_ends_with_its_launcher_or_its_node(places: list[Place]) -> None:
    with far_worker(places, job) as worker:
        reports, _, _ = begun(worker)
        worker.take_turn()
        ranks = [json.loads(next(reports)["other"]), next(reports)]
        processes = [psutil.Process(rank["pid"]) for rank in ranks]
        worker.suspend()
        worker.controls[1].made.shutdown(socket.SHUT_RDWR)
        places[0].lose()
        _, alive = psutil.wait_procs(processes, timeout=30)
        assert alive == []
        assert [*reports] == []
        assert worker.wait() == LOST
    assert worker.exit_status is None


def test_a_suspended_rank_ends_with_an_agent_that_is_killed(places: list[Place]) -> None:
    with far_worker(places, job) as worker:
        reports, _, _ = begun(worker)
        worker.take_turn()
        ranks = [json.loads(next(reports)["other"]), next(reports)]
        processes = [psutil.Process(rank["pid"]) for rank in ranks]
        worker.suspend()
        for process in processes:
            parent = process.parent()
            assert parent is not None
            parent.kill()
        _, alive = psutil.wait_procs(processes, timeout=30)
        assert alive == []
        assert worker.wait() == LOST


def test_an_agent_says_why_it_cannot_begin(places: list[Place]) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        places[0].opened(True, "203.0.113.1")
    agent = places[0].agents[0]
    assert agent.stderr is not None
    assert os.strerror(errno.EADDRNOTAVAIL) in agent.stderr.read().decode().splitlines()[-1]
    assert agent.wait() == 1


def test_who_does_not_know_the_token_is_turned_away(places: list[Place]) -> None:
    door = places[0].opened(True)
    for greeting in (b"wrong control\n", b"secret nothing\n", b"x" * 500, b""):
        with socket.create_connection((HERE, door["port"])) as stranger:
            stranger.sendall(greeting)
            stranger.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(1) == b""
    with (
        connect(HERE, door["port"], "secret", CONTROL) as control,
        connect(HERE, door["port"], "secret", LINK),
    ):
        control.sendall(b'{"job": {}, "others": [["rank 1 on x", "127.0.0.1", 1, "secret"]]}\n')
        said = next(split(control))
    assert said["status"] is None
    refused = "rank 1 on x cannot be reached from the node of rank 0: Connection refused"
    assert said["why"] == refused


def test_a_node_that_cannot_be_reached_is_named(places: list[Place]) -> None:
    def closed(method: str, first: bool) -> Any:
        door = Place.opened(places[1], first)
        with socket.socket() as free:
            free.bind((HERE, 0))
            port = free.getsockname()[1]
        return lambda: {**door, "port": port}

    places[1].ask = closed  # type: ignore[method-assign]
    with pytest.raises(EpochmarkError, match="node-1 cannot be reached at"):
        far_worker(places, job).__enter__()


def test_an_interruption_is_heard_while_nodes_start(places: list[Place]) -> None:
    def interrupted(method: str, first: bool) -> Any:
        return lambda: signal.raise_signal(signal.SIGINT)

    places[1].ask = interrupted  # type: ignore[method-assign]
    with interrupts_later(), pytest.raises(KeyboardInterrupt):
        far_worker(places, job).__enter__()


def test_a_lost_cluster_is_noticed_while_ranks_say_nothing(places: list[Place]) -> None:
    def lost() -> None:
        raise ClusterLostError("the cluster was lost")

    with far_worker(places, job) as worker:
        places[0].check = lost  # type: ignore[method-assign]
        with pytest.raises(ClusterLostError):
            worker.cpu_seconds()
