"""Write the generated parts of docs/: the record's JSON Schema, findings, rules, requirements,
tunables.

``python tools/write_docs.py`` (``make docs``); ``tests/unit/test_docs.py`` holds them up to date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from epochmark.bench.request import public_engines
from epochmark.engines import Requirements, get_engine
from epochmark.records.findings import MEANING
from epochmark.records.record import SCHEMA_VERSION, Record
from epochmark.report.explanations import all_rules

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA_FILE = DOCS / "record.schema.json"
FINDINGS_FILE = DOCS / "measurement.md"
BEGIN = "<!-- findings: written by tools/write_docs.py -->\n"
END = "<!-- end of findings -->\n"
RULES_BEGIN = "<!-- rules: written by tools/write_docs.py -->\n"
RULES_END = "<!-- end of rules -->\n"
ENGINES_FILE = DOCS / "engines.md"
REQUIREMENTS_BEGIN = "<!-- requirements: written by tools/write_docs.py -->\n"
REQUIREMENTS_END = "<!-- end of requirements -->\n"
TUNABLES_BEGIN = "<!-- tunables: written by tools/write_docs.py -->\n"
TUNABLES_END = "<!-- end of tunables -->\n"


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


def with_findings(page: str) -> str:
    """The page with the table of findings between its marks."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{findings_table()}{END}{after}"


def rules_table() -> str:
    """Every rule of ``epochmark explain`` as a row of a Markdown table."""
    rows = [f"| `{rule.name}` | {rule.says_when} | {rule.reason} |" for rule in all_rules()]
    return "\n".join(["| rule | speaks when | why |", "|---|---|---|", *rows, ""])


def with_rules(page: str) -> str:
    """The page with the table of rules between its marks."""
    before, rest = page.split(RULES_BEGIN)
    _, after = rest.split(RULES_END)
    return f"{before}{RULES_BEGIN}{rules_table()}{RULES_END}{after}"


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


def with_requirements(page: str) -> str:
    """The page with the requirements table between its marks."""
    before, rest = page.split(REQUIREMENTS_BEGIN)
    _, after = rest.split(REQUIREMENTS_END)
    return f"{before}{REQUIREMENTS_BEGIN}{requirements_table()}{REQUIREMENTS_END}{after}"


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


def with_tunables(page: str) -> str:
    """The page with the table of tunables between its marks."""
    before, rest = page.split(TUNABLES_BEGIN)
    _, after = rest.split(TUNABLES_END)
    return f"{before}{TUNABLES_BEGIN}{tunables_table()}{TUNABLES_END}{after}"


def main() -> None:
    """Write all of them."""
    SCHEMA_FILE.write_text(schema_text(), "utf-8")
    page = FINDINGS_FILE.read_text("utf-8")
    FINDINGS_FILE.write_text(with_rules(with_findings(page)), "utf-8")
    page = ENGINES_FILE.read_text("utf-8")
    ENGINES_FILE.write_text(with_tunables(with_requirements(page)), "utf-8")


if __name__ == "__main__":
    main()
