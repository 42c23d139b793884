"""A race in sentences: who is faster, by how much, and why somebody is not ranked."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.racing.standings import gate
from epochmark.analysis.racing.verdict import GateVerdict
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.dates import local_time
from epochmark.records.documents.race import Race, RaceEntry, Standing, first_ranked, names_of
from epochmark.records.wording import counted
from epochmark.report.digits import range_text, value_text
from epochmark.report.tables.section import Section
from epochmark.report.text.turns import ending_text

DECIMALS = 3
"""Of a ratio: a race ends at half a percent at best."""


def race_lines(race: Race) -> list[str]:
    """A line for each entry, how the race ended, and what its gate says."""
    lines = [_entry_line(race, place) for place in range(len(race.entries))]
    if sum(standing.place != "out" for standing in race.standings) > 1:
        lines += ["", _left_out_text(race.standings)]
    lines += [ending_text(race)]
    verdict = gate(race, race.standings)
    if verdict is not None:
        lines += ["", _gate_text(race, verdict)]
    return lines


def _entry_line(race: Race, place: int) -> str:
    name, standing, first = names_of(race)[place], race.standings[place], first_ranked(race)
    if standing.place == "out":
        return f"{name}: not ranked: {standing.reason}"
    start = f"{name} ({_what(race.entries[place])})"
    if name == first:
        return f"{start}: the others are compared with it"
    if standing.ratio is None or standing.low is None or standing.high is None:
        return f"{start}: too few turns to compare it with {first}"
    longer = Interval(standing.ratio, standing.low, standing.high, standing.pairs)
    return f"{start}: {_ratio_text(standing, longer, first)}"


def _ratio_text(standing: Standing, longer: Interval, first: str) -> str:
    """How much faster or slower than the ``first``, from how many times as long it takes."""
    speed = Interval(1 / longer.median, 1 / longer.high, 1 / longer.low, longer.count)
    seen = f"{counted(standing.pairs, 'pair')} of turns"
    if standing.place == "faster":
        bounds = f"95 % interval {range_text(speed, DECIMALS)}, {seen}"
        return f"{value_text(speed, DECIMALS)} times as fast as {first} ({bounds})"
    bounds = f"95 % interval {range_text(longer, DECIMALS)}, {seen}"
    if standing.place == "slower":
        return f"takes {value_text(longer, DECIMALS)} times as long as {first} ({bounds})"
    within = max(longer.high - 1, 1 - longer.low)
    return f"no clear difference from {first}: at most {within:.1%} (times as long: {bounds})"


def _what(entry: RaceEntry) -> str:
    """Versions and device."""
    engine, device = entry.record.engine, entry.record.device
    versions = [f"{name} {version}" for name, version in engine.versions.items()]
    return ", ".join([*versions, device.resolved or device.requested])


def _left_out_text(found: Sequence[Standing]) -> str:
    """What going on costs after the others had their turns."""
    seen = [standing.first_part for standing in found if standing.first_part is not None]
    if not seen:
        return "The turns were too short to see what it costs to go on after the others."
    share = f"{max(seen) - 1:+.1%}"
    if any(standing.left_out for standing in found):
        return f"The first part of each turn is left out: a sample takes up to {share} there."
    return f"Going on after the others costs little ({share} in the first part of a turn at most)."


def _gate_text(race: Race, verdict: GateVerdict) -> str:
    first, allowed = names_of(race)[0], f"{100 * (race.gate or 0):g} %"
    if verdict is GateVerdict.FAIL:
        return f"Gate: an entry is slower than {first} by more than {allowed}."
    if verdict is GateVerdict.PASS:
        return f"Gate: no entry is slower than {first} by more than {allowed}."
    return f"Gate: undecided whether an entry is slower than {first} by more than {allowed}."


def races_section(races: Sequence[Race]) -> Section:
    """All races, in the order given."""
    header = ("id", "raced", "entries", "workload", "outcome", "label")
    return Section("", header, tuple(map(_row, races)))


def _row(race: Race) -> tuple[str, ...]:
    return (
        race.id[:8],
        local_time(race.created),
        ", ".join(names_of(race)),
        race.entries[0].record.workload.name,
        "; ".join(map(_short, names_of(race)[1:], race.standings[1:])),
        race.label or "",
    )


def _short(name: str, standing: Standing) -> str:
    if standing.ratio is None or standing.low is None or standing.high is None:
        return f"{name}: {'not ranked' if standing.place == 'out' else 'unknown'}"
    longer = Interval(standing.ratio, standing.low, standing.high, standing.pairs)
    return f"{name}: {range_text(longer, DECIMALS)} times as long"
