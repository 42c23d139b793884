"""Does keras-tensorflow time what the original script times? A race of the two.

    python benchmarks/keras_against_script.py [--max-seconds 1800] [--target 0.004] [--python PATH]

One side is the script (``bare_script.py`` beside this): its arrays, its model, its ``fit``; the
other the engine. Both run in the same interpreter and environment and take turns of half a second
(docs/race.md), so that only one trains at a time, and a machine that changes its speed, as virtual
ones do within seconds, hits both alike. Both have the callback that parks them between steps. What
watching costs is in neither; records have it (``calm.cost``).

Compared is a step of the warm training. TensorFlow's ``fit`` may return much later than that has
ended: its input pipeline's tuner sleeps 10 ms, 20 ms, 40 ms and so on up to a minute, and in about
every second process its end is waited for asleep (docs/engines.md).

Prints what ``epochmark race`` does, and whether the interval of the ratio engine / script lies
inside 1 +- 0.02, as it should.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from _measuring import bench

from epochmark.bench.interpreters.interpreter import Interpreter, choose_interpreter
from epochmark.bench.plan import PlannedRun
from epochmark.bench.process.lock import measuring_alone
from epochmark.bench.racing.race import RaceRequest, race
from epochmark.bench.request import RunRequest
from epochmark.engines import get_engine
from epochmark.report.text.race import race_lines

ENGINE = "keras-tensorflow"
SCRIPT = Path(__file__).with_name("bare_script.py")
MARGIN = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-seconds", type=float, default=1800.0, help="of the race")
    parser.add_argument("--target", type=float, default=0.004, help="half an interval, a share")
    parser.add_argument("--python", help="interpreter that has TensorFlow")
    options = parser.parse_args()
    own = choose_interpreter(get_engine(ENGINE).info, options.python)
    with tempfile.TemporaryDirectory() as folder:
        runs = [PlannedRun(RunRequest(ENGINE), each) for each in (of_script(own, folder), own)]
        request = RaceRequest(("script", ENGINE), runs, options.target, options.max_seconds)
        with measuring_alone(tell):
            raced = race(request, bench(), tell)
    print(*race_lines(raced), sep="\n")
    found = raced.standings[1]
    if found.place in ("out", "reference") or found.low is None or found.high is None:
        sys.exit("engine / script: the ratio is unknown")
    inside = found.low >= 1 - MARGIN and found.high <= 1 + MARGIN
    print(f"engine / script: {'inside' if inside else 'not inside'} 1 +- {MARGIN}")


def of_script(own: Interpreter, folder: str) -> Interpreter:
    """The same interpreter, whose worker is the script."""
    file = Path(folder) / "python"
    command = shlex.join([str(own.python), str(SCRIPT)])
    file.write_text(f'#!/bin/sh\nshift 2  # -m epochmark.worker\nexec {command} "$@"\n', "utf-8")
    file.chmod(0o755)
    return replace(own, python=file)


def tell(news: str) -> None:
    print(news, end="\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
