"""How far is a quick run's projection from the whole run? Needs a machine that nothing else uses.

Pairs of a quick and a full run, turn about first, per engine. The median of the projection's error
must stay within 2 %, in at most 25 % of the full run's time. A quick run that ends at half of the
work without a good figure counts with the figure it has.

Beside it, as a control, how far the full run's own first quarter is from its whole: four times the
one against the other, the beginning apart. A machine that changes its speed on the way differs
there, and no rule can know from a quarter what comes later.

Run: python benchmarks/quick_accuracy.py [ENGINE...]

On two cores native takes 12 minutes, jax three hours.
"""

from __future__ import annotations

import statistics
import sys
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from _measuring import run

from epochmark.analysis.timing.start_up import clocks_of
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.bench.request import RunRequest
from epochmark.records.record import Record

ENGINES = ("native", "keras-tensorflow", "torch", "jax")
PAIRS = 5
ERROR_LIMIT, TIME_LIMIT = 0.02, 0.25


class Pair(NamedTuple):
    """Seconds: of ten epochs as projected and as measured, and of the quick fit. ``quarter_error``
    is the control's."""

    projected_s: float
    measured_s: float
    took_s: float
    quarter_error: float

    @property
    def error(self) -> float:
        return self.projected_s / self.measured_s - 1

    @property
    def time_share(self) -> float:
        return self.took_s / self.measured_s


def measure_pair(engine: str, quick_first: bool) -> Pair:
    """A quick and a full run, printed."""
    quick, full = RunRequest(engine=engine, quick=True), RunRequest(engine=engine)
    order = (quick, full) if quick_first else (full, quick)
    records = {request.quick: run(request) for request in order}
    took_ns = records[True].timing.fit_ns
    assert took_ns is not None
    pair = Pair(
        projected_s(records[True]),
        trained_s(records[False]),
        took_ns / NANOSECONDS,
        quarter_error(records[False]),
    )
    validity = [records[kind].headline.validity for kind in (True, False)]
    print(
        f"{engine:18} projected {pair.projected_s:8.2f} s, measured {pair.measured_s:8.2f} s "
        f"({pair.error:+.2%}; its own first quarter {pair.quarter_error:+.2%}), "
        f"in {pair.time_share:.1%} of its time; {' and '.join(validity)}",
        flush=True,
    )
    return pair


def projected_s(quick: Record) -> float:
    """Seconds of the whole run as a quick run has them: projected, or measured where it was over
    before it could be ended."""
    projected = quick.headline.projected_elapsed_s
    return trained_s(quick) if projected is None else projected


def trained_s(whole: Record) -> float:
    """Seconds of a whole fit, without the tidying up that nothing can project."""
    elapsed_s = whole.headline.elapsed_s
    assert elapsed_s is not None, "the run came to its end"
    return elapsed_s - (clocks_of(whole).tidying_s or 0.0)


def quarter_error(full: Record) -> float:
    """How far four times the first quarter is from the whole training; linear inside a lap."""
    laps = full.timing.laps
    steps = list(accumulate((lap.steps for lap in laps), initial=0))
    ends_s = [0.0, *(lap.end_ns / NANOSECONDS for lap in laps)]
    beginning_s = clocks_of(full).warm_up_excess_s or 0.0
    first_s = float(np.interp(steps[-1] / 4, steps, ends_s)) - beginning_s
    return 4 * first_s / (ends_s[-1] - beginning_s) - 1


def main() -> None:
    met = True
    for engine in sys.argv[1:] or ENGINES:
        pairs = [measure_pair(engine, quick_first=number % 2 == 0) for number in range(PAIRS)]
        error = statistics.median(abs(pair.error) for pair in pairs)
        share = statistics.median(pair.time_share for pair in pairs)
        control = statistics.median(abs(pair.quarter_error) for pair in pairs)
        print(
            f"{engine:18} median error {error:.2%} (2 %; first quarters {control:.2%}), "
            f"median time {share:.1%} (25 %)"
        )
        met = met and error <= ERROR_LIMIT and share <= TIME_LIMIT
    if not met:
        sys.exit("not met")


if __name__ == "__main__":
    main()
