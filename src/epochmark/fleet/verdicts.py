"""Is a node slow? The rules, the limits and their sources are in docs/fleet.md.

A node's figure in a round is the median of three valid runs, each a process of its own. Slow is who
is slow by all rules in both of two rounds. benchmarks/fleet_error_rates.py measures how often that
is wrong.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from epochmark.analysis.comparing.comparison import compare
from epochmark.analysis.timing.intervals import robust_spread
from epochmark.fleet.groups import FEWEST_ALIKE, Group, Member
from epochmark.fleet.runs import Run

RUNS_A_ROUND = 3
"""A median of three outlives one run that went wrong unseen."""
ROUNDS = 2
SLOWER_SHARE = 0.05
"""Less is not worth a mechanic: alike machines differ by some percent from the factory on."""
FAR_SIGMAS = 3.5
"""Robust standard deviations (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993)."""

Verdict = Literal["slow", "suspected", "fast", "alike", "not judged"]
ORDER: tuple[Verdict, ...] = ("slow", "suspected", "not judged", "alike", "fast")
"""From the worst on, as tables have it."""


@dataclass(frozen=True)
class Round:
    """A node's runs of one round; ``run`` is the median one."""

    runs: tuple[Run, ...]

    @property
    def run(self) -> Run:
        return sorted(self.runs, key=lambda run: run.epoch_s)[len(self.runs) // 2]

    @property
    def epoch_s(self) -> float:
        return self.run.epoch_s


class Level(NamedTuple):
    """What the nodes of a group have in one round: median and robust standard deviation of their
    figures in seconds, and the run in the middle."""

    median_s: float
    spread_s: float
    run: Run


@dataclass(frozen=True)
class JudgedNode:
    """A node's verdict in its group. ``times_as_long`` is its time over the group's median, the
    mean over its rounds, None without a round; ``remark`` says why it is no clear verdict."""

    member: Member
    rounds: tuple[Round, ...]
    verdict: Verdict
    times_as_long: float | None
    remark: str = ""

    @property
    def name(self) -> str:
        """The node's."""
        return self.member.name

    @property
    def epoch_s(self) -> float | None:
        """Its figure over all rounds: the mean of at most two."""
        return statistics.fmean(each.epoch_s for each in self.rounds) if self.rounds else None


@dataclass(frozen=True)
class Findings:
    """A group judged: its nodes worst first, the level of each round that could be judged."""

    group: Group
    judged: tuple[JudgedNode, ...]
    levels: tuple[Level | None, ...]

    def of(self, *verdicts: Verdict) -> list[JudgedNode]:
        """The nodes with one of these verdicts."""
        return [node for node in self.judged if node.verdict in verdicts]

    @property
    def median_s(self) -> float | None:
        """Of the nodes' figures; None without any."""
        figures = [node.epoch_s for node in self.judged if node.epoch_s is not None]
        return statistics.median(figures) if figures else None


def judge_group(group: Group) -> Findings:
    """The verdict on each node."""
    rounds = {member.name: rounds_of(member) for member in group.members}
    levels = tuple(
        _level([own[-back] for own in rounds.values() if len(own) >= back])
        for back in range(ROUNDS, 0, -1)  # a node with one round has the newest
    )
    judged = [_judged(member, rounds[member.name], levels) for member in group.members]
    judged.sort(key=_badness)
    return Findings(group, tuple(judged), levels)


def _badness(node: JudgedNode) -> tuple[int, float, str]:
    """Sorts the worst first."""
    return ORDER.index(node.verdict), -(node.times_as_long or 0.0), node.name


def rounds_of(member: Member) -> tuple[Round, ...]:
    """The newest two rounds of three valid runs; what is left over of older ones does not count."""
    counting = member.counting[-ROUNDS * RUNS_A_ROUND :]
    start = len(counting) % RUNS_A_ROUND
    return tuple(
        Round(tuple(counting[at : at + RUNS_A_ROUND]))
        for at in range(start, len(counting), RUNS_A_ROUND)
    )


def _level(rounds: Sequence[Round]) -> Level | None:
    """None for fewer than five nodes."""
    if len(rounds) < FEWEST_ALIKE:
        return None
    figures = [each.epoch_s for each in rounds]
    middle = sorted(rounds, key=lambda each: each.epoch_s)[(len(rounds) - 1) // 2]
    return Level(statistics.median(figures), robust_spread(figures), middle.run)


def _judged(
    member: Member, rounds: tuple[Round, ...], levels: Sequence[Level | None]
) -> JudgedNode:
    pairs = zip(reversed(rounds), reversed(levels), strict=False)
    known = [(own, level) for own, level in pairs if level]
    if not known:
        return JudgedNode(member, rounds, "not judged", None, _why_unjudged(member, rounds))
    times = statistics.fmean(own.epoch_s / level.median_s for own, level in known)
    slow = [_is_apart(own.run, level, slower=True) for own, level in known]
    fast = [_is_apart(own.run, level, slower=False) for own, level in known]
    if all(slow) and len(known) == ROUNDS:
        return JudgedNode(member, rounds, "slow", times)
    if any(slow):
        remark = "in one of two rounds" if len(known) == ROUNDS else "one round only"
        return JudgedNode(member, rounds, "suspected", times, remark)
    return JudgedNode(member, rounds, "fast" if all(fast) else "alike", times)


def _is_apart(run: Run, level: Level, *, slower: bool) -> bool:
    """By more than 5 %, beyond 3.5 robust standard deviations of the nodes, and so that ``compare``
    can tell it from the run in the middle."""
    ratio, distance_s = run.epoch_s / level.median_s, run.epoch_s - level.median_s
    if not slower:
        ratio, distance_s = 1 / ratio, -distance_s
    if ratio <= 1 + SLOWER_SHARE or distance_s <= FAR_SIGMAS * level.spread_s:
        return False
    found = compare(level.run.side, run.side)
    return found.verdict == "faster" and (found.slower is run.side) is slower


def _why_unjudged(member: Member, rounds: Sequence[Round]) -> str:
    if not rounds:
        return f"{len(member.counting)} of {RUNS_A_ROUND} valid runs"
    return f"fewer than {FEWEST_ALIKE} alike nodes with valid runs"
