"""What is shown of a transformer: tokens, its own batches, no convolutions, no axis with images."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from epochmark.judge.validity import judge
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import Lap, Record, RunLimits
from epochmark.report.charts import all_charts
from epochmark.report.drawing import theme as themes
from epochmark.report.explanations import explain, gather
from epochmark.report.page import report_page
from epochmark.report.render import specification
from epochmark.report.subject import subject_of
from epochmark.report.tables.batch_sweep import SWEEP_COLUMNS
from epochmark.report.tables.columns import long_section
from epochmark.report.tables.long import long_rows
from epochmark.report.tables.runs import runs_section
from epochmark.report.tables.sections import all_sections
from epochmark.workloads import WORKLOADS
from tests.report.explained import limits
from tests.report.samples import finished, machine_limits, sample

GPT = WORKLOADS["gpt-3m"]
CHARTS = {chart.name: chart for chart in all_charts()}
replace = msgspec.structs.replace


def gpt(epoch_s: float, *, batch_size: int = GPT.batch_size, **fields: Any) -> Record:
    """A run of gpt-3m of even epochs."""
    record = sample(**fields)
    steps = GPT.steps_per_epoch(batch_size)
    laps = [
        Lap(epoch=n, steps=steps, end_ns=round(n * epoch_s * 1e9)) for n in range(1, GPT.epochs + 1)
    ]
    variant = [] if batch_size == GPT.batch_size else [f"batch {batch_size}"]
    run = replace(
        record.workload,
        name=GPT.name,
        version=GPT.version,
        epochs=GPT.epochs,
        batch_size=batch_size,
        variant=variant,
    )
    timing = replace(record.timing, laps=laps, fit_ns=laps[-1].end_ns)
    return finished(replace(record, workload=run, timing=timing))


def said(record: Record, known: Limits | None, *others: Record) -> dict[str, str]:
    found = explain(gather(record, [record, *others], known))
    return {one.rule.name: one.sentence.sentence for one in found}


def sweep(engine: str = "torch") -> list[Record]:
    """At batch 8 a step takes nearly as long as at 32."""
    times = {8: 320.0, 32: 84.0, 128: 24.0}
    return [
        gpt(epoch_s, batch_size=size, number=size, engine=engine) for size, epoch_s in times.items()
    ]


def test_a_sweep_is_explained_in_tokens() -> None:
    small, usual, large = sweep()
    found = said(usual, None, small, large)
    assert "not the sequences" in found["fixed-cost"]
    # 2,688 sequences of 128 tokens in 24 and in 84 seconds
    assert "at 128 it trains 14,336 tokens a second, here 4,096" in found["fuller-batch"]


def test_without_convolutions_none_is_spoken_of() -> None:
    record = gpt(84.0, engine="torch")
    known = limits(record, product=400.0, convolution=20.0, latency_s=1e-6)
    found = said(record, known)
    assert "slow-convolution" not in found
    assert found["beyond-forward"].startswith(
        "At the rate of the engine's own matrix product the arithmetic of a step would take"
    )
    unknown = said(record, replace(known, engines=[]))["no-engine-limits"]
    assert unknown.endswith("matrix product, dispatch.")
    on_gpu = gpt(84.0, engine="torch", device="gpu:0")
    (advice,) = [
        one.sentence.advice for one in explain(gather(on_gpu)) if one.rule.name == "no-sweep"
    ]
    assert advice == "run 'epochmark run torch -w gpt-3m --device gpu --sweep-batch'"


def test_bytes_of_a_step_are_those_of_the_transformer() -> None:
    # 4,096 positions of 15,360 numbers, five times, and 3,257,856 parameters, eight times; 250 ms
    record = gpt(21.0, engine="torch")
    text = said(record, limits(record, bandwidth=5.0))["memory"]
    assert "a step moves 1,363 MB, 273 ms at this memory's 5 GB/s; a step takes 250 ms" in text


def test_a_speed_beyond_the_machine_is_told_in_sequences() -> None:
    peak = RunLimits(
        measured="2026-11-24T12:00:00Z",
        float32_gflop_per_s=10.0,
        float32_source="avx2 multiply-adds",
        bfloat16_gflop_per_s=None,
    )
    (finding,) = [
        one for one in judge(replace(gpt(84.0), limits=peak)) if one.code == "limits-stale"
    ]
    assert finding.detail == (
        "32 sequences/s are 82 GFLOP/s of direct arithmetic; 10 GFLOP/s (avx2 multiply-adds) allow "
        "4 sequences/s"
    )


def test_a_sweep_stands_in_a_table_of_its_own_and_names_tokens() -> None:
    images = [sample(9, batch_size=64, variant=["quick"]), sample(8, variant=["quick"])]
    sections = [
        one for one in all_sections([*sweep(), *images], ()) if one.title.startswith("Batch sweep")
    ]
    tokens = next(one for one in sections if "gpt-3m v1" in one.title)
    assert [row[SWEEP_COLUMNS.index("images/s")] for row in tokens.rows] == [
        "1,075 tokens", "4,096 tokens", "14,340 tokens",
    ]  # fmt: skip
    assert len(sections) == 2


@pytest.mark.parametrize(("focus", "unit"), [("gpt-3m", "tokens"), ("mnist-cnn", "images")])
def test_the_chart_of_sweeps_has_one_workload_and_its_unit(focus: str, unit: str) -> None:
    records = [
        *sweep(), sample(301, batch_size=64, variant=["quick"]), sample(302, variant=["quick"]),
    ]  # fmt: skip
    subject = subject_of(records, (), None)
    chosen = next(record for record in records if record.workload.name == focus)
    drawing = CHARTS["batch-sweep"].draw(
        dataclasses.replace(subject, focus=chosen), themes.light(720)
    )
    assert drawing is not None
    assert f" {unit}/s" in drawing.alt
    assert drawing.alt.count("/s") == drawing.alt.count(f" {unit}/s")
    assert ("gpt-3m" in (drawing.about or "")) == (focus == "gpt-3m")


@pytest.mark.parametrize(("workload", "other"), [("mnist-cnn", "gpt-3m"), ("gpt-3m", "mnist-cnn")])
def test_a_picture_names_the_workload_it_shows_and_no_other(workload: str, other: str) -> None:
    run = sample(1) if workload == "mnist-cnn" else gpt(4.0)
    drawing = CHARTS["clocks"].draw(subject_of([run], (), None), themes.light(720))
    assert drawing is not None
    picture = str(specification(drawing, themes.light(720), CHARTS["clocks"]))
    assert workload in picture
    assert other not in picture


def test_tables_of_several_workloads_name_them() -> None:
    rows = long_rows([gpt(84.0), sample(2)], ())
    section = long_section(rows)
    assert [row[section.header.index("workload")] for row in section.rows] == [
        "gpt-3m v1", "mnist-cnn v1",
    ]  # fmt: skip
    assert "workload" not in long_section(rows[1:]).header
    assert "<td>gpt-3m, stock, float32</td>" in report_page(subject_of([gpt(84.0)], (), None))


def test_runs_of_several_workloads_are_each_by_itself_fastest_first() -> None:
    """A second of one is not a second of the other."""
    runs = [gpt(84.0), sample(2, step_s=0.5), gpt(20.0), sample(3, step_s=0.001)]
    section = runs_section([replace(run, findings=[]) for run in runs])
    assert "4 runs, by workload, fastest first" in section.title
    assert [row[section.header.index("workload")] for row in section.rows] == [
        "gpt-3m v1", "gpt-3m v1", "mnist-cnn v1", "mnist-cnn v1",
    ]  # fmt: skip
    seconds = [float(row[section.header.index("s/epoch")]) for row in section.rows]
    assert seconds[0] < seconds[1]
    assert seconds[2] < seconds[3]
    assert "by workload" not in runs_section(runs[:1]).title


def test_the_roofline_has_the_intensity_of_the_transformer() -> None:
    record = gpt(84.0)
    subject = subject_of([record], (), None, machine_limits(record.machine))
    drawing = CHARTS["roofline"].draw(subject, themes.light(720))
    assert drawing is not None
    assert drawing.about == f"{record.machine.cpu}, gpt-3m"
    (point,) = drawing.spec["layer"][-1]["data"]["values"]
    assert point["x"] == pytest.approx(82.2e9 / 1.363e9, rel=0.001)
