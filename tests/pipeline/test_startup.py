"""What a command loads before it does anything; benchmarks/startup.py measures the time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from epochmark.engines import engine_names, get_engine

HEAVY = ("numpy", "rich", "msgspec", "psutil", "platformdirs", "archspec")
WEB_OR_PLOTTING = ("http.client", "urllib.request", "ssl", "altair", "vl_convert", "matplotlib")
FRAMEWORKS = tuple(module for name in engine_names() for module in get_engine(name).info.modules)


def modules_loaded_by(*arguments: str) -> set[str]:
    program = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "from epochmark.cli import main\n"
        f"sys.argv = {['epochmark', *arguments]!r}\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert b"epochmark" in done.stdout
    return set(json.loads(done.stderr))


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy(option: str) -> None:
    loaded = modules_loaded_by(option)
    assert sorted(loaded & {*HEAVY, *WEB_OR_PLOTTING, *FRAMEWORKS}) == []


def test_help_of_a_command_loads_no_framework() -> None:
    assert sorted(modules_loaded_by("run", "--help") & {*WEB_OR_PLOTTING, *FRAMEWORKS}) == []
