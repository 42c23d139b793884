"""Do races hold what they say? An engine against itself, and against itself made slower by 3 %.

    python benchmarks/race_acceptance.py FOLDER [--engines native,torch,keras-tensorflow]
        [--conditions quiet,load,slowed] [--races 10] [--seconds 180] [--slowed-seconds 300]
        [--summary]

Three conditions: *quiet*, with nothing else on the machine; *load*, beside a busy loop of niceness
19 (where the kernel shares out CPUs by sessions, it gets its share all the same); *slowed*, where
the second entry waits 3 % of the time of each step. The races of all engines and conditions take
turns, so that a restless machine hits them alike. Each is kept in FOLDER as soon as it is over, and
a line about it printed; the script goes on where it was ended, in whatever order and with whatever
engines or conditions it is started again. A race that fails is named and raced again next time.

The summary, which ``--summary`` prints without racing, is about what is there so far of the engines
that are named: in how many races the interval holds 1 (quiet and load: wanted in 27 of 30), the
median of its half widths (at most 1.5 % and 3 %), and in how many the second entry is found slower
(slowed: wanted in 27 of 30).
A condition ends as soon as no race that is left could change its verdict, which spares a tenth of
those that pass. With the defaults all of it takes six to seven hours at most; races that know
their ratio to 1 % end sooner.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import NamedTuple

from epochmark.bench.interpreters.interpreter import choose_interpreter
from epochmark.engines import get_engine

SLOWER_BY = 0.03
INTERRUPTED = 130
WANTED_SHARE = 0.9
"""Of the races of a condition, over all engines: 27 of 30."""


class Condition(NamedTuple):
    """``most_half`` is the largest median of half widths, as a share; None: any."""

    name: str
    most_half: float | None


CONDITIONS = (Condition("quiet", 0.015), Condition("load", 0.03), Condition("slowed", None))

BUSY = """
import os
os.nice(19)
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""

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


class Found(NamedTuple):
    """What a race says of its second entry; ``ratio`` is None where that is unknown, or out."""

    engine: str
    ratio: float | None
    low: float
    high: float
    seconds: float

    @property
    def half(self) -> float:
        """Half the interval, as a share; that of an unknown ratio is wider than any."""
        return (self.high - self.low) / 2 / self.ratio if self.ratio else math.inf

    def is_right(self, condition: str) -> bool:
        """Whether it says what is true."""
        if self.ratio is None:
            return False
        return self.low > 1 if condition == "slowed" else self.low <= 1 <= self.high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the races are kept")
    parser.add_argument("--engines", default="native,torch,keras-tensorflow")
    parser.add_argument("--conditions", default=",".join(each.name for each in CONDITIONS))
    parser.add_argument("--races", type=int, default=10, help="of each engine and condition")
    parser.add_argument("--seconds", type=float, default=180.0, help="of a race at most")
    parser.add_argument("--slowed-seconds", type=float, default=300.0)
    parser.add_argument("--summary", action="store_true", help="race nothing")
    options = parser.parse_args()
    engines = options.engines.split(",")
    asked = options.conditions.split(",")
    unknown = {*asked} - {each.name for each in CONDITIONS}
    if unknown:
        parser.error(f"--conditions: {unknown.pop()} is none")
    options.folder.mkdir(parents=True, exist_ok=True)
    if not options.summary:
        conditions = [each for each in CONDITIONS if each.name in asked]
        race_all(options, engines, conditions)
    print_summary(options.folder, engines, len(engines) * options.races)


def race_all(
    options: argparse.Namespace, engines: Sequence[str], conditions: Sequence[Condition]
) -> None:
    """All races that are not there yet and that could change a verdict."""
    slowed = {engine: slowed_interpreter(engine, options.folder) for engine in engines}
    total = len(engines) * options.races
    for number in range(options.races):
        for engine in engines:
            for condition in conditions:
                file = options.folder / f"{condition.name}-{engine}-{number:02}.json"
                found = found_in(options.folder, condition, engines)
                if file.exists() or verdict(condition, found, total) is not None:
                    continue
                is_slowed = condition.name == "slowed"
                second = f"{engine}@{slowed[engine]}" if is_slowed else engine
                seconds = options.slowed_seconds if is_slowed else options.seconds
                with busy_loop() if condition.name == "load" else nullcontext():
                    race(engine, second, seconds, file)


