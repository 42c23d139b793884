"""When does ``run --settle`` end, and how far from its end is the machine then?

Invented machines and fluctuations, 40 runs of each; no machine needs to be quiet.
``python benchmarks/settling_errors.py`` takes about a minute; docs/measurement/experiments.md shows
what it prints.
"""

from __future__ import annotations

import math
import random
import statistics

from epochmark.analysis.timing.settling import LIMIT_S, MIN_S, is_steady, settled
from epochmark.records.record import Lap

RUNS = 40
STEPS = 469
LOOK_S = 10.0
MACHINES = {
    "keeps its speed": (4.0, 4.0, 1.0),
    "5 to 8 s, 150 s": (5.0, 8.0, 150.0),
    "5 to 8 s, 300 s": (5.0, 8.0, 300.0),
}
"""Seconds of an epoch cold and warm, and the time constant between them."""
FLUCTUATIONS = {"1 %": (0.01, 0.0), "3 %": (0.03, 0.0), "3 %, 20 s": (0.03, 20.0),
                "6 %, 20 s": (0.06, 20.0)}  # fmt: skip
"""Standard deviation of an epoch's time, and how many seconds neighbouring ones go together."""


def main() -> None:
    """A line for each machine and fluctuation."""
    print("machine           fluctuates    ended  after      off by, mean and 95 % of runs")
    for machine, (cold_s, warm_s, constant_s) in MACHINES.items():
        for name, (sigma, together_s) in FLUCTUATIONS.items():
            ends, errors = [], []
            for number in range(RUNS):
                laps = training(cold_s, warm_s, constant_s, sigma, together_s, number)
                kept = until_steady(laps)
                found = settled(kept, STEPS) if kept else None
                if kept and found:
                    ends.append(kept[-1].end_ns / 1e9)
                    errors.append(found.settled.interval.median / warm_s - 1)
            far = sorted(map(abs, errors))[math.ceil(0.95 * len(errors)) - 1]
            print(
                f"{machine:<17} {name:<11} {len(ends) / RUNS:6.0%}  "
                f"{statistics.median(ends):4.0f} s  "
                f"{statistics.mean(errors):+9.1%}  {far:6.1%}"
            )


def training(
    cold_s: float, warm_s: float, constant_s: float, sigma: float, together_s: float, seed: int
) -> list[Lap]:
    """Epochs of a run as long as one may be, a lap each."""
    chance = random.Random(seed)
    now_s, state = 0.0, chance.gauss(0, 1)
    laps: list[Lap] = []
    while now_s < LIMIT_S:
        epoch_s = warm_s + (cold_s - warm_s) * math.exp(-now_s / constant_s)
        kept = math.exp(-epoch_s / together_s) if together_s else 0.0
        state = kept * state + math.sqrt(1 - kept**2) * chance.gauss(0, 1)
        now_s += epoch_s * max(0.3, 1 + sigma * state)
        laps.append(Lap(epoch=len(laps) + 1, steps=STEPS, end_ns=round(now_s * 1e9)))
    return laps


def until_steady(laps: list[Lap]) -> list[Lap] | None:
    """The laps until the rule says steady; None where it never does."""
    look_s = MIN_S
    for count, lap in enumerate(laps, start=1):
        if lap.end_ns < look_s * 1e9:
            continue
        look_s = lap.end_ns / 1e9 + LOOK_S
        if is_steady(laps[:count], STEPS):
            return laps[:count]
    return None


if __name__ == "__main__":
    main()
