"""The report's contents: text, drawings, and the records that it carries with it."""

from __future__ import annotations

import base64
import gzip
from functools import partial
from typing import TYPE_CHECKING

from epochmark.records.bundle import encode_bundle
from epochmark.records.dates import age_order
from epochmark.records.record import Record
from epochmark.report.charts import Chart, all_charts
from epochmark.report.page._contents import (
    TABLE_HEADER,
    answer_of,
    findings_of,
    method_of,
    table_of,
)
from epochmark.report.page._history import changes_of
from epochmark.report.page._scaling import scaling_of
from epochmark.report.page._standing import explained, held_back, place_of, setting_of
from epochmark.report.page.frame import drawn, rendered
from epochmark.report.render import can_draw
from epochmark.report.subject import Subject

if TYPE_CHECKING:
    from markupsafe import Markup

MAX_EMBEDDED_BYTES = 640 << 10
"""Of compressed records in the page, so that the whole stays below 2 MB ..."""
MAX_EMBEDDED_LAPS = 60_000
"""... which that many laps, at some twelve bytes each, about fill."""


def report_page(subject: Subject) -> str:
    """The report as an HTML document. Everything from records is escaped by the template."""
    embedded, count = _embedded(subject)
    return rendered(
        "page.html",
        {
            "answer": answer_of(subject),
            "place": place_of(subject),
            "held_back": held_back(subject),
            "setting": setting_of(subject),
            "explained": explained(subject),
            "charts": _figures(subject),
            "undrawn": not can_draw(),
            "changes": changes_of(subject),
            "scaling": scaling_of(subject),
            "header": TABLE_HEADER,
            "table": table_of(subject),
            "findings": findings_of(subject),
            "method": method_of(subject),
            "embedded": embedded,
            "embedded_count": count,
            "record_count": len(subject.records),
        },
    )


def _figures(subject: Subject) -> list[dict[str, Chart | Markup | str]]:
    """Each chart that has something to show, drawn for wide and for narrow screens; and undrawn
    those of which the page says what more must be measured."""
    if not can_draw():
        return []
    figures: list[dict[str, Chart | Markup | str]] = []
    for chart in all_charts():
        figure: dict[str, Chart | Markup | str] = {"chart": chart}
        for place, drawing, svg in drawn(partial(chart.draw, subject)):
            figure[place] = svg
            figure["about"] = drawing.about
        if "wide" in figure or (chart.needs and subject.own):
            figures.append(figure)
    return figures


def _embedded(subject: Subject) -> tuple[str, int]:
    """The run in focus and the newest others as a gzipped bundle in base64, as many as fit; and
    how many those are."""
    chosen: list[Record] = []
    laps = 0
    for record in sorted(
        subject.records,
        key=lambda record: (record is subject.focus, age_order(record)),
        reverse=True,
    ):
        laps += len(record.timing.laps)
        if laps > MAX_EMBEDDED_LAPS:
            break
        chosen.append(record)
    while True:
        ordered = sorted(chosen, key=age_order)
        bundle = encode_bundle(ordered)
        packed = gzip.compress(bundle, compresslevel=6, mtime=0)
        if len(packed) <= MAX_EMBEDDED_BYTES or not chosen:
            return base64.b64encode(packed).decode(), len(chosen)
        chosen = chosen[: int(len(chosen) * 0.95 * MAX_EMBEDDED_BYTES / len(packed))]
