"""Write the generated parts of docs/: the record's JSON Schema; tables of rooms, findings, rules,
requirements and tunables.

``python -m tools.write_docs`` (``make docs``); ``tests/unit/test_docs.py`` holds them up to date.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from epochmark.bench.request import public_engines
from epochmark.engines import Requirements, get_engine
from epochmark.records.findings import MEANING
from epochmark.records.record import SCHEMA_VERSION, Record
from epochmark.report.explanations import all_rules
from tools import rooms

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA_FILE = DOCS / "record.schema.json"


def record_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a record of the newest schema."""
    schema = _with_javascript_patterns(msgspec.json.schema(Record))
    schema["$defs"]["Record"]["properties"]["schema"]["const"] = SCHEMA_VERSION
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"epochmark record, schema {SCHEMA_VERSION}",
        **schema,
    }


def _with_javascript_patterns(part: Any) -> Any:
    """JSON Schema's patterns are JavaScript's, in which ^ and $ are the ends of the whole text."""
    if isinstance(part, list):
        return [_with_javascript_patterns(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        name: one.replace(r"\A", "^").replace(r"\Z", "$")
        if name == "pattern" and isinstance(one, str)
        else _with_javascript_patterns(one)
        for name, one in part.items()
    }


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(record_schema(), indent=1) + "\n"


def findings_table() -> str:
    """Every finding as a row of a Markdown table."""
    rows = [
        f"| `{code.value}` | {meaning.validity} | {meaning.title} | {meaning.remedy} |"
        for code, meaning in MEANING.items()
    ]
    return "\n".join(
        ["| finding | validity | meaning | what to do |", "|---|---|---|---|", *rows, ""]
    )


def rules_table() -> str:
    """Every rule of ``epochmark explain`` as a row of a Markdown table."""
    rows = [f"| `{rule.name}` | {rule.says_when} | {rule.reason} |" for rule in all_rules()]
    return "\n".join(["| rule | speaks when | why |", "|---|---|---|", *rows, ""])


def requirements_table() -> str:
    """Every row of the requirements table, each with the engines that it serves."""
    rows: dict[Requirements, list[str]] = {}
    for name in public_engines():
        for row in get_engine(name).info.requirements:
            rows.setdefault(row, []).append(name)
    return "\n".join(
        [
            "| engines | system | accelerator | Python | packages | download, disk | tested |",
            "|---|---|---|---|---|---|---|",
            *(_requirements_row(row, engines) for row, engines in rows.items()),
            "",
        ]
    )


def _requirements_row(row: Requirements, engines: list[str]) -> str:
    oldest, newest = (".".join(map(str, bound)) for bound in (row.oldest_python, row.newest_python))
    packages = ", ".join(f"`{requirement}`" for requirement in row.pip)
    sources = ", ".join(f"<{source}>" for source in (*row.indexes, *row.find_links))
    needs = ", ".join(need.name for need in row.needs)
    cells = (
        ", ".join(engines),
        f"{', '.join(row.systems)} on {', '.join(row.architectures)}".replace("Darwin", "macOS"),
        ", ".join(row.accelerators) + (" (on request)" if row.on_request else ""),
        f"{oldest} to {newest}",
        packages + (f"; also from {sources}" if sources else "") + (f"; {needs}" if needs else ""),
        f"{row.download_mb:,} MB, {row.installed_mb:,} MB",
        row.tested or "no",
    )
    return f"| {' | '.join(cells)} |"


def tunables_table() -> str:
    """Every setting that tuned mode may change, engine by engine, in the order of the search."""
    rows = [
        "| engine | setting | values, stock first | devices | what it is |",
        "|---|---|---|---|---|",
    ]
    for name in public_engines():
        info = get_engine(name).info
        for one in info.tunables:
            values = ", ".join(f"`{value}`" for value in one.values)
            devices = ", ".join(one.device_kinds or info.device_kinds)
            rows.append(f"| {name} | {one.name} | {values} | {devices} | {one.summary} |")
    return "\n".join([*rows, ""])


GENERATED: dict[str, dict[str, Callable[[], str]]] = {
    "architecture.md": {"rooms": rooms.picture},
    "measurement/validity.md": {"findings": findings_table},
    "measurement/explaining.md": {"rules": rules_table},
    "engines.md": {"requirements": requirements_table, "tunables": tunables_table},
}
"""By page and by name, what stands between its marks there."""


def written(page: str, text: str) -> str:
    """The text of a page with its generated parts as they are now."""
    for name, table in GENERATED[page].items():
        begin = f"<!-- {name}: written by tools/write_docs.py -->\n"
        end = f"<!-- end of {name} -->\n"
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}{table()}{end}{after}"
    return text


def main() -> None:
    """Write all of them."""
    SCHEMA_FILE.write_text(schema_text(), "utf-8")
    for page in GENERATED:
        file = DOCS / page
        file.write_text(written(page, file.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
