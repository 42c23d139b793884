"""``epochmark fleet run`` on a real Ray cluster: several nodes on this machine."""

from __future__ import annotations

import importlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest

from epochmark._version import __version__
from epochmark.errors import EpochmarkError
from epochmark.fleet.launchers import ray_cluster
from epochmark.fleet.launchers.landing import Landing
from epochmark.fleet.launchers.on_node import Done, NodeRunner, cleared
from epochmark.records.store import FOLDER_VARIABLE
from tests.pipeline.bare_nodes import bare_python, installed_copy, joined
from tests.pipeline.program import SMALL_BATCH, Program
from tests.pipeline.running_ray import STEP_S, WAIT_S, another_version, ray_nodes, wait_until

pytestmark = pytest.mark.slow

ALIKE = ("node-0", "node-1", "node-2", "node-3", "node-4")


def landed(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {file.stem: json.loads(file.read_bytes()) for file in sorted(folder.glob("*.json"))}


@pytest.mark.usefixtures("all_cores")
def test_every_node_is_measured_and_what_goes_wrong_is_named(
    program: Program, tmp_path: Path
) -> None:
    """One node is slow, one is lost in its run, one is used by others, one has another version."""
    slow = {"EPOCHMARK_FAKE": json.dumps({"step_s": 3 * STEP_S})}
    scripts: dict[str, dict[str, str]] = {
        **{name: {} for name in ALIKE},
        "slow": slow,
        "lost": slow,
        "used": {},
        "other": {"PYTHONPATH": another_version(tmp_path)},
    }
    into = tmp_path / "into"
    with ray_nodes(tmp_path / "nodes", scripts) as nodes:
        nodes.tell("use", "used")
        options = ("--ray", nodes.address, "--into", str(into), "--slot-seconds", "30", "--json")
        running = program.start("fleet", "run", "fake", *options)
        wait_until((into / "lost.json").exists)
        nodes.tell("lose", "lost")
        out, said = running.communicate(timeout=500)
    records = landed(into)
    assert {name: len(own) for name, own in records.items() if name != "lost"} == {
        **dict.fromkeys((*ALIKE, "slow"), 6)
    }
    assert 1 <= len(records["lost"]) < 6
    assert running.returncode == 1
    assert "used: it was busy for 30 s" in said
    assert f"other: it has epochmark 0.0.1, not {__version__}" in said
    assert "\nlost: " in said
    assert "6 done" in said
    ids = {own[0]["machine"]["machine_id"] for own in records.values()}
    assert len(ids) == len(records)
    (group,) = json.loads(out)["groups"]
    times = {node["node"]: node["steady_epoch_s"] for node in group["nodes"]}
    measured = {name: seconds for name, seconds in times.items() if seconds is not None}
    # runs that the nodes on shared cores disturbed are not judged, be they the slow node's or not
    assert "slow" not in measured or max(measured, key=measured.__getitem__) == "slow"
    verdicts = {node["node"]: node["verdict"] for node in group["nodes"]}
    assert verdicts["slow"] not in ("alike", "fast")
    assert verdicts["lost"] in ("suspected", "not judged")
    assert all("OMP_NUM_THREADS" not in own[0]["environment"] for own in records.values())


def test_whatever_ends_it_keeps_what_has_come_and_leaves_nothing_running(
    program: Program, tmp_path: Path
) -> None:
    endless = {"EPOCHMARK_FAKE": json.dumps({"step_s": 1.0})}
    with ray_nodes(tmp_path / "nodes", {"node-0": {}, "node-1": endless}) as nodes:
        for number, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
            into = tmp_path / number.name
            options = ("--ray", nodes.address, "--into", str(into))
            running = program.start("fleet", "run", "fake", *options)
            wait_until((into / "node-0.json").exists)
            wait_until(lambda: runs_below(tmp_path / "nodes" / "node-1"))
            running.send_signal(number)
            running.communicate(timeout=WAIT_S)
            assert running.returncode == status
            wait_until(lambda: not runs_below(tmp_path / "nodes"))
            assert [*landed(into)] == ["node-0"]
            assert program.run("fleet", "report", str(into)).returncode == 0


def runs_below(folder: Path) -> list[psutil.Process]:
    """Processes of ``epochmark run`` whose results are kept in this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = str(folder) in process.environ().get(FOLDER_VARIABLE, "")
            if ours and "epochmark" in process.cmdline() and "run" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.usefixtures("all_cores")
def test_a_node_without_epochmark_is_named_and_measured_with_ship(
    program: Program, tmp_path: Path
) -> None:
    own = {
        "TMPDIR": str(program.folder),
        FOLDER_VARIABLE: str(tmp_path / "results"),
        "EPOCHMARK_FAKE": json.dumps({"step_s": STEP_S}),
        "PIP_NO_DEPS": "1",  # all but epochmark is there
        "PIP_NO_INDEX": "1",
    }
    python = bare_python(tmp_path / "bare")
    installed = installed_copy(tmp_path / "installed")
    shipping = {"PYTHONPATH": os.pathsep.join([str(installed), *sys.path])}
    with (
        ray_nodes(tmp_path / "nodes", {}) as nodes,
        joined(python, nodes.address, "bare", own),
    ):
        options = ("fleet", "run", "fake", "--ray", nodes.address, "--into")
        alone = program.start(*options, str(tmp_path / "alone"))
        _, alone_said = alone.communicate(timeout=WAIT_S)
        shipped = program.start(*options, str(tmp_path / "shipped"), "--ship", environment=shipping)
        _, shipped_said = shipped.communicate(timeout=2 * WAIT_S)
    assert alone.returncode == 1
    assert "it has no epochmark; --ship sends it this one" in alone_said
    assert shipped.returncode == 0, shipped_said
    (records,) = landed(tmp_path / "shipped").values()
    assert {record["epochmark_version"] for record in records} == {__version__}
    assert len(records) == 6


def test_a_lost_head_ends_it_with_what_had_come(program: Program, tmp_path: Path) -> None:
    endless = {"EPOCHMARK_FAKE": json.dumps({"step_s": 1.0})}
    into = tmp_path / "into"
    with ray_nodes(tmp_path / "nodes", {"node-0": {}, "node-1": endless}) as nodes:
        options = ("--ray", nodes.address, "--into", str(into))
        running = program.start("fleet", "run", "fake", *options)
        wait_until((into / "node-0.json").exists)
        nodes.tell("lose", "head")
        _, said = running.communicate(timeout=300)
    assert running.returncode == 1
    assert f"the Ray cluster at {nodes.address} was lost" in said
    assert "'epochmark fleet report' reads them" in said
    assert [*landed(into)] == ["node-0"]
    assert program.run("fleet", "report", str(into)).returncode == 0


def test_another_ray_is_named_with_both_versions() -> None:
    """By what Ray itself raises where it joins a cluster."""
    utils = importlib.import_module("ray._private.utils")
    cluster = {"ray_version": "2.49.0", "python_version": "3.10.1"}
    with pytest.raises(RuntimeError) as caught:
        utils.check_version_info(cluster, "here")
    said = ray_cluster.short(caught.value)
    own = importlib.import_module("ray").__version__
    assert "was started with: Ray: 2.49.0 Python: 3.10.1" in said
    assert f"Ray: {own} Python: {platform.python_version()}" in said


def test_a_cluster_of_this_machine_alone(program: Program, tmp_path: Path) -> None:
    into = tmp_path / "into"
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # Ray's sockets lie in it
        variables = {"RAY_TMPDIR": short}
        options = ("--ray", "local", "--into", str(into))
        done = program.run("fleet", "run", "fake", *options, environment=variables)
    assert done.returncode == 0, done.stderr
    assert "One node: there is nothing to compare it with." in done.stdout
    assert [len(own) for own in landed(into).values()] == [6]


def test_an_address_that_does_not_answer(program: Program) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    done = program.run("fleet", "run", "--ray", address)
    assert done.returncode == 2
    assert f"no Ray cluster answers at {address}: Connection refused" in done.stderr


@pytest.mark.parametrize("address", ["nowhere", "host:port", ":", "127.0.0.1:99999"])
def test_what_is_no_address(program: Program, address: str) -> None:
    done = program.run("fleet", "run", "--ray", address)
    assert done.returncode == 2
    assert address in done.stderr


def test_without_ray_the_command_that_installs_it_is_named(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError('No module', name='ray')")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = program.run("fleet", "run", "--ray", "local", environment={"PYTHONPATH": path})
    assert done.returncode == 2
    assert "pip install 'epochmark[ray]'" in done.stderr


def test_a_run_has_all_threads_whatever_ray_set(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in program.variables({"OMP_NUM_THREADS": "1", "RAY_X": "1"}).items():
        monkeypatch.setenv(name, value)
    done = NodeRunner().run(["native", "--steps", "20", *SMALL_BATCH, "--anyway", "--no-save"])
    record = json.loads(done.document)
    assert done.status == 0, done.said
    assert record["engine"]["settings"]["threads"] == str(record["machine"]["usable_cores"])
    assert "OMP_NUM_THREADS" not in record["environment"]


def test_a_run_is_as_nice_as_a_users_where_that_is_allowed() -> None:
    """Ray gives its workers a niceness of 15; only root may take it back, or who has the right."""
    ask = (
        "import os; os.nice(15); from epochmark.fleet.launchers.on_node import NodeRunner; "
        "print(NodeRunner().about()['niceness'], os.getpriority(os.PRIO_PROCESS, 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said, real = map(int, done.stdout.split())
    assert said == real
    if os.geteuid() == 0:
        assert real == 0


def test_what_ray_sets_for_itself_is_cleared() -> None:
    ours = {"PATH": "/bin", "EPOCHMARK_DATA": "x"}
    rays = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "RAY_JOB_ID": "1"}
    assert cleared({**ours, **rays}) == ours


def test_what_a_node_prints_is_not_believed(tmp_path: Path) -> None:
    landing = Landing(tmp_path / "into")
    trouble = landing.take("../../etc/node", Done(b"{}", "x\nepochmark: no such engine\n", 2))
    assert trouble == "a run ended with exit code 2 and no record: epochmark: no such engine"
    assert list((tmp_path / "into").iterdir()) == []
    sound = (Path(__file__).parents[1] / "records" / "fake-valid-4.json").read_bytes()
    assert landing.take("../../etc/node", Done(sound, "", 0)) is None
    assert [file.name for file in (tmp_path / "into").iterdir()] == ["_.._etc_node.json"]
    with pytest.raises(EpochmarkError, match="holds records already"):
        Landing(tmp_path / "into")
