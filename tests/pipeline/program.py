"""The real command in a real process, with folders of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.pipeline.in_process import call

COMMAND = (sys.executable, "-m", "epochmark")
TIMEOUT_S = 120
SMALL_BATCH = ("--batch", "8")
"""For runs of real engines where the batch is no matter: float64 computes each step after the fit
again, which takes seconds with the workload's own."""
READING = (
    "results", "table", "compare", "check", "explain", "history", "report", "plot", "machine",
    "workloads", "data",
)  # fmt: skip
"""Commands that measure nothing: called in this process, they do not import the program again each
time."""
SAMPLES = Path(__file__).parents[1] / "records"


@dataclass
class Program:
    """``epochmark`` as a user's shell starts it; ``folder`` holds its results and temporary files.

    ``TMPDIR`` keeps its lock apart from that of other runs on this machine.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def script(self, **script: Any) -> None:
        """What the fake engine shall do from now on."""
        self.environment["EPOCHMARK_FAKE"] = json.dumps(script)

    def command(self, *arguments: str) -> list[str]:
        """The words of the command line; what measures does not wait until other programs are
        done."""
        return [*COMMAND, *self.words(*arguments)]

    def words(self, *arguments: str) -> list[str]:
        """Those behind the name of the program."""
        measures = arguments[:1] in (("run",), ("limits",)) and "--show" not in arguments
        return [*arguments, *(["--anyway"] if measures else [])]

    def variables(self, changes: Mapping[str, str | None]) -> dict[str, str]:
        wanted = {**os.environ, **self.environment, **changes}
        return {name: value for name, value in wanted.items() if value is not None}

    def run(
        self, *arguments: str, environment: Mapping[str, str | None] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end; stdout and stderr are caught unless ``options`` say otherwise. ``input``
        is its standard input, else there is none. What is in ``READING`` has no process of its own
        unless it is to have something that this one cannot have as well."""
        variables = self.variables(environment or {})
        same_python = of_python(variables) == of_python(os.environ)
        if arguments[:1] and arguments[0] in READING and same_python and {*options} <= {"input"}:
            return self.here(*arguments, environment=environment, typed=options.get("input", ""))
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        if "input" not in options:
            options["stdin"] = subprocess.DEVNULL
        return subprocess.run(
            self.command(*arguments),
            env=variables,
            text=True,
            encoding="utf-8",
            timeout=TIMEOUT_S,
            check=False,
            **options,
        )

    def here(
        self, *arguments: str, environment: Mapping[str, str | None] | None = None, typed: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """As ``run``, but in this process: for what is refused, only read, or there to be read."""
        variables = self.variables(environment or {})
        done = call(*self.words(*arguments), variables=variables, typed=typed)
        return subprocess.CompletedProcess(self.command(*arguments), *done)

    def start(
        self, *arguments: str, environment: Mapping[str, str | None] | None = None
    ) -> subprocess.Popen[str]:
        """Start it and go on; stdout and stderr are pipes."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.variables(environment or {}),
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def records(self) -> list[dict[str, Any]]:
        """The documents in the results folder, by file name."""
        return [json.loads(file.read_text("utf-8")) for file in sorted(self.results.glob("*.json"))]


def of_python(variables: Mapping[str, str]) -> dict[str, str]:
    """Those which an interpreter heeds as it starts."""
    return {name: value for name, value in variables.items() if name.startswith("PYTHON")}


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Lines of its stderr up to the one that contains ``text``."""
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} never came; stderr was:\n{seen}")


def read_until_said(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"it never said {text}")


def interrupt(
    process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT
) -> tuple[str, str]:
    """Send the signal to the program alone; its output, once it and all its children have gone."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    output = process.communicate(timeout=TIMEOUT_S)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    return output


def python(program: Program, source: str) -> subprocess.Popen[str]:
    """A Python program of a user, with the results and the fake engine of ``program``."""
    return subprocess.Popen(
        [sys.executable, "-c", source],
        env=program.variables({}),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
