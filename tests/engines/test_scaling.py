"""Data-parallel training of real frameworks is the training of one device: torch in processes that
meet over gloo, JAX on host devices."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from epochmark.bench.process.importable import with_our_package
from epochmark.workloads._proof import reference
from epochmark.workloads.spec import SGD
from tests.engines.conftest import answer_of, interpreter_of
from tests.engines.scaling_driver import RATE, STEPS
from tests.engines.tiny_workloads import (
    GPT,
    MLP,
    TINY,
    batches_of,
    draw_parameters,
    draw_samples,
)

DRIVER = Path(__file__).with_name("scaling_driver.py")
FLOAT32 = 2e-6
NAMES = [MLP.name, GPT.name]


@cache
def right_losses(name: str, rate: float) -> list[float]:
    """Those of one device in float64."""
    workload = TINY[name]
    batches = list(batches_of(draw_samples(workload, workload.train_samples)))
    optimizer = SGD(rate) if rate else None
    return reference.train(workload, draw_parameters(workload), batches, "algorithm_1", optimizer)[
        0
    ]


@pytest.fixture(scope="module")
def torch_parts(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of three processes says; eight samples of a batch are two, three and three."""
    interpreter = interpreter_of("torch")
    folder = tmp_path_factory.mktemp("ranks")
    environment = with_our_package(folder, interpreter.environment)
    processes = [
        subprocess.Popen(
            [str(interpreter.python), str(DRIVER), "torch", "3", str(rank), str(folder / "meet")],
            env=environment,
            stdout=subprocess.PIPE,
            cwd=folder,
        )
        for rank in range(3)
    ]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    return [json.loads(lines.splitlines()[-1]) for lines in said]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 0.0), ("sgd", RATE)])
def test_shards_of_other_sizes_are_weighted_by_their_samples(
    torch_parts: list[dict[str, Any]], name: str, optimizer: str, rate: float
) -> None:
    parts = zip(*(part[name][optimizer] for part in torch_parts), strict=True)
    losses = [fmean(losses) for losses in parts]
    assert losses == pytest.approx(right_losses(name, rate), rel=FLOAT32)


@pytest.mark.parametrize("name", NAMES)
def test_all_processes_end_with_the_same_parameters(
    torch_parts: list[dict[str, Any]], name: str
) -> None:
    found = [part[name] for part in torch_parts]
    assert len({part["replicas"][0][1] for part in found}) == 1
    assert {part["replicas"][0][0] for part in found} == {"cpu"}
    assert {part["settings"]["backend"] for part in found} == {"gloo"}
    assert all(part["asked"] == STEPS and part["forward_s"] > 0 for part in found)


def test_host_devices_of_jax_do_the_work_of_one(tmp_path: Path) -> None:
    devices = 4
    found = answer_of(DRIVER, tmp_path, "jax", str(devices), "0")
    for name in NAMES:
        part = found[name]
        assert part["adam"] == pytest.approx(right_losses(name, 0.0), rel=FLOAT32)
        assert part["sgd"] == pytest.approx(right_losses(name, RATE), rel=FLOAT32)
        assert [device for device, _ in part["replicas"]] == [f"cpu:{n}" for n in range(devices)]
        assert len({sha256 for _, sha256 in part["replicas"]}) == 1
        assert part["asked"] == STEPS
