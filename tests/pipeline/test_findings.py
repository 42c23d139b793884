"""Each way an engine can be wrong is found, through a real worker process."""

from __future__ import annotations

from typing import Any

import pytest

from epochmark.errors import EpochmarkError
from epochmark.hardware.machine import describe_machine
from epochmark.judge.check import check_record
from epochmark.records.machine.limits_file import save_limits
from epochmark.records.machine.machine_limits import Limits, MultiplyAdds, ProcessorLimits, Timed
from epochmark.records.record import Record
from epochmark.records.upgrades import encode_record
from epochmark.report.text.answer import answer_lines
from epochmark.workloads import WORKLOADS
from tests.pipeline.conftest import MeasureFake
from tests.pipeline.program import Program

GPT = WORKLOADS["gpt-3m"]


def codes(record: Record) -> list[str]:
    return [finding.code for finding in record.findings]


def test_a_correct_engine_is_valid(correct: Record) -> None:
    assert codes(correct) == []
    assert correct.headline.validity == "valid"
    assert correct.outcome == "completed"
    assert sum(lap.steps for lap in correct.timing.laps) == 4690
    assert [epoch.epoch for epoch in correct.learning.epochs] == list(range(1, 11))
    assert correct.precision.observed == "float32"
    assert correct.device.observed == ["cpu"]
    assert correct.timing.startup_s is not None
    assert correct.timing.startup_s > 0


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({"loss": "nan"}, "loss-diverged"),
        ({"loss": "flat"}, "loss-flat"),
        ({"loss": 3.0}, "learning-out-of-band"),
        ({"test_accuracy": 0.9}, "learning-out-of-band"),
        ({"test_accuracy": 1.0}, "learning-out-of-band"),
        ({"replay": 0.05}, "parity-failed"),
        ({"replay": "nan"}, "parity-failed"),
        ({"replay": "short"}, "protocol-broken"),
        ({"sgd": 1e-4}, "parity-failed"),
        ({"sgd": "nan"}, "parity-failed"),
        ({"sgd": "short"}, "protocol-broken"),
        ({"observed_device": "gpu:0"}, "device-mismatch"),
        ({"steps_missing": 1}, "work-incomplete"),
        ({"steps_missing": -3}, "work-incomplete"),
        ({"uncounted_steps": 1}, "work-incomplete"),
        ({"continuation": 1e-3}, "continuation-failed"),
        ({"continuation": -1.0}, "continuation-failed"),
        ({"fail_in": "state"}, "continuation-missing"),
        ({"weights_accuracy": 0.1}, "weights-mismatch"),
    ],
)
def test_wrong_work_is_invalid(
    measure_fake: MeasureFake, script: dict[str, Any], code: str
) -> None:
    record = measure_fake(script).record
    assert code in codes(record)
    assert record.headline.validity == "invalid"


def test_what_a_language_allows_is_not_invalid(measure_fake: MeasureFake) -> None:
    record = measure_fake({"test_accuracy": 0.73}, workload=GPT).record
    assert record.headline.validity != "invalid", record.findings
    assert record.headline.time_to_target_s is not None


@pytest.mark.parametrize(
    ("script", "code"),
    [({"test_loss": 0.55}, "loss-below-entropy"), ({"test_accuracy": 0.5}, "copy-not-learned")],
)
def test_what_a_language_does_not_allow_is_invalid(
    measure_fake: MeasureFake, script: dict[str, Any], code: str
) -> None:
    record = measure_fake(script, workload=GPT).record
    assert code in codes(record)
    assert record.headline.validity == "invalid"
    assert check_record(encode_record(record)).problems == ()


def stored_limits(gflop_per_s: float) -> Limits:
    """Those of this machine, as 'epochmark limits' stores them."""
    when, version = "2026-11-24T12:00:00Z", "0"
    peak = MultiplyAdds(
        instruction_set="avx512",
        precision="float32",
        threads=2,
        timed=Timed(work=1e9, seconds=[1 / gflop_per_s]),
    )
    processor = ProcessorLimits(measured=when, epochmark_version=version, multiply_adds=[peak])
    return Limits(format=1, machine=describe_machine(None), processor=processor)


