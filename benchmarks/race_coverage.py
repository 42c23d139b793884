"""How often does the interval of a race hold the true ratio, its stopping rule included?

    python benchmarks/race_coverage.py [--races 1000] [--target 0.01] [--only-recorded] [RECORD...]

Races of two entries whose true ratio is known, on machines that change their speed as machines do:
invented ones, and recorded ones: the speed of the laps of a record, or of the turns of a race, each
beside the median of its entry, in pieces of a quarter of a minute from moments drawn by chance,
forwards or backwards. A turn takes half a second;
the second entry takes 1 to 1.05 times as long for a sample, drawn for each race. A race ends by the
rules of the tool (``analysis/racing/stopping.py``), after 300 s at the latest.

Prints for each machine how many of the intervals hold the ratio, how many races were resolved, and
medians of their lengths, of half the intervals and of how many pairs make up a block.
docs/measurement/racing.md shows it. No machine needs to be quiet; it takes some minutes.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from epochmark.analysis.racing.ratio import RaceRatio, ratios
from epochmark.analysis.racing.stopping import look, looks_until, order
from epochmark.analysis.racing.turns import Turn
from epochmark.judge.documents.races import decode_race
from epochmark.judge.reading import decode_record
from epochmark.records.bundle import documents_in
from epochmark.records.documents.kinds import is_of_runs, kind_of
from epochmark.records.documents.race import Race
from epochmark.records.record import Record

TURN_S = 0.5
MAX_S = 300.0
TURNS = round(MAX_S / TURN_S)
SAMPLES = 1_000_000
"""Of a turn at speed 1: so many that whole numbers of them round nothing off."""
SLOWEST = 1.05
PIECE = 31
"""Turns of a piece of a recorded trace."""

Floats = npt.NDArray[np.float64]
Speeds = Callable[[np.random.Generator], Floats]
"""The machine's speed in each turn of a race, 1 where nothing slows it; of shape (2, turns) where
the two entries' speeds differ."""


def noisy(sigma: float) -> Speeds:
    """Each turn by chance, independent of all others."""
    return lambda random: 1 / (1 + sigma * random.standard_normal(TURNS))


def skewed(random: np.random.Generator) -> Floats:
    """Most turns alike, some much slower."""
    return 1 / (0.98 + 0.02 * random.exponential(1.0, TURNS))


def spikes(random: np.random.Generator) -> Floats:
    """One turn in twenty takes up to twice as long."""
    far = random.random(TURNS) < 0.05
    return noisy(0.01)(random) / (1 + far * random.random(TURNS))


def heating(random: np.random.Generator) -> Floats:
    """A fifth slower in the end, with a time constant of a minute."""
    at_s = TURN_S * np.arange(TURNS)
    return noisy(0.01)(random) * (0.8 + 0.2 * np.exp(-at_s / 60))


def steps(stays_s: float) -> Speeds:
    """A third of the speed comes and goes; each state stays that long on average."""

    def make(random: np.random.Generator) -> Floats:
        fine = 10
        changes = random.random(TURNS * fine) < TURN_S / fine / stays_s
        state = (np.cumsum(changes) + random.integers(2)) % 2
        # a turn in which it changes gets a part of either
        slow = state.reshape(TURNS, fine).mean(axis=1)
        speeds: Floats = noisy(0.01)(random) * (1 - slow / 3)
        return speeds

    return make


def wandering(sigma: float, together_s: float) -> Speeds:
    """Autocorrelated: a first-order process with that time constant."""
    return lambda random: noisy(0.01)(random) * np.exp(sigma * first_order(random, together_s))


def first_order(random: np.random.Generator, together_s: float) -> Floats:
    """Of standard deviation 1."""
    rho = math.exp(-TURN_S / together_s)
    noise = random.standard_normal(TURNS)
    for place in range(1, TURNS):
        noise[place] = rho * noise[place - 1] + math.sqrt(1 - rho * rho) * noise[place]
    return noise


def of_its_own(random: np.random.Generator) -> Floats:
    """The second entry wanders by 1 % by itself, over two seconds."""
    own = np.exp(0.01 * first_order(random, 2.0))
    return np.stack([noisy(0.01)(random), noisy(0.01)(random) * own])


def shared_host(random: np.random.Generator) -> Floats:
    """All of it together."""
    return steps(4.0)(random) * wandering(0.05, 10.0)(random) * spikes(random)


