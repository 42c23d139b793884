"""Write the generated parts of docs/: the record's JSON Schema and the table of findings.

``python tools/write_docs.py`` (``make docs``); ``tests/unit/test_docs.py`` holds them up to date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from epochmark.results.findings import MEANING
from epochmark.results.record import SCHEMA_VERSION, Record

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA_FILE = DOCS / "record.schema.json"
FINDINGS_FILE = DOCS / "measurement.md"
BEGIN = "<!-- findings: written by tools/write_docs.py -->\n"
END = "<!-- end of findings -->\n"


def record_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a record of the newest schema."""
    schema = msgspec.json.schema(Record)
    schema["$defs"]["Record"]["properties"]["schema"]["const"] = SCHEMA_VERSION
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"epochmark record, schema {SCHEMA_VERSION}",
        **schema,
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


def main() -> None:
    """Write both files."""
    SCHEMA_FILE.write_text(schema_text(), "utf-8")
    FINDINGS_FILE.write_text(with_findings(FINDINGS_FILE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
