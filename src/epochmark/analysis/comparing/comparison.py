"""How many times as fast is A as B? With an interval, or the reason why it is unknown.

Engines are compared on one machine and device, machines and devices under one comparability key;
both at once would leave open which of them made the difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.analysis.comparing.references import Reference
from epochmark.analysis.machine.gpus import gpu_facts
from epochmark.analysis.timing.headline import steady_of
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.machine.identity import look_alike, same_machine
from epochmark.records.record import Machine, Record
from epochmark.records.wording import counted

SMALLEST_RATIO = 1.01
"""A convention: less is no clear difference, since two runs of one machine differ for reasons that
neither run's laps show (where memory came to lie, which core ran what), often by more."""

FEWEST_VALUES = 2
"""With a single one there are no limits to compare."""

Verdict = Literal["faster", "alike", "not ranked", "not comparable"]


@dataclass(frozen=True)
class Side:
    """One of the two. ``exact_bounds``: its interval are limits of rounding rather than a 95 %
    interval. ``unfit`` says why it cannot be compared at all, ``doubt`` why it cannot be ranked.

    ``machine`` of a published figure is its name. ``context`` holds what else may explain a
    difference, ``variables`` those of its environment, all of them; None where they are unknown.
    ``time_to_target_s``: when it had learned well enough, where the workload has a target.
    """

    name: str
    steady_epoch: Interval | None
    exact_bounds: bool
    key: ComparabilityKey
    machine: Machine | str
    device: str
    context: Mapping[str, str]
    unfit: str | None
    doubt: str | None = None
    variables: Mapping[str, str] | None = None
    time_to_target_s: float | None = None


@dataclass(frozen=True)
class Comparison:
    """``ratio`` is how many times as fast the ``faster`` side is as the ``slower``.

    ``reasons`` say why the two are not comparable, ``differences`` what else differs between them.
    ``not ranked``: one of them is doubtful (``Side.doubt``); ``ratio`` then holds the extremes.
    """

    verdict: Verdict
    faster: Side
    slower: Side
    ratio: Interval | None
    reasons: tuple[str, ...]
    differences: tuple[str, ...]

    def speed_of(self, side: Side) -> Interval | None:
        """How many times as fast this side is as the other, below one for the slower; None where
        the two are not comparable."""
        ratio = self.ratio
        if ratio is None or side is self.faster:
            return ratio
        return Interval(1 / ratio.median, 1 / ratio.high, 1 / ratio.low, ratio.count)


def side_of_record(record: Record, name: str) -> Side:
    """A measured run. A disturbed one can be compared, but not ranked."""
    steady = steady_of(record)
    validity = record.headline.validity
    codes = ", ".join(finding.code for finding in record.findings)
    unfit = doubt = None
    if validity in ("partial", "invalid"):
        unfit = f"it is {validity} ({codes})"
    elif steady is None:
        unfit = "it has no steady epoch"
    elif steady.interval.count < FEWEST_VALUES:
        unfit = f"it has one steady {steady.unit} only, so how much its speed varied is unknown"
    elif validity == "disturbed":
        doubt = f"disturbed ({codes})"
    elif not steady.knows_its_spread:
        doubt = f"known from {steady.interval.count} {steady.unit}s only"
    return Side(
        name=name,
        steady_epoch=steady.interval if steady else None,
        exact_bounds=False,
        key=key_of(record),
        machine=record.machine,
        device=record.device.resolved or record.device.requested,
        context=_context(record),
        unfit=unfit,
        doubt=doubt,
        variables=record.environment,
        time_to_target_s=record.headline.time_to_target_s,
    )


def side_of_reference(reference: Reference) -> Side:
    """A published figure, between the limits of its printed digits."""
    unfit = None
    if not reference.rankable:
        unfit = reference.doubt or "only its first epoch is known, start-up included"
    return Side(
        name=reference.id,
        steady_epoch=Interval(
            reference.seconds_per_epoch, reference.low_s, reference.high_s, count=1
        ),
        exact_bounds=True,
        key=reference.key,
        machine=reference.machine,
        device=f"{reference.device_kind} ({reference.device})",
        context=_context_of_reference(reference),
        unfit=unfit,
    )


def _context_of_reference(reference: Reference) -> dict[str, str]:
    """Its framework's version, under the name that records have for it."""
    version = reference.framework_version
    return {} if version is None else {reference.framework.lower(): version}


def compare(a: Side, b: Side) -> Comparison:
    """The faster of two sides and by how much, as far as the figures carry."""
    faster, slower = sorted((a, b), key=lambda side: _median(side.steady_epoch))
    reasons = tuple(_reasons(a, b))
    differences = tuple(_differences(a, b))
    fast, slow = faster.steady_epoch, slower.steady_epoch
    if reasons or fast is None or slow is None:
        return Comparison("not comparable", a, b, None, reasons, differences)
    doubtful = any(side.doubt is not None for side in (a, b))
    # an interval knows nothing of what disturbed a run: its ends are taken as limits
    extremes = doubtful or faster.exact_bounds or slower.exact_bounds
    ratio = ratio_interval(slow, fast, extremes)
    verdict: Verdict = "faster" if tells_apart(ratio) else "alike"
    verdict = "not ranked" if doubtful else verdict
    return Comparison(verdict, faster, slower, ratio, (), differences)