def race(engine: str, second: str, seconds: float, file: Path) -> None:
    """One race; its document appears in ``file`` once it is over."""
    command = [sys.executable, "-m", "epochmark", "race", engine, second, "--json", "--no-save"]
    done = subprocess.run(
        [*command, f"--max-seconds={seconds}"], stdout=subprocess.PIPE, check=False
    )
    if done.returncode == INTERRUPTED:
        sys.exit(INTERRUPTED)
    try:
        found = read(done.stdout, engine)
    except (ValueError, LookupError):
        print(f"{file.stem}: no race, exit code {done.returncode}", flush=True)
        return
    partial = file.with_suffix(".partial")
    partial.write_bytes(done.stdout)
    partial.replace(file)
    said = "its ratio is unknown"
    if found.ratio is not None:
        said = f"{found.ratio:.4f} ({found.low:.4f} to {found.high:.4f}, half {found.half:.2%})"
    print(f"{time.strftime('%H:%M')} {file.stem}: {said} after {found.seconds:.0f} s", flush=True)


def read(document: bytes, engine: str) -> Found:
    """Raises ``ValueError`` or ``LookupError`` for what is no race."""
    fields = json.loads(document)
    second = fields["standings"][1]
    low, high = (math.nan if second[name] is None else second[name] for name in ("low", "high"))
    return Found(engine, second["ratio"], low, high, fields["seconds"])


def found_in(folder: Path, condition: Condition, engines: Sequence[str]) -> list[Found]:
    """All races of a condition and of these engines that are there."""
    return [
        read(file.read_bytes(), engine)
        for file in sorted(folder.glob(f"{condition.name}-*.json"))
        if (engine := file.stem.split("-", 1)[1].rpartition("-")[0]) in engines
    ]


def verdict(condition: Condition, found: Sequence[Found], total: int) -> bool | None:
    """Whether the condition holds over all ``total`` races; None while those that are left could
    change that."""
    right, wanted = sum(each.is_right(condition.name) for each in found), WANTED_SHARE * total
    limit = condition.most_half or math.inf
    narrow, left = sum(each.half <= limit for each in found), total - len(found)
    if left <= 0:
        return right >= wanted and median(each.half for each in found) <= limit
    if right + left < wanted or len(found) - narrow > total / 2:
        return False
    return True if right >= wanted and narrow > total / 2 else None


def print_summary(folder: Path, engines: Sequence[str], total: int) -> None:
    """Every condition, by engine and over all; the verdict on those that are decided."""
    print(f"{'condition':<10}{'engine':<18}{'races':>6}{'right':>6}{'ratio':>9}{'half':>8}{'s':>6}")
    for condition in CONDITIONS:
        every = found_in(folder, condition, engines)
        for engine in sorted({each.engine for each in every}):
            print_line(condition, engine, [each for each in every if each.engine == engine])
        if every:
            print_line(condition, "all", every)
            words = {None: "undecided", True: "holds", False: "does not hold"}
            said = words[verdict(condition, every, total)]
            print(f"{'':<10}{said}: {len(every)} of {total} races")


def print_line(condition: Condition, engine: str, found: Sequence[Found]) -> None:
    """``right``: the interval holds 1, or of a slowed entry lies above it; medians of the rest."""
    right = sum(each.is_right(condition.name) for each in found)
    ratio = median(each.ratio or math.nan for each in found)
    half, seconds = median(each.half for each in found), median(each.seconds for each in found)
    print(
        f"{condition.name:<10}{engine:<18}{len(found):>6}{right:>6}{ratio:>9.4f}{half:>8.2%}"
        f"{seconds:>6.0f}"
    )


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
    path = f'"$PYTHONPATH":{shlex.quote(str(added))}'
    starts = f'PYTHONPATH={path} exec {shlex.quote(str(python))} "$@"'
    file.write_text(f"#!/bin/sh\n{starts}\n", "utf-8")
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


if __name__ == "__main__":
    main()
