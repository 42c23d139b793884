"""The report as a file: whole, bounded, escaped, and sealed against the network."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

import epochmark
from epochmark.analysis.comparing.references import load_references
from epochmark.cli import app
from epochmark.judge.results import ResultFiles
from epochmark.records.findings import MEANING, FindingCode
from epochmark.records.record import Record
from epochmark.report.page import _document as page_module
from epochmark.report.page import report_page
from epochmark.report.plain_text import plain
from epochmark.report.subject import subject_of
from tests.report.samples import (
    failed,
    finished,
    machine,
    machine_limits,
    mixed_records,
    sample,
)

HOSTILE = "</script></svg><img src=x onerror=alert(1)>\"'&amp;{{7*7}}"


def page_of(records: Sequence[Record]) -> str:
    return report_page(subject_of(records, load_references(), machine()))


def test_what_a_missing_chart_needs_is_said() -> None:
    assert "Not drawn: it needs a run on the CPU, and the limits of this machine" in " ".join(
        Outline(page_of([sample(1)])).text.split()
    )
    known = subject_of([sample(1)], (), machine(), machine_limits(machine()))
    assert "Not drawn: it needs a run on the CPU" not in report_page(known)


def test_what_changed_on_this_machine_is_a_section() -> None:
    runs = [sample(1), sample(2, findings=[FindingCode.UNSTEADY]), sample(3, step_s=0.05)]
    text = " ".join(Outline(page_of(runs)).text.split())
    _, section = text.split("What changed on this machine")
    assert "mnist-cnn v1: native on cpu, stock, float32" in section
    assert "nothing recorded changed, yet 50% slower" in section
    assert "disturbed (unsteady): not compared" in section
    assert "What changed" not in Outline(page_of(runs[:2])).text


class Outline(HTMLParser):
    """Collects headings, tags, attributes that could run or load something, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        self.attributes |= {name for name, _ in attrs}
        self.links |= {
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href")
        }

    def handle_data(self, data: str) -> None:
        self.text += data


def embedded(page: str) -> bytes:
    """The bundle that the page carries."""
    (block,) = re.findall(r'<script type="application/json" id="bundle">(.*?)</script>', page)
    return gzip.decompress(base64.b64decode(json.loads(block)["gzip"]))


def test_it_loads_nothing_and_runs_nothing_but_its_own() -> None:
    outline = Outline(page_of([sample(1), sample(2, on=machine("Another"))]))
    assert outline.links == {"data:,", "#answer"}
    assert not {name for name in outline.attributes if name.startswith("on") or name == "style"}
    assert not outline.tags & {"iframe", "object", "embed", "img", "base", "form"}


@pytest.mark.parametrize("hostile", [HOSTILE, "x" * 300, "\x1b[31m\x00\u202e", "数据"])
def test_labels_are_text_and_nothing_else(hostile: str) -> None:
    records = [
        sample(1, label=hostile, description=hostile, device="gpu:0"),
        sample(2, on=machine(hostile), findings=[FindingCode.UNSTEADY]),
        sample(3, on=machine(hostile)),
        sample(4),
    ]
    outline, usual = Outline(page_of(records)), Outline(page_of([sample(1), sample(4)]))
    assert outline.tags <= usual.tags | {"article", "code", "h3", "span", "ul", "li", "strong"}
    assert plain(hostile[:20]) in outline.text
    assert plain(outline.text.replace("\n", "")) == outline.text.replace("\n", "")


def test_headings_go_down_one_step_at_a_time() -> None:
    headings = Outline(page_of(mixed_records(8))).headings
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))


def test_it_carries_the_records(tmp_path: Path) -> None:
    records = [sample(1), failed(2), sample(3)]
    file = tmp_path / "bundle.json"
    file.write_bytes(embedded(page_of(records)))
    assert [record.id for record in epochmark.load_results(file)] == [r.id for r in records]


def test_of_too_many_records_it_carries_that_of_the_answer_and_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "MAX_EMBEDDED_BYTES", 26_000)
    doubtful = [FindingCode.FOREIGN_LOAD]
    records = [sample(1), *(sample(n, findings=doubtful) for n in range(2, 9))]
    records.sort(key=lambda record: record.created)
    page = page_of(records)
    file = tmp_path / "bundle.json"
    file.write_bytes(embedded(page))
    kept = [record.id for record in epochmark.load_results(file)]
    assert 1 < len(kept) < 8
    of_the_answer, *newest = kept
    assert of_the_answer == next(r.id for r in records if r.headline.validity == "valid")
    assert newest == [record.id for record in records][-len(newest) :]
    assert f"{len(kept)} of 8 records" in page


@pytest.mark.slow
def test_500_records_of_all_kinds_stay_below_two_megabytes() -> None:
    page = page_of(mixed_records(500))
    assert len(page.encode()) < 2_000_000
    assert Outline(page).text.count("Processor 1") > 10


def test_the_answer_comes_from_the_newest_valid_run_of_this_machine() -> None:
    records = [
        sample(1, step_s=0.02),
        sample(2, step_s=0.04),
        sample(3, findings=[FindingCode.LOSS_FLAT]),
        sample(4, on=machine("Another")),
        sample(5, batch_size=64),
        failed(6),
    ]
    title = re.search(r"<h1>(.*?)</h1>", page_of(records))
    assert title is not None
    assert "AMD EPYC trains one epoch of mnist-cnn in 19." in title[1]
    assert "native on cpu" in title[1]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], "No run yet"),
        ([failed(1)], "No valid result from"),
        ([sample(1, findings=[FindingCode.PARITY_FAILED])], "No valid result from"),
        ([sample(1, findings=[FindingCode.FOREIGN_LOAD])], "The run is disturbed: foreign-load."),
        ([sample(1, epochs=3)], "mnist-cnn, 3 epochs in"),
        ([sample(1)], "95 % interval: 11.88 to 12.47 s"),
        ([sample(1, tuning="tuned")], "with native (tuned) on cpu."),
    ],
)
def test_the_answer_says_when_there_is_a_doubt(records: list[Record], words: str) -> None:
    assert words in Outline(page_of(records)).text