def recorded(trace: Floats) -> Speeds:
    """The speeds of turns that were recorded, in pieces drawn by chance: a trace that came again
    and again would hit both entries alike in the end. Each turn has a noise of 1 % of its own."""
    pieces = np.lib.stride_tricks.sliding_window_view(trace / np.median(trace), PIECE)

    def make(random: np.random.Generator) -> Floats:
        drawn = random.choice(pieces, TURNS // PIECE + 1)
        directed = [piece[:: random.choice((1, -1))] for piece in drawn]
        speeds: Floats = noisy(0.01)(random) * np.concatenate(directed)[:TURNS]
        return speeds

    return make


def turns_in(record: Record) -> Floats:
    """Steps per second of neighbouring laps that last a turn together. Laps beside a change of
    epochs are left out, since that is work of the engine."""
    speeds, steps, lasted_s = [], 0, 0.0
    for before, lap, after in zip(*(record.timing.laps[n:] for n in range(3)), strict=False):
        if not before.epoch == lap.epoch == after.epoch:
            continue
        steps, lasted_s = steps + lap.steps, lasted_s + (lap.end_ns - before.end_ns) / 1e9
        if lasted_s >= 0.9 * TURN_S:
            speeds.append(steps / lasted_s)
            steps, lasted_s = 0, 0.0
    return np.array(speeds)


def turns_of_race(race: Race) -> Floats:
    """The speed of each turn of a race beside the median of its entry, in the order of the race."""
    found = []
    for number, entry in enumerate(race.entries):
        laps, at = entry.record.timing.laps, entry.warm_up_laps
        for turn in entry.turns:
            steps = sum(lap.steps for lap in laps[at : at + turn.laps])
            found.append((turn.start_s, number, steps / turn.wall_s))
            at += turn.laps
    medians = [
        np.median([speed for _, own, speed in found if own == number])
        for number in range(len(race.entries))
    ]
    return np.array([speed / medians[number] for _, number, speed in sorted(found)])


def traces_in(path: Path) -> Iterator[tuple[str, Floats]]:
    """The recorded traces in a record, a race or a bundle, by what they are of; those that are too
    short for a piece are named and left out."""
    for document in documents_in(path.read_bytes())[0]:
        if kind_of(document) is Race:
            race = decode_race(document)
            name, trace = f"race: {race.entries[0].name} {race.id[:8]}", turns_of_race(race)
        elif is_of_runs(document):
            record = decode_record(document)
            name, trace = f"recorded: {record.engine.name} {record.id[:8]}", turns_in(record)
        else:
            print(f"{path}: a scaling is left out", file=sys.stderr)
            continue
        if len(trace) < PIECE:
            print(f"{name}: left out, it has {len(trace)} of {PIECE} turns", file=sys.stderr)
            continue
        yield name, trace


MACHINES: dict[str, Speeds] = {
    "noise of 1 %": noisy(0.01),
    "noise of 5 %": noisy(0.05),
    "skewed noise": skewed,
    "spikes": spikes,
    "heat": heating,
    "steps of a third, 1 s": steps(1.0),
    "steps of a third, 4 s": steps(4.0),
    "steps of a third, 20 s": steps(20.0),
    "wanders by 5 %, 3 s": wandering(0.05, 3.0),
    "wanders by 10 %, 30 s": wandering(0.10, 30.0),
    "a shared host": shared_host,
    "an entry wanders by 1 %, 2 s": of_its_own,
}


class Outcome(NamedTuple):
    """Of one race: the ratio as the tool gives it, and whether it holds the truth."""

    held: bool
    found: RaceRatio
    resolved: bool
    lasted_s: float


def race(speeds: Speeds, target: float, random: np.random.Generator) -> Outcome:
    """One race to its end."""
    truth = random.uniform(1.0, SLOWEST)
    speed = np.broadcast_to(speeds(random), (2, TURNS))
    turns = [
        Turn(
            entry,
            number * TURN_S,
            round(SAMPLES * speed[entry, number] / truth**entry),
            TURN_S,
            0.0,
        )
        for number, entry in enumerate(islice(order(2), TURNS))
    ]
    ends = [*(2 * rounds for rounds in looks_until(TURNS // 2)), TURNS]
    for count in ends:
        seen = look(turns[:count], 2, target, count * TURN_S, MAX_S)
        if seen.done:
            break
    found = ratios(turns[:count], 2)[1]
    assert found is not None, "every race has six pairs"
    return Outcome(
        found.low <= truth <= found.high, found, seen.reason == "resolved", count * TURN_S
    )


def print_machine(name: str, outcomes: list[Outcome]) -> None:
    """What became of all races on one machine."""
    held = np.mean([outcome.held for outcome in outcomes])
    resolved = np.mean([outcome.resolved for outcome in outcomes])
    lasted_s = np.median([outcome.lasted_s for outcome in outcomes])
    half = np.median([outcome.found.half_width for outcome in outcomes])
    length = np.median(
        [outcome.found.pairs / outcome.found.autocorrelation_blocks for outcome in outcomes]
    )
    print(
        f"{name:<28} {held:6.1%} {resolved:9.0%} {lasted_s:7.0f} s {half:10.2%} {length:8.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", nargs="*", type=Path, help="records, races or bundles")
    parser.add_argument("--races", type=int, default=1000, help="of each machine")
    parser.add_argument("--target", type=float, default=0.01, help="half an interval, a share")
    parser.add_argument("--only-recorded", action="store_true", help="no invented machines")
    options = parser.parse_args()
    if options.only_recorded and not options.records:
        parser.error("--only-recorded: name a record")
    machines = {} if options.only_recorded else dict(MACHINES)
    for path in options.records:
        machines |= {name: recorded(trace) for name, trace in traces_in(path)}
    if not machines:
        sys.exit("no trace is long enough")
    pooled: list[Outcome] = []
    print(f"{'machine':<28} {'held':>6} {'resolved':>9} {'length':>9} {'half':>10} {'block':>8}")
    for seed, (name, speeds) in enumerate(machines.items()):
        random = np.random.default_rng(seed)
        outcomes = [race(speeds, options.target, random) for _ in range(options.races)]
        print_machine(name, outcomes)
        pooled += outcomes
    print_machine("all", pooled)


if __name__ == "__main__":
    main()
