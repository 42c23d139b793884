"""Do races hold what they say? An engine against itself, and against itself made slower by 3 %.

    python benchmarks/race_acceptance.py FOLDER [--engines native,torch,keras-tensorflow]
        [--races 10] [--seconds 180] [--slowed-seconds 300]

Three conditions: *quiet*, with nothing else on the machine; *load*, beside a niced busy loop on one
core; *slowed*, where the second entry waits 3 % of the time of each step. The races of all engines
and conditions take turns, so that a restless machine hits them alike. Each is kept in FOLDER as
soon as it is over; the script goes on where it was ended. ``--summary`` only prints what is there.

Printed for each condition: in how many races the interval holds 1 (quiet and load: it should be 27
of 30), the median of its half widths (1.5 % and 3 %), and in how many the second entry is found
slower (slowed: 9 of 10). With the defaults it takes about six hours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from epochmark.bench.interpreters.interpreter import choose_interpreter
from epochmark.engines import get_engine

CONDITIONS = ("quiet", "load", "slowed")
SLOWER_BY = 0.03

BUSY = "import os\nos.nice(19)\nwhile True:\n    pass\n"

WAITING = f"""
import time
from epochmark.worker.stopwatch import TurnStopwatch

asked = TurnStopwatch.wants_lap
ended_ns = 0

def wants_lap(self):
    global ended_ns
    began_ns = time.perf_counter_ns()
    step_ns = began_ns - max(ended_ns, self._turn_began_ns or began_ns)
    while time.perf_counter_ns() - began_ns < {SLOWER_BY} * step_ns:
        pass
    ended_ns = time.perf_counter_ns()
    return asked(self)

TurnStopwatch.wants_lap = wants_lap
"""
"""What the slowed entry's interpreter does at its start: an engine asks for a lap at every step."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the races are kept")
    parser.add_argument("--engines", default="native,torch,keras-tensorflow")
    parser.add_argument("--races", type=int, default=10, help="of each engine and condition")
    parser.add_argument("--seconds", type=float, default=180.0, help="of a race at most")
    parser.add_argument("--slowed-seconds", type=float, default=300.0)
    parser.add_argument("--summary", action="store_true", help="race nothing")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for number in range(0 if options.summary else options.races):
        for engine in options.engines.split(","):
            for condition in CONDITIONS:
                file = options.folder / f"{condition}-{engine}-{number:02}.json"
                slowed = condition == "slowed"
                seconds = options.slowed_seconds if slowed else options.seconds
                if not file.exists():
                    race(engine, condition, seconds, file)
    for condition in CONDITIONS:
        print_summary(condition, sorted(options.folder.glob(f"{condition}-*.json")))


def race(engine: str, condition: str, seconds: float, file: Path) -> None:
    """One race; its document appears in ``file`` once it is over."""
    second = engine
    if condition == "slowed":
        second = f"{engine}@{slowed_interpreter(engine, file.parent)}"
    command = [sys.executable, "-m", "epochmark", "race", engine, second, "--json", "--no-save"]
    with busy_loop() if condition == "load" else idle():
        done = subprocess.run(
            [*command, f"--max-seconds={seconds}"], stdout=subprocess.PIPE, check=False
        )
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with exit code {done.returncode}")
    partial = file.with_suffix(".partial")
    partial.write_bytes(done.stdout)
    partial.replace(file)
    print_summary(file.stem, [file])


def slowed_interpreter(engine: str, folder: Path) -> Path:
    """The engine's interpreter, which waits after each step."""
    added = folder.absolute() / "slowed"
    added.mkdir(exist_ok=True)
    (added / "sitecustomize.py").write_text(
        f"try:{WAITING.replace(chr(10), chr(10) + '    ')}\nexcept ImportError:\n    pass\n",
        "utf-8",
    )
    python = choose_interpreter(get_engine(engine).info, None).python
    file = added / f"python-{engine}"
    file.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{added}" exec {python} "$@"\n', "utf-8")
    file.chmod(0o755)
    return file


@contextmanager
def busy_loop() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def idle() -> Iterator[None]:
    yield


def print_summary(name: str, files: list[Path]) -> None:
    """What the races say of their second entry."""
    found: list[dict[str, Any]] = [
        json.loads(file.read_text("utf-8"))["standings"][1] for file in files
    ]
    known = [standing for standing in found if standing["ratio"] is not None]
    if not known:
        print(f"{name}: no race", flush=True)
        return
    holds = sum(standing["low"] <= 1 <= standing["high"] for standing in known)
    slower = sum(standing["low"] > 1 for standing in known)
    half = median(
        (standing["high"] - standing["low"]) / 2 / standing["ratio"] for standing in known
    )
    ratio = median(standing["ratio"] for standing in known)
    print(
        f"{name}: {len(known)} races, the interval holds 1 in {holds}, lies above it in {slower}; "
        f"median ratio {ratio:.4f}, median half width {half:.2%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
