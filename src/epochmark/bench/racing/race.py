"""The story of a race: warm up every entry, let them train in turns, then prove their work."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from epochmark._version import __version__
from epochmark.analysis.racing.pieces import turns_of
from epochmark.analysis.racing.standings import standings
from epochmark.analysis.racing.stopping import Look, is_due, look, order
from epochmark.bench.plan import PlannedRun
from epochmark.bench.racing.guard import Guard
from epochmark.bench.racing.memory import check_room
from epochmark.bench.racing.racer import Racer, started
from epochmark.bench.session import Bench
from epochmark.records import dates
from epochmark.records.race import RACE_SCHEMA, Race, RaceEnding, sealed_race
from epochmark.records.wording import counted

FEWEST = 2
"""Entries that are left; fewer are no race."""


@dataclass(frozen=True)
class RaceRequest:
    """What is asked of a race: entries by the names they were typed as, and when it ends.

    ``target`` is the half width of an interval, as a share; ``gate`` how much slower than the first
    an entry may be.
    """

    names: Sequence[str]
    runs: Sequence[PlannedRun]
    target: float
    max_seconds: float
    label: str | None = None
    gate: float | None = None


def race(request: RaceRequest, bench: Bench, on_news: Callable[[str], None]) -> Race:
    """Carry out a race and return its document; nothing that was started is left then.

    ``on_news`` gets what goes on, in a few words. An entry that fails leaves the race, which the
    document says; Ctrl-C ends it, and what was raced is kept.

    Raises ``EpochmarkError`` when an entry cannot be started here, or does not fit into memory
    beside the others; nothing was raced then.
    """
    with Guard() as guard, contextlib.ExitStack() as owned:
        racers: list[Racer] = []
        for number, (name, planned) in enumerate(zip(request.names, request.runs, strict=True), 1):
            check_room(name, [racer.memory_bytes for racer in racers if racer.is_racing])
            on_news(f"warming up {name} ({number} of {len(request.runs)})")
            racer = owned.enter_context(started(name, planned, bench, guard))
            racers.append(racer)
            racer.warm_up()
            if racer.outcome.ending == "interrupted":
                raise KeyboardInterrupt
        began_s = time.monotonic()
        ending = _take_turns(racers, request, began_s, on_news)
        if ending != "interrupted":
            ending = _prove(racers, ending, on_news)
        return _document(request, racers, ending)


def _take_turns(
    racers: Sequence[Racer],
    request: RaceRequest,
    began_s: float,
    on_news: Callable[[str], None],
) -> RaceEnding:
    """Rounds in balanced order until the ratios are known, the time is over, an entry has trained
    all epochs that a run may have, or too few are left. Where an entry leaves, the others end the
    round, and begin another order."""
    racing: list[Racer] = []
    places: Iterator[int] = iter(())
    while True:
        if not racing or not all(racer.is_racing for racer in racing):
            racing = [racer for racer in racers if racer.is_racing]
            if len(racing) < FEWEST:
                return "too few entries"
            places = order(len(racing))
        for place in [*islice(places, len(racing))]:
            if racing[place].is_racing:
                racing[place].take_turn(began_s)
            if racing[place].outcome.ending == "interrupted":
                return "interrupted"
            if racing[place].outcome.ending == "finished":
                return "epochs"
            seen = _look(racers, racing, request, on_news)
            if seen.done:
                return "resolved" if seen.reason == "resolved" else "time"


def _look(
    racers: Sequence[Racer],
    racing: Sequence[Racer],
    request: RaceRequest,
    on_news: Callable[[str], None],
) -> Look:
    """How far the race is, and whether it ends here."""
    count = sum(len(racer.turns) for racer in racing)
    raced_s, most_s = _turns_took_s(racers), request.max_seconds
    on_news(f"racing: {counted(count, 'turn')}, {raced_s:.0f} s of at most {most_s:.0f} s")
    if raced_s < most_s and not is_due(count, len(racing)):
        return Look(count, False, "going on")
    turns = turns_of([racer.pieces.turns for racer in racing])
    return look(turns, len(racing), request.target, raced_s, most_s)


def _turns_took_s(racers: Sequence[Racer]) -> float:
    """How long the race went on, without what was waited for an entry that then left."""
    return sum(turn.wall_s for racer in racers for turn in racer.turns)


def _prove(
    racers: Sequence[Racer], ending: RaceEnding, on_news: Callable[[str], None]
) -> RaceEnding:
    """The proof of every entry that is left, one after the other; the race's ending."""
    for racer in racers:
        if racer.is_racing:
            on_news(f"proving the work of {racer.name}")
            racer.finish()
        if racer.outcome.ending == "finished":
            racer.prove()
        if racer.outcome.ending == "interrupted":
            return "interrupted"
    return ending


def _document(request: RaceRequest, racers: Sequence[Racer], ending: RaceEnding) -> Race:
    stopped = next(
        (racer.outcome.detail for racer in racers if racer.outcome.ending == "interrupted"), ""
    )
    for racer in racers:
        if racer.is_racing:
            racer.interrupt(stopped)
    made = Race(
        race_schema=RACE_SCHEMA,
        id=secrets.token_hex(6),
        created=dates.now(),
        epochmark_version=__version__,
        label=request.label,
        target=request.target,
        max_seconds=request.max_seconds,
        seconds=_turns_took_s(racers),
        ending=ending,
        gate=request.gate,
        entries=[racer.as_entry() for racer in racers],
    )
    return sealed_race(msgspec.structs.replace(made, standings=standings(made)))
