"""Connections between the machines of a training: what is lost, late, or without an end."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from epochmark.bench.process import launcher
from epochmark.bench.process.launcher import Listener, Recipients, WorkerOutcome
from epochmark.bench.process.worker import read_some
from epochmark.bench.scaling.nodes import connections
from epochmark.bench.scaling.nodes.far_worker import LOST, Control, FarWorker
from epochmark.bench.watching.watch import Watch
from epochmark.worker.protocol import ENDED, MAX_LINE_BYTES, Finished, LapEnd, Message, MessagePipe
from epochmark.worker.ranks import RankError, Ranks
from epochmark.worker.scaling import LeadingStopwatch
from epochmark.worker.stopwatch import Word
from tests.unit.test_scaling_rules import job


def linked(said: bytes) -> Ranks:
    """The first rank's view of another over a connection that says this and ends."""
    own, other = socket.socketpair()
    other.sendall(said)
    other.close()
    with own:
        return Ranks(replace(job(), links=[os.dup(own.fileno())]), lambda failed: None)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "rank 1 was lost with its node"),
        (b'{"report": "De', "rank 1 was lost with its node"),
        (b'{"report": "De\n%s-9\n' % ENDED, "rank 1 was killed by SIGKILL"),
        (b"\n%s3\n" % ENDED, "rank 1 ended with exit status 3"),
    ],
)
def test_how_a_rank_on_another_node_ended_is_said(said: bytes, reason: str) -> None:
    ranks = linked(said)
    with pytest.raises(RankError, match=reason):
        ranks.hear(LapEnd)
    ranks.say_steps(3)  # to who is gone: nothing


class _FarRanks:
    """A rank whose machine has another clock."""

    are_elsewhere = True

    def hear(self, kind: type[LapEnd]) -> list[LapEnd]:
        return [LapEnd(1, 1, time.perf_counter_ns() + 10**15, None, None)]

    def say_steps(self, steps: int) -> None:
        pass


def test_clocks_of_other_machines_end_no_lap(tmp_path: Path) -> None:
    with (tmp_path / "reports").open("wb") as file:
        stopwatch = LeadingStopwatch(MessagePipe(file.fileno()), Word(), _FarRanks())  # type: ignore[arg-type]
        stopwatch.start()
        stopwatch.lap(1, 2.0)
    fields = msgspec.json.decode((tmp_path / "reports").read_bytes())
    assert 0 < fields["end_ns"] < 10**14


class AnyOrder:
    def take(self, report: Message, running_s: float) -> None:
        pass


def test_reports_that_come_after_the_word_of_the_end_are_heard() -> None:
    """Two connections of a network may overtake each other."""
    (link, worker_end), (control, agent_end) = socket.socketpair(), socket.socketpair()
    nothing, write_end = os.pipe()
    os.close(write_end)
    with link, control, agent_end:
        agent_end.sendall(b'{"status": 0, "why": "", "output": ""}\n')
        agent_end.shutdown(socket.SHUT_WR)

        def report() -> None:
            with worker_end:
                MessagePipe(worker_end.fileno()).send(Finished(None))

        late = threading.Timer(0.2, report)
        late.start()
        worker = FarWorker([], [Control(control)], link, nothing, time.monotonic_ns())
        recipients = Recipients(AnyOrder(), Watch(None, None), lambda report: None)
        outcome = WorkerOutcome()
        Listener(worker, outcome, recipients, None).hear()
        late.join()
    os.close(nothing)
    assert (outcome.ending, outcome.reports) == ("finished", [Finished(None)])


def test_reports_that_never_end_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent was killed, and its worker, suspended, holds the connection."""
    monkeypatch.setattr(launcher, "REST_S", 0.05)
    (link, worker_end), (control, agent_end) = socket.socketpair(), socket.socketpair()
    nothing, write_end = os.pipe()
    os.close(write_end)
    with link, worker_end, control:
        agent_end.close()
        worker = FarWorker([], [Control(control)], link, nothing, time.monotonic_ns())
        recipients = Recipients(AnyOrder(), Watch(None, None), lambda report: None)
        outcome = WorkerOutcome()
        Listener(worker, outcome, recipients, None).hear()
    os.close(nothing)
    assert (outcome.ending, outcome.detail) == ("crashed", LOST)


def test_a_connection_that_cannot_be_read_is_lost_and_a_pipe_here_is_an_error() -> None:
    read_end, write_end = os.pipe()
    try:
        assert read_some(write_end, is_far=True) == b""
        with pytest.raises(OSError, match="Bad file descriptor"):
            read_some(write_end, is_far=False)
    finally:
        os.close(read_end)
        os.close(write_end)


def test_a_line_without_an_end_is_not_waited_for() -> None:
    own, agent_end = socket.socketpair()
    with own, agent_end:
        sender = threading.Thread(target=sent, args=(agent_end, b"1" * (2 * MAX_LINE_BYTES)))
        sender.start()
        control = Control(own)
        assert not control.hear()
        assert control.lost
        own.shutdown(socket.SHUT_RDWR)
        sender.join()


def sent(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(data)


@pytest.mark.parametrize(("byte_s", "purpose"), [(0.1, "control"), (1.0, "")])
def test_a_greeting_has_a_time_limit_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, byte_s: float, purpose: str
) -> None:
    clock = itertools.count(0.0, byte_s)
    monkeypatch.setattr(connections, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    own, other = socket.socketpair()
    with own, other:
        other.sendall(b"secret control\n")
        assert connections._purpose(own, "secret") == purpose
