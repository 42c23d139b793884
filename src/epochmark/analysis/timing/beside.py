"""What the counters saw beside the laps: the framework's waits, and other programs at work.

The rules are explained in docs/measurement/steady-epoch.md.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

from epochmark.records.record import Calm, Record

STANDING_CPUS = 0.05
"""Whose threads used less of one CPU was computing nothing."""
IDLE_SHARE = 0.9
"""Of the time of all CPUs that must be idle: else something may have kept them from us."""
HELD_UP_SHARE = 0.02
"""Of a sample lost to the host, to memory, to a quota or to sleep: then the machine waited, and not
the framework ..."""
TICK_S = 0.01
"""... but for a tick of the kernel's clock, in which it counts."""
UNSURE_SHARE = 0.25
"""Of a sample: by so much a wait may be taken for too long. Its ends are estimated from CPU time,
which varies by 3 % from sample to sample, but lacks half a second at a change of epochs without any
wait (samples of 2 s, five runs of keras-tensorflow; docs/engines.md)."""
SWAP_IN_BYTES_PER_S = 1 << 20
"""256 pages a second at about 0.1 ms each (a fast SSD) stall 2 to 3 % of the time."""

FOREIGN_CPUS = 0.02
"""Foreign work of a fiftieth of one CPU: an engine that waits for its slowest thread at every layer
is slowed by about as much (benchmarks/foreign_load_effect.py; docs/measurement/calm.md)."""
FOREIGN_CPUS_BESIDE = 0.5
"""The limit where at least half of the CPUs idle, hyper-threads included: the system then has CPUs
to put foreign work on that no thread of ours needs."""
EXPLAINING_SHARE = 0.25
"""Of the time that a stretch took longer, in CPU seconds of others: who takes a core from one of
our threads makes all of them wait about as long. With less, the first steps of a run explain
themselves: the kernel's own threads work for those as well."""


class Span(NamedTuple):
    """A stretch of the fit, in seconds of its clock."""

    start_s: float
    end_s: float

    @property
    def lasted_s(self) -> float:
        return self.end_s - self.start_s

    def overlap_s(self, other: Span) -> float:
        """Seconds that lie in both."""
        return max(0.0, min(self.end_s, other.end_s) - max(self.start_s, other.start_s))


class Wait(NamedTuple):
    """A stretch in which the framework computed nothing though it could have. As much as
    ``unsure_s`` of it may be what any change of epochs idles, wait or not."""

    span: Span
    unsure_s: float


class OwnSample(NamedTuple):
    """A sample, and the CPU seconds our processes used in it."""

    span: Span
    used_s: float

    @property
    def stood_still(self) -> bool:
        return self.used_s < STANDING_CPUS * self.span.lasted_s


class _Load(NamedTuple):
    """CPU seconds of a sample: of others, of ours, and idle."""

    span: Span
    foreign_s: float
    own_s: float
    idle_s: float


@dataclass(frozen=True)
class Beside:
    """``waits`` of the framework, and what other programs used, sample by sample."""

    waits: tuple[Wait, ...] = ()
    loads: tuple[_Load, ...] = ()

    def waited_s(self, span: Span) -> float:
        """For how long of this stretch the framework waited."""
        return sum(span.overlap_s(wait.span) for wait in self.waits)

    def unsure_s(self, span: Span) -> float:
        """How much of that may be no wait."""
        return sum(min(wait.unsure_s, span.overlap_s(wait.span)) for wait in self.waits)

    def may_explain(self, span: Span, excess_s: float) -> bool:
        """Whether other programs' load may be why a stretch took so much longer: it was enough to
        disturb, and no small part of that."""
        foreign_s = own_s = idle_s = 0.0
        for load in self.loads:
            share = span.overlap_s(load.span) / load.span.lasted_s
            foreign_s += share * load.foreign_s
            own_s += share * load.own_s
            idle_s += share * load.idle_s
        limit = foreign_limit(idle_s, own_s, foreign_s)
        return foreign_s > limit * span.lasted_s and foreign_s >= EXPLAINING_SHARE * excess_s

    def since(self, start_s: float) -> Beside:
        """The same on a clock that starts then."""
        return Beside(
            tuple(wait._replace(span=_moved(wait.span, start_s)) for wait in self.waits),
            tuple(load._replace(span=_moved(load.span, start_s)) for load in self.loads),
        )


NOTHING = Beside()
"""Where it was not watched."""


def beside(record: Record) -> Beside:
    """What was seen beside the laps of a record."""
    calm = record.calm
    if calm is None:
        return NOTHING
    return Beside(waits_of(calm) if record.device.resolved == "cpu" else (), tuple(_loads(calm)))


