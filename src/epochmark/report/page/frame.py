"""What all pages have in common: style, script, policy, drawings for wide and narrow screens."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from epochmark._version import __version__
from epochmark.report.drawing.chart import Drawing
from epochmark.report.drawing.theme import Theme, dark, light, page, style_variables
from epochmark.report.plain_text import plain
from epochmark.report.render import to_svg

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

WIDE, NARROW = 860, 290
"""Plotting areas in pixels, for a desktop and for a telephone 360 pixels wide."""


def rendered(template: str, contents: Mapping[str, Any], package: str = __package__ or "") -> str:
    """The page that a ``template`` of this package makes of its contents, which have an ``answer``
    with a sentence and a validity. Everything from records is escaped by the template; it extends
    ``base.html``."""
    templates = _templates(package)
    style = templates.get_template("page.css").render(
        light=style_variables(light(WIDE)), dark=style_variables(dark(WIDE))
    )
    script = templates.get_template("page.js").render()
    return templates.get_template(template).render(
        version=__version__,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        policy=content_security_policy(style, script),
        style=_verbatim(style),
        script=_verbatim(script),
        **contents,
    )


def drawn(draw: Callable[[Theme], Drawing | None]) -> Iterator[tuple[str, Drawing, Markup]]:
    """A drawing as SVG, ``wide`` and ``narrow``; nothing where there is none."""
    for place, width in (("wide", WIDE), ("narrow", NARROW)):
        theme = page(width)
        drawing = draw(theme)
        if drawing is not None:
            yield place, drawing, _verbatim(to_svg(drawing, theme))


def content_security_policy(style: str, script: str) -> str:
    """Nothing may be loaded, sent or run but this one style sheet and this one script."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _templates(package: str) -> jinja2.Environment:
    """The templates of a package, and those here that they extend."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(each, ".") for each in dict.fromkeys((package, __package__))]
        ),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: plain(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _verbatim(text: str) -> Markup:
    """Text of our own making (style, script, drawings) that needs no escaping."""
    from markupsafe import Markup

    return Markup(text)
