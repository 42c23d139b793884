"""``epochmark scale --ray`` on a real Ray cluster: nodes on this machine, torch on each."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.engines.conftest import interpreter_of
from tests.pipeline.program import TIMEOUT_S, Program, read_until
from tests.pipeline.running_ray import RayNodes, ray_nodes, wait_until

TRAINING = ("scale", "torch", "-w", "mnist-mlp", "--batch", "4", "--strong", "--json")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    folder = tmp_path_factory.mktemp("nodes")
    with ray_nodes(folder, {"node-0": {}, "node-1": {}}) as cluster:
        yield cluster


def started(program: Program, nodes: RayNodes, *options: str) -> subprocess.Popen[str]:
    python = str(interpreter_of("torch").python)
    return program.start(*TRAINING, "--ray", nodes.address, "--python", python, *options)


def left_of(nodes: RayNodes) -> list[psutil.Process]:
    """Workers and agents on its nodes."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            ours = str(nodes.folder) in process.environ().get("TMPDIR", "")
            if ours and any(word.startswith(("epochmark.worker", "epochmark.b")) for word in words):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
@pytest.mark.alone  # each device is a core
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a device is a core at least")
def test_two_nodes_are_rated_beside_one(program: Program, nodes: RayNodes) -> None:
    process = started(program, nodes, "--max-seconds", "2")
    output, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in (0, 3), said
    assert "rank 0: node-0\nrank 1: node-1" in said
    made = json.loads(output)
    one, two = made["entries"]
    assert [one["failure"], two["failure"]] == [None, None]
    assert (one["rated"], two["rated"], two["batch_size"]) == (True, True, 4)
    assert len(one["turns"]) >= 1
    assert len(two["all_reduce_s"]) == 20
    assert two["adam"] == pytest.approx(one["adam"], rel=1e-4)
    first, second = (part["cores"] for part in two["parts"])
    assert first
    assert not set(first) & set(second), "they are on one machine"
    assert [node["host"] for node in made["nodes"][:2]] == [0, 0]
    ids = {node["machine"]["machine_id"] for node in made["nodes"]}
    assert len(ids) == 2
    assert None not in ids
    assert made["machine"] == made["nodes"][0]["machine"]
    assert {found["precision"] for found in made["efficiencies"]} == {"float32"}
    assert program.run("check", made["id"]).returncode == 0
    assert "They are on one machine" in program.run("results", "show", made["id"]).stdout
    assert left_of(nodes) == []


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a device is a core at least")
def test_a_lost_node_ends_it_with_its_reason(program: Program, nodes: RayNodes) -> None:
    """The last of these tests: afterwards the cluster has one node less."""
    process = started(program, nodes)
    read_until(process, "measuring")
    nodes.tell("lose", "node-1")
    output, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1, said
    made: dict[str, Any] = json.loads(output)
    assert [found["place"] for found in made["efficiencies"]][1] == "out"
    assert made["entries"][0]["failure"] is None
    assert "rank 1 was lost with its node" in made["entries"][1]["failure"]["message"]
    wait_until(lambda: not left_of(nodes))


def refused(program: Program, *arguments: str) -> str:
    done = program.here(*arguments)
    assert done.returncode == 2
    return done.stderr


def test_an_engine_that_cannot_train_over_nodes_is_refused(program: Program) -> None:
    said = refused(program, "scale", "jax", "--ray", "127.0.0.1:9")
    assert "jax holds all devices in one process, so it cannot train over nodes" in said
    assert "these can: torch" in said
    said = refused(program, "scale", "native", "--ray", "127.0.0.1:9")
    assert "native does not offer data-parallel training; these do: jax, torch" in said


def test_an_address_that_does_not_answer_is_named(program: Program) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    assert f"no Ray cluster answers at {address}" in refused(
        program, "scale", "torch", "--ray", address
    )
    assert "--ray takes HOST:PORT" in refused(program, "scale", "torch", "--ray", "nowhere")


@pytest.mark.parametrize("command", ["race", "fleet run"])
def test_other_commands_take_no_number_of_devices(program: Program, command: str) -> None:
    options = ["--ray", "127.0.0.1:9"] if command == "fleet run" else ["native"]
    assert "devices=2" in refused(program, *command.split(), "torch+devices=2", *options)