def has_room(idle_cpus: float, own_cpus: float, foreign_cpus: float) -> bool:
    """Whether at least half of the CPUs idle."""
    return idle_cpus >= own_cpus + foreign_cpus


def foreign_limit(idle: float, own: float, foreign: float) -> float:
    """How many CPUs other programs may use before they disturb; from CPUs, or CPU seconds, that
    idled and that were used."""
    return FOREIGN_CPUS_BESIDE if has_room(idle, own, foreign) else FOREIGN_CPUS


def own_samples(calm: Calm) -> Iterator[OwnSample]:
    """What our processes used in each sample, in order."""
    for span, used_s in zip(_spans(calm), calm.own_cpu_s or [], strict=False):
        yield OwnSample(span, used_s)


def waits_of(calm: Calm) -> tuple[Wait, ...]:
    """Stretches in which the processes of a training on the CPU computed nothing while all CPUs
    idled and nothing else held them up; in order.

    Samples in which that was so show it. The rest of such a stretch lies in the samples before and
    after: as much of them as they lack of the CPU time that samples usually have.
    """
    samples = list(own_samples(calm))
    still = [sample.stood_still and _could_compute(calm, at) for at, sample in enumerate(samples)]
    at_work = [sample.used_s / sample.span.lasted_s for sample in samples if not sample.stood_still]
    if not any(still) or not at_work:
        return ()
    usual = statistics.median(at_work)
    waits: list[Wait] = []
    for is_still, members in groupby(range(len(samples)), key=still.__getitem__):
        if not is_still:
            continue
        places = list(members)
        lacking = [_lacking_s(calm, samples, at, usual) for at in (places[0] - 1, places[-1] + 1)]
        # a sample between two stretches has a part of either
        shared = [at in range(len(still)) and still[at] for at in (places[0] - 2, places[-1] + 2)]
        before_s, after_s = (
            seconds / 2 if both else seconds for seconds, both in zip(lacking, shared, strict=True)
        )
        start_s, end_s = samples[places[0]].span.start_s, samples[places[-1]].span.end_s
        unsure_s = UNSURE_SHARE * samples[places[0]].span.lasted_s
        waits.append(Wait(Span(start_s - before_s, end_s + after_s), unsure_s))
    return tuple(waits)


def _lacking_s(calm: Calm, samples: list[OwnSample], place: int, usual: float) -> float:
    """For how long a sample computed nothing, from what it lacks of its usual CPU time and from how
    long the CPUs idled; nothing where there is no such sample."""
    if place not in range(len(samples)) or _held_up(calm, place):
        return 0.0
    span, used_s = samples[place]
    idle_s = (calm.idle_cpu_s or [])[place] / calm.cpus
    return max(0.0, min(span.lasted_s - used_s / usual, idle_s, span.lasted_s))


def _could_compute(calm: Calm, place: int) -> bool:
    """Whether all CPUs idled in a sample, and nothing but the framework kept them from us."""
    if calm.idle_cpu_s is None or _held_up(calm, place):
        return False
    return calm.idle_cpu_s[place] >= IDLE_SHARE * calm.cpus * _lasted_s(calm, place)


def _held_up(calm: Calm, place: int) -> bool:
    lasted_s = _lasted_s(calm, place)
    losses = (
        calm.steal_cpu_s, calm.memory_stall_s, calm.quota_throttled_s, calm.suspended_s,
    )  # fmt: skip
    limit_s = HELD_UP_SHARE * lasted_s + TICK_S
    if any(column is not None and column[place] > limit_s for column in losses):
        return True
    swapped = calm.swap_in_bytes
    return swapped is not None and swapped[place] > SWAP_IN_BYTES_PER_S * lasted_s


def _loads(calm: Calm) -> Iterator[_Load]:
    columns = (calm.foreign_cpu_s, calm.own_cpu_s, calm.idle_cpu_s)
    if None in columns:
        return
    for span, *seconds in zip(_spans(calm), *(column or [] for column in columns), strict=False):
        yield _Load(span, *seconds)


def _spans(calm: Calm) -> list[Span]:
    return [Span(start_s, end_s) for start_s, end_s in pairwise([0.0, *calm.end_s])]


def _moved(span: Span, start_s: float) -> Span:
    return Span(span.start_s - start_s, span.end_s - start_s)


def _lasted_s(calm: Calm, place: int) -> float:
    return calm.end_s[place] - (calm.end_s[place - 1] if place else 0.0)
