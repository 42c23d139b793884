"""``epochmark limits`` as a user runs it: real workers, the native kernels, the fake engine."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from epochmark.hardware.machine import describe_machine, machine_id
from epochmark.records.machine.limits_file import decode_limits, read_limits, save_limits
from epochmark.records.machine.machine_limits import Limits, ProcessorLimits
from tests.pipeline.program import Program, read_until
from tests.unit.test_limits_file import WHEN, engine, multiply_adds


@pytest.fixture
def measured(program: Program) -> Program:
    """With a processor and an engine measured before, on this machine."""
    machine = describe_machine(machine_id(program.results))
    processor = ProcessorLimits(
        measured=WHEN, epochmark_version="0", multiply_adds=[multiply_adds("avx2", 2, 160.0)]
    )
    kept = Limits(format=1, machine=machine, processor=processor)
    save_limits(program.results, kept.with_engine(engine("torch", "cpu", 100.0)))
    return program


def stored(program: Program) -> Limits:
    limits = read_limits(program.results)
    assert limits is not None
    return limits


def test_native_measures_the_processor_and_itself(program: Program, all_cores: None) -> None:
    done = program.run("limits", "native", "--json")
    assert done.returncode == 0, done.stderr
    limits = stored(program)
    assert json.loads(done.stdout)["engines"][0]["engine"] == "native"
    processor = limits.processor
    assert processor is not None
    sets = {product.instruction_set for product in processor.products}
    assert "portable" in sets
    assert sets <= {measured.instruction_set for measured in processor.multiply_adds}
    bandwidth, peak, native = limits.bandwidth(), limits.peak(), limits.of_engine("native", "cpu")
    assert bandwidth is not None
    assert peak is not None
    assert native is not None
    assert native.problem is None
    assert native.settings["instruction_set"] in sets
    assert native.product is not None
    assert native.convolution is not None
    assert native.dispatch is not None
    assert native.dispatch.call_s.low > 0
    # figures of one machine, whatever else it does: of a size that arithmetic allows
    assert 0 < native.product.timed.per_s.low < 10 * peak.gflop_per_s.high
    assert limits.for_run() is not None


def test_an_engine_is_measured_on_each_of_its_devices(measured: Program) -> None:
    done = measured.run("limits", "fake")
    assert done.returncode == 0, done.stderr
    limits = stored(measured)
    names = [(engine.engine, engine.device) for engine in limits.engines]
    assert names == [("fake", "cpu"), ("fake", "gpu:0"), ("torch", "cpu")]
    assert limits.processor is not None
    assert limits.processor.measured == WHEN, "known already, so not measured again"
    assert "fake    gpu:0" in done.stdout
    assert "Highest float32 peak: 160 GFLOP/s" in done.stdout


def test_one_device_only(measured: Program) -> None:
    assert measured.run("limits", "fake", "--device", "gpu").returncode == 0
    assert {engine.device for engine in stored(measured).engines if engine.engine == "fake"} == {
        "gpu:0"
    }


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ({"fail_in": "operations"}, "RuntimeError: the fake engine was told to fail"),
        ({"fail_in": "operations", "fail_how": "kill"}, "killed by SIGKILL"),
        ({"fail_in": "open", "fail_how": "exit"}, "exit status 3"),
        ({"fail_in": "operations", "fail_how": "garbage"}, "(starting)"),
        ({"replay": 0.1}, "its matrix product is wrong by 10.0% of the largest entry"),
        ({"replay": float("nan")}, "wrong by nan%"),
    ],
)
def test_an_engine_that_fails_is_reported_and_leaves_the_file_as_it_was(
    measured: Program, script: dict[str, Any], problem: str
) -> None:
    before = stored(measured).with_engine(engine("fake", "cpu", 70.0))
    save_limits(measured.results, before)
    measured.script(**script)
    done = measured.run("limits", "fake", "--device", "cpu")
    assert done.returncode == 1
    assert problem in done.stderr
    assert stored(measured) == before
    absent = measured.run("limits", "fake", "--device", "gpu:1")
    assert absent.returncode == 1
    assert stored(measured).of_engine("fake", "gpu:1") is None


def test_what_was_measured_is_shown_without_measuring(measured: Program) -> None:
    shown = measured.run("limits", "--show")
    assert shown.returncode == 0
    assert shown.stderr == ""
    assert "160" in shown.stdout
    assert "torch" in shown.stdout
    document = json.loads(measured.run("limits", "--show", "--json").stdout)
    assert document["engines"][0]["engine"] == "torch"


def test_limits_of_another_machine_are_shown_as_such(measured: Program) -> None:
    (measured.results / "machine-id").write_text("0" * 16)
    shown = measured.run("limits", "--show")
    assert shown.returncode == 0
    assert "another machine" in shown.stderr


def test_limits_of_another_machine_are_put_aside(measured: Program) -> None:
    before = stored(measured)
    (measured.results / "machine-id").write_text("0" * 16)
    measured.script(fail_in="operations", fail_how="hang")
    with measured.start("limits", "fake") as process:
        assert "machine-limits-replaced" in read_until(process, "fake on cpu: starting")
        process.send_signal(signal.SIGINT)
    aside = (measured.results / "machine-limits-replaced").read_bytes()
    assert decode_limits(aside) == before
    assert stored(measured).machine.machine_id == "0" * 16
    assert stored(measured).engines == []


def test_a_run_keeps_the_figures_of_its_processor(measured: Program) -> None:
    assert measured.run("run", "fake").returncode in (0, 1)
    assert measured.run("run", "fake", "--device", "gpu").returncode in (0, 1)
    on_cpu, on_gpu = sorted(measured.records(), key=lambda record: record["device"]["resolved"])
    assert on_cpu["limits"]["float32_source"] == "avx2 multiply-adds, 2 threads"
    assert on_gpu["limits"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--show"], "measure them with 'epochmark limits'"),
        (["--show", "nosuch"], "omit engines, --device and --python"),
        (["nonsense"], "there is no engine 'nonsense'"),
        (["fake", "--device", "tpu"], "fake runs on: cpu, gpu"),
        (["native", "--device", "gpu"], "native runs on: cpu"),
        (["--python", "python3"], "epochmark limits ENGINE --python PATH"),
        (["torch", "--python", "/nowhere/python"], "no such interpreter"),
    ],
)
def test_what_cannot_be_done_is_reported(
    program: Program, arguments: list[str], message: str
) -> None:
    done = program.here("limits", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert read_limits(program.results) is None


def test_an_unreadable_file_is_reported_and_replaced(measured: Program) -> None:
    (measured.results / "machine-limits").write_text("{")
    assert measured.run("limits", "--show").returncode == 1
    with measured.start("limits", "fake", "--device", "cpu") as process:
        assert "cannot be read" in read_until(process, "the processor: ")
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130


def test_ctrl_c_ends_it_and_keeps_what_is_complete(measured: Program) -> None:
    measured.script(fail_in="operations", fail_how="hang")
    with measured.start("limits", "fake") as process:
        read_until(process, "fake on cpu: starting")
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "interrupted" in process.stderr.read()
    assert process.returncode == 130
    assert [engine.engine for engine in stored(measured).engines] == ["torch"]
