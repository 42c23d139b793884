"""The HTML document: templates, drawings, and the records that it carries with it."""

from __future__ import annotations

import base64
import gzip
import hashlib
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from epochmark._version import __version__
from epochmark.records.bundle import encode_bundle
from epochmark.records.dates import age_order
from epochmark.records.record import Record
from epochmark.report.charts import Chart, all_charts
from epochmark.report.drawing.theme import dark, light, page, style_variables
from epochmark.report.page._contents import (
    TABLE_HEADER,
    answer_of,
    findings_of,
    method_of,
    table_of,
)
from epochmark.report.page._history import changes_of
from epochmark.report.page._standing import explained, held_back, place_of, setting_of
from epochmark.report.plain_text import plain
from epochmark.report.render import can_draw, to_svg
from epochmark.report.subject import Subject

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

WIDE, NARROW = 860, 290
"""Plotting areas in pixels, for a desktop and for a telephone 360 pixels wide."""

MAX_EMBEDDED_BYTES = 640 << 10
"""Of compressed records in the page, so that the whole stays below 2 MB ..."""
MAX_EMBEDDED_LAPS = 60_000
"""... which that many laps, at some twelve bytes each, about fill."""


def report_page(subject: Subject) -> str:
    """The report as an HTML document. Everything from records is escaped by the template."""
    templates = _templates()
    style = templates.get_template("page.css").render(
        light=style_variables(light(WIDE)), dark=style_variables(dark(WIDE))
    )
    script = templates.get_template("page.js").render()
    embedded, count = _embedded(subject)
    return templates.get_template("page.html").render(
        version=__version__,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        policy=content_security_policy(style, script),
        style=_verbatim(style),
        script=_verbatim(script),
        answer=answer_of(subject),
        place=place_of(subject),
        held_back=held_back(subject),
        setting=setting_of(subject),
        explained=explained(subject),
        charts=_figures(subject),
        undrawn=not can_draw(),
        changes=changes_of(subject),
        header=TABLE_HEADER,
        table=table_of(subject),
        findings=findings_of(subject),
        method=method_of(subject),
        embedded=embedded,
        embedded_count=count,
        record_count=len(subject.records),
    )


def content_security_policy(style: str, script: str) -> str:
    """Nothing may be loaded, sent or run but this one style sheet and this one script."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("epochmark.report.page", "."),
        autoescape=lambda name: name == "page.html",
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: plain(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _verbatim(text: str) -> Markup:
    """Text of our own making (style, script, drawings) that needs no escaping."""
    from markupsafe import Markup

    return Markup(text)


def _figures(subject: Subject) -> list[dict[str, Chart | Markup | str]]:
    """Each chart that has something to show, drawn for wide and for narrow screens; and undrawn
    those of which the page says what more must be measured."""
    if not can_draw():
        return []
    figures: list[dict[str, Chart | Markup | str]] = []
    for chart in all_charts():
        figure: dict[str, Chart | Markup | str] = {"chart": chart}
        for place, width in (("wide", WIDE), ("narrow", NARROW)):
            theme = page(width)
            drawing = chart.draw(subject, theme)
            if drawing is not None:
                figure[place] = _verbatim(to_svg(drawing, theme))
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
