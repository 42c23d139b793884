"""Each chart is a valid Vega-Lite specification that says what the records say."""

from __future__ import annotations

import json
import pkgutil
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair
import msgspec
import pytest
from typer.testing import CliRunner

from epochmark.analysis.comparing.references import load_references
from epochmark.cli import app
from epochmark.judge.documents.races import RaceFiles
from epochmark.judge.documents.scalings import ScalingFiles
from epochmark.judge.results import ResultFiles
from epochmark.records.findings import FindingCode
from epochmark.records.machine.limits_file import save_limits
from epochmark.records.record import Record
from epochmark.report import charts
from epochmark.report.charts import Chart, Drawing, all_charts
from epochmark.report.drawing import theme as themes
from epochmark.report.drawing.key import Entry, key_panel
from epochmark.report.drawing.lines import lines_of
from epochmark.report.drawing.theme import Theme
from epochmark.report.render import specification, to_png, to_svg
from epochmark.report.subject import Subject, subject_of
from tests.report.explained import watched
from tests.report.samples import (
    failed,
    finished,
    machine,
    machine_limits,
    mixed_records,
    sample,
    sample_race,
)
from tests.report.scaling_samples import sample_scaling
from tests.unit import traces

CHARTS = {chart.name: chart for chart in all_charts()}
LONG = "x" * 300
HOSTILE = '</svg><script>alert("1")</script>'


def about(records: Sequence[Record]) -> Subject:
    races = [sample_race(*(0.02 + 0.002 * number for number in range(6)))] if records else []
    scalings = [sample_scaling({1: 0.020, 2: 0.025, 4: 0.030})] if records else []
    return subject_of(
        records, load_references(), machine(), machine_limits(machine()), races, scalings
    )


def with_sensors(record: Record) -> Record:
    """The run with invented sensors."""
    return msgspec.structs.replace(record, sensors=traces.desktop(lasted_s=100).sensors)


def everything() -> Subject:
    """Records that every chart has something to show of."""
    return about(
        [
            sample(1),
            sample(2, engine="torch", tuning="tuned"),
            sample(3, engine="torch", step_s=2.0),
            sample(4, engine="jax", findings=[FindingCode.UNSTEADY]),
            sample(5, batch_size=256),
            sample(6, on=machine("Another"), step_s=0.3),
            sample(7, on=machine(LONG)),
            sample(8, on=machine(HOSTILE)),
            failed(9),
            with_sensors(sample(10)),
        ]
    )


def drawn(name: str, subject: Subject, theme: Theme | None = None) -> Drawing:
    drawing = CHARTS[name].draw(subject, theme or themes.light(720))
    assert drawing is not None
    return drawing


def says(drawing: Drawing) -> str:
    """All the data of a chart as text."""
    return json.dumps(drawing.spec, ensure_ascii=False)


def test_every_file_of_charts_stands_in_the_report() -> None:
    files = {module.name.replace("_", "-") for module in pkgutil.iter_modules(charts.__path__)}
    assert files == set(CHARTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("theme", "titled"),
    [(themes.light(720), True), (themes.dark(290), False), (themes.page(290), False)],
)
@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_it_is_valid_vega_lite(chart: Chart, theme: Theme, titled: bool) -> None:
    """With its heading, as a picture of its own has it, and without."""
    drawing = drawn(chart.name, everything(), theme)
    spec = specification(drawing, theme, chart if titled else None)
    altair.Chart.from_dict(spec, validate=True)
    assert drawing.alt


@pytest.mark.slow
@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_it_is_drawn_as_svg_and_png(chart: Chart) -> None:
    theme = themes.light(720)
    drawing = drawn(chart.name, everything(), theme)
    root = ET.fromstring(to_svg(drawing, theme, chart))
    assert root.attrib["aria-label"] == drawing.alt
    names = {element.tag.partition("}")[2] for element in root.iter()}
    assert names <= {"svg", "g", "path", "line", "text", "tspan", "rect", "defs", "clipPath"}
    assert to_png(drawing, theme, chart).startswith(b"\x89PNG")


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
@pytest.mark.parametrize("records", [[], [failed(1)], mixed_records(3)], ids=["0", "failed", "3"])
def test_it_shows_nothing_rather_than_an_empty_box(chart: Chart, records: list[Record]) -> None:
    drawing = chart.draw(subject_of(records, (), None), themes.light(720))
    if drawing is not None:
        altair.Chart.from_dict(specification(drawing, themes.light(720)), validate=True)
        assert drawing.alt
    if not records:
        assert drawing is None


