"""The variant of a run is what its record shows, whatever was typed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from epochmark.analysis.comparing.comparability import key_of
from epochmark.analysis.timing.headline import observed_precision
from epochmark.judge.check import check_record
from epochmark.judge.departures import departures
from epochmark.judge.validity import judge
from epochmark.records.record import Placement, Record
from epochmark.records.upgrades import encode_record
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import replay_data
from tests.unit.samples import record


def run(threads: str | None = "4", **values: Any) -> Record:
    """A whole run on four cores with two threads each, of an engine that had ``threads``."""
    settings = {} if threads is None else {"threads": threads}
    machine = {"machine__usable_cores": 8, "machine__physical_cores": 4}
    return record(**{"engine__settings": settings, **machine, **values})


def placed(busy: int, cpus: int, **values: Any) -> Record:
    placement = Placement(threads=busy, cpus=cpus)
    return msgspec.structs.replace(run(**values), placement=placement)


@pytest.mark.parametrize(
    ("found", "variant"),
    [
        (run("8"), []),
        (run("4"), []),  # PyTorch leaves hyper-threads idle by itself
        (run("3"), ["3 of 8 threads"]),
        (run("12"), ["12 of 8 threads"]),
        (run("TensorFlow's default"), []),
        (run("4", environment={"OMP_NUM_THREADS": "4"}), ["4 of 8 threads"]),
        (run("8", environment={"OMP_NUM_THREADS": "8"}), []),
        (run(None, environment={"OMP_NUM_THREADS": "1"}), ["OMP_NUM_THREADS=1"]),
        (run(environment={"CUDA_VISIBLE_DEVICES": "0", "CC": "gcc"}), []),
        (run(environment={"JAX_DISABLE_JIT": "1"}), ["JAX_DISABLE_JIT=1"]),
        (run(environment={"keras.json": "floatx float64"}), ["keras.json: floatx float64"]),
        (run(environment={"CC": "gcc"}, engine__name="tinygrad"), ["CC=gcc"]),
        (placed(4, 4), []),
        (placed(2, 1), ["on 1 of 8 cores"]),
        (placed(1, 1), []),
        (placed(9, 8, threads="8"), []),
        (placed(2, 1, threads="1"), ["1 of 8 threads"]),
        (run(engine__settings={"build": "Release"}), []),
        (
            run(engine__settings={"build": "Debug, not optimised"}),
            ["build: Debug, not optimised"],
        ),
    ],
)
def test_the_variant_follows_from_the_record(found: Record, variant: list[str]) -> None:
    assert departures(found) == variant


def test_threads_asked_for_are_a_variant_also_where_the_engine_says_nothing_of_them() -> None:
    assert departures(run(None), threads_asked=2) == ["2 of 8 threads"]
    assert departures(run("4"), threads_asked=4) == ["4 of 8 threads"]
    assert departures(run("8"), threads_asked=8) == []


@pytest.mark.parametrize(
    ("labelled", "surrounded"),
    [([], {"DNNL_MAX_CPU_ISA": "SSE41"}), (["DNNL_MAX_CPU_ISA=SSE41"], {}),
     (["3 of 8 threads"], {})],
)  # fmt: skip
def test_check_refuses_a_label_that_is_not_what_the_record_shows(
    labelled: list[str], surrounded: dict[str, str]
) -> None:
    found = run("8", workload__variant=labelled, environment=surrounded)
    problems = check_record(encode_record(found)).problems
    assert any("its fields say" in problem for problem in problems), problems


def test_check_takes_threads_that_were_asked_for() -> None:
    found = run("4", workload__variant=["4 of 8 threads"])
    problems = check_record(encode_record(found)).problems
    assert not any("its fields say" in problem for problem in problems), problems


def test_float64_is_not_float32_though_it_meets_its_tolerance() -> None:
    golden = replay_data.golden_losses(MNIST_CNN, record().engine.adam_form, 1)

    def computed_in(kind: str, requested: str = "stock") -> Record:
        return record(
            engine__settings={"compute_type": kind},
            replay={"version": 1, "losses": [*golden]},
            precision={"requested": requested, "observed": kind},
        )

    single, double = computed_in("float32"), computed_in("float64")
    assert observed_precision(single) == "float32"
    assert observed_precision(double) == "float64"
    assert key_of(single) != key_of(double)
    asked = judge(computed_in("float64", requested="float32"))
    assert "precision-mismatch" in {finding.code for finding in asked}


def test_wrong_work_names_what_may_have_caused_it() -> None:
    found = run(environment={"KERAS_MAX_EPOCHS": "1", "CUDA_VISIBLE_DEVICES": "0"})
    timing = msgspec.structs.replace(found.timing, laps=found.timing.laps[:1])
    details = {
        finding.code: finding.detail
        for finding in judge(msgspec.structs.replace(found, timing=timing))
    }
    assert details["work-incomplete"].endswith("are the work; set there: KERAS_MAX_EPOCHS=1")
