"""Batch sweeps are recognised from records; the crossover is computed with its interval."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from epochmark.analysis.comparing.batch_sizes import (
    BatchPoint,
    batch_sweeps,
    crossovers,
    difference_interval,
    verdict_at,
)
from epochmark.analysis.timing.intervals import Interval
from epochmark.bench.batch_sweep import DEFAULT_BATCH_SIZES, parse_batch_sizes, swept, usual_sizes
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.plan import Plan, PlannedRun
from epochmark.bench.request import RunRequest
from epochmark.errors import EpochmarkError
from epochmark.records.findings import FindingCode
from epochmark.records.record import Lap, Record
from epochmark.report.tables.batch_sweep import SWEEP_COLUMNS, crossover_lines, sweep_rows
from epochmark.report.tables.sections import all_sections
from epochmark.workloads import WORKLOADS
from tests.report.samples import failed, finished, machine, sample

SAVED = sample(1, epochs=10)


def at(
    batch_size: int,
    epoch_s: float,
    *,
    device: str = "cpu",
    startup_s: float = 1.0,
    compile_s: float = 0.0,
    number: int = 1,
    **fields: Any,
) -> Record:
    """A run of ten epochs of ``epoch_s`` seconds, the first of them ``compile_s`` longer."""
    record = sample(number, batch_size=batch_size, device=device, variant=["quick"], **fields)
    per_epoch = -(-60_000 // batch_size)
    ends_s = [compile_s + epoch_s * epoch for epoch in range(1, 11)]
    laps = [
        Lap(epoch=epoch, steps=per_epoch, end_ns=round(end_s * 1e9))
        for epoch, end_s in enumerate(ends_s, start=1)
    ]
    replace = msgspec.structs.replace
    timing = replace(record.timing, laps=laps, fit_ns=laps[-1].end_ns, startup_s=startup_s)
    return finished(replace(record, timing=timing))


def two_devices() -> list[Record]:
    """The GPU loses at 32, is as fast at 64, and wins from 128 on, after a late start."""
    cpu = [at(32, 4.0), at(64, 3.0), at(128, 2.5), at(256, 2.4)]
    late: dict[str, Any] = {"device": "gpu:0", "startup_s": 4.0, "compile_s": 2.0}
    gpu = [at(32, 8.0, **late), at(64, 3.0, **late), at(128, 2.0, **late), at(256, 1.0, **late)]
    return [*cpu, *gpu]


def test_a_sweep_is_runs_that_differ_in_their_batch_size_only() -> None:
    records = [
        at(64, 3.0),
        at(128, 2.5),
        at(256, 2.4, on=machine("Another")),
        at(256, 2.4, engine="torch"),
        at(256, 2.4, tuning="tuned"),
        sample(7, batch_size=256),  # a whole run, not a quick one
        at(256, 2.4, findings=[FindingCode.PARITY_FAILED]),
        failed(9, batch_size=256),
    ]
    (sweep,) = batch_sweeps(records)
    assert [point.batch_size for point in sweep.points] == [64, 128]
    assert (sweep.engine, sweep.device, sweep.key.variant) == ("native", "cpu", ("quick",))
    assert batch_sweeps(records[1:]) == []


def test_other_versions_of_a_framework_are_another_sweep() -> None:
    newer = at(256, 2.4)
    engine = msgspec.structs.replace(newer.engine, versions={"torch": "99"})
    assert batch_sweeps([at(64, 3.0), msgspec.structs.replace(newer, engine=engine)]) == []


def test_the_newest_valid_run_of_a_batch_size_counts() -> None:
    disturbed = [FindingCode.FOREIGN_LOAD]
    records = [at(64, 3.0), at(64, 2.9), at(64, 9.0, findings=disturbed), at(128, 2.0)]
    (sweep,) = batch_sweeps(records)
    assert sweep.points[0].steady_epoch.median == pytest.approx(2.9)
    (sweep,) = batch_sweeps([at(64, 9.0, findings=disturbed), at(128, 2.0)])
    assert not sweep.points[0].is_valid


def test_a_point_in_images_and_milliseconds() -> None:
    (sweep,) = batch_sweeps([at(100, 3.0), at(200, 2.0)])
    point = sweep.points[0]
    assert point.targets_per_s.median == pytest.approx(20_000)
    assert point.targets_per_s.low <= point.targets_per_s.median <= point.targets_per_s.high
    assert point.step_ms == pytest.approx(5.0)
    assert point.fixed_s == pytest.approx(1.0)


def test_from_which_batch_and_epoch_the_other_device_is_faster() -> None:
    (crossover,) = crossovers(batch_sweeps(two_devices()))
    assert [v.faster for v in crossover.verdicts] == ["cpu", "neither", "other", "other"]
    assert crossover.from_batch == 128
    # five seconds late (start-up three, compilation two), half a second gained an epoch
    epochs = [verdict.epochs and verdict.epochs.median for verdict in crossover.verdicts]
    assert epochs == [None, None, 10, 4]
    text = "\n".join(crossover_lines(batch_sweeps(two_devices())))
    assert "gpu:0 has the shorter steady epoch from batch 128 on" in text
    assert "batch 32: cpu is faster (gpu:0 8.000 s, cpu 4.000 s an epoch)" in text
    assert "batch 64: no clear difference" in text
    assert "batch 128: gpu:0 is faster" in text
    assert "ahead from 10 epochs on" in text


def point(median: float, half: float, fixed_s: float | None) -> BatchPoint:
    return BatchPoint(SAVED, Interval(median, median - half, median + half, 10), fixed_s)


def test_the_number_of_epochs_has_the_interval_of_the_gain() -> None:
    verdict = verdict_at(point(2.0, 0.3, 1.0), point(1.0, 0.4, 11.0))
    assert verdict.gain_s.low == pytest.approx(0.5)
    assert verdict.gain_s.high == pytest.approx(1.5)
    assert verdict.epochs == Interval(10, 7, 20, 10)


@pytest.mark.parametrize(
    ("cpu", "other", "faster", "epochs"),
    [
        (point(2.0, 0.1, 5.0), point(1.0, 0.1, 1.0), "other", 1),  # earlier and faster
        (point(2.0, 0.1, None), point(1.0, 0.1, 1.0), "other", None),
        (point(2.0, 0.6, 1.0), point(1.5, 0.6, 1.0), "neither", None),
        (point(1.0, 0.1, 1.0), point(2.0, 0.1, 1.0), "cpu", None),
    ],
)
def test_verdicts(cpu: BatchPoint, other: BatchPoint, faster: str, epochs: float | None) -> None:
    verdict = verdict_at(cpu, other)
    assert verdict.faster == faster
    assert (verdict.epochs and verdict.epochs.median) == epochs


@pytest.mark.parametrize(
    ("first_s", "second_s", "values", "faster"),
    [(1.0, 1.005, 10, "neither"), (1.0, 1.02, 10, "cpu"), (1.0, 2.0, 1, "unknown")],
)
def test_the_faster_device_is_the_one_that_compare_names(
    first_s: float, second_s: float, values: int, faster: str
) -> None:
    cpu, other = (
        BatchPoint(SAVED, Interval(s, 0.9999 * s, 1.0001 * s, values), 1.0)
        for s in (first_s, second_s)
    )
    assert verdict_at(cpu, other).faster == faster
    turned = {"cpu": "other"}.get(faster, faster)
    assert verdict_at(other, cpu).faster == turned


def test_a_ratio_that_decides_while_the_difference_does_not_has_no_end_of_epochs() -> None:
    """Of very wide intervals the two need not agree to the last digit."""
    cpu = BatchPoint(SAVED, Interval(1.0, 0.06, 1.0, 10), 1.0)
    other = BatchPoint(SAVED, Interval(0.0183, 0.0183, 0.307, 10), 2.0)
    verdict = verdict_at(cpu, other)
    assert verdict.faster == "other"
    assert verdict.gain_s.low < 0
    assert verdict.epochs is not None
    assert verdict.epochs.high == pytest.approx(1e9)


def test_a_difference_combines_both_intervals() -> None:
    difference = difference_interval(Interval(5, 2, 8, 20), Interval(3, -1, 7, 10))
    assert difference == Interval(2, -3, 7, 10)


def test_disturbed_runs_decide_nothing() -> None:
    records = two_devices()
    cpu = at(128, 2.5, number=2, findings=[FindingCode.FOREIGN_LOAD])
    disturbed = [cpu if r.id == records[2].id and r == records[2] else r for r in records]
    (crossover,) = crossovers(batch_sweeps(disturbed))
    assert [v.faster for v in crossover.verdicts] == ["cpu", "neither", "unknown", "other"]
    assert crossover.from_batch == 256
    lines = crossover_lines(batch_sweeps(disturbed))
    assert any("batch 128: not compared" in line for line in lines)


@pytest.mark.parametrize(
    ("gpu_s", "words"),
    [
        ((9.0, 9.0), "is not faster than cpu at the largest batch size compared, 128."),
        ((1.0, 9.0), "is not faster than cpu at the largest batch size compared, 128, though it "),
        ((1.0, 1.0), "has the shorter steady epoch at every batch size compared."),
    ],
)
def test_the_summary(gpu_s: tuple[float, float], words: str) -> None:
    records = [at(64, 3.0), at(128, 2.5)]
    records += [at(size, s, device="gpu:0") for size, s in zip((64, 128), gpu_s, strict=True)]
    assert words in crossover_lines(batch_sweeps(records))[0]


def test_other_precision_is_not_compared_and_says_so() -> None:
    replace = msgspec.structs.replace
    gpu = [at(size, 1.0, device="gpu:0") for size in (64, 128)]
    gpu = [replace(r, precision=replace(r.precision, observed="tf32")) for r in gpu]
    sweeps = batch_sweeps([at(64, 3.0), at(128, 2.5), *gpu])
    assert crossovers(sweeps) == []
    (line,) = crossover_lines(sweeps)
    assert "gpu:0 is not compared with the CPU" in line
    assert "precision tf32 and float32" in line


def test_no_size_in_common_says_so() -> None:
    records = [at(64, 3.0), at(128, 2.5), *(at(n, 1.0, device="gpu:0") for n in (256, 512))]
    (line,) = crossover_lines(batch_sweeps(records))
    assert "no batch size that both were measured with" in line


def test_the_table_is_in_order_and_shows_runs_that_failed() -> None:
    rows = sweep_rows([at(256, 2.0), at(64, 3.0), failed(3, batch_size=128)])
    assert [row[SWEEP_COLUMNS.index("batch")] for row in rows] == ["64", "128", "256"]
    assert rows[0][SWEEP_COLUMNS.index("ms/step")] == "3.198"
    assert rows[1][SWEEP_COLUMNS.index("validity")] == "invalid (worker-killed)"


def test_the_tables_show_a_sweep_once() -> None:
    titles = [section.title for section in all_sections(two_devices(), ())]
    (title,) = [title for title in titles if title.startswith("Batch sweep")]
    assert title == "Batch sweep: mnist-cnn v1 (quick), native kernels 1 stock, float32 (AMD EPYC)"
    ids = [r.id for r in [at(64, 3.0), at(128, 2.5, number=2)]]
    sections = all_sections([at(64, 3.0), at(128, 2.5, number=2)], ())
    shown = [row[-1] for s in sections if s.title.startswith("Measured") for row in s.rows]
    assert shown == [ids[1][:8]]  # the workload's own batch size keeps its rank


@pytest.mark.parametrize(
    "text", ["", "32", "32,32", "32,", "a,b", "32;64", "-1,64", "1e3,64", "٣,64"]
)
def test_what_is_no_list_of_sizes_is_refused(text: str) -> None:
    with pytest.raises(EpochmarkError) as error:
        parse_batch_sizes(text)
    assert error.value.exit_code == 2


def test_a_plan_is_swept() -> None:
    assert parse_batch_sizes(" 256, 32,32 ,64") == (32, 64, 256)
    asked = RunRequest(engine="fake", device="gpu")
    plan = Plan((PlannedRun(asked, Interpreter.own()),))
    requests = [run.request for run in swept(plan).runs]
    assert [request.batch_size for request in requests] == list(DEFAULT_BATCH_SIZES)
    assert all(request.quick and request.device == "gpu" for request in requests)
    with pytest.raises(EpochmarkError, match="60000"):
        swept(plan, (32, 60_001))
    fixed = Plan((PlannedRun(RunRequest(engine="fake", batch_size=64), Interpreter.own()),))
    with pytest.raises(EpochmarkError, match="omit --batch"):
        swept(fixed, (32, 64))


def test_each_workload_is_swept_at_sizes_of_which_it_can_make_an_epoch() -> None:
    workloads = [WORKLOADS[name] for name in ("gpt-3m", "mnist-mlp")]
    asked = [RunRequest(engine="fake", workload=workload) for workload in workloads]
    plan = Plan(tuple(PlannedRun(one, Interpreter.own()) for one in asked))
    sizes = [(run.request.workload.name, run.request.batch_size) for run in swept(plan).runs]
    assert sizes[:3] == [("gpt-3m", 32), ("gpt-3m", 64), ("gpt-3m", 128)]
    assert [size for _, size in sizes[3:]] == list(DEFAULT_BATCH_SIZES)


def test_a_workload_of_small_batches_is_swept_around_its_own() -> None:
    assert usual_sizes(WORKLOADS["gpt-124m"]) == (1, 2, 4, 8, 16, 32)
    odd = replace(WORKLOADS["gpt-124m"], train_samples=13, batch_size=13)
    with pytest.raises(EpochmarkError, match="name some with --batches") as refused:
        usual_sizes(odd)
    assert refused.value.exit_code == 2
