"""Write the generated parts of docs/: the JSON Schemas of records, races and scalings; tables of
rooms, findings, rules, engines, their devices, requirements and tunables, sensors, checks of the
doctor.

``python -m tools.write_docs`` (``make docs``); ``tests/unit/test_docs.py`` holds them up to date.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from epochmark.doctor.checks import all_checks
from epochmark.engines import EngineInfo, Requirements, all_infos
from epochmark.hardware.sensors import sensor_infos
from epochmark.records.documents.race import RACE_SCHEMA, Race
from epochmark.records.documents.scaling import SCALING_SCHEMA, Scaling
from epochmark.records.findings import MEANING
from epochmark.records.record import SCHEMA_VERSION, Record
from epochmark.report.explanations import all_rules
from tools import rooms

DOCS = Path(__file__).parents[1] / "docs"
HEAD = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def record_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a record of the newest schema."""
    return _schema(Record, "record", "schema", SCHEMA_VERSION)


def race_schema() -> dict[str, Any]:
    """The same of a race, the records of its entries included."""
    return _schema(Race, "race", "race_schema", RACE_SCHEMA)


def scaling_schema() -> dict[str, Any]:
    """The same of a scaling."""
    return _schema(Scaling, "scaling", "scaling_schema", SCALING_SCHEMA)


def _schema(kind: type[msgspec.Struct], noun: str, field: str, number: int) -> dict[str, Any]:
    """``field`` is the one that holds the number of the schema."""
    schema: dict[str, Any] = _with_javascript_patterns(msgspec.json.schema(kind))
    schema["$defs"][kind.__name__]["properties"][field]["const"] = number
    if "Record" in schema["$defs"]:
        schema["$defs"]["Record"]["properties"]["schema"]["const"] = SCHEMA_VERSION
    return {**HEAD, "title": f"epochmark {noun}, schema {number}", **schema}


def _with_javascript_patterns(part: Any) -> Any:
    """JSON Schema's patterns are JavaScript's, in which ^ and $ are the ends of the whole text."""
    if isinstance(part, list):
        return [_with_javascript_patterns(item) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        name: value.replace(r"\A", "^").replace(r"\Z", "$")
        if name == "pattern" and isinstance(value, str)
        else _with_javascript_patterns(value)
        for name, value in part.items()
    }


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "record.schema.json": record_schema,
    "race.schema.json": race_schema,
    "scaling.schema.json": scaling_schema,
}
"""By the names of their files in docs/."""


def schema_text(name: str) -> str:
    """A schema as its file holds it."""
    return json.dumps(SCHEMAS[name](), indent=1) + "\n"


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


def engines_table() -> str:
    """Every engine, with its form of Adam and the precisions that can be asked for."""
    forms = {"epsilon_hat": "hat", "algorithm_1": "1"}
    rows = [
        f"| {info.name} | {info.title} | {info.summary} | {forms[info.adam_form]} "
        f"| {', '.join(_with_workloads(info, name) for name in info.precisions[1:])} |"
        for info in _public_infos()
    ]
    header = "| engine | framework | in short | form | precisions that can be asked for |"
    return "\n".join([header, "|---|---|---|---|---|", *rows, ""])


def _with_workloads(info: EngineInfo, precision: str) -> str:
    """A precision, with the workloads that have it where not all do."""
    workloads = dict(info.limited_precisions).get(precision)
    return f"{precision} ({', '.join(workloads)})" if workloads else precision


def devices_table() -> str:
    """Every kind of device of every engine, and what of it has been seen."""
    rows = [
        f"| {'' if count else info.name} | {device.kind} | {device.through} | {device.seen} |"
        for info in _public_infos()
        for count, device in enumerate(info.devices)
    ]
    return "\n".join(["| engine | device | through | seen |", "|---|---|---|---|", *rows, ""])


def _public_infos() -> list[EngineInfo]:
    return [info for info in all_infos() if not info.hidden]


def requirements_table() -> str:
    """Every row of the requirements table, each with the engines that it serves."""
    rows: dict[Requirements, list[str]] = {}
    for info in _public_infos():
        for row in info.requirements:
            rows.setdefault(row, []).append(info.name)
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
        "| engine | setting | values, stock first | devices | workloads with | what it is |",
        "|---|---|---|---|---|---|",
    ]
    for info in _public_infos():
        for tunable in info.tunables:
            values = ", ".join(f"`{value}`" for value in tunable.values)
            devices = ", ".join(tunable.device_kinds or info.device_kinds)
            word = f"`{tunable.word}`" if tunable.word else "anything"
            cells = (info.name, tunable.name, values, devices, word, tunable.summary)
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def sensors_table() -> str:
    """Every sensor, what it needs, and where it has been seen."""
    rows = [
        f"| `{name}` | {info.reads} | {info.source} | {info.needs} | {info.seen} |"
        for name, info in sensor_infos().items()
    ]
    header = "| sensor | what it reads | source | needs | run on hardware that has it |"
    return "\n".join([header, "|---|---|---|---|---|", *rows, ""])


def checks_table() -> str:
    """Every check of ``epochmark doctor``, in the order of its output."""
    rows = [
        f"| {check.name} | {check.looks_at} | {check.notes} | {check.faults} |"
        for check in all_checks()
    ]
    return "\n".join(["| check | looks at | notes | faults |", "|---|---|---|---|", *rows, ""])


def parallel_table() -> str:
    """Every engine: how it trains on several devices, and what of that has run."""
    rows = ["| engine | through | run |", "|---|---|---|"]
    for info in _public_infos():
        found = info.parallel
        through, seen = ("not offered", "-") if found is None else (found.through, found.seen)
        rows.append(f"| `{info.name}` | {through} | {seen} |")
    return "\n".join([*rows, ""])


GENERATED: dict[str, dict[str, Callable[[], str]]] = {
    "architecture.md": {"rooms": rooms.picture},
    "doctor.md": {"checks": checks_table},
    "measurement/validity.md": {"findings": findings_table},
    "measurement/heat-and-energy.md": {"sensors": sensors_table},
    "measurement/explaining.md": {"rules": rules_table},
    "engines.md": {
        "engines": engines_table,
        "devices": devices_table,
        "tunables": tunables_table,
        "requirements": requirements_table,
    },
    "scaling.md": {"parallel": parallel_table},
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
    for name in SCHEMAS:
        (DOCS / name).write_text(schema_text(name), "utf-8")
    for page in GENERATED:
        file = DOCS / page
        file.write_text(written(page, file.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