def tells_apart(ratio: Interval) -> bool:
    """Whether the side in the ratio's denominator takes less time for sure."""
    return ratio.low >= SMALLEST_RATIO


def ratio_interval(numerator: Interval, denominator: Interval, exact_bounds: bool) -> Interval:
    """The ratio of two positive medians from their intervals.

    Two 95 % intervals give one of 95 % by the method of variance estimates recovery (Zou and
    Donner, Statistics in Medicine 27, 2008), on logarithms: each half is the root of the sum of
    squares of the halves that widen it. Exact bounds are limits, not probabilities, so the extremes
    of the ratio are taken.
    """
    ratio = numerator.median / denominator.median
    count = min(numerator.count, denominator.count)
    if exact_bounds:
        low, high = numerator.low / denominator.high, numerator.high / denominator.low
        return Interval(ratio, low, high, count)
    down = math.hypot(
        math.log(numerator.median / numerator.low), math.log(denominator.high / denominator.median)
    )
    up = math.hypot(
        math.log(numerator.high / numerator.median), math.log(denominator.median / denominator.low)
    )
    return Interval(ratio, ratio * math.exp(-down), ratio * math.exp(up), count)


def _median(interval: Interval | None) -> float:
    return math.inf if interval is None else interval.median


def _reasons(a: Side, b: Side) -> Iterator[str]:
    """Why the two cannot be compared: everything that would have to be otherwise."""
    for side in (a, b):
        if side.unfit is not None:
            yield f"{side.name}: {side.unfit}"
    for part, label in (("workload", "workload"), ("variant", "variant"), ("tuning", "tuning"),
                        ("precision", "observed precision")):  # fmt: skip
        ours, theirs = _text(getattr(a.key, part)), _text(getattr(b.key, part))
        if ours != theirs:
            yield f"{label} differs: {ours} and {theirs}"
    if a.key.engine_family != b.key.engine_family:
        engines = f"{a.key.engine_family} and {b.key.engine_family}"
        machines = _machines(a.machine, b.machine)
        if machines == "two":
            yield f"engine and machine both differ: {engines} on two machines"
        elif machines == "unlike":
            yield f"engines differ: {engines}, perhaps on different machines"
        elif a.device != b.device:
            yield f"engine and device both differ: {engines}, {a.device} and {b.device}"


def _machines(a: Machine | str, b: Machine | str) -> Literal["one", "alike", "unlike", "two"]:
    """Whether the two are one machine, as far as is known: an exported record has no id."""
    if isinstance(a, str) or isinstance(b, str):
        return "one" if a == b else "two"
    if None in (a.machine_id, b.machine_id):
        return "alike" if look_alike(a, b) else "unlike"
    return "one" if same_machine(a, b) else "two"


def _text(part: object) -> str:
    if isinstance(part, tuple):
        return ", ".join(map(str, part)) or "none"
    return str(part)


def _differences(a: Side, b: Side) -> Iterator[str]:
    """What else differs and may be the cause, in both sides' words."""
    if _machines(a.machine, b.machine) == "alike":
        yield (
            "machine: similar, but not known to be one and the same "
            "(exported records have no machine id)"
        )
    for name, ours, theirs in differences_between(a, b):
        yield f"{name}: {ours} and {theirs}"


class Difference(NamedTuple):
    """What two runs say differently: ``name`` is a package, a setting, a part of the machine or a
    variable of the environment."""

    name: str
    a: str
    b: str


def differences_between(a: Side, b: Side) -> Iterator[Difference]:
    """All that both sides say, and say differently, besides what makes them comparable."""
    names = [*a.context, *(name for name in b.context if name not in a.context)]
    for name in names:
        ours, theirs = a.context.get(name), b.context.get(name)
        # what only one of them says is no difference: the other may be the same
        if ours is not None and theirs is not None and ours != theirs:
            yield Difference(name, ours, theirs)
    in_a, in_b = a.variables, b.variables
    if in_a is None or in_b is None:
        return
    for name in sorted({*in_a, *in_b}):
        ours, theirs = in_a.get(name, "not set"), in_b.get(name, "not set")
        if ours != theirs:
            yield Difference(name, ours, theirs)


def _context(record: Record) -> dict[str, str]:
    """What may explain a difference in speed and is no part of the comparability key."""
    machine, engine = record.machine, record.engine
    known = {
        **engine.versions,
        **engine.settings,
        **(engine.tuned_settings or {}),
        "Python": engine.python,
        "processor": machine.cpu,
        "microarchitecture": machine.microarchitecture,
        "architecture": machine.architecture,
        "memory": f"{machine.memory_bytes / 2**30:.0f} GiB" if machine.memory_bytes else None,
        "memory allowed": f"{machine.memory_limit_bytes / 2**30:.1f} GiB"
        if machine.memory_limit_bytes
        else "all",
        "power": machine.power_source,
        "power mode": machine.power_mode,
        "CPU governor": machine.cpu_governor,
        "usable cores": str(machine.usable_cores),
        "CPU quota": counted(machine.cpu_quota, "CPU") if machine.cpu_quota else "none",
        "kinds of cores": machine.core_kinds,
        "system": f"{machine.os} {machine.os_version}".strip(),
        "kernel": machine.kernel,
        **gpu_facts(record),
    }
    return {name: value for name, value in known.items() if value is not None}