def test_a_race_has_a_panel_for_each_entry_beside_the_first() -> None:
    race = sample_race(0.02, 0.02, 0.03)
    drawing = drawn("race", subject_of([], (), None, races=[race]))
    assert len(drawing.spec["vconcat"]) == 2
    assert "torch (3) takes 1.5" in drawing.alt
    last = drawing.spec["vconcat"][1]["layer"][3]["data"]["values"][-1]
    assert last["low"] <= last["ratio"] <= last["high"]
    assert last["ratio"] == race.standings[2].ratio


def test_machines_are_compared_inside_one_key_only() -> None:
    subject = about(
        [
            sample(1),
            sample(2, on=machine("Same key")),
            sample(3, engine="torch", on=machine("Other engine")),
            sample(4, kernels="2", on=machine("Other kernels")),
            sample(5, batch_size=64, on=machine("Other batch")),
            sample(6, on=machine("Disturbed"), findings=[FindingCode.UNSTEADY]),
        ]
    )
    text = says(drawn("machines", subject))
    assert "Same key" in text
    for other in ("Other engine", "Other kernels", "Other batch"):
        assert other not in text


def test_a_disturbed_machine_stands_in_its_place_hollow_and_with_its_interval() -> None:
    disturbed = sample(2, step_s=0.03, findings=[FindingCode.UNSTEADY])
    subject = about(
        [
            sample(1, on=machine("Fast"), step_s=0.02),
            disturbed,
            sample(3, on=machine("Slow"), step_s=0.04),
        ]
    )
    (panel,) = drawn("machines", subject).spec["vconcat"]
    fast, own, slow = panel["data"]["values"]
    assert own["label"] == "This machine: AMD EPYC (disturbed)"
    assert own["filled"] < 0.5 < fast["filled"] == slow["filled"] == 1
    assert own["low"] == disturbed.headline.steady_epoch_low_s < own["value"] < own["high"]
    again = about([*subject.records, sample(4, step_s=0.05)])
    (panel,) = drawn("machines", again).spec["vconcat"]
    assert [bar["filled"] for bar in panel["data"]["values"]] == [1, 1, 1], "the valid run counts"


def test_published_figures_of_the_same_key_stand_among_the_measured_and_are_marked() -> None:
    subject = about([sample(1, engine="keras-tensorflow")])
    text = says(drawn("machines", subject))
    assert "(published)" in text
    assert "This machine" in text
    assert drawn("published", subject).spec["title"]["subtitle"] != ["mnist-cnn v1"]


@pytest.mark.parametrize(
    ("own", "words", "hollow"),
    [
        (sample(1), "native kernels 1 stock", False),
        (sample(1, findings=[FindingCode.FOREIGN_LOAD]), "(disturbed)", True),
        (sample(1, findings=[FindingCode.STEPS_LIMITED]), "(partial)", True),
        (sample(1, epochs=3), "3 epochs", False),
    ],
    ids=["valid", "disturbed", "partial", "variant"],
)
def test_this_machine_stands_beside_the_published_ones(
    own: Record, words: str, hollow: bool
) -> None:
    bars = drawn("published", about([own])).spec["data"]["values"]
    (ours,) = [bar for bar in bars if bar["strong"]]
    assert ours["label"].startswith("This machine, with native")
    assert words in ours["label"]
    assert (ours["filled"] < 0.5) is hollow
    assert ours["low"] < ours["value"] < ours["high"]
    seconds = [bar["value"] for bar in bars]
    assert seconds == sorted(seconds)


def test_wrong_work_stands_beside_nothing() -> None:
    invalid = sample(1, findings=[FindingCode.PARITY_FAILED])
    assert "This machine" not in says(drawn("published", about([invalid])))


def test_a_disturbed_run_of_the_published_engine_stands_among_the_published() -> None:
    disturbed = sample(2, engine="keras-tensorflow", findings=[FindingCode.UNSTEADY])
    text = says(drawn("machines", about([sample(1), disturbed])))
    assert "(published)" in text
    assert "This machine: AMD EPYC (disturbed)" in text


def test_several_runs_of_a_machine_are_one_bar() -> None:
    subject = about([sample(n) for n in range(1, 6)] + [sample(9, on=machine("Another"))])
    (panel,) = drawn("machines", subject).spec["vconcat"]
    labels = [bar["label"] for bar in panel["data"]["values"]]
    assert sorted(labels) == ["Another", "This machine: AMD EPYC (5 runs)"]


def test_of_many_machines_this_one_is_always_shown() -> None:
    others = [sample(n, on=machine(f"Machine {n}"), step_s=0.001 * n) for n in range(10, 80)]
    subject = about([sample(1, step_s=0.065), *others])
    (panel,) = drawn("machines", subject).spec["vconcat"]
    assert len(panel["data"]["values"]) == 20
    assert any(bar["strong"] for bar in panel["data"]["values"])
    assert "20 of 71 shown" in " ".join(panel["title"]["subtitle"])


