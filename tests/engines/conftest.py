"""Real engines in real workers: in whose interpreter, and what counts as ready.

An engine is tested in the interpreter that a run would choose: ours, or a managed environment made
with ``epochmark engines install``. ``EPOCHMARK_TEST_PYTHONS`` (``torch=/path/python,jax=...``)
names others. An engine that is ready nowhere is skipped, unless ``EPOCHMARK_REQUIRE_ENGINES``
(names separated by commas, or ``all``) says that it must be tested: then it fails. With ``all``
every skipped test has failed (``tests/conftest.py``).
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import epochmark.engines
import epochmark.workloads
from epochmark.bench.interpreters.interpreter import Interpreter, find_interpreter
from epochmark.bench.plan import PlannedRun
from epochmark.bench.process.importable import with_our_package
from epochmark.bench.request import RunRequest, public_engines
from epochmark.bench.session import Bench, Measured
from epochmark.engines import get_engine
from epochmark.hardware.machine import describe_machine
from epochmark.workloads import MNIST_CNN, WORKLOADS
from epochmark.workloads.spec import Workload

ENGINES = public_engines()
TUNED = [name for name in ENGINES if get_engine(name).info.tunables_on("cpu")]

MNIST_MLP = WORKLOADS["mnist-mlp"]
INJECTED = Path(__file__).with_name("injected")
"""On PYTHONPATH it brings engines that do wrong, and small workloads."""
SLOW = ("mlx", "plaidml-keras", "tinygrad")
"""They take seconds for a step of ``mnist-cnn`` on a CPU."""

QUICKLY_COMPILED = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
"""For what is driven without a worker: JAX compiles in two thirds of the time."""

SMALL_BATCH = 8
"""Far less than the workload's: some engines take seconds for a step of 128 images on a CPU, and
float64 computes every image of the continuation again. The replay keeps the workload's."""
LEARNING_BATCH = 32
"""Where it matters that something is learned in a few steps."""

Run = Callable[..., Measured]


def tuned_settings(engine: str, workload: Workload = MNIST_CNN) -> dict[str, str]:
    """The furthest from stock that an engine's tuned mode goes on a CPU; threads as they are, since
    asking for what is there anyway is refused."""
    tunables = get_engine(engine).info.tunables_on("cpu", workload)
    return {tunable.name: tunable.values[-1] for tunable in tunables if tunable.name != "threads"}


def _listed(variable: str) -> list[str]:
    return [part.strip() for part in os.environ.get(variable, "").split(",") if part.strip()]


@cache
def _find(engine: str) -> Interpreter | None:
    named = dict(part.split("=", 1) for part in _listed("EPOCHMARK_TEST_PYTHONS"))
    if engine in named:
        return Interpreter.foreign(named[engine])
    return find_interpreter(get_engine(engine).info)


def interpreter_of(engine: str) -> Interpreter:
    """The interpreter to test an engine in; skips the test, or fails it, when there is none."""
    found = _find(engine)
    if found is not None:
        return found
    message = f"{engine} is ready in no interpreter; epochmark engines install {engine} makes one"
    if {engine, "all"} & set(_listed("EPOCHMARK_REQUIRE_ENGINES")):
        pytest.fail(message)
    pytest.skip(message)


def answer_of(
    driver: Path,
    folder: Path,
    engine: str,
    *arguments: str,
    interpreter: Interpreter | None = None,
) -> Any:
    """What a script prints last, as JSON, run in an engine's interpreter as a worker would be.

    ``folder`` is an empty one, for the link that makes our package importable there, and to work
    in.
    """
    interpreter = interpreter or interpreter_of(engine)
    done = subprocess.run(
        [str(interpreter.python), str(driver), engine, *arguments],
        env=with_our_package(folder, {**interpreter.environment, **QUICKLY_COMPILED}),
        stdout=subprocess.PIPE,
        check=True,
        cwd=folder,
    )
    return json.loads(done.stdout.splitlines()[-1])


def with_injected(interpreter: Interpreter, **variables: str) -> Interpreter:
    """An interpreter that finds what is injected, with more variables."""
    environment = {**interpreter.environment, "PYTHONPATH": str(INJECTED), **variables}
    return replace(interpreter, environment=environment)


@pytest.fixture(scope="module")
def injected() -> Iterator[None]:
    """Here too: a request names only engines and workloads that exist."""
    with pytest.MonkeyPatch.context() as patch:
        for package, folder in ((epochmark.engines, "engines"), (epochmark.workloads, "workloads")):
            patch.setattr(package, "__path__", [*package.__path__, str(INJECTED / folder)])
        importlib.invalidate_caches()
        yield


@pytest.fixture(scope="module")
def run_small(run_engine: Run, injected: None) -> Run:
    """``run_engine`` with the workload of docs/adding-a-workload.md, where the network does not
    matter: steps, replay and float64 cost next to nothing."""

    def run(engine: str, interpreter: Interpreter | None = None, **departures: Any) -> Measured:
        here = with_injected(interpreter or interpreter_of(engine))
        small = {"workload": WORKLOADS["small-mlp"], "batch_size": SMALL_BATCH}
        return run_engine(engine, here, **{**small, **departures})

    return run


@pytest.fixture(scope="session")
def run_engine(bench: Bench) -> Run:
    """Measure a few steps of an engine through the whole pipeline, on the CPU. The machine is
    described with the cores that the test has now."""

    def run(engine: str, interpreter: Interpreter | None = None, **departures: Any) -> Measured:
        request = RunRequest(engine=engine, **departures)
        request.check()
        own = replace(bench, machine=describe_machine(None))
        return own.measure(PlannedRun(request, interpreter or interpreter_of(engine)))

    return run
