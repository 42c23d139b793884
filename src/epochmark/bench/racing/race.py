"""The story of a race: warm up every entry, let them train in turns, then prove their work."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from epochmark._version import __version__
from epochmark.analysis.racing.standings import standings
from epochmark.bench.plan import PlannedRun
from epochmark.bench.process.temporary import temporary_root
from epochmark.bench.racing.racer import Racer, started
from epochmark.bench.session import Bench
from epochmark.bench.turns.guard import Guard
from epochmark.bench.turns.memory import check_room
from epochmark.bench.turns.rounds import Limits, prove_all, stop_all, take_turns, turns_took_s
from epochmark.bench.watching.memory import check_memory
from epochmark.bench.watching.space import check_space
from epochmark.records import dates
from epochmark.records.documents.race import RACE_SCHEMA, Race, RaceEnding, sealed_race


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
    for planned in request.runs:
        check_memory(planned.request)
        check_space(planned.request, temporary_root(), len(request.runs))
    with Guard() as guard, contextlib.ExitStack() as owned:
        racers: list[Racer] = []
        for number, (name, planned) in enumerate(zip(request.names, request.runs, strict=True), 1):
            check_room(name, [racer.memory_bytes for racer in racers if racer.is_racing])
            on_news(f"warming up {name} ({number} of {len(request.runs)})")
            racer = owned.enter_context(started(name, planned, bench, guard))
            racers.append(racer)
            racer.warm_up()
            racer.outcome.raise_if_interrupted()
        began_s = time.monotonic()
        limits = Limits(request.target, request.max_seconds, "racing")
        ending = take_turns(racers, limits, began_s, on_news)
        if ending != "interrupted":
            ending = prove_all(racers, ending, on_news)
        return _document(request, racers, ending)


def _document(request: RaceRequest, racers: Sequence[Racer], ending: RaceEnding) -> Race:
    stop_all(racers)
    made = Race(
        race_schema=RACE_SCHEMA,
        id=secrets.token_hex(6),
        created=dates.now(),
        epochmark_version=__version__,
        label=request.label,
        target=request.target,
        max_seconds=request.max_seconds,
        seconds=turns_took_s(racers),
        ending=ending,
        gate=request.gate,
        entries=[racer.as_entry() for racer in racers],
    )
    return sealed_race(msgspec.structs.replace(made, standings=standings(made)))
