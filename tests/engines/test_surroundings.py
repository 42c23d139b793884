"""Whose environment is measured: real frameworks among variables and files that change their work.

Interpreters of ours leave all of them behind; one that the user names is measured as it is, and the
record says what that was.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from epochmark.bench.interpreters.environment import foreign_environment, own_environment
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.records.record import Record
from epochmark.system import usable_cores
from epochmark.workloads import MNIST_CNN
from tests import cores
from tests.engines.conftest import MNIST_MLP, SMALL_BATCH, Run, interpreter_of
from tests.engines.test_order import assert_every_sample_once_an_epoch_in_a_new_order, drive

CORES = len(cores.ALL) or usable_cores()
several_cores = pytest.mark.skipif(CORES < 2, reason="one core: nothing can have fewer threads")

IN_SMALL_BATCHES = f"batch {SMALL_BATCH}"
ENOUGH_STEPS = 40
"""Of ``mnist-mlp``, on any processor: it takes a fifth of a second of CPU time to tell threads
apart."""


pytestmark = pytest.mark.usefixtures("injected")


def ours(engine: str) -> Interpreter:
    """The engine's own or managed interpreter, started from the environment as it is now."""
    return replace(interpreter_of(engine), environment=own_environment(os.environ))


def named(engine: str) -> Interpreter:
    """The same Python as if the user had named it with ``--python``."""
    environment = foreign_environment(os.environ)
    return replace(interpreter_of(engine), kind="foreign", environment=environment)


def keras_json(folder: Path, **settings: object) -> Path:
    folder.mkdir()
    file = folder / "keras.json"
    file.write_text(json.dumps(settings))
    return file


def codes(record: Record) -> dict[str, str]:
    return {finding.code: finding.detail for finding in record.findings}


@several_cores
@pytest.mark.usefixtures("all_cores")
def test_threads_that_a_variable_takes_away_stay_in_an_interpreter_of_ours(
    run_small: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("GOMP_CPU_AFFINITY", "0")
    record = run_small("torch", ours("torch"), workload=MNIST_MLP, max_steps=ENOUGH_STEPS).record
    assert record.workload.variant == [f"{ENOUGH_STEPS} steps", IN_SMALL_BATCHES]
    assert record.placement is not None
    assert record.placement.cpus == CORES
    assert record.environment == {}
    assert int(record.engine.settings["threads"]) > 1


@several_cores
@pytest.mark.usefixtures("all_cores")
@pytest.mark.parametrize(
    ("variable", "value", "variant"),
    [
        ("OMP_NUM_THREADS", "1", f"1 of {CORES} threads"),
        ("GOMP_CPU_AFFINITY", "0", f"on 1 of {CORES} cores"),
    ],
)
def test_threads_and_cores_taken_away_from_a_users_own_interpreter_are_a_variant(
    run_small: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, variant: str
) -> None:
    monkeypatch.setenv(variable, value)
    record = run_small("torch", named("torch"), workload=MNIST_MLP, max_steps=ENOUGH_STEPS).record
    expected = sorted([variant, f"{ENOUGH_STEPS} steps", IN_SMALL_BATCHES])
    assert record.workload.variant == expected, record.placement
    assert record.environment[variable] == value


def test_a_users_keras_json_does_not_reach_an_interpreter_of_ours(
    run_small: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = keras_json(
        tmp_path / ".keras", floatx="float64", epsilon=0.1, image_data_format="channels_first"
    )
    before = file.read_bytes()
    interpreter_of("keras-torch")  # found while the user's folders are where they are
    monkeypatch.setenv("HOME", str(tmp_path))
    record = run_small("keras-torch", ours("keras-torch"), max_steps=3).record
    assert record.headline.validity == "partial", record.findings
    assert record.workload.variant == ["3 steps", IN_SMALL_BATCHES]
    assert record.engine.settings["policy"] == "float32"
    assert [file.name for file in file.parent.iterdir()] == ["keras.json"]
    assert file.read_bytes() == before


def test_float64_by_a_users_keras_json_is_seen(
    run_small: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keras_json(tmp_path / "k", floatx="float64", image_data_format="channels_first")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "k"))
    interpreter = named("keras-tensorflow")
    record = run_small("keras-tensorflow", interpreter, workload=MNIST_CNN, max_steps=3).record
    assert record.precision.observed == "float64"
    said = "keras.json: floatx float64, image_data_format channels_first"
    assert record.workload.variant == ["3 steps", IN_SMALL_BATCHES, said]
    assert record.engine.settings["layout"] == "channels_last"


@pytest.mark.parametrize("settings", [{"epsilon": 1}, {"floatx": "float8"}])
def test_a_keras_json_that_breaks_the_work_is_named(
    run_small: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, object]
) -> None:
    keras_json(tmp_path / "k", **settings)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "k"))
    record = run_small("keras-torch", named("keras-torch"), max_steps=1).record
    assert record.headline.validity == "invalid"
    (name, value), *_ = settings.items()
    details = [detail for detail in codes(record).values() if "keras.json" in detail]
    assert details
    assert details[0].endswith(f"; set there: keras.json: {name} {value}")


def test_steps_that_keras_leaves_out_by_a_variable_are_not_the_engine_files_fault(
    run_small: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_MAX_STEPS_PER_EPOCH", "2")
    record = run_small("keras-torch", named("keras-torch"), max_steps=4).record
    assert "KERAS_MAX_STEPS_PER_EPOCH=2" in record.workload.variant
    assert codes(record)["work-incomplete"].endswith("; set there: KERAS_MAX_STEPS_PER_EPOCH=2")
    assert "KERAS_MAX_STEPS_PER_EPOCH" not in ours("keras-torch").environment


def test_jax_without_compiling_is_a_variant(
    run_small: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JAX_DISABLE_JIT", "1")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    record = run_small("jax", named("jax"), max_steps=1).record
    assert record.workload.variant == [
        "1 step", "JAX_COMPILATION_CACHE_DIR=set", "JAX_DISABLE_JIT=1", IN_SMALL_BATCHES
    ]  # fmt: skip
    assert record.engine.settings["execution"] == "operation by operation, nothing jitted"


def test_a_flag_that_xla_does_not_know_is_reported(
    run_small: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_no_such_flag=1")
    record = run_small("jax", named("jax"), max_steps=1).record
    assert record.failure is not None
    assert "Unknown flag in XLA_FLAGS: --xla_no_such_flag=1" in record.failure.message
    assert "XLA_FLAGS" not in ours("jax").environment


def test_a_compiler_that_tinygrad_cannot_use_is_named(
    run_small: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    record = run_small("tinygrad", named("tinygrad"), max_steps=1).record
    assert record.failure is not None
    assert codes(record)["engine-failed"].endswith("; set there: CC=no-such-compiler")
    assert "CC" not in ours("tinygrad").environment


def test_memory_tracing_is_a_variant(run_small: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONTRACEMALLOC", "1")
    monkeypatch.setenv("EPOCHMARK_FAKE", "{}")
    python = Interpreter.foreign(sys.executable)
    record = run_small("native", python, workload=MNIST_CNN, max_steps=2).record
    assert record.workload.variant == [
        "2 steps", "PYTHONTRACEMALLOC=1", "Python mode: memory tracing", IN_SMALL_BATCHES
    ]  # fmt: skip


def test_a_broken_settings_file_of_plaidml_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".plaidml").write_text("no settings at all")
    interpreter_of("plaidml-keras")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    (seen,) = drive("plaidml-keras", tmp_path / "work", {}, interpreter=ours("plaidml-keras"))
    assert_every_sample_once_an_epoch_in_a_new_order(seen)
