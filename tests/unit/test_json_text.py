"""Equal values have equal digests, whichever tool wrote the JSON; what is no JSON is named."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import epochmark
from epochmark.errors import EpochmarkWarning
from epochmark.judge.check import check_record
from epochmark.judge.reading import decode_record
from epochmark.records.digest import sealed
from epochmark.records.json_text import RecordError, parsed, to_json
from epochmark.records.record import Calm, Record
from epochmark.records.upgrades import encode_record
from tests.unit.samples import document, record
from tests.unit.test_hostile_records import CALM
from tools import write_docs

REWRITE = "process.stdout.write(JSON.stringify(JSON.parse(require('fs').readFileSync(0, 'utf8'))))"


def as_javascript(document: bytes) -> bytes:
    """What Node's JSON.parse and JSON.stringify make of it: one kind of number, no -0."""

    def number(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: number(item) for name, item in value.items()}
        if isinstance(value, list):
            return [number(item) for item in value]
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
            return int(value)
        return value

    return json.dumps(number(json.loads(document)), separators=(",", ":")).encode()


def with_floats(document: bytes) -> bytes:
    """As a tool writes it whose only numbers are floats: 5 is 5.0."""

    def number(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: number(item) for name, item in value.items()}
        if isinstance(value, list):
            return [number(item) for item in value]
        return float(value) if type(value) is int else value

    return json.dumps(number(json.loads(document)), indent=2).encode()


def in_node(document: bytes) -> bytes:
    """What Node itself makes of it, where there is one."""
    node = shutil.which("node")
    if node is None:
        return as_javascript(document)
    return subprocess.run([node, "-e", REWRITE], input=document, stdout=-1, check=True).stdout


def watched() -> Record:
    """A run with all kinds of numbers: whole, negative zeros, large, small."""
    calm = msgspec.convert(
        {
            **CALM,
            "end_s": [1.0, 2.0],
            "foreign_cpu_s": [-0.0, 0.0],
            "own_cpu_s": [1.0, 5e-7],
            "idle_cpu_s": [0.0, 1.0],
            "steal_cpu_s": [0.0, -0.0],
            "swap_in_bytes": [4096.0, 123456789012.0],
        },
        Calm,
    )
    return sealed(msgspec.structs.replace(record("fake-valid-2"), calm=calm))


REWRITERS = [as_javascript, with_floats, in_node]


@pytest.mark.parametrize("rewrite", REWRITERS)
def test_a_record_that_another_tool_rewrote_is_still_whole(
    rewrite: Callable[[bytes], bytes],
) -> None:
    for content in (
        encode_record(watched()),
        json.dumps(document("fake-valid-2")).encode(),
        json.dumps(document("native-2-epochs")).encode(),
        json.dumps(document("fake-valid-4")).encode(),
    ):
        rewritten = rewrite(content)
        assert rewritten != content
        assert decode_record(rewritten) == decode_record(content)
        assert "changed" not in str(check_record(rewritten).problems)
        edited = re.sub(rb'"seed": ?[0-9.]+', b'"seed": 77', rewritten)
        assert "changed after it was written" in str(check_record(edited).problems)


@pytest.mark.parametrize("rewrite", [as_javascript, in_node])
def test_so_is_a_bundle(rewrite: Callable[[bytes], bytes], tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    with pytest.warns(EpochmarkWarning, match="memory-pressure"):
        epochmark.export_results([watched(), record("fake-killed")], file)
    file.write_bytes(rewrite(file.read_bytes()))
    assert [result.name for result in epochmark.check(file)] == [
        watched().id,
        record("fake-killed").id,
    ]
    assert len(epochmark.load_results(file)) == 2


def test_negative_zeros_of_before_november_2026_are_as_they_were_written() -> None:
    """Their digests distinguished them from zeros; exported again, such a record is still whole."""
    fields = json.loads(encode_record(watched()))
    fields["calm"]["foreign_cpu_s"][0] = -0.0
    stated = {name: field for name, field in _stated(fields).items() if name != "digest"}
    del stated["headline"], stated["machine"]["machine_id"]
    text = msgspec.json.encode(stated, order="sorted")
    assert b"-0.0" in text
    fields["digest"] = hashlib.sha256(text).hexdigest()
    for content in (to_json(fields), encode_record(decode_record(to_json(fields)))):
        assert "changed" not in str(check_record(content).problems)


def _stated(value: Any) -> Any:
    """Without fields that are null or false."""
    if isinstance(value, dict):
        stated = {
            name: field for name, field in value.items() if field is not None and field is not False
        }
        return {name: _stated(field) for name, field in stated.items()}
    return [_stated(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"label": "\xff"}', "not text in UTF-8: it has a byte 0xff"),
        (b"\xff\xfe{\0}\0", "not text in UTF-8: it has a byte 0xff"),
        (b'{"label": "\\ud800"}', "not valid JSON"),
        (b'{"label": 01}', "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"", "not valid JSON"),
    ],
)
def test_what_is_no_json_is_refused_by_a_sentence_of_its_own(content: bytes, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        parsed(content)


def test_json_that_is_written_has_nothing_that_cannot_be_printed() -> None:
    hostile = {"\u202eengine": "\u202e\x9b31m\u200b\u2028\U000e0001\x1b ü 中\U0001f600"}
    text = to_json(hostile, indent=1).decode()
    assert text.replace("\n", "").isprintable()
    assert "ü 中\U0001f600" in text
    assert json.loads(text) == hostile


def _patterns(part: Any) -> list[str]:
    if isinstance(part, list):
        return [found for item in part for found in _patterns(item)]
    if not isinstance(part, dict):
        return []
    own = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
    return own + [found for item in part.values() for found in _patterns(item)]


def test_patterns_mean_the_whole_text_and_digits_of_ascii() -> None:
    patterns = _patterns(msgspec.json.schema(Record))
    assert len(patterns) > 3
    for pattern in patterns:
        assert pattern.startswith(r"\A")
        assert pattern.endswith(r"\Z")
        assert r"\d" not in pattern
    published = _patterns(write_docs.record_schema())
    assert len(published) == len(patterns)
    assert all(pattern.startswith("^") and pattern.endswith("$") for pattern in published)


@pytest.mark.parametrize(
    "values",
    [
        {"id": "0123456789ab\n"},
        {"engine__name": "native\n"},
        {"created": "2026-11-24T17:00:15Z\n"},
        {"created": "\u0662\u0660\u0662\u0666-11-24T17:00:15Z"},
        {"digest": "0" * 64 + "\n"},
        {"device__requested": "cpu\n"},
        {"device__requested": "gpu:\u0661"},
        {"timing__fit_ns": 2**53},
        {"created": "2026-13-01T00:00:00Z"},
        {"created": "2026-02-30T00:00:00Z"},
        {"created": "2026-11-24T17:00:61Z"},
    ],
)
def test_nothing_passes_that_is_only_nearly_right(values: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        record(**values)
