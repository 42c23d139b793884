"""The published references: complete, consistent, honest about what is doubtful."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from epochmark.analysis.comparing.references import Reference, load_references, post_references
from epochmark.report.tables.references import (
    HEADER,
    OwnResult,
    footnotes,
    further_rows,
    post_table,
)
from epochmark.workloads import MNIST_CNN
from epochmark.workloads.flops import count_flops

ROOT = Path(__file__).parents[2]
DATA = ROOT / "src" / "epochmark" / "analysis" / "comparing" / "mnist_cnn_references.json"

POST = [
    ("MacBook Air 2020 (M1)", "", "24", ""),
    ("MacBook Pro 13 2020 (M1)", "", "23", ""),
    ("Mac mini 2020 (M1)", "16", "22", ""),
    ("MacBook Pro 13 2015?", "310?", "", ""),
    ("MacBook Air 13 2015", "85", "", ""),
    ("MacBook Pro 15 2018", "45", "27", ""),
    ("PC (Ryzen 5 3600 + RTX 2070 Super)", "22", "2", ""),
]
"""The original post's table."""

PEAK_TFLOPS = [2.6, 2.6, 0.54, 2.6, 0.19, 0.165, 0.75, 1.4, 0.77, 9.06]
"""Float32 multiply-add peaks of the post's ten devices as docs/references.md has them."""


def find(identifier: str) -> Reference:
    return next(reference for reference in load_references() if reference.id == identifier)


def without_marks(cell: str) -> str:
    return cell.split(" ", maxsplit=1)[0]


def test_table_of_the_post_is_reproduced_in_its_layout() -> None:
    table = post_table(load_references())
    rows = [
        (row.machine, *(without_marks(cell) for cell in (row.cpu, row.gpu, row.tpu)))
        for row in table.rows
    ]
    assert rows == POST
    assert all("s/epoch" in title for title in HEADER[1:])
    assert any("inferred" in text for mark, text in table.footnotes if not mark)


def test_doubtful_cell_keeps_its_question_mark_and_says_why() -> None:
    table = post_table(load_references())
    row = table.rows[3]
    assert row.machine.endswith("?")
    assert row.cpu.startswith("310? [")
    notes = [text for mark, text in table.footnotes if mark and mark in row.cpu]
    assert any(text.startswith("doubtful: the post puts question marks") for text in notes)


def test_coarse_cell_says_what_it_stands_for() -> None:
    table = post_table(load_references())
    notes = [text for mark, text in table.footnotes if mark and mark in table.rows[6].gpu]
    assert any("1.5 to 2.5 s" in text for text in notes)
    assert "plaidml" in " ".join(footnotes(find("post-macbook-pro-15-2018-gpu"))).lower()


def test_every_mark_has_its_footnote() -> None:
    own = [OwnResult("this machine", "cpu", 12.345, "native, 2 threads")]
    table = post_table(load_references(), own)
    cells = " ".join(cell for row in table.rows for cell in (row.cpu, row.gpu, row.tpu))
    marks = [mark for mark, _ in table.footnotes if mark]
    assert len(marks) == len(set(marks))
    assert set(marks) == {f"[{part.split(']')[0]}]" for part in cells.split("[")[1:]}


def test_measured_rows_come_first_marked_and_unranked() -> None:
    own = [OwnResult("this machine", "cpu", 12.345, "native, 2 threads")]
    table = post_table(load_references(), own)
    assert table.rows[0].measured
    assert table.rows[0].cpu.startswith("12.35 [")
    assert not any(row.measured for row in table.rows[1:])
    assert ("[a]", "measured here: native, 2 threads") in table.footnotes
    assert any("not ranked" in text for _, text in table.footnotes)


def test_all_ten_cells_of_the_post_are_references_with_an_inferred_unit() -> None:
    cells = post_references()
    assert len(cells) == 10
    assert [cell.confidence for cell in cells].count("unit inferred") == 9
    assert [cell.id for cell in cells if cell.doubt] == ["post-macbook-pro-13-2015-cpu"]
    assert all(cell.post and ("?" in cell.post.text) == bool(cell.doubt) for cell in cells)
    assert all(cell.comparability.variant == () for cell in cells)


