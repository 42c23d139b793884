"""Saved records as starting points: a test changes what it is about and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from epochmark.judge.reading import decode_record
from epochmark.records.record import Record

FOLDER = Path(__file__).parents[1] / "records"


def document(name: str = "fake-valid") -> dict[str, Any]:
    """The JSON document of a saved record, free to be changed."""
    fields: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return fields


def changed(name: str = "fake-valid", /, **values: Any) -> dict[str, Any]:
    """The document with other values; ``device__resolved`` is ``resolved`` in ``device``."""
    fields = document(name)
    for path, value in values.items():
        *parents, last = path.split("__")
        part = fields
        for parent in parents:
            part = part[parent]
        part[last] = value
    return fields


def record(name: str = "fake-valid", /, **values: Any) -> Record:
    """The saved record with other values, as reading it gives it."""
    return decode_record(json.dumps(changed(name, **values)).encode())
