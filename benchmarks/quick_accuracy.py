"""How far is a quick run's projection from the whole run? Needs a machine that nothing else uses.

Pairs of a quick and a full run, turn about first, per engine. The median of the projection's error
must stay within 2 %, in at most 25 % of the full run's time.

Run: python benchmarks/quick_accuracy.py [ENGINE...]

On two cores native takes 12 minutes, jax three hours.
"""

from __future__ import annotations

import statistics
import sys

from _measuring import run

from epochmark.bench.request import RunRequest
from epochmark.results.clocks import clocks_of
from epochmark.results.statistics import NANOSECONDS

ENGINES = ("native", "keras-tensorflow", "torch", "jax")
PAIRS = 5
ERROR_LIMIT, TIME_LIMIT = 0.02, 0.25


def pair(engine: str, quick_first: bool) -> tuple[float, float, float]:
    """Projected and measured elapsed seconds, and the seconds that the quick fit took."""
    quick, full = RunRequest(engine=engine, quick=True), RunRequest(engine=engine)
    order = (quick, full) if quick_first else (full, quick)
    records = {request.quick: run(request) for request in order}
    projected = records[True].headline.projected_elapsed_s
    elapsed, took_ns = records[False].headline.elapsed_s, records[True].timing.fit_ns
    assert projected is not None, "the quick run was over before it could be stopped"
    assert elapsed is not None
    elapsed -= clocks_of(records[False]).tidying_s or 0.0  # nobody can project that
    assert took_ns is not None
    validity = [records[kind].headline.validity for kind in (True, False)]
    print(
        f"{engine:18} projected {projected:8.2f} s, measured {elapsed:8.2f} s "
        f"({projected / elapsed - 1:+.2%}), in {took_ns / NANOSECONDS / elapsed:.1%} of its time; "
        f"{' and '.join(validity)}",
        flush=True,
    )
    return projected, elapsed, took_ns / NANOSECONDS


def main() -> None:
    met = True
    for engine in sys.argv[1:] or ENGINES:
        pairs = [pair(engine, quick_first=number % 2 == 0) for number in range(PAIRS)]
        error = statistics.median(abs(projected / elapsed - 1) for projected, elapsed, _ in pairs)
        share = statistics.median(took / elapsed for _, elapsed, took in pairs)
        print(f"{engine:18} median error {error:.2%} (2 %), median time {share:.1%} (25 %)")
        met = met and error <= ERROR_LIMIT and share <= TIME_LIMIT
    if not met:
        sys.exit("not met")


if __name__ == "__main__":
    main()
