"""Templates and the style sheet. Whatever comes from records is escaped, and made printable."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import Response

from epochmark._version import __version__
from epochmark.board.answers import answer
from epochmark.board.intake.refusal import RefusedError
from epochmark.report.drawing.theme import dark, light, style_variables
from epochmark.report.figures import bare_seconds
from epochmark.report.plain_text import plain


def page(request: Request, template: str, **values: Any) -> Response:
    """The page of this template."""
    return answer(request, _rendered(request, template, values), "text/html; charset=utf-8")


def refusal_page(request: Request, refused: RefusedError) -> Response:
    """A page that says why there is no other."""
    content = _rendered(request, "refused.html", {"refused": refused})
    return Response(content, refused.status, refused.headers, "text/html; charset=utf-8")


def style_sheet(request: Request) -> Response:
    """``/style.css``"""
    return answer(request, _style(), "text/css; charset=utf-8")


def _rendered(request: Request, template: str, values: dict[str, Any]) -> bytes:
    rendered = (
        _templates()
        .get_template(template)
        .render(version=__version__, path=request.url.path, **values)
    )
    return rendered.encode()


@cache
def _style() -> bytes:
    variables = {"light": style_variables(light(0)), "dark": style_variables(dark(0))}
    return _templates().get_template("style.css").render(**variables).encode()


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("epochmark.board.pages", "templates"),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: plain(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = bare_seconds
    environment.filters["share"] = lambda share: f"{share:.0%}"
    return environment
