"""What is kept of a training over nodes, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from epochmark.bench.plan import PlannedRun
from epochmark.bench.scaling.nodes.muster import mustered
from epochmark.bench.scaling.request import nodes_request
from epochmark.bench.scaling.scale import _lost
from epochmark.bench.scrub import without_nodes
from epochmark.errors import EpochmarkError
from epochmark.fleet.launchers.ray_cluster import HeadLostError
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
from tests.report.scaling_samples import sample_scaling, with_entries
from tests.unit.scaling.test_nodes import MACHINE, RUN, Answering, about


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
