"""``epochmark table --filter, --sort, --long`` and its formats."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from epochmark.cli import app
from epochmark.judge.results import ResultFiles
from epochmark.records.findings import FindingCode
from tests.report.samples import failed, machine, sample

HOSTILE = "<script>alert(1)</script>|`x`"


@pytest.fixture(autouse=True)
def some_results(results: ResultFiles) -> None:
    for record in (
        sample(1, step_s=0.03),
        sample(2, engine="torch", step_s=0.02, device="gpu:0", description="NVIDIA Test"),
        sample(3, engine="torch", step_s=0.04, findings=[FindingCode.UNSTEADY]),
        sample(4, on=machine("Apple M1"), label=HOSTILE, step_s=0.01),
        failed(5),
    ):
        results.save(record)


def table(*options: str) -> str:
    done = CliRunner().invoke(app, ["table", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def ids(*options: str) -> list[str]:
    rows = json.loads(table("--format", "json", *options))
    return [row["id"][2:4] for row in rows if row["origin"] == "measured"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["chip=m1"], ["04"]),
        (["chip=nvidia"], ["02"]),
        (["engine=torch"], ["02", "03"]),
        (["engine=TORCH", "validity=valid"], ["02"]),
        (["device=gpu"], ["02"]),
        (["device=gpu:0"], ["02"]),
        (["validity=invalid"], ["05"]),
        (["engine=torch", "engine=native"], []),
    ],
)
def test_filters(filters: list[str], expected: list[str]) -> None:
    options = [option for text in filters for option in ("--filter", text)]
    assert sorted(ids(*options)) == expected


def test_published_figures_are_filtered_too() -> None:
    rows = json.loads(table("--format", "json", "--filter", "validity=published"))
    assert {row["origin"] for row in rows} == {"published"}
    assert "Colab" in table("--filter", "chip=colab")
    assert "Measured" not in table("--filter", "chip=colab")


@pytest.mark.parametrize(("column", "best"), [("steady_epoch_s", "04"), ("-steady_epoch_s", "03")])
def test_sorting(column: str, best: str) -> None:
    order = ids("--sort", column)
    assert order[0] == best


@pytest.mark.parametrize("column", ["test_accuracy", "-test_accuracy"])
def test_sorting_puts_missing_values_last(column: str) -> None:
    rows = json.loads(table("--format", "json", "--sort", column))
    present = [row["test_accuracy"] is not None for row in rows]
    assert present == sorted(present, reverse=True)
    assert len(set(present)) == 2


@pytest.mark.parametrize(
    ("options", "there_is"),
    [
        (("--filter", "colour=red"), "engine"),
        (("--sort", "colour"), "engine"),
        (("--filter", "validity=vald"), "disturbed"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(
    options: tuple[str, str], there_is: str
) -> None:
    done = CliRunner().invoke(app, ["table", *options])
    assert done.exit_code == 2
    assert there_is in done.stderr


def test_a_filter_that_nothing_meets_is_reported() -> None:
    done = CliRunner().invoke(app, ["table", "--format", "json", "--filter", "engine=nothing"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, [])
    assert "no run and no published figure" in done.stderr


def test_the_long_layout_has_one_row_a_run() -> None:
    lines = table("--long", "--format", "markdown", "--filter", "engine=torch").splitlines()
    assert len([line for line in lines if line.startswith("| ")]) == 2 + 2


class Tags(HTMLParser):
    """Collects the tags of a fragment, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("layout", [(), ("--all",), ("--long",)])
def test_html_is_escaped_and_plain(layout: tuple[str, ...]) -> None:
    parsed = Tags()
    parsed.feed(table("--format", "html", *layout))
    assert parsed.tags <= {"h3", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert HOSTILE in parsed.text


def test_csv_has_the_same_rows_as_json() -> None:
    rows = list(csv.DictReader(io.StringIO(table("--format", "csv"))))
    assert [row["id"] for row in rows] == [
        row["id"] for row in json.loads(table("--format", "json"))
    ]


def test_a_remark_stands_beside_the_machine_and_not_in_its_place() -> None:
    rows = {row["id"][2:4]: row for row in json.loads(table("--format", "json"))}
    assert (rows["04"]["machine"], rows["04"]["label"]) == ("Apple M1", HOSTILE)
    assert rows["02"]["label"] == ""
    assert f"Apple M1 ({HOSTILE})"[:20] in table("--all")
    assert HOSTILE in table()
    assert ids("--filter", "chip=alert") == ["04"]


def test_the_default_table_fits_forty_lines_however_many_runs_there_are(
    results: ResultFiles,
) -> None:
    number = 10
    for engine in ("torch", "jax", "keras-jax", "keras-torch", "tinygrad", "native"):
        for device in ("cpu", "gpu:0", "gpu:1"):
            number += 1
            results.save(sample(number, engine=engine, device=device, step_s=0.01 * number))
    results.save(sample(99, engine="keras-tensorflow", findings=[FindingCode.UNSTEADY]))
    text = table()
    assert len(text.splitlines()) <= 40
    assert "more runs and all published figures: 'epochmark table --all'" in text
    assert "Among the published machines: mnist-cnn v1, keras-tensorflow" in text
