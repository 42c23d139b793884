"""The analysis of a fleet starts no process: a service may be made of it."""

from __future__ import annotations

import json
import subprocess
import sys


def test_the_analysis_loads_nothing_that_measures() -> None:
    program = (
        "import importlib, json, pkgutil, sys, epochmark.fleet as fleet\n"
        "for found in pkgutil.walk_packages(fleet.__path__, 'epochmark.fleet.'):\n"
        "    importlib.import_module(found.name)\n"
        "print(json.dumps(sorted({name.split('.')[1] for name in sys.modules\n"
        "                         if name.startswith('epochmark.')})))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = json.loads(done.stdout)
    assert "fleet" in loaded
    assert not {"bench", "environments", "worker", "datasets", "api", "cli"} & {*loaded}
