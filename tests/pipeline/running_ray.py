"""A Ray cluster of several nodes on this machine (``ray_nodes``), as a test has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import epochmark
from epochmark._version import __version__
from epochmark.records.store import FOLDER_VARIABLE

STEP_S = 0.0004
WAIT_S = 240


class RayNodes:
    """A running cluster; ``tell`` makes it lose or use a node."""

    def __init__(self, folder: Path, scripts: dict[str, dict[str, str]], short: str) -> None:
        self.folder = folder
        variables = {name: self._own(folder / name, extra) for name, extra in scripts.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.pipeline.ray_nodes", json.dumps(variables)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RAY_TMPDIR": short},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self._answer()

    def _own(self, folder: Path, extra: dict[str, str]) -> dict[str, str]:
        (folder / "tmp").mkdir(parents=True)
        script = json.dumps({"step_s": STEP_S})
        own = {"TMPDIR": str(folder / "tmp"), FOLDER_VARIABLE: str(folder / "results")}
        return {**own, "EPOCHMARK_FAKE": script, **extra}

    def tell(self, word: str, node: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word} {node}\n")
        self._process.stdin.flush()
        assert self._answer() == word

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        self._process.communicate(timeout=WAIT_S)


@contextmanager
def ray_nodes(folder: Path, scripts: dict[str, dict[str, str]]) -> Iterator[RayNodes]:
    """Nodes by name, each with folders of its own and these variables."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # Ray's sockets lie in it
        nodes = RayNodes(folder, scripts, short)
        try:
            yield nodes
        finally:
            nodes.end()


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def another_version(folder: Path) -> str:
    """PYTHONPATH of a node on which another version of epochmark is installed."""
    copy = folder / "other"
    source = Path(epochmark.__file__).parent
    shutil.copytree(source, copy / "epochmark", ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / "epochmark" / "_version.py"
    file.write_text(file.read_text("utf-8").replace(__version__, "0.0.1"), "utf-8")
    return os.pathsep.join([str(copy), *sys.path])
