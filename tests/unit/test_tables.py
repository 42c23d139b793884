"""Records as tables and text: what is ranked, what is said, and what cannot break the format."""

from __future__ import annotations

import csv
import io
import itertools
import re
import time

import msgspec
import pytest

from epochmark.analysis.comparing.comparability import key_of
from epochmark.analysis.comparing.references import load_references
from epochmark.analysis.timing.headline import (
    expected_steps,
    headline_of,
    images_of_each,
    steps_per_epoch,
)
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.dates import local_time
from epochmark.records.record import Record
from epochmark.report.digits import range_text, value_text
from epochmark.report.figures import (
    accuracy_text,
    device_name,
    images_text,
    interval_text,
    labelled_machine,
    machine_name,
    seconds_text,
    validity_text,
)
from epochmark.report.tables.long import COLUMNS, long_rows, throughput_of, to_csv
from epochmark.report.tables.markup.markdown import escape, to_markdown
from epochmark.report.tables.runs import newest_of_each, results_section, runs_section
from epochmark.report.tables.section import Section
from epochmark.report.tables.sections import measured_sections
from epochmark.report.text.answer import answer_lines
from epochmark.report.text.machine import machine_lines
from tests.unit.samples import record

SECOND = 1_000_000_000


def run_of(epoch_s: float, **values: object) -> Record:
    """A correct full run whose ten epochs all took this long."""
    laps = [{"epoch": n, "steps": 469, "end_ns": round(n * epoch_s * SECOND)} for n in range(1, 11)]
    timing = {"startup_s": 1.0, "fit_ns": laps[-1]["end_ns"], "laps": laps}
    return record("fake-valid", timing=timing, **values)


def test_headline_of_equal_epochs() -> None:
    headline = headline_of(run_of(12.0))
    assert headline.elapsed_s == 120.0
    assert headline.steady_epoch_s == headline.steady_epoch_low_s == 12.0
    assert headline.images_per_s == 5000.0  # 60,000 images in 12 s
    assert headline.test_accuracy == 0.99
    assert headline.validity == "valid"


