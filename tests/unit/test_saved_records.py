"""What was once saved stays readable, means the same, and fits the published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from epochmark.analysis.timing.headline import replay_verdict
from epochmark.judge.check import check_record
from epochmark.judge.reading import decode_record
from epochmark.judge.validity import judge
from epochmark.records.digest import digest_of, is_intact
from epochmark.records.record import SCHEMA_VERSION
from epochmark.records.upgrades import encode_record
from tools import write_docs

FOLDER = Path(__file__).parents[1] / "records"
SAVED = sorted(FOLDER.glob("*.json"))


def document_of(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return document


@pytest.fixture(params=SAVED, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_is_one_of_each_kind() -> None:
    kinds = {(document_of(file)["engine"]["name"], document_of(file)["headline"]["validity"])
             for file in SAVED}  # fmt: skip
    assert kinds >= {
        ("native", "valid"), ("native", "partial"), ("fake", "valid"), ("fake", "invalid")
    }  # fmt: skip
    assert all(f"`{file.name}`" in (FOLDER / "README.md").read_text("utf-8") for file in SAVED)


def headline_from(document: dict[str, Any]) -> dict[str, Any]:
    record = decode_record(json.dumps(document).encode())
    headline: dict[str, Any] = json.loads(encode_record(record))["headline"]
    return headline


def test_it_reads_and_its_headline_still_means_the_same(file: Path) -> None:
    """The rule for the steady epoch may improve; its figure stays inside what was said then."""
    saved = document_of(file)["headline"]
    derived = headline_from(document_of(file))
    for exact in ("elapsed_s", "test_accuracy", "validity"):
        assert derived[exact] == saved[exact]
    assert saved["steady_epoch_low_s"] <= derived["steady_epoch_s"] <= saved["steady_epoch_high_s"]
    assert derived["images_per_s"] == pytest.approx(60_000 / derived["steady_epoch_s"])


def test_a_headline_in_the_file_is_not_believed(file: Path) -> None:
    forged = document_of(file)
    forged["headline"].update(steady_epoch_s=0.001, images_per_s=1e9, validity="disturbed")
    assert headline_from(forged) == headline_from(document_of(file))


def test_those_of_the_newest_schema_fit_the_published_one() -> None:
    schema = json.loads((write_docs.DOCS / "record.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    newest = [doc for doc in map(document_of, SAVED) if doc["schema"] == SCHEMA_VERSION]
    assert newest
    for document in newest:
        jsonschema.validate(document, schema)


def test_there_is_one_of_every_schema() -> None:
    assert {document_of(file)["schema"] for file in SAVED} == set(range(1, SCHEMA_VERSION + 1))


def test_it_is_judged_as_it_was_when_it_was_made() -> None:
    """By the golden losses of the replay it had; findings that came later may be added. (Those of
    schema 1 were saved here before a release had fixed the first replay's seed.)"""
    record = decode_record((FOLDER / "fake-valid-2.json").read_bytes())
    verdict = replay_verdict(record)
    assert (verdict and verdict.precision) == record.precision.observed
    stored = {finding.code for finding in record.findings}
    assert stored <= {finding.code for finding in judge(record)}


def test_its_digest_is_that_of_its_content(file: Path) -> None:
    document = document_of(file)
    assert digest_of(document) == document["digest"]


def test_its_digest_survives_the_upgrade_and_an_edit_does_not(file: Path) -> None:
    document = document_of(file)
    exported = json.loads(encode_record(decode_record(json.dumps(document).encode())))
    assert exported["digest"] == digest_of(exported)
    document["label"] = "edited"
    exported = json.loads(encode_record(decode_record(json.dumps(document).encode())))
    assert exported["digest"] != digest_of(exported)


def test_check_refuses_its_export_exactly_if_it_refuses_it(file: Path) -> None:
    """Those of schema 1 have another replay (see above): today's rules find ``parity-failed``."""
    exported = encode_record(decode_record(file.read_bytes()))
    refused = document_of(file)["schema"] == 1 and bool(document_of(file)["replay"])
    found = [bool(check_record(text).problems) for text in (file.read_bytes(), exported)]
    assert found == [refused, refused]


def test_nothing_in_it_names_its_owner(file: Path) -> None:
    text = file.read_text("utf-8")
    for word in ("/home", "/root", "/tmp", "/usr", "hostname", "serial"):
        assert word not in text


def test_the_newest_schema_reads_back_what_it_writes(file: Path) -> None:
    record = decode_record(file.read_bytes())
    assert decode_record(encode_record(record)) == record
    jsonschema.validate(json.loads(encode_record(record)), write_docs.record_schema())


def test_one_epoch_in_the_plural_is_read_as_one_epoch() -> None:
    """As records had it until November 2026; the digest goes along."""
    document = document_of(FOLDER / "fake-valid-3.json")
    document["workload"].update(epochs=1, variant=["1 epochs"])
    document["digest"] = digest_of(document)
    record = decode_record(json.dumps(document).encode())
    assert record.workload.variant == ["1 epoch"]
    assert is_intact(json.loads(encode_record(record)))
