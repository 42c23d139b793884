"""A result file is not trusted: it is a record, or it is refused with a reason."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epochmark.judge.reading import decode_record
from epochmark.judge.validity import judge
from epochmark.records.fields import MAX_EPOCHS, MAX_PARAMETERS
from epochmark.records.json_text import RecordError
from epochmark.records.record import SCHEMA_VERSION
from epochmark.records.upgrades import MAX_RECORD_BYTES, UPGRADES, encode_record
from epochmark.report.tables.long import long_rows, to_csv
from epochmark.report.tables.markup.markdown import to_markdown
from epochmark.report.tables.runs import results_section
from epochmark.report.tables.sections import measured_sections
from epochmark.report.text.answer import answer_lines
from tests.unit import traces
from tests.unit.samples import changed, document, record
from tests.unit.test_sequence_learning import run_of

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value of a document is."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, child in children:
        found.append((*path, key))
        if isinstance(child, dict | list):
            found += places(child, (*path, key))
    return found


def with_sensors() -> dict[str, Any]:
    """A run of a minute with all that sensors may say."""
    fields: dict[str, Any] = json.loads(encode_record(traces.desktop(lasted_s=20, settle=True)))
    return fields


GPU = {"name": "NVIDIA H200", "driver": "595.57", "power_limit_w": 699.5, "pcie_generation": 5}


def test_gpus_are_kept_as_they_were_read() -> None:
    made = record("native-20-steps", machine__gpus=[{**GPU, "pcie_width": 16}, {"name": "GPU"}])
    assert decode_record(encode_record(made)).machine == made.machine


@pytest.mark.parametrize(
    "gpus",
    [
        [{}],
        [GPU] * 65,
        [{**GPU, "name": "N" * 301}],
        [{**GPU, "power_limit_w": 0}],
        [{**GPU, "power_limit_w": 10_001}],
        [{**GPU, "pcie_generation": 11}],
        [{**GPU, "pcie_generation": 4.5}],
        [{**GPU, "pcie_width": 0}],
        [{**GPU, "pcie_width": 64}],
        [{**GPU, "serial": "1320121040123"}],
    ],
)
def test_gpus_that_cannot_be_are_refused(gpus: list[dict[str, Any]]) -> None:
    with pytest.raises(RecordError, match="gpus"):
        record("native-20-steps", machine__gpus=gpus)


DOCUMENTS = {
    "fake-killed": document("fake-killed"),
    "native-20-steps": document("native-20-steps"),
    "sensors": with_sensors(),
    "sequences": json.loads(encode_record(run_of())),
}
PLACES = [place for fields in DOCUMENTS.values() for place in places(fields)]


def use_everywhere(content: bytes) -> None:
    """Read a document and show it in every form; only ``RecordError`` may come of it."""
    try:
        read = decode_record(content)
    except RecordError:
        return
    assert decode_record(encode_record(read)) == read
    judge(read)
    answer_lines(read)
    results_section([read])
    to_markdown(measured_sections([read]))
    to_csv(long_rows([read], []))
    for figure in (read.headline.steady_epoch_s, read.headline.images_per_s):
        assert figure is None or (math.isfinite(figure) and figure > 0)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    use_everywhere(content)


@settings(deadline=None)
@given(JSON_VALUES)
def test_any_json(value: Any) -> None:
    use_everywhere(json.dumps(value).encode())
    use_everywhere(json.dumps({"schema": 1, "id": value}).encode())


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(list(DOCUMENTS)), st.sampled_from(PLACES), JSON_VALUES)
def test_any_value_at_any_place(name: str, path: tuple[Any, ...], value: Any) -> None:
    fields = copy.deepcopy(DOCUMENTS[name])
    part: Any = fields
    try:
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value
    except (KeyError, IndexError, TypeError):
        return
    use_everywhere(json.dumps(fields).encode())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_bytes_inside_a_record(data: st.DataObject) -> None:
    content = bytearray(json.dumps(document("fake-valid")).encode())
    start = data.draw(st.integers(0, len(content) - 1))
    content[start : start + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=30))
    use_everywhere(bytes(content))


COLUMN = {"quantity": "power", "unit": "W", "scope": "GPU 0", "values": [90.0, None]}
LOG = {"sensor": "a", "source": "b", "at_s": [1.0, 2.0], "columns": [COLUMN], "problems": []}


def log(**values: Any) -> dict[str, Any]:
    """A sensor whose only column has other values."""
    return {"sensors": [{**LOG, "columns": [{**COLUMN, **values}]}]}


ENERGY = {"quantity": "energy", "unit": "J"}
CALM: dict[str, Any] = {
    "source": "script",
    "cpus": 2,
    **{name: [0.5, 0.5] for name in ("end_s", "foreign_cpu_s", "own_cpu_s", "idle_cpu_s")},
    **dict.fromkeys(("steal_cpu_s", "memory_stall_s", "swap_in_bytes", "runnable")),
    **dict.fromkeys(("quota_throttled_s", "suspended_s", "worker_cpu_s")),
    "involuntary_switches": None,
    "cost": {"sampler_cpu_s": 0.0, "parent_cpu_s": 0.0, "reporting_cpu_s": 0.0},
}
LIMITS = {
    "measured": "2026-11-24T12:00:00Z",
    "float32_gflop_per_s": 1.0,
    "float32_source": "",
}
LAP = {"epoch": 1, "steps": 1, "end_ns": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "truncated"),
        (b"[]", "object"),
        (b'{"schema": "1"}', "no schema number"),
        (b'{"schema": true}', "no schema number"),
        (b'{"schema": 0}', "no schema number"),
        (b'{"schema": 1' + b"0" * 5000 + b"}", "out of range"),
        (b'{"schema": 1, "id": NaN}', "malformed"),
        (b'{"schema": 1, "id": Infinity}', "malformed"),
        (b'{"schema": 1, "id": 1e999}', "out of range"),
        (b'{"schema": 1, "\xff": 1}', "UTF-8"),
        (b'{"schema": 1, "id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b" " * (MAX_RECORD_BYTES + 1), "larger than 16 MiB"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)
def test_what_is_no_record_is_refused_with_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        decode_record(content)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"id": "../../../etc/passwd"}, "id"),
        ({"id": "ABCDEF012345"}, "id"),
        ({"created": "yesterday"}, "created"),
        ({"unknown": 1}, "unknown"),
        ({"label": "x" * 301}, "label"),
        ({"workload__name": "../mnist"}, "unknown workload"),
        ({"workload__epochs": MAX_EPOCHS + 1}, "epochs"),
        ({"workload__batch_size": 0}, "batch_size"),
        ({"machine__memory_bytes": 10**30}, "memory_bytes"),
        ({"machine__memory_bytes": -1}, "memory_bytes"),
        ({"learning__test_accuracy": 1.5}, "test_accuracy"),
        ({"engine__adam_form": "adamw"}, "adam_form"),
        ({"schema": 2, "replay__version": 99}, "version 99 of the replay.*upgrade epochmark"),
        ({"findings": [{"code": "all-is-well", "detail": ""}]}, "unknown finding"),
        ({"outcome": "failed"}, "contradict"),
        ({"timing__laps": [LAP, LAP]}, "are not in time order"),
        ({"timing__laps": [{**LAP, "end_ns": 0}]}, "are not in time order"),
        ({"timing__laps": [{**LAP, "epoch": 2}, {**LAP, "end_ns": 2}]}, "not in time order"),
        ({"timing__laps": [{**LAP, "steps": 0}]}, "steps"),
        ({"limits": {**LIMITS, "float32_gflop_per_s": 5e-324}}, "float32_gflop_per_s"),
        ({"limits": {**LIMITS, "triad_gb_per_s": 1e-300}}, "triad_gb_per_s"),
        ({"calm": {**CALM, "own_cpu_s": [-1e308, -1e308]}}, "own_cpu_s"),  # their sum is no number
        ({"sensors": [LOG] * 51}, "sensors"),
        ({"sensors": [{**LOG, "at_s": [2.0, 1.0]}]}, "are not in time order"),
        (log(values=[90.0]), "different lengths"),
        (log(unit="kW"), "another unit"),
        (log(quantity="mood"), "quantity"),
        (log(values=[90.0, 1e9]), "impossible power"),
        (log(values=[None, -1.0]), "impossible power"),
        (log(values=[0.0] * 1001), "values"),
        (log(**ENERGY, values=[5.0, 4.0]), "impossible energy"),
        (log(**ENERGY, values=[0.0, 1e6]), "impossible energy"),
        (log(quantity="mains", unit="1", values=[1.0, 2.0]), "impossible mains"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_field_that_cannot_be_is_refused_by_name(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        record(**values)


def test_a_failed_run_without_a_finding_is_refused() -> None:
    with pytest.raises(RecordError, match="no finding says so"):
        record("fake-killed", findings=[])


def test_a_newer_record_is_refused_with_advice() -> None:
    with pytest.raises(RecordError, match=f"schema {SCHEMA_VERSION + 1}.*upgrade epochmark"):
        decode_record(json.dumps({"schema": SCHEMA_VERSION + 1, "news": []}).encode())


def test_there_is_an_upgrade_from_every_older_schema() -> None:
    assert sorted(UPGRADES) == list(range(1, SCHEMA_VERSION))


def test_the_longest_record_there_can_be_is_read_at_all() -> None:
    """A thousand epochs: binomial coefficients of that many are no floats any more."""
    laps = [{"epoch": n, "steps": 1, "end_ns": n * 10**9} for n in range(1, MAX_EPOCHS + 1)]
    content = json.dumps(
        changed(
            workload__epochs=MAX_EPOCHS,
            workload__batch_size=60_000,
            timing__laps=laps,
            timing__fit_ns=10**12,
        )
    )
    assert decode_record(content.encode()).headline.steady_epoch_s == 1.0


def test_a_record_has_room_for_the_updates_of_gpt_2_and_not_for_any_number() -> None:
    def with_updates(count: int) -> bytes:
        errors = {f"layer_{number}.kernel": 1e-6 for number in range(count)}
        fields = changed("fake-valid-4", continuation__single__update_errors=errors)
        return json.dumps(fields).encode()

    read = decode_record(with_updates(196))
    assert read.continuation is not None
    assert read.continuation.single is not None
    assert len(read.continuation.single.update_errors) == 196
    with pytest.raises(RecordError, match="length <= 1000"):
        decode_record(with_updates(MAX_PARAMETERS + 1))