def test_of_a_few_epochs_the_answer_gives_all_rather_than_an_interval() -> None:
    record = sample(1, epochs=3)
    last = {lap.epoch: lap for lap in record.timing.laps}
    laps = [msgspec.structs.replace(lap, steps=469) for lap in last.values()]
    timing = msgspec.structs.replace(record.timing, laps=laps)
    page = page_of([finished(msgspec.structs.replace(record, timing=timing))])
    assert "all epochs: 12.2" in Outline(page).text


def test_a_disturbed_run_is_answered_with_rather_than_a_newer_invalid_one() -> None:
    records = [sample(1, findings=[FindingCode.FOREIGN_LOAD]), sample(2, epochs=3), failed(9)]
    assert "one epoch of mnist-cnn, 3 epochs in" in page_of(records)
    text = Outline(page_of([records[0], records[2]])).text
    assert "The run is disturbed: foreign-load." in text


def test_findings_come_with_their_remedies() -> None:
    codes = [FindingCode.FOREIGN_LOAD, FindingCode.PARITY_FAILED]
    text = Outline(page_of([sample(1, findings=codes), sample(2)])).text
    for code in codes:
        assert MEANING[code].remedy in text
    assert MEANING[FindingCode.SUSPENDED].remedy not in text


def test_without_the_drawing_package_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "can_draw", lambda: False)
    outline = Outline(page_of([sample(1)]))
    assert "figure" not in outline.tags
    assert "This machine, with native" in outline.text
    assert "pip install 'epochmark[report]'" in outline.text
    assert "AMD EPYC trains one epoch" in outline.text


def test_the_command_writes_it_beside_the_records(results: ResultFiles, tmp_path: Path) -> None:
    results.save(sample(1))
    done = CliRunner().invoke(app, ["report"])
    assert done.exit_code == 0
    assert str(results.folder / "report.html") in done.stdout
    assert "AMD EPYC" in (results.folder / "report.html").read_text("utf-8")
    assert len(epochmark.load_results()) == 1
    epochmark.export_results([sample(2, on=machine("Elsewhere"))], tmp_path / "b.json")
    named = ["-o", str(tmp_path / "r.html"), "--with", str(tmp_path / "b.json"), "0001"]
    assert CliRunner().invoke(app, ["report", *named]).exit_code == 0
    assert "Elsewhere" in (tmp_path / "r.html").read_text("utf-8")
    for wrong in (["-o", str(tmp_path / "no" / "r.html")], ["ffff"], ["--with", "nothing"]):
        assert CliRunner().invoke(app, ["report", *wrong]).exit_code == 2


def test_the_run_in_focus_is_explained() -> None:
    text = Outline(page_of([sample(1)])).text
    assert "Why it is as fast as it is" in text
    assert "The whole run took" in text
    assert "Not known yet" not in text


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (sample(1), "for orientation only"),
        (
            sample(1, engine="keras-tensorflow", step_s=0.04),
            "Place 3 of 9 machines with keras-tensorflow stock",
        ),
        (
            sample(1, engine="keras-tensorflow", findings=[FindingCode.UNSTEADY]),
            "of 9 machines with keras-tensorflow stock; not ranked",
        ),
    ],
    ids=["another engine", "ranked", "disturbed"],
)
def test_the_place_among_machines_stands_beside_the_answer(record: Record, words: str) -> None:
    page = page_of([record])
    place = page.partition('<section id="place">')[2].partition("</section>")[0]
    assert words in place
    assert place.count("<li ") == 8
    assert "This machine" in place


def test_what_held_a_run_back_stands_beside_the_answer() -> None:
    def beside(record: Record) -> str:
        known = subject_of([record], (), machine(), machine_limits(machine()))
        return (
            report_page(known).partition('<section id="held-back">')[2].partition("</section>")[0]
        )

    assert "of the 490 GFLOP/s" in beside(sample(1))
    assert MEANING[FindingCode.FOREIGN_LOAD].remedy in beside(
        sample(1, findings=[FindingCode.FOREIGN_LOAD])
    )
    assert "What is wrong with it" in beside(sample(1, findings=[FindingCode.PARITY_FAILED]))


def test_the_figure_has_no_more_digits_than_its_interval() -> None:
    record = sample(1, findings=[FindingCode.UNSTEADY])
    last = {lap.epoch: lap for lap in record.timing.laps}
    seconds = [12.6, 23.8, 14, 20, 22, 13, 19, 23, 15, 21]
    laps = [
        msgspec.structs.replace(last[epoch], steps=469, end_ns=int(sum(seconds[:epoch]) * 1e9))
        for epoch in range(1, 11)
    ]
    timing = msgspec.structs.replace(record.timing, laps=laps, fit_ns=laps[-1].end_ns + 1)
    page = page_of([finished(msgspec.structs.replace(record, timing=timing))])
    figure = re.search(r'<p class="figure"><strong>(.*?)</strong>', page)
    assert figure is not None
    assert re.fullmatch(r"\d\d", figure[1])
    assert re.search(r"in \d\d s with native", page)
