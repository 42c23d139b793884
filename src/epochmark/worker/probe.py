"""``python -m epochmark.worker.probe DESCRIPTOR ENGINE``: what an engine sees in this interpreter.

Imports the framework, so it is a process of its own, with a time limit. Python 3.9.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict

from epochmark.engines import Engine, get_engine
from epochmark.worker.error_text import telling_lines


def probe(engine: Engine) -> Dict[str, Any]:
    """Versions, devices and, where listing them failed, what was raised.

    ``missing_module`` is the module that was not found, whoever wanted it: a framework whose own
    dependency is absent is installed, and broken.
    """
    found: Dict[str, Any] = {
        "versions": engine.versions(),
        "devices": [],
        "exception": None,
        "message": None,
        "missing_module": None,
    }
    try:
        found["devices"] = [
            {"id": device.id, "description": device.description} for device in engine.list_devices()
        ]
    except Exception as error:
        lines = telling_lines(str(error)) or [""]
        found["exception"] = type(error).__name__
        found["message"] = lines[-1][:1000]
        if isinstance(error, ModuleNotFoundError):
            found["missing_module"] = error.name
    return found


def main() -> None:
    """Write one JSON line to the descriptor, and end whatever threads a framework left."""
    line = json.dumps(probe(get_engine(sys.argv[2]))).encode() + b"\n"
    descriptor = int(sys.argv[1])
    while line:
        line = line[os.write(descriptor, line) :]
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
