"""Nodes for a training: which are alike, which cores each has, and what a worker there sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from epochmark._version import __version__
from epochmark.bench.interpreters.environment import own_environment
from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest
from epochmark.bench.scaling.nodes.contract import About
from epochmark.bench.scaling.nodes.muster import mustered, niceness_text, shares_of
from epochmark.bench.scaling.nodes.on_node import interface_of
from epochmark.bench.scaling.request import nodes_request, parse_counts
from epochmark.engines import Group
from epochmark.errors import EpochmarkError
from epochmark.fleet.launchers.ray_cluster import RayNode
from epochmark.fleet.launchers.ray_ranks import fitting
from epochmark.hardware.machine import describe_machine

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


def test_the_users_interfaces_reach_a_worker() -> None:
    chosen = {"GLOO_SOCKET_IFNAME": "a", "NCCL_SOCKET_IFNAME": "b", "NCCL_DEBUG": "INFO"}
    kept = own_environment(chosen)
    assert (kept["GLOO_SOCKET_IFNAME"], kept["NCCL_SOCKET_IFNAME"]) == ("a", "b")
    assert "NCCL_DEBUG" not in kept