@pytest.mark.parametrize(("slowest", "kind"), [(0.1, "linear"), (1.0, "log")])
def test_bars_begin_at_zero_and_a_wide_span_becomes_logarithmic(slowest: float, kind: str) -> None:
    subject = about([sample(1, step_s=0.01), sample(2, on=machine("Slow"), step_s=slowest)])
    (panel,) = drawn("machines", subject).spec["vconcat"]
    scale = panel["layer"][1]["encoding"]["x"]["scale"]
    assert scale.get("type", "linear") == kind
    assert (scale["domain"][0] == 0) is (kind == "linear")


@pytest.mark.parametrize(("step_s", "tick"), [(0.0005, "0.2"), (0.1, "40"), (3.0, "1,000")])
def test_axes_are_labelled_with_plain_numbers(step_s: float, tick: str) -> None:
    subject = about([sample(1, step_s=step_s), sample(2, on=machine("Other"), step_s=step_s)])
    svg = to_svg(drawn("machines", subject), themes.light(720))
    shown = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert tick in shown
    assert not [text for text in shown if re.search(r"\de[+-]?\d", text)]


def engine_bars(subject: Subject) -> list[dict[str, Any]]:
    """The bars of the chart's only panel."""
    (panel,) = drawn("engines", subject).spec["vconcat"]
    bars: list[dict[str, Any]] = panel["data"]["values"]
    return bars


def test_the_engines_are_in_order_of_speed() -> None:
    bars = engine_bars(about([sample(1, step_s=0.03), sample(2, engine="torch", step_s=0.02)]))
    assert [bar["label"].split()[0] for bar in bars] == ["torch", "native"]


def test_quick_runs_of_all_engines_are_shown_after_one_full_run() -> None:
    quick = [
        sample(n, engine=engine, variant=["quick"])
        for n, engine in enumerate(["native", "torch", "jax"], start=2)
    ]
    subject = about([sample(1), *quick])
    assert subject.focus is not None
    assert subject.focus.workload.variant == []
    (panel,) = drawn("engines", subject).spec["vconcat"]
    assert panel["title"]["subtitle"] == ["variant: quick"]
    assert len(panel["data"]["values"]) == 3
    both = about([*subject.records, sample(9, engine="torch")])
    whole, of_quick = drawn("engines", both).spec["vconcat"]
    assert [len(chart["data"]["values"]) for chart in (whole, of_quick)] == [2, 3]


def test_the_doubtful_is_hollow() -> None:
    subject = about([sample(1), sample(2, engine="jax", findings=[FindingCode.UNSTEADY])])
    filled = {bar["label"].split()[0]: bar["filled"] for bar in engine_bars(subject)}
    assert filled["native"] == 1.0
    assert filled["jax"] < 0.5


def test_stock_and_tuned_differ_in_words_and_colour() -> None:
    subject = about([sample(1, engine="torch"), sample(2, engine="torch", tuning="tuned")])
    bars = engine_bars(subject)
    assert {("stock" in bar["label"], "tuned" in bar["label"]) for bar in bars} == {
        (True, False),
        (False, True),
    }
    assert len({bar["colour"] for bar in bars}) == 2


def test_laps_beyond_what_a_screen_shows_are_drawn_in_groups() -> None:
    record = sample(1, step_s=0.25)
    assert len(record.timing.laps) == 4690
    points: list[Any] = next(
        layer["data"]["values"]
        for layer in drawn("speed", about([record])).spec["layer"]
        if layer["encoding"].get("x", {}).get("field") == "start_s"
    )
    assert 200 < len(points) <= 300
    assert points[-1]["end_s"] == record.timing.laps[-1].end_ns / 1e9


def disturbed_run() -> Record:
    """A run that slowed down by a fifth, while another program ran from 40 to 60 s."""
    replace = msgspec.structs.replace
    record = sample(1, step_s=0.04, findings=[FindingCode.DRIFTING])
    end_ns = record.timing.laps[-1].end_ns
    laps = [
        replace(lap, end_ns=int(lap.end_ns * (1 + 0.1 * lap.end_ns / end_ns)))
        for lap in record.timing.laps
    ]
    timing = replace(record.timing, laps=laps, fit_ns=laps[-1].end_ns + 1_000_000)
    calm = replace(
        watched(200.0, 1.0),
        end_s=[40.0, 60.0, 200.0],
        foreign_cpu_s=[0.0, 15.0, 0.0],
        steal_cpu_s=None,
    )
    return finished(replace(record, timing=timing, calm=calm))


