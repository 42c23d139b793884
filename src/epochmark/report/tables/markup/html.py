"""Sections as an HTML fragment, fit for a blog post: no style, no script, everything escaped."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.report.figures import is_figure
from epochmark.report.plain_text import plain
from epochmark.report.tables.section import Section

_TEMPLATE = """\
{% for section in sections %}
<h3>{{ section.title }}</h3>
<table>
<thead><tr>
{%- for column in section.header %}<th{{ side(column) }}>{{ column }}</th>{% endfor -%}
</tr></thead>
<tbody>
{% for row in section.rows %}
{% set place = loop.index0 %}
{% for number, text in section.lines if number == place %}
<tr><td colspan="{{ section.header | length }}">{{ text }}</td></tr>
{% endfor %}
<tr>
{%- for column, cell in zip(section.header, row) -%}
<td{{ side(column) }}>{{ cell }}</td>
{%- endfor -%}
</tr>
{% endfor %}
</tbody>
</table>
{% if section.notes %}
<ul>
{% for note in section.notes %}
<li>{{ note }}</li>
{% endfor %}
</ul>
{% endif %}
{% endfor %}
"""


def to_html(sections: Sequence[Section]) -> str:
    """All sections, each a heading, a table and its notes."""
    import jinja2
    from markupsafe import Markup

    right, left = Markup(' align="right"'), Markup("")
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: plain(value) if type(value) is str else value,
    )
    return environment.from_string(_TEMPLATE).render(
        sections=sections, zip=zip, side=lambda column: right if is_figure(column) else left
    )