def test_images_of_laps_count_the_smaller_last_batch() -> None:
    run = run_of(1.0)
    assert images_of_each(run.timing.laps, run.workload) == [60_000] * 10
    partial = record("native-20-steps")
    assert sum(images_of_each(partial.timing.laps, partial.workload)) == 20 * 128
    assert steps_per_epoch(partial.workload) == 469
    assert expected_steps(partial.workload) == 20
    assert expected_steps(run.workload) == 4690


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"), (0.0, "0 s"), (0.0005374, "0.000537 s"), (0.0123, "0.012 s"),
        (1.0, "1.00 s"), (45.678, "45.68 s"), (123.456, "123.5 s"), (1234.5, "1,234 s"),
        (54321.0, "54,321 s"),
    ],
)  # fmt: skip
def test_seconds_have_the_digits_they_carry(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


def test_cells_of_a_record() -> None:
    run = run_of(12.0)
    assert (images_text(run), accuracy_text(run)) == ("5,000", "99.00%")
    assert interval_text(run) == "12.00 to 12.00"
    assert validity_text(run) == "valid"
    killed = record("fake-killed", timing__laps=[], learning__epochs=[])
    assert (images_text(killed), accuracy_text(killed), interval_text(killed)) == ("-", "-", "-")
    assert validity_text(killed) == "invalid (worker-killed)"


def test_machine_and_device_are_called_as_people_know_them() -> None:
    assert machine_name(record(label="lab", machine__model="ACME 1")) == "ACME 1"
    assert labelled_machine(record(label="lab", machine__model="ACME 1")) == "ACME 1 (lab)"
    assert machine_name(record(label=None, machine__model="ACME 1")) == "ACME 1"
    assert machine_name(record(label=None, machine__model=None)) == record().machine.cpu
    assert device_name(record()) == record().machine.cpu
    gpu = {"requested": "gpu", "resolved": "gpu:0", "observed": ["gpu:0"]}
    assert device_name(record(device={**gpu, "resolved_description": "ACME GPU"})) == "ACME GPU"
    assert device_name(record(device={**gpu, "resolved_description": None})) == "gpu:0"


def test_only_equal_keys_are_comparable() -> None:
    key = key_of(record())
    assert str(key) == "mnist-cnn v1, fake stock, float32"
    departures: list[dict[str, object]] = [
        {"workload__version": 2},
        {"workload__variant": ["2 epochs"]},
        {"precision__observed": "bfloat16"},
        {"precision__observed": None},
        {
            "engine__tuning": "tuned",
            "engine__tuned_settings": {},
            "precision__requested": "float32",
        },
        {"engine__family": "other"},
        {"engine__settings": {"kernel_version": "1"}},
    ]
    keys = {key_of(record(**departure)) for departure in departures}
    assert len(keys) == len(departures)
    assert key not in keys
    assert key_of(record(workload__seed=9, label="x", engine__settings={"threads": "1"})) == key


def rows_of(section: Section) -> list[dict[str, str]]:
    return [dict(zip(section.header, row, strict=True)) for row in section.rows]


def test_valid_runs_are_ranked_inside_their_key_and_the_others_stand_below() -> None:
    records = [
        run_of(30.0, id="3" * 12),
        run_of(5.0, id="0" * 12, findings=[{"code": "loss-flat", "detail": ""}]),
        run_of(10.0, id="1" * 12),
        run_of(15.0, id="2" * 12),
        run_of(1.0, id="4" * 12, workload__variant=["1 epoch"]),
    ]
    first, second = measured_sections(records)
    assert [(row["rank"], row["id"][0], row["ratio"]) for row in rows_of(first)] == [
        ("1", "1", "1"), ("2", "2", "1.50"), ("3", "3", "3.00"), ("-", "0", "-"),
    ]  # fmt: skip
    assert first.lines == ((3, "failed, or wrong work, so not ranked:"),)
    assert [row["id"][0] for row in rows_of(second)] == ["4"]
    assert "(1 epoch)" in second.title


def test_published_figures_of_the_same_key_are_ranked_and_marked() -> None:
    keras = run_of(20.0, engine__family="keras-tensorflow")
    (section,) = measured_sections([keras], load_references())
    published = [row for row in rows_of(section) if row["validity"].startswith("published")]
    assert published
    assert section.title.startswith("Measured here and published: ")
    ranks = [int(row["rank"]) for row in rows_of(section)]
    assert ranks == list(range(1, len(ranks) + 1))
    (alone,) = measured_sections([run_of(20.0)], load_references())
    assert len(alone.rows) == 1


def test_a_listed_record_has_a_cell_for_every_column() -> None:
    section = results_section([record("fake-killed", label="a | b"), run_of(12.0)])
    cells = rows_of(section)[0]
    assert (cells["validity"], cells["findings"]) == ("invalid", "worker-killed")
    assert cells["label"] == "a | b"
    assert cells["elapsed"] == "-"


def test_csv_reads_back_whatever_a_label_holds() -> None:
    label = 'quote " comma , pipe |'
    rows = long_rows([record(label=label)], load_references())
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert tuple(read[0]) == COLUMNS
    assert len(read) == 1 + len(load_references())
    assert read[0]["label"] == label
    assert float(read[0]["steady_epoch_s"]) == record().headline.steady_epoch_s


@pytest.mark.parametrize("label", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1"])
def test_no_cell_of_a_csv_is_a_formula(label: str) -> None:
    (row,) = csv.DictReader(io.StringIO(to_csv(long_rows([record(label=label)], []))))
    assert row["label"].startswith("'")


def test_markdown_shows_hostile_text_as_text() -> None:
    hostile = "<script>alert(1)</script> | **b** [x](javascript:1) `c`\x1b[31m\nnew # ~ line"
    text = to_markdown(
        [Section(hostile, ("machine", "s/epoch"), ((hostile, "1"),), (hostile,), ((0, hostile),))]
    )
    assert "<" not in text
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[3] == "| :-- | --: |"
    assert all(line.replace(r"\|", "").count("|") == 3 for line in lines[4:6])
    assert r"\*\*b\*\* \[x\]" in escape(hostile)


def test_the_answer_to_a_valid_run() -> None:
    lines = answer_lines(run_of(12.0))
    assert lines[0].startswith("mnist-cnn v1: fake on cpu (")
    text = "\n".join(lines)
    assert "steady epoch   12.00 s per epoch (95 % interval: 12.00 to 12.00 s" in text
    assert "elapsed        120.0 s for 10 epochs" in text
    assert "images/s       5,000" in text
    assert "validity       valid: all work was done, on cpu" in text


def test_the_answer_to_a_failed_run_says_what_to_do() -> None:
    text = "\n".join(answer_lines(record("fake-killed")))
    assert "validity       invalid: worker-killed" in text
    assert "killed by SIGKILL" in text
    assert "What to do: " in text


def test_a_machine_in_lines() -> None:
    lines = machine_lines(record(machine__memory_bytes=8 << 30, machine__model=None).machine)
    assert any(line.split() == ["memory", "8.0", "GiB"] for line in lines)
    assert not any(line.startswith("model") for line in lines)


@pytest.mark.parametrize(
    ("median", "low", "high", "figure", "bounds"),
    [
        (119.5, 103.5, 311.3, "120", "100 to 320"),
        (19.79, 12.6, 23.8, "20", "12 to 24"),
        (8.15, 8.06, 8.79, "8.2", "8.0 to 8.8"),
        (8.1502, 8.1496, 8.1511, "8.150", "8.149 to 8.152"),
        (6432.1, 6301.0, 6590.0, "6,430", "6,300 to 6,590"),
        (12.0, 12.0, 12.0, "12.00", "12.00 to 12.00"),
        (0.0123, 0.0121, 0.0126, "0.01230", "0.01210 to 0.01260"),
        (0.0, 0.0, 0.0, "0.00", "0.00 to 0.00"),
    ],
)
def test_the_interval_decides_how_many_digits_a_figure_shows(
    median: float, low: float, high: float, figure: str, bounds: str
) -> None:
    interval = Interval(median, low, high, 9)
    assert (value_text(interval), range_text(interval)) == (figure, bounds)


def test_a_speed_is_known_as_well_as_its_time() -> None:
    laps = [
        {"epoch": n, "steps": 469, "end_ns": round(n * 8.15 * SECOND + (n % 2) * 0.6 * SECOND)}
        for n in range(1, 11)
    ]
    run = record(
        "fake-valid", timing={"startup_s": 1.0, "fit_ns": laps[-1]["end_ns"], "laps": laps}
    )
    assert re.fullmatch(r"\d,\d00", images_text(run)), images_text(run)


def test_sequences_are_counted_in_tokens() -> None:
    (row,) = long_rows([run_of(12.0)], [])
    assert throughput_of(row) == "5,000"
    sequences = {**row, "workload": "gpt-3m v1", "images_per_s": 5.5, "steady_epoch_s": None}
    assert throughput_of(sequences) == "704 tokens", "a sample of gpt-3m has 128"


def of_engine(name: str, epoch_s: float, number: int, **values: object) -> Record:
    made = f"2026-11-{number:02d}T10:00:00Z"
    return run_of(epoch_s, engine__name=name, engine__family=name, id=f"{number:012d}",
                  created=made, **values)  # fmt: skip


def disturbed(name: str, epoch_s: float, number: int) -> Record:
    """A run that is `unsteady`: every third epoch takes half as long, every third half as much
    again."""
    steady = of_engine(name, epoch_s, number)
    ends_s = itertools.accumulate(epoch_s * (0.5, 1.0, 1.5)[n % 3] for n in range(10))
    laps = [
        msgspec.structs.replace(lap, end_ns=round(end_s * SECOND))
        for lap, end_s in zip(steady.timing.laps, ends_s, strict=True)
    ]
    timing = {"startup_s": 1.0, "fit_ns": laps[-1].end_ns, "laps": msgspec.to_builtins(laps)}
    findings = [{"code": "unsteady", "detail": "it was"}]
    return record(
        "fake-valid", timing=timing, findings=findings, engine__name=name, engine__family=name,
        id=steady.id, created=steady.created,
    )  # fmt: skip


def test_disturbed_runs_stand_below_a_line_fastest_first_without_a_ratio() -> None:
    section = runs_section(
        [
            of_engine("torch", 30.0, 1),
            disturbed("jax", 9.0, 2),
            disturbed("mlx", 7.0, 3),
            of_engine("torch", 20.0, 4),
        ]
    )
    rows = rows_of(section)
    assert [row["engine"] for row in rows] == ["torch", "torch", "mlx", "jax"]
    assert [row["ratio"] for row in rows] == ["1", "1.50", "-", "-"]
    assert section.lines == ((2, "disturbed, so not ranked (unsteady):"),)
    assert section.title == "mnist-cnn v1, on cpu: 4 runs, fastest first"
    assert "device" not in section.header, "what is the same for all stands in the title"


def test_the_newest_believable_run_of_each_engine_is_taken() -> None:
    records = [
        of_engine("torch", 30.0, 1),
        of_engine("torch", 31.0, 2),
        disturbed("torch", 32.0, 3),
        disturbed("jax", 9.0, 4),
        of_engine("jax", 8.0, 5, workload__variant=["batch 64"], workload__batch_size=64),
    ]
    found = {(r.engine.name, *r.workload.variant): r.id for r in newest_of_each(records)}
    assert {name: int(record_id) for name, record_id in found.items()} == {
        ("torch",): 2,
        ("jax",): 4,
        ("jax", "batch 64"): 5,
    }


def test_people_read_local_time_and_programs_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        run = run_of(12.0, created="2026-11-28T22:46:12Z")
        (row,) = rows_of(results_section([run]))
        assert row["measured"] == "2026-11-29 04:16 IST"
        assert long_rows([run], [])[0]["measured"] == "2026-11-28T22:46:12Z"
        assert local_time("9999-99-99T00:00:00Z") == "9999-99-99T00:00:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_pasted_text_calls_no_person_and_no_issue() -> None:
    assert "@someone" not in escape("thanks @someone, see #12")
    assert "#12" not in escape("thanks @someone, see #12")


def test_rows_have_what_hunters_of_regressions_ask_for() -> None:
    run = record("native-20-steps", label="before")
    (row,) = long_rows([run], [])
    assert (row["threads"], row["framework_version"]) == (2, "kernels 1")
    assert row["startup_s"] == run.timing.startup_s
    assert row["peak_memory_bytes"] == run.peak_memory_bytes
    framed = run_of(12.0, engine__versions={"tensorflow": "2.21.0", "keras": "3.15.0"})
    assert long_rows([framed], [])[0]["framework_version"] == "tensorflow 2.21.0, keras 3.15.0"
    assert set(long_rows([], load_references())[0]) == set(COLUMNS)