def test_a_measured_peak_that_is_beaten_is_stale_and_no_fault(measure_fake: MeasureFake) -> None:
    record = measure_fake({"step_s": 0.0001}, epochs=2, limits=stored_limits(100.0)).record
    assert codes(record) == ["limits-stale"]
    assert record.headline.validity == "valid"
    assert record.limits is not None
    assert record.limits.float32_gflop_per_s == pytest.approx(100.0)


def test_of_a_gpu_no_limits_are_known(measure_fake: MeasureFake) -> None:
    record = measure_fake(device="gpu", limits=stored_limits(100.0)).record
    assert record.limits is None
    assert codes(record) == []


def test_the_limits_of_this_machine_are_found_beside_the_results(program: Program) -> None:
    save_limits(program.results, stored_limits(100.0))
    done = program.run("run", "fake", "--epochs", "2")
    assert done.returncode == 0
    assert "limits-stale: the run was faster than the measured peak" in done.stdout


def test_work_after_the_last_lap_disturbs_the_time(measure_fake: MeasureFake) -> None:
    record = measure_fake({"unsynchronised_s": 0.4}).record
    assert codes(record) == ["laps-unsynchronised"]
    assert record.headline.validity == "disturbed"


def test_what_a_framework_tidies_up_is_reported_and_is_no_work(measure_fake: MeasureFake) -> None:
    record = measure_fake({"tidying_s": 0.4}).record
    assert codes(record) == []
    assert record.timing.trained_ns is not None
    assert record.timing.fit_ns is not None
    assert record.timing.fit_ns - record.timing.trained_ns >= 400_000_000
    text = "\n".join(answer_lines(record))
    assert "after the last epoch until fit returned, part of elapsed" in text


def test_unsynchronised_laps_are_found_although_the_end_was_reported(
    measure_fake: MeasureFake,
) -> None:
    record = measure_fake({"unsynchronised_s": 0.4, "tidying_s": 0.1}).record
    assert codes(record) == ["laps-unsynchronised"]


def test_a_silent_fall_back_to_the_cpu_is_found(measure_fake: MeasureFake) -> None:
    record = measure_fake({"observed_device": "cpu"}, device="gpu").record
    assert record.device.requested == "gpu"
    assert record.device.resolved == "gpu:0"
    assert codes(record) == ["device-mismatch"]


def test_a_precision_asked_for_must_be_met(measure_fake: MeasureFake) -> None:
    record = measure_fake(precision="bfloat16").record
    assert codes(record) == ["precision-mismatch"]


def test_float16_is_met_by_the_class_that_holds_tf32_too(measure_fake: MeasureFake) -> None:
    record = measure_fake({"replay": 8e-6}, precision="float16").record
    assert record.precision.observed == "tf32"
    assert codes(record) == []


def test_a_limited_run_is_partial_and_marked(measure_fake: MeasureFake) -> None:
    record = measure_fake(max_steps=500).record
    assert codes(record) == ["steps-limited"]
    assert record.headline.validity == "partial"
    assert record.workload.variant == ["500 steps"]
    assert sum(lap.steps for lap in record.timing.laps) == 500


@pytest.mark.parametrize(
    ("departures", "variant"),
    [
        ({"epochs": 2}, ["2 epochs"]),
        ({"batch_size": 256}, ["batch 256"]),
        ({"epochs": 10, "batch_size": 128}, []),
    ],
)
def test_departures_from_the_workload_are_variants(
    measure_fake: MeasureFake, departures: dict[str, Any], variant: list[str]
) -> None:
    record = measure_fake(**departures).record
    assert record.workload.variant == variant
    assert record.headline.validity == "valid"


def test_a_device_that_is_not_there_is_a_usage_error(measure_fake: MeasureFake) -> None:
    with pytest.raises(EpochmarkError, match="it has cpu, gpu:0") as raised:
        measure_fake(device="gpu:7")
    assert raised.value.exit_code == 2
