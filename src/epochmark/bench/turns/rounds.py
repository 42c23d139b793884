"""Who trains when: rounds in balanced order, until enough is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from epochmark.analysis.racing.pieces import turns_of
from epochmark.analysis.racing.stopping import Look, is_due, look, order
from epochmark.bench.turns.taker import TurnTaker
from epochmark.records.documents.race import RaceEnding
from epochmark.records.wording import counted

FEWEST = 2
"""Trainings that are left; fewer are not compared."""


@dataclass(frozen=True)
class Limits:
    """When the turns end: at ``target``, the half width of an interval as a share, or after
    ``max_seconds``. ``doing`` says what goes on meanwhile."""

    target: float
    max_seconds: float
    doing: str


def take_turns(
    takers: Sequence[TurnTaker],
    limits: Limits,
    began_s: float,
    on_news: Callable[[str], None],
) -> RaceEnding:
    """Rounds in balanced order until the ratios are known, the time is over, one has trained all
    epochs that a run may have, or too few are left. Where one leaves, the others end the round, and
    begin another order."""
    racing: list[TurnTaker] = []
    places: Iterator[int] = iter(())
    while True:
        if not racing or not all(taker.is_racing for taker in racing):
            racing = [taker for taker in takers if taker.is_racing]
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
            seen = _look(takers, racing, limits, on_news)
            if seen.done:
                return "resolved" if seen.reason == "resolved" else "time"


def _look(
    takers: Sequence[TurnTaker],
    racing: Sequence[TurnTaker],
    limits: Limits,
    on_news: Callable[[str], None],
) -> Look:
    """How far the turns are, and whether they end here."""
    count = sum(len(taker.turns) for taker in racing)
    took_s, most_s = turns_took_s(takers), limits.max_seconds
    on_news(f"{limits.doing}: {counted(count, 'turn')}, {took_s:.0f} s of at most {most_s:.0f} s")
    if took_s < most_s and not is_due(count, len(racing)):
        return Look(count, False, "going on")
    turns = turns_of([taker.pieces.turns for taker in racing])
    return look(turns, len(racing), limits.target, took_s, most_s)


def turns_took_s(takers: Sequence[TurnTaker]) -> float:
    """How long the turns went on, without what was waited for one that then left."""
    return sum(turn.wall_s for taker in takers for turn in taker.turns)


def prove_all(
    takers: Sequence[TurnTaker], ending: RaceEnding, on_news: Callable[[str], None]
) -> RaceEnding:
    """The proof of all that are left, one after the other; the ending."""
    for taker in takers:
        if taker.is_racing:
            on_news(f"proving the work of {taker.name}")
            taker.finish()
        if taker.outcome.ending == "finished":
            taker.prove()
        if taker.outcome.ending == "interrupted":
            return "interrupted"
    return ending


def stop_all(takers: Sequence[TurnTaker]) -> None:
    """Those that still train leave, as the one that was interrupted did."""
    stopped = next(
        (taker.outcome.detail for taker in takers if taker.outcome.ending == "interrupted"), ""
    )
    for taker in takers:
        if taker.is_racing:
            taker.interrupt(stopped)