def test_drift_and_disturbance_are_shaded_in_the_speed_of_a_run() -> None:
    shades = [
        layer["data"]["values"]
        for layer in drawn("speed", about([disturbed_run()])).spec["layer"]
        if layer["mark"].get("color") == themes.light(720).doubtful
    ]
    spans = [span for values in shades for span in values if "start" in span]
    assert {(span["start"], span["end"]) for span in spans} == {(40.0, 60.0)}
    trend = next(values for values in shades if "trend" in values[0])
    assert trend[0]["trend"] > trend[0]["steady"] == trend[1]["steady"] > trend[1]["trend"]
    assert "drift" not in says(drawn("speed", about([sample(1)])))


def test_a_chart_that_stands_alone_names_the_run_or_the_machine() -> None:
    tuned = sample(1, engine="torch", tuning="tuned", findings=[FindingCode.UNSTEADY])
    assert drawn("speed", about([tuned])).about == (
        "torch on cpu, tuned, AMD EPYC, disturbed (unsteady)"
    )
    for name in ("learning", "clocks"):
        drawing = drawn(name, about([tuned]))
        assert drawing.about == "AMD EPYC"
        alone = specification(drawing, themes.light(720), CHARTS[name])
        assert "AMD EPYC" in " ".join(alone["title"]["subtitle"])


def test_every_mark_and_every_colour_is_in_the_key() -> None:
    for name, chart in CHARTS.items():
        drawing = drawn(name, everything(), themes.light(720))
        colours = set(re.findall(r"#[0-9a-f]{6}", says(drawing)))
        theme = themes.light(720)
        unnamed = {theme.ink, theme.muted, theme.grid, theme.own}
        assert colours - {entry.colour for entry in drawing.key} <= unnamed, chart.name
        assert len({entry.text for entry in drawing.key}) == len(drawing.key) > 0


@pytest.mark.parametrize("width", [860, 720, 290])
def test_a_key_has_room_for_the_letters_of_another_font(width: int) -> None:
    theme = themes.light(width)
    names = ["keras-tensorflow on cpu (0008)", "torch on cpu", "y" * 100]
    panel = key_panel([Entry(name, theme.own, "series") for name in names], theme)
    texts = panel["layer"][-1]["data"]["values"]
    rows: dict[float, list[tuple[float, float]]] = {}
    for text in texts:
        rows.setdefault(text["y"], []).append((text["x"], text["x"] + 7 * len(text["text"])))
    for row in rows.values():
        edges = [edge for span in sorted(row) for edge in span]
        assert edges == sorted(edges)
        assert edges[-1] <= width
    assert max(rows) < panel["height"]


@pytest.mark.parametrize("name", ["Intel(R) Xeon(R) Platinum 8581C CPU @ 2.30GHz", "数据" * 20])
def test_a_name_is_broken_rather_than_cut(name: str) -> None:
    lines = lines_of(name, 290)
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    wide = 12 if "数" in name else 7
    assert max(map(len, lines)) * wide <= 290
    assert lines_of("x" * 3000, 290)[-1].endswith("…")


def test_heat_and_power_are_shown_where_they_were_measured() -> None:
    assert CHARTS["thermals"].draw(about([sample(1)]), themes.light(720)) is None
    panels = drawn("thermals", about([with_sensors(sample(1))])).spec["vconcat"]
    titles = [panel["title"]["text"] for panel in panels]
    assert titles == ["temperature (°C)", "power (W)", "frequency (MHz)"]
    watts = {point["scope"]: point["value"] for point in panels[1]["data"]["values"]}
    assert watts == {"CPU packages": 120, "DRAM": 6, "GPU 0 a card": 25}


def test_every_colour_has_a_variable_of_the_page() -> None:
    variables = {f"var(--{name})" for name in themes.style_variables(themes.light(1))}
    page = themes.page(1)
    used = {page.ink, page.muted, page.grid, page.own, page.other, page.published, page.doubtful}
    assert {*used, page.shade, *page.series} == variables


@pytest.mark.slow
def test_plot_writes_each_chart_and_names_what_it_cannot(
    results: ResultFiles, tmp_path: Path
) -> None:
    for record in everything().records:
        results.save(record)
    RaceFiles.of_user().save(sample_race(0.02, 0.03))
    ScalingFiles.of_user().save(sample_scaling({1: 0.020, 2: 0.025}))
    save_limits(results.folder, machine_limits(machine()))
    listed = CliRunner().invoke(app, ["plot", "--list"]).stdout
    for name in CHARTS:
        assert name in listed
        for ending in ("svg", "png"):
            file = tmp_path / f"{name}.{ending}"
            done = CliRunner().invoke(app, ["plot", name, "-o", str(file), "--dark"])
            assert done.exit_code == 0, done.stderr
            assert file.stat().st_size > 1000
    for wrong in (["nothing", "-o", "x.svg"], ["speed"], ["speed", "-o", "x.gif"], []):
        assert CliRunner().invoke(app, ["plot", *wrong]).exit_code == 2
