"""The page of one result: its figures, whether to believe them, how it was measured."""

from __future__ import annotations

from itertools import pairwise

from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.context import context_of, result_id_of, shown_result
from epochmark.board.derived.todays import by_todays_rules
from epochmark.board.pages.rendering import page
from epochmark.board.pages.start import way_of
from epochmark.board.storage.cells import standing
from epochmark.board.storage.results import document_of
from epochmark.board.storage.trust.confirmed import confirming
from epochmark.board.storage.trust.witnessed import witnessed_at
from epochmark.board.storage.trust.words import words_of
from epochmark.judge.reading import decode_record
from epochmark.records.findings import MEANING, FindingCode
from epochmark.records.record import Record
from epochmark.report.figures import (
    NONE,
    accuracy_text,
    arithmetic_text,
    images_text,
    interval_text,
    machine_name,
    proof_text,
    seconds_text,
    steady_text,
    unit_of,
)

MOST_POINTS = 300
"""Of the drawing of laps."""
HEIGHT = 100.0


def result(request: Request) -> Response:
    """The page. Raises ``RefusedError``: 404 for what is not shown, 410 for what was deleted."""
    result_id = result_id_of(request)
    with context_of(request).database.reading() as connection:
        found = shown_result(connection, result_id)
        record = by_todays_rules(decode_record(document_of(connection, found.number)))
        place = standing(connection, found)
        words = words_of(connection, [found.number])[found.number]
        witnessed = witnessed_at(connection, found.number)
        others = confirming(connection, found.number)
    return page(
        request,
        "result.html",
        found=found,
        record=record,
        way=way_of(found),
        place=place if found.validity == "valid" and place.others else None,
        steady=steady_text(record),
        interval=interval_text(record),
        facts=_facts(record),
        setting=_setting(record),
        findings=[(finding, MEANING[FindingCode(finding.code)]) for finding in record.findings],
        points=lap_points(record),
        words=words,
        witnessed=witnessed,
        confirming=others,
    )


def _facts(record: Record) -> list[tuple[str, str]]:
    facts = [
        ("elapsed", seconds_text(record.headline.elapsed_s)),
        (f"{unit_of(record.workload.name)}/s", images_text(record)),
        ("test accuracy", accuracy_text(record)),
    ]
    return [(term, text) for term, text in facts if text != NONE]


def _setting(record: Record) -> list[tuple[str, str]]:
    """How it was measured, as (term, description)."""
    engine, machine = record.engine, record.machine
    versions = ", ".join(f"{name} {version}" for name, version in sorted(engine.versions.items()))
    settings = ", ".join(f"{name} {value}" for name, value in sorted(engine.settings.items()))
    facts = [
        ("proof", proof_text(record) if record.headline.validity != "invalid" else ""),
        ("arithmetic", arithmetic_text(record)),
        ("label", record.label or ""),
        ("versions", versions),
        ("settings", settings),
        ("machine", f"{machine_name(record)}, {machine.os} {machine.os_version}"),
        ("measured", f"{record.created}, epochmark {record.epochmark_version}"),
    ]
    return [(term, text) for term, text in facts if text]


def lap_points(record: Record) -> str:
    """Time of a step over the laps, as the points of an SVG line in a box 100 wide and ``HEIGHT``
    high, at whose bottom is zero; empty for fewer than three laps."""
    laps = record.timing.laps
    ends = [0, *(lap.end_ns for lap in laps)]
    step_ns = [
        (end - start) / lap.steps for (start, end), lap in zip(pairwise(ends), laps, strict=True)
    ]
    step_ns = step_ns[:: 1 + len(step_ns) // MOST_POINTS]
    if len(step_ns) < 3 or max(step_ns) <= 0:
        return ""
    top, last = max(step_ns), len(step_ns) - 1
    return " ".join(
        f"{100 * count / last:.2f},{HEIGHT * (1 - value / top):.2f}"
        for count, value in enumerate(step_ns)
    )