def test_families_and_keys() -> None:
    families = {cell.id: cell.comparability.engine_family for cell in post_references()}
    assert families["post-macbook-pro-15-2018-gpu"] == "plaidml-keras"
    assert families["post-macbook-pro-13-2015-cpu"] == "not stated"
    assert set(families.values()) == {"plaidml-keras", "keras-tensorflow", "not stated"}
    key = find("post-ryzen-5-3600-cpu").key
    assert str(key) == "mnist-cnn v1, keras-tensorflow stock, float32"
    assert find("gtx-1080-ti").key != key


def test_one_row_per_machine_device_framework_and_variant() -> None:
    references = load_references()
    keys = {(r.machine, r.device, r.framework, r.comparability.variant) for r in references}
    assert len(keys) == len({r.id for r in references}) == len(references) == 46
    assert len(references) + sum(len(r.also) for r in references) == 57


@pytest.mark.parametrize("reference", load_references(), ids=lambda reference: reference.id)
def test_fields_of_a_reference_agree_with_each_other(reference: Reference) -> None:
    assert reference.low_s < reference.seconds_per_epoch < reference.high_s
    assert (reference.confidence == "uncertain") == (reference.doubt is not None)
    assert not (reference.doubt and reference.rankable)
    variant = reference.comparability.variant
    assert list(variant) == sorted(variant)
    assert ("validation in the clock" in variant) == reference.validation_in_clock
    assert ("dropout" in variant) == reference.dropout
    assert (f"batch {reference.batch_size}" in variant) == (reference.batch_size != 128)
    if reference.epochs is not None:
        assert (f"{reference.epochs} epochs" in variant) == (reference.epochs != 10)
    assert reference.source.title
    assert reference.source.url is None or reference.source.url.startswith("https://")


def test_best_sourced_come_first() -> None:
    order = ["as stated", "unit inferred", "uncertain"]
    ranks = [order.index(reference.confidence) for reference in load_references()]
    assert ranks == sorted(ranks)


def test_further_rows_carry_their_footnotes() -> None:
    rows = {row.device: row for row in further_rows(load_references())}
    assert len(further_rows(load_references())) == 36
    assert "with two Dropout layers" in rows["NVIDIA GRID K520"].footnotes
    assert rows["NVIDIA GeForce GTX 1080 Ti"].seconds == "2 (1.5 to 2.5)"
    iris = rows["Intel Iris Graphics 550 (device 'gpu' requested)"]
    assert "?" in iris.seconds
    assert any("training did not work" in note for note in iris.footnotes)
    assert "first epoch, start-up included" in iris.footnotes
    sweep = [row for row in further_rows(load_references()) if "batch" in str(row.footnotes)]
    assert len(sweep) == 9


def test_validation_adds_the_stated_arithmetic() -> None:
    flops = count_flops(MNIST_CNN)
    added = MNIST_CNN.test_samples * flops.forward / (MNIST_CNN.train_samples * flops.training)
    note = footnotes(find("gtx-1080-ti"))[0]
    assert f"+{added:.1%}".replace("%", " %") in note


def test_documented_argument_for_seconds_per_epoch() -> None:
    flops = count_flops(MNIST_CNN)
    total = flops.training * MNIST_CNN.train_samples * 10 / 1e12
    assert f"{total:.1f}" == "42.9"
    convolutions = flops.training_convolutions / flops.training
    limits = {
        filtering: 1 / (1 - convolutions + convolutions / filtering) for filtering in (2.25, 5.1)
    }
    as_total = [
        total / cell.seconds_per_epoch / peak
        for cell, peak in zip(post_references(), PEAK_TFLOPS, strict=True)
    ]
    assert sum(share > 1 for share in as_total) == 6
    assert sum(share > limits[2.25] for share in as_total) == 4
    assert sum(share > limits[5.1] for share in as_total) == 1
    assert all(share / 10 < 1 for share in as_total)
    text = (ROOT / "docs" / "references.md").read_text()
    assert all(f"{share:.0%}".replace("%", " %") in text for share in as_total)


def test_nothing_but_sources_is_named() -> None:
    text = DATA.read_text()
    assert json.loads(text)["version"] == 1
    for word in ("seed", "/work", "library", "@"):
        assert word not in text
