"""Measure how long ``epochmark --help`` and ``--version`` take, from the spawn to the exit.

``python benchmarks/startup.py [RUNS]``: median, quartiles and range of RUNS processes each (default
20) after one that warms the file cache. Bare ``python -c pass`` stands beside them: what remains
above it is ours. The processor time distinguishes a slow program from a busy machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "epochmark --version": ["-m", "epochmark", "--version"],
    "epochmark --help": ["-m", "epochmark", "--help"],
}


def run_once(arguments: list[str]) -> tuple[float, float]:
    """Wall-clock seconds and processor seconds of one process of this interpreter."""
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    wall_s, after = time.perf_counter() - start, os.times()
    used = after.children_user + after.children_system
    return wall_s, used - before.children_user - before.children_system


def summary(seconds: Sequence[float]) -> str:
    """Median, quartiles and range in milliseconds."""
    low, median, high = (1e3 * quantile for quantile in statistics.quantiles(seconds, n=4))
    least, most = 1e3 * min(seconds), 1e3 * max(seconds)
    return f"{median:4.0f} ms ({low:.0f} to {high:.0f}, all {least:.0f} to {most:.0f})"


def main() -> None:
    """Print one line for each command."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    for name, arguments in COMMANDS.items():
        run_once(arguments)
        wall, processor = zip(*(run_once(arguments) for _ in range(runs)), strict=True)
        print(f"{name:<20} wall {summary(wall)}, processor {summary(processor)}, n {runs}")


if __name__ == "__main__":
    main()
