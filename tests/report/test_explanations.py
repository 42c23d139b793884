"""The rules of ``explain``: each speaks when it should, with its figures, and else is silent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

import epochmark
from epochmark.judge.results import ResultFiles
from epochmark.records.findings import FindingCode
from epochmark.records.machine.limits_file import save_limits
from epochmark.records.machine.machine_limits import Limits, Timed
from epochmark.records.record import Record, RunLimits
from epochmark.report.explanations import all_rules, explain, gather
from epochmark.workloads import MNIST_CNN
from epochmark.workloads.memory_traffic import bytes_per_step, operations_per_step
from tests.report.explained import WHEN, limits, steady, watched
from tests.report.samples import finished, machine, machine_limits, sample, timed

FLOP_A_RUN = 71.56e6 * 60_000
"""Of an epoch: 4,294 GFLOP."""
SIZES = (32, 64, 128, 256, 512)
replace = msgspec.structs.replace


def said(
    record: Record, known: Limits | None = None, records: Sequence[Record] = ()
) -> dict[str, str]:
    """Sentences by rule."""
    return {
        explanation.rule.name: explanation.sentence.sentence
        for explanation in explain(gather(record, records, known))
    }


def sweep(*epochs_s: float, **fields: Any) -> list[Record]:
    """Valid quick runs at the first ``SIZES``."""
    return [
        steady(seconds, number=number, batch_size=size, variant=["quick"], **fields)
        for number, (size, seconds) in enumerate(zip(SIZES, epochs_s, strict=False), start=1)
    ]


def test_the_whole_time_is_split_into_its_parts() -> None:
    text = said(steady(20.0, startup_s=0.5))["whole-time"]
    assert "The whole run took 200.5 s:" in text
    assert "start-up 0.500 s (0.2%)" in text
    assert "10 epochs at steady speed 200.0 s (100%)" in text


def test_the_whole_time_of_a_complete_run_is_what_it_took() -> None:
    record = steady(20.0, startup_s=0.5)
    laps = [
        replace(lap, end_ns=lap.end_ns + 30 * 10**9 * (lap.epoch > 6)) for lap in record.timing.laps
    ]

    def ending(at_ns: int) -> str:
        timing = replace(record.timing, laps=laps, fit_ns=at_ns)
        return said(finished(replace(record, timing=timing)))["whole-time"]

    slow = ending(laps[-1].end_ns + 10 * 10**9)
    assert "The whole run took 240.5 s: start-up 0.500 s (0.2%)" in slow
    assert (
        "at steady speed 200.0 s (83%); slower epochs, waiting and tidying up took 40.00 s (17%)"
        in slow
    )
    laps = record.timing.laps
    assert "slower epochs" not in ending(laps[-1].end_ns + 5 * 10**9)


def test_a_projected_whole_time_has_an_interval() -> None:
    record = sample(1, step_s=0.04)
    workload = replace(record.workload, quick=True, variant=["quick"])
    laps = [lap for lap in record.timing.laps if lap.epoch < 3]
    timing = replace(record.timing, laps=laps, fit_ns=laps[-1].end_ns, startup_s=1.0)
    record = finished(replace(record, workload=workload, timing=timing))
    low, high = (
        record.headline.projected_elapsed_low_s,
        record.headline.projected_elapsed_high_s,
    )
    assert low is not None
    assert high is not None
    whole = re.search(r"\(projected, ([\d.]+) to ([\d.]+) s\)", said(record)["whole-time"])
    assert whole is not None
    assert float(whole[1]) <= low + 1 < high + 1 <= float(whole[2])


def test_of_a_run_until_the_machine_is_settled_no_whole_time_is_given() -> None:
    record = steady(20.0, startup_s=0.5)
    workload = msgspec.structs.replace(record.workload, settle=True, epochs=1000)
    assert "whole-time" not in said(msgspec.structs.replace(record, workload=workload))


def test_start_up_and_compilation_speak_where_they_matter() -> None:
    assert not {"start-up", "compilation"} & set(said(steady(20.0)))
    assert "60% of that" in said(steady(1.0, startup_s=15.0))["start-up"]
    text = said(steady(2.0, first_step_s=8.0))["compilation"]
    # a step takes 2 s / 469; the first one that long
    assert "The first step took 8.00 s, 1,876 times a steady one" in text
    assert "costs 5.00 s" in said(steady(2.0, beginning_s=5.0))["compilation"]


def test_from_how_many_epochs_on_compilation_does_not_matter() -> None:
    found = explain(gather(steady(2.0, beginning_s=5.0)))
    (advice,) = [
        explanation.sentence.advice
        for explanation in found
        if explanation.rule.name == "compilation"
    ]
    # 5 / (5 + 2 n) falls below 5 % at n = 48
    assert advice is not None
    assert "from 48 epochs on" in advice


def test_a_slow_beginning_is_not_blamed_on_a_normal_first_step() -> None:
    record = steady(20.0, first_step_s=0.05, beginning_s=15.0)
    assert said(record)["compilation"] == "The beginning costs 15.05 s."


def test_a_slow_first_smaller_batch_looks_compiled_again_unless_the_engine_is_eager() -> None:
    def with_lasts(first_s: float, second_s: float, execution: str) -> Record:
        record = steady(20.0, first_step_s=0.1, settings={"execution": execution})
        first, *whole = record.timing.laps
        laps = [first]
        for lap, last_s in zip(whole, [first_s, second_s, *[0.04] * 8], strict=True):
            before_ns = lap.end_ns - round(last_s * 1e9)
            laps += [replace(lap, steps=lap.steps - 1, end_ns=before_ns), replace(lap, steps=1)]
        return finished(replace(record, timing=replace(record.timing, laps=laps)))

    text = said(with_lasts(0.54, 0.04, "one jitted step"))["second-compilation"]
    assert "took 0.500 s more than the next one, as if its shape were compiled again." in text
    assert "second-compilation" not in said(with_lasts(0.54, 0.04, "eager"))
    assert "second-compilation" not in said(with_lasts(0.05, 0.04, "one jitted step"))


def test_a_slow_blas_is_named_with_the_instruction_set_that_explains_it() -> None:
    record = steady(engine="torch")
    text = said(record, limits(record, product=230))["slow-product"]
    assert text == (
        "This torch multiplies matrices at 230 of this processor's 490 GFLOP/s (47%); that is no "
        "more than avx2 multiply-adds give (245), so its library seems to use nothing better on "
        "this processor."
    )
    assert "avx2" not in said(record, limits(record, product=280))["slow-product"]
    assert "slow-product" not in said(record, limits(record, product=400))


def test_of_a_run_with_idle_cores_one_thread_of_the_best_set_is_as_good_a_reason() -> None:
    record = steady(engine="torch", settings={}, busy_cpus=1.0)
    known = limits(record, product=230)
    processor = known.processor
    assert processor is not None

    def with_one_thread(of_best: float) -> Limits:
        alone = replace(processor.multiply_adds[0], threads=1, timed=timed(of_best))
        measured = [*processor.multiply_adds, alone]
        return replace(known, processor=replace(processor, multiply_adds=measured))

    assert "avx2" not in said(record, with_one_thread(245))["slow-product"]
    assert "avx2" in said(record, with_one_thread(125))["slow-product"]
    busy = steady(engine="torch", settings={}, busy_cpus=1.9)
    assert "avx2" in said(busy, with_one_thread(245))["slow-product"]


def test_what_an_engine_reached_on_a_busy_machine_is_not_believed() -> None:
    record = steady(engine="torch", settings={"execution": "eager"})
    known = limits(record, product=230, convolution=60, latency_s=1e-3)
    (engine,) = known.engines
    assert {"slow-product", "slow-convolution", "dispatch"} <= set(said(record, known))
    assert engine.product is not None
    # the fastest repetition as above, the median at half of it
    restless = Timed(work=230e9, seconds=[1.0, 2.0, 2.0])
    busy = replace(engine, product=replace(engine.product, timed=restless))
    found = said(record, replace(known, engines=[busy]))
    assert not {"slow-product", "slow-convolution"} & set(found)
    assert "dispatch" in found
    assert found["no-engine-limits"] == (
        "The limits of torch on cpu were measured while the machine was busy: matrix product."
    )


def test_near_the_peak_little_is_left_to_gain_unless_multiplications_are_saved() -> None:
    record = steady(FLOP_A_RUN / 142e9)
    found = said(record, limits(record, peak=169))
    assert found["near-peak"] == (
        "It trains at 142 GFLOP/s, counted as direct arithmetic, 84% of the 169 GFLOP/s of avx512 "
        "multiply-adds, 2 threads: direct arithmetic has little left to gain."
    )
    assert "below-peak" not in found
    beyond = said(record, limits(record, peak=100))["near-peak"]
    assert "142% of" in beyond
    assert "saves multiplications" in beyond
    assert "left to gain" not in beyond
    below = said(record, limits(record, peak=490))
    assert "29% of the 490 GFLOP/s" in below["below-peak"]
    assert "near-peak" not in below


def test_a_record_with_limits_of_its_own_is_held_against_those() -> None:
    record = steady(FLOP_A_RUN / 142e9)
    kept = RunLimits(measured=WHEN, float32_gflop_per_s=150.0, float32_source="avx2 then")
    record = replace(record, limits=kept)
    assert "95% of the 150 GFLOP/s of avx2 then" in said(record)["near-peak"]
    assert "no-limits" not in said(record)


def test_a_bfloat16_run_is_held_against_the_bfloat16_peak() -> None:
    record = steady(FLOP_A_RUN / 142e9, engine="torch")
    precision = replace(record.precision, requested="bfloat16", observed="bfloat16")
    record = replace(record, precision=precision)
    known = machine_limits(record.machine, *limits(record, product=60).engines, bfloat16=980.0)
    found = said(record, known)
    assert "14% of the 980 GFLOP/s of bfloat16 multiply-adds" in found["below-peak"]
    # its product was measured in float32
    assert "slow-product" not in found
    assert not {"below-peak", "near-peak"} & set(said(record, machine_limits(record.machine)))


def test_a_peak_of_a_busy_machine_explains_nothing() -> None:
    kept = RunLimits(measured=WHEN, float32_gflop_per_s=150.0, float32_source="avx2", steady=False)
    record = replace(steady(FLOP_A_RUN / 142e9), limits=kept)
    found = said(record)
    assert "were measured while it was busy" in found["no-limits"]
    assert not {"near-peak", "below-peak"} & set(found)


def test_on_a_gpu_the_yardstick_is_its_own_product() -> None:
    record = steady(1.0, engine="torch", device="gpu:0")
    found = said(record, limits(record, product=9000, convolution=6000))
    assert "48% of the 9,000 GFLOP/s of its own matrix product on gpu:0" in found["below-peak"]
    assert not {"slow-product", "memory", "no-limits"} & set(found)


def test_slow_convolutions_and_gradients() -> None:
    record = steady(320.0, engine="jax")  # 690 ms a step
    found = said(record, limits(record, product=90, convolution=80))
    assert "would take 113 ms; a step takes 682 ms" in found["beyond-forward"]
    assert not {"slow-convolution", "step-arithmetic"} & set(found)
    found = said(record, limits(record, product=90, convolution=15))
    assert "convolution reaches 15 GFLOP/s, its matrix product 90" in found["slow-convolution"]
    assert "step-arithmetic" in found


def test_limits_of_stock_settings_say_nothing_about_the_steps_of_a_tuned_run() -> None:
    record = steady(320.0, engine="jax", tuning="tuned")
    found = said(record, limits(record, product=90, convolution=80))
    assert not {"beyond-forward", "step-arithmetic"} & set(found)


@pytest.mark.parametrize(
    ("execution", "latency_s", "words"),
    [
        ("eager", 40e-6, "64% of a step: one call takes 0.04 ms"),
        ("eager", 40e-6, "does not rank the arithmetic of the device"),
        ("eager", 10e-6, "16 operations one by one."),
        ("one jitted step", 600e-6, "a step as a whole: this figure does not rank"),
        ("eager", 5e-6, None),
        ("one jitted step", 40e-6, None),
    ],
)
def test_dispatch(execution: str, latency_s: float, words: str | None) -> None:
    settings = {"execution": execution}
    record = steady(0.469, engine="torch", device="gpu:0", settings=settings)  # 1 ms a step
    sentence = said(record, limits(record, latency_s=latency_s)).get("dispatch")
    assert (sentence is None) if words is None else (words in (sentence or ""))


@pytest.mark.parametrize(
    ("device", "input_s", "words"),
    [
        ("cpu", 0.2e-3, "Input takes about 20% of a step: to gather a batch of 128 images"),
        ("cpu", 0.2e-3, "takes 0.2 ms, a step 1 ms."),
        ("gpu:0", 0.2e-3, "20% of a step, unless the device computes at the same time"),
        ("gpu:0", 0.6e-3, "a step 1 ms: this figure does not rank the arithmetic of the device."),
        ("cpu", 0.09e-3, None),
    ],
)
def test_input(device: str, input_s: float, words: str | None) -> None:
    record = steady(0.469, engine="torch", device=device)  # 1 ms a step
    sentence = said(record, limits(record, input_s=input_s)).get("input")
    assert (sentence is None) if words is None else (words in (sentence or ""))


@pytest.mark.parametrize("departure", [{"tuning": "tuned"}, {"batch_size": 512}])
def test_input_is_known_of_stock_runs_at_the_batch_size_it_was_measured_with(
    departure: dict[str, Any],
) -> None:
    record = steady(0.469, engine="torch", device="gpu:0", **departure)
    assert "input" not in said(record, limits(record, input_s=0.01))


def test_memory_may_hold_it_back() -> None:
    record = steady(4.69)  # 10 ms a step; 212 MB are 7 ms at 30 GB/s
    text = said(record, limits(record, bandwidth=30.0))["memory"]
    assert "a step moves 212 MB, 7.07 ms at this memory's 30 GB/s; a step takes 10 ms" in text
    assert "memory" not in said(record, limits(record, bandwidth=100.0))


def test_operations_and_bytes_are_counted_from_the_layers() -> None:
    # forwards 5 layers and the loss; backwards the loss, pooling, 4 kernels, 3 inputs; Adam
    assert operations_per_step(MNIST_CNN) == 6 + 9 + 1
    activations = 26 * 26 * 32 + 24 * 24 * 64 + 12 * 12 * 64 + 128 + 10
    assert bytes_per_step(MNIST_CNN, 2) == 4 * (5 * 2 * activations + 8 * 1_199_882)


def test_a_sweep_shows_what_does_not_depend_on_the_batch() -> None:
    records = sweep(37.5, 20.0, 11.0, 6.5, 4.5)  # 20 ms a step at 32, 23.5 ms at 128
    found = said(records[2], None, records)
    assert "About 80% of a step does not depend on the batch" in found["fixed-cost"]
    assert "at batch 32 a step takes 20 ms, at 128 23.5 ms" in found["fixed-cost"]
    assert "at 512 it trains 13,333 images a second, here 5,455" in found["fuller-batch"]
    whole = steady(11.0, number=9)  # not quick: the sweep speaks about its steps all the same
    assert "fixed-cost" in said(whole, None, records)


def test_a_sweep_speaks_in_the_figures_of_the_run_and_only_if_they_are_its_own() -> None:
    records = sweep(37.5, 20.0, 11.0, 6.5, 4.5)
    close = said(steady(11.4, number=9), None, records)
    assert "at batch 32 a step takes 20 ms, at 128 24.3 ms" in close["fixed-cost"]
    assert "at 512 it trains 13,333 images a second, here 5,263" in close["fuller-batch"]
    slower = said(steady(22.0, number=9), None, records)
    assert not {"fixed-cost", "fuller-batch"} & set(slower)


def test_a_sweep_of_another_device_or_a_full_device_says_nothing() -> None:
    records = sweep(12.0, 11.5, 11.0, 11.0, 11.0)
    assert not {"fixed-cost", "fuller-batch"} & set(said(records[2], None, records))
    gpu = sweep(37.5, 20.0, 11.0, 6.5, device="gpu:0")
    assert not {"fixed-cost", "fuller-batch"} & set(said(steady(11.0), None, gpu))
    assert "batch 128 fills this device" in said(steady(11.0, device="gpu:0"))["no-sweep"]
    assert "no-sweep" not in said(gpu[2], None, gpu)


def test_sweeps_on_the_processor_and_on_another_device_tell_which_is_faster() -> None:
    cpu = sweep(12.0, 11.5, 11.0, 11.0)
    gpu = [
        replace(record, id=f"f{number}0000000000")
        for number, record in enumerate(sweep(37.5, 20.0, 10.0, 5.0, device="gpu:0"))
    ]
    text = said(cpu[2], None, [*cpu, *gpu])["crossover"]
    assert text == (
        "native: gpu:0 has the shorter steady epoch from batch 128 on (of the sizes compared). "
        "At batch 128: gpu:0 is faster (gpu:0 10.00 s, cpu 11.00 s an epoch), and ahead from the "
        "first epoch on, start-up and compilation included."
    )
    assert said(gpu[2], None, [*cpu, *gpu])["crossover"] == text
    between = said(steady(11.0, batch_size=100), None, [*cpu, *gpu])["crossover"]
    assert between == text.partition(" At batch")[0]
    other = [replace(record, device=replace(record.device, resolved="gpu:1")) for record in gpu]
    assert "gpu:1" not in said(gpu[2], None, [*cpu, *gpu, *other])["crossover"]
    assert "crossover" not in said(cpu[2], None, cpu)
    assert "crossover" not in said(gpu[2], None, gpu)


def test_threads_and_cores() -> None:
    record = steady(engine="torch", settings={"threads": "1"})
    assert said(record)["few-threads"] == "It used 1 thread of 2 cores."
    for threads in ("2", "TensorFlow's default", "²", "", "9" * 50):
        assert "few-threads" not in said(steady(engine="torch", settings={"threads": threads}))
    lazy = steady(engine="torch", settings={}, busy_cpus=1.1)
    assert "kept 1.1 of 2 cores busy while it computed" in said(lazy)["idle-cores"]
    assert "idle-cores" not in said(steady(engine="torch", settings={}, busy_cpus=1.9))
    assert "idle-cores" not in said(steady(settings={"threads": "1"}, busy_cpus=0.99))


def test_cores_that_were_idle_while_it_compiled_are_not_blamed_on_its_steps() -> None:
    record = steady(2.0, first_step_s=20.0, engine="jax", settings={})
    compiling = [1.0] * 20
    busy = replace(record, calm=watched(40.0, *compiling, *[1.9] * 20))
    assert "idle-cores" not in said(busy)
    idle = replace(record, calm=watched(40.0, *compiling, *[0.8] * 20))
    assert "kept 0.8 of 2 cores busy" in said(idle)["idle-cores"]
    hardly_seen = replace(record, calm=watched(24.0, *compiling, *[0.8] * 4))
    assert "idle-cores" not in said(hardly_seen)


def test_a_worker_that_stood_still_is_named_and_no_lack_of_threads() -> None:
    calm = watched(5.0, 1.9, 1.9, 0.0, 0.01, 1.9)
    asleep = replace(steady(engine="keras-tensorflow", settings={}), calm=calm)
    assert "For 2.00 s of the 5.00 s that the fit took" in said(asleep)["standing-still"]
    assert "tf.data" in said(asleep)["standing-still"]
    assert "idle-cores" not in said(asleep)
    other = replace(steady(engine="torch", settings={}), calm=calm)
    assert "tf.data" not in said(other)["standing-still"]
    on_gpu = replace(steady(engine="keras-tensorflow", device="gpu:0"), calm=calm)
    assert "standing-still" not in said(on_gpu)
    suspended = steady(engine="keras-tensorflow", findings=[FindingCode.SUSPENDED])
    assert "standing-still" not in said(replace(suspended, calm=calm))
    busy = replace(asleep, calm=replace(calm, own_cpu_s=[1.9] * 5))
    assert "standing-still" not in said(busy)


def test_a_lesser_instruction_set() -> None:
    record = steady(settings={"instruction_set": "avx2", "kernel_version": "1"})
    assert "avx512 reaches 490" in said(record, limits(record))["lesser-instruction-set"]
    best = steady(settings={"instruction_set": "avx512", "kernel_version": "1"})
    assert "lesser-instruction-set" not in said(best, limits(best))


def test_power() -> None:
    portable = replace(machine(), power_source="battery", cpu_governor="powersave")
    found = said(steady(on=portable))
    assert "battery" in found
    assert "on some processors" in found["governor"]
    desktop = replace(machine(), power_source="mains", cpu_governor="performance")
    assert not {"battery", "governor"} & set(said(steady(on=desktop)))


def test_every_sentence_is_tied_to_a_rule_and_its_figures(results: ResultFiles) -> None:
    record = steady(40.0, beginning_s=90.0)
    save_limits(results.folder, limits(record, product=100, convolution=40))
    found = epochmark.explain(record)
    assert found.record is record
    names = {rule.name for rule in all_rules()}
    assert {reason.rule for reason in found.reasons} <= names
    assert all(reason.sentence.endswith(".") for reason in found.reasons)
    by_rule = {reason.rule: reason.figures for reason in found.reasons}
    assert by_rule["slow-convolution"] == {
        "convolution_gflop_per_s": pytest.approx(40),
        "product_gflop_per_s": pytest.approx(100),
    }
    assert len(names) == len(all_rules())
