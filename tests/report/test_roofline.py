"""The roofline of a machine, and the engines below it."""

from __future__ import annotations

from pathlib import Path

import altair
import msgspec
import pytest
from typer.testing import CliRunner

from epochmark.cli import app
from epochmark.judge.results import ResultFiles
from epochmark.records.findings import FindingCode
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import Record, RunLimits
from epochmark.report.charts import Drawing, all_charts
from epochmark.report.drawing import theme as themes
from epochmark.report.render import specification, to_png
from epochmark.report.subject import subject_of
from tests.report.samples import (
    machine,
    machine_limits,
    sample,
)


def roofline(limits: Limits | None, *records: Record) -> Drawing | None:
    (chart,) = (chart for chart in all_charts() if chart.name == "roofline")
    return chart.draw(subject_of(records, (), machine(), limits), themes.light(720))


def test_the_roofline_has_the_lines_of_the_machine_and_a_point_for_each_engine() -> None:
    disturbed = sample(3, engine="jax", findings=[FindingCode.UNSTEADY])
    known = machine_limits(machine(), bfloat16=980.0)
    on_gpu = sample(4, engine="torch", device="gpu:0")
    drawing = roofline(known, sample(1), sample(2, engine="torch"), disturbed, on_gpu)
    assert drawing is not None
    memory_and_roofs = "avx512_bf16: at most 980 GFLOP/s; avx512: at most 490 GFLOP/s; avx2: at"
    assert drawing.alt.startswith(memory_and_roofs)
    assert "memory: 30 GB/s" in drawing.alt
    points = drawing.spec["layer"][-1]["data"]["values"]
    assert len(points) == 3
    for point, record in zip(points, (sample(1), sample(2), disturbed), strict=False):
        assert point["y"] == pytest.approx(
            71_565_312 * (record.headline.images_per_s or 0) / 1e9, rel=0.02
        )
    # 9.16 GFLOP and 212 MB a step; the others stand beside the first
    assert sorted(point["x"] for point in points)[1] == pytest.approx(43.2, abs=0.1)
    assert len({point["x"] for point in points}) == 3
    assert [point["filled"] for point in points if "jax" in point["run"]] == [0.0]
    # of the peak of their own precision
    assert all("(7" in point["run"] for point in points)


def test_the_slope_meets_the_highest_line_and_is_left_out_where_memory_was_not_measured() -> None:
    drawing = roofline(machine_limits(machine()), sample(1))
    assert drawing is not None
    slope, highest, *_ = drawing.spec["layer"][0]["data"]["values"]
    assert slope["x_end"] == pytest.approx(490 / 30)
    assert slope["y_end"] == highest["y"] == pytest.approx(490)
    assert slope["y"] / slope["x"] == pytest.approx(30)
    drawing = roofline(machine_limits(machine(), bandwidth=None), sample(1))
    assert drawing is not None
    altair.Chart.from_dict(specification(drawing, themes.light(720)), validate=True)
    assert to_png(drawing, themes.light(720)).startswith(b"\x89PNG")
    assert "memory" not in drawing.alt


def test_a_record_from_elsewhere_brings_its_own_roofline() -> None:
    kept = RunLimits(
        measured="2026-11-24T12:00:00Z",
        float32_gflop_per_s=800.0,
        float32_source="avx2 multiply-adds, 8 threads",
        triad_gb_per_s=50.0,
    )
    there = msgspec.structs.replace(sample(1, on=machine("Elsewhere")), limits=kept)
    drawing = roofline(machine_limits(machine()), there)
    assert drawing is not None
    assert drawing.alt.startswith("avx2: at most 800 GFLOP/s; memory: 50 GB/s; native stock:")
    assert drawing.about == "Elsewhere"
    busy = msgspec.structs.replace(there, limits=msgspec.structs.replace(kept, steady=False))
    drawing = roofline(None, busy)
    assert drawing is not None
    assert drawing.about == "Elsewhere (its limits were measured while it was busy)"


def test_without_limits_of_this_machine_there_is_no_roofline() -> None:
    assert roofline(None, sample(1)) is None
    assert roofline(machine_limits(machine("Another")), sample(1)) is None
    assert roofline(machine_limits(machine()), sample(1, device="gpu:0")) is None


def test_plot_says_what_a_roofline_needs(results: ResultFiles, tmp_path: Path) -> None:
    results.save(sample(1))
    done = CliRunner().invoke(app, ["plot", "roofline", "-o", str(tmp_path / "roof.svg")])
    assert done.exit_code == 1
    assert "the limits of this machine: 'epochmark limits'" in done.stderr
