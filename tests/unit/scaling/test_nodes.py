"""Nodes for a training: which are alike, which cores each has, what follows for its document."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from epochmark._version import __version__
from epochmark.bench.interpreters.environment import own_environment
from epochmark.bench.plan import PlannedRun
from epochmark.bench.process import launcher
from epochmark.bench.process.launcher import Listener, Recipients, WorkerOutcome
from epochmark.bench.process.worker import read_some
from epochmark.bench.request import RunRequest
from epochmark.bench.scaling.nodes import connections
from epochmark.bench.scaling.nodes.contract import About
from epochmark.bench.scaling.nodes.far_worker import LOST, Control, FarWorker
from epochmark.bench.scaling.nodes.muster import mustered, niceness_text, shares_of
from epochmark.bench.scaling.nodes.on_node import interface_of
from epochmark.bench.scaling.request import nodes_request, parse_counts
from epochmark.bench.scaling.scale import _lost
from epochmark.bench.scrub import without_nodes
from epochmark.bench.watching.watch import Watch
from epochmark.engines import Group
from epochmark.errors import EpochmarkError
from epochmark.fleet.launchers.ray_cluster import HeadLostError, RayNode
from epochmark.fleet.launchers.ray_ranks import fitting
from epochmark.hardware.machine import describe_machine
from epochmark.judge.documents.scalings import decode_scaling
from epochmark.records.bundle import documents_in, encode_bundle
from epochmark.records.documents.scaling import (
    ScaledNode,
    Scaling,
    encode_scaling,
    is_intact_scaling,
)
from epochmark.records.json_text import RecordError
from epochmark.records.record import Gpu
from epochmark.report.text.scaling import scaling_lines
from epochmark.worker.protocol import ENDED, MAX_LINE_BYTES, Finished, LapEnd, Message, MessagePipe
from epochmark.worker.ranks import RankError, Ranks
from epochmark.worker.scaling import LeadingStopwatch
from epochmark.worker.stopwatch import Word
from tests.report.scaling_samples import sample_scaling, with_entries
from tests.unit.test_scaling_rules import job

MACHINE = describe_machine("0123456789abcdef")


def about(host: str = "a", **fields: Any) -> About:
    found: dict[str, Any] = {
        "epochmark": __version__, "python": "3.11.2", "versions": {"torch": "2.13.0"},
        "interpreter": "own", "machine": msgspec.json.encode(MACHINE), "host": host,
        "cores": [0, 1, 2, 3], "niceness": 0, **fields,
    }  # fmt: skip
    return About(**found)  # type: ignore[typeddict-item, no-any-return]


class Answering:
    """A node that says this of itself."""

    def __init__(self, name: str, said: About) -> None:
        self.name, self.said, self.asked = name, said, list[str]()

    def ask(self, method: str, *arguments: Any) -> Callable[[], Any]:
        self.asked.append(method)
        return lambda: self.said if method == "about" else None

    def check(self) -> None:
        pass


RUN = RunRequest(engine="torch")


def test_alike_nodes_get_their_cores_and_the_number_of_their_machine() -> None:
    nodes = [Answering(f"node-{n}", about(host)) for n, host in enumerate("aba")]
    ready = mustered(nodes, RUN, None, keeps=True)
    assert [node.host for node in ready] == [0, 1, 0]
    assert [node.cores for node in ready] == [[0, 1], [0, 1], [2, 3]]
    assert [node.asked for node in nodes] == [["about", "prepare"]] * 3
    request = replace(nodes_request(PlannedRun(RUN), [1, 3], "weak", 0.01, 9.0), nodes=ready)
    assert request.cores_of(3) == [[0, 1], [0, 1], [2, 3]]
    assert request.cores_of(1) == [[0, 1]]
    assert request.rates(3)


def test_more_nodes_of_a_machine_than_cores_are_not_rated() -> None:
    said = about(cores=[5])
    assert shares_of([said, said]) == [[], []]
    ready = mustered([Answering("x", said), Answering("y", said)], RUN, None, keeps=False)
    request = replace(nodes_request(PlannedRun(RUN), [1, 2], "weak", 0.01, 9.0), nodes=ready)
    assert [request.rates(count) for count in (1, 2)] == [True, False]


@pytest.mark.parametrize(
    ("usable", "shares"),
    [
        (([0, 1, 2, 3], [2, 3, 0, 1]), [[0, 1], [2, 3]]),
        (([0, 1, 2, 3], [4, 5]), [[0, 1], [4, 5]]),
        (([0, 1], [0]), [[1], [0]]),
        (([0, 1, 2, 3], [2, 3, 4, 5, 6]), [[0, 1, 2], [4, 5, 6]]),
    ],
)
def test_no_core_is_given_twice(usable: tuple[list[int], ...], shares: list[list[int]]) -> None:
    assert shares_of([about(cores=cores) for cores in usable]) == shares


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"epochmark": "0.0.1"}, f"node-1 has epochmark 0.0.1, not {__version__}"),
        ({"python": "3.12.1"}, "node-1 has Python 3.12.1, node-0 has 3.11.2"),
        ({"versions": {"torch": "2.12.0"}}, "node-1 has torch 2.12.0, node-0 has 2.13.0"),
        ({"versions": {}}, "node-1 has torch not at all, node-0 has 2.13.0"),
    ],
)
def test_a_node_with_another_version_is_named(other: dict[str, Any], said: str) -> None:
    nodes = [Answering("node-0", about()), Answering("node-1", about("b", **other))]
    with pytest.raises(EpochmarkError) as caught:
        mustered(nodes, RUN, None, keeps=False)
    assert said in str(caught.value)
    assert nodes[0].asked == ["about"], "nothing is fetched before"


def test_a_cluster_with_fewer_nodes_than_devices_is_refused_with_its_nodes() -> None:
    nodes = [RayNode(name, name, {"CPU": 8.0, "GPU": gpus}) for name, gpus in (("a", 0), ("b", 2))]
    assert [node.name for node in fitting(nodes, 2, "cpu")] == ["a", "b"]
    assert [node.name for node in fitting(nodes, 1, "gpu")] == ["b"]
    with pytest.raises(EpochmarkError, match=r"--devices 2 takes .* has 1 with a GPU: b") as caught:
        fitting(nodes, 2, "gpu")
    assert caught.value.exit_code == 2


def test_how_nice_a_rank_is_is_said() -> None:
    assert niceness_text(0) == ""
    assert "niceness of 15" in niceness_text(15)


def test_numbers_of_nodes_are_not_bound_by_the_cores_here() -> None:
    request = nodes_request(PlannedRun(RUN), parse_counts("1,64"), "weak", 0.01, 9.0)
    assert request.counts == [1, 64]
    with pytest.raises(EpochmarkError, match="kind of devices"):
        nodes_request(PlannedRun(replace(RUN, device="gpu:1")), [1, 2], "weak", 0.01, 9.0)


def test_processes_of_several_machines_have_its_first_device() -> None:
    far = Group(4, 3, "tcp://10.0.0.1:4567")
    assert (far.address, far.own_device, far.processes) == (("10.0.0.1", 4567), 0, 4)
    near = Group(4, 3, "/tmp/meeting")
    assert (near.address, near.own_device) == (None, 3)


def test_the_interface_of_an_address_is_found() -> None:
    assert interface_of("127.0.0.1") in ("lo", "lo0")
    assert interface_of("203.0.113.1") is None


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


def test_messages_are_kept_without_names_and_addresses() -> None:
    said = (
        "node-1.cluster.local cannot be reached at 10.0.0.12:4567: refused. [fe80::1%eth0]:29500, "
        "2001:db8::7: gone; node-11 and c10::DistError at 12:30:45, torch 2.13.0, std::a::b"
    )
    assert without_nodes(said, ["node-0", "node-1"]) == (
        "node 1 cannot be reached at <address>:4567: refused. [<address>]:29500, "
        "<address>: gone; node-11 and c10::DistError at 12:30:45, torch 2.13.0, std::a::b"
    )
    assert without_nodes("to ::ffff:10.0.0.1.", []) == "to <address>."


def test_a_number_of_devices_that_a_lost_node_keeps_from_starting_is_out() -> None:
    ready = mustered([Answering(f"node-{n}", about("ab"[n])) for n in (0, 1)], RUN, None, False)
    request = replace(nodes_request(PlannedRun(RUN), [1, 2], "weak", 0.01, 9.0), nodes=ready)
    entry = _lost(request, 2, EpochmarkError("node-1: it died at 10.0.0.2"))
    (base, _), scaling = over_nodes([0, 1], [0, 0]).entries, over_nodes([0, 1], [0, 0])
    found = with_entries(scaling, [base, entry]).efficiencies[1]
    assert (found.place, found.reason) == (
        "out",
        "failed while starting: node 1: it died at <address>",
    )
    with pytest.raises(EpochmarkError):
        _lost(request, 1, EpochmarkError("the first number"))
    with pytest.raises(HeadLostError):
        _lost(request, 2, HeadLostError("all of them"))


def over_nodes(hosts: list[int], cores: list[int]) -> Scaling:
    """Two devices, each with one of the cores, on nodes of these machines."""
    scaling = sample_scaling({1: 0.020, 2: 0.025})
    one, two = scaling.entries
    parts = [
        msgspec.structs.replace(part, cores=[own])
        for part, own in zip(two.parts, cores, strict=True)
    ]
    nodes = [ScaledNode(machine=MACHINE, host=host) for host in hosts]
    scaling = msgspec.structs.replace(scaling, machine=MACHINE, nodes=nodes)
    two = msgspec.structs.replace(two, parts=parts)
    return with_entries(scaling, [one, two])


def test_cores_of_one_machine_are_shared_and_those_of_two_are_not() -> None:
    apart = over_nodes([0, 1], [0, 0])
    assert [found.place for found in apart.efficiencies] == ["base", "scaled"]
    shared = over_nodes([0, 0], [0, 0])
    assert shared.efficiencies[1].place == "out"
    assert "its devices shared cores" in (shared.efficiencies[1].reason or "")
    assert over_nodes([0, 0], [0, 1]).efficiencies[1].place == "scaled"


def test_what_is_between_the_nodes_is_said() -> None:
    assert "They are on one machine" in "\n".join(scaling_lines(over_nodes([0, 0], [0, 1])))
    apart = "\n".join(scaling_lines(over_nodes([0, 1], [0, 0])))
    assert f"2 nodes, 2 with {MACHINE.cpu}." in apart
    assert "no network" not in apart
    assert "differ" not in apart


@pytest.mark.parametrize(("device", "what"), [("cpu", "processors"), ("gpu", "GPUs")])
def test_other_hardware_among_the_nodes_is_said(device: str, what: str) -> None:
    scaling = over_nodes([0, 1], [0, 0])
    fields = {"cpu": "another"} if device == "cpu" else {"gpus": [Gpu(name="another")]}
    other = ScaledNode(machine=msgspec.structs.replace(MACHINE, **fields), host=1)
    mixed = msgspec.structs.replace(scaling, nodes=[scaling.nodes[0], other], device=device)
    assert f"Their {what} differ" in "\n".join(scaling_lines(mixed))


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


def test_the_users_interfaces_reach_a_worker() -> None:
    chosen = {"GLOO_SOCKET_IFNAME": "a", "NCCL_SOCKET_IFNAME": "b", "NCCL_DEBUG": "INFO"}
    kept = own_environment(chosen)
    assert (kept["GLOO_SOCKET_IFNAME"], kept["NCCL_SOCKET_IFNAME"]) == ("a", "b")
    assert "NCCL_DEBUG" not in kept


def test_an_export_leaves_the_nodes_ids_out_and_is_intact() -> None:
    (document,), _ = documents_in(encode_bundle([over_nodes([0, 1], [0, 0])]))
    assert b"0123456789abcdef" not in document
    assert is_intact_scaling(msgspec.json.decode(document))


def test_a_document_of_one_machine_is_intact_with_and_without_its_list_of_nodes() -> None:
    """Those from before there were nodes have no list; to read and write them adds an empty one."""
    fields = msgspec.to_builtins(sample_scaling({1: 0.020, 2: 0.025}))
    assert fields["nodes"] == []
    assert is_intact_scaling(fields)
    del fields["nodes"]
    assert is_intact_scaling(fields)


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ([0], "it has 1 nodes for 2 devices"),
        ([0, 1, 2], "it has 3 nodes for 2 devices"),
        ([0, 2], "not numbered from 0"),
        ([1, 0], "not numbered from 0"),
    ],
)
def test_a_document_has_a_node_for_each_device(hosts: list[int], said: str) -> None:
    with pytest.raises(RecordError, match=said):
        decode_scaling(encode_scaling(over_nodes(hosts, [0, 1])))


def test_the_machine_of_a_document_is_its_first_nodes_but_for_the_id() -> None:
    scaling = over_nodes([0, 1], [0, 0])
    nameless = msgspec.structs.replace(MACHINE, machine_id=None)
    decode_scaling(encode_scaling(msgspec.structs.replace(scaling, machine=nameless)))
    other = msgspec.structs.replace(MACHINE, cpu="another")
    with pytest.raises(RecordError, match="not that of its first node"):
        decode_scaling(encode_scaling(msgspec.structs.replace(scaling, machine=other)))
