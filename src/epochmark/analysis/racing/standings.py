"""What follows from the document of a race: who is ranked, and the ratio of each."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from epochmark.analysis.racing.pieces import Piece, Pieces, first_part_of, shows, turns_of
from epochmark.analysis.racing.ratio import RaceRatio, log_ratios, ratios
from epochmark.analysis.racing.verdict import GateVerdict
from epochmark.analysis.racing.verdict import gate as gate_of_ratios
from epochmark.analysis.timing.headline import is_known, workload_of
from epochmark.records.documents.race import Place, Race, RaceEntry, RaceTurn, Standing
from epochmark.records.findings import MEANING, FindingCode
from epochmark.records.record import Record

LEAST_CLOCK, MOST_CLOCK = 0.8, 1.02
"""What a turn takes by the worker's clock is this share of what the launcher saw, which contains
two messages besides: the median over all turns, since the launcher may be suspended in some."""


def standings(race: Race) -> list[Standing]:
    """One for each entry. The first that is ranked is the reference."""
    pieces = [_pieces_of(entry) for entry in race.entries]
    reasons = _reasons(race.entries, pieces)
    ranked = [place for place, reason in enumerate(reasons) if reason is None]
    turns = turns_of([pieces[place] for place in ranked])
    found = dict(zip(ranked, ratios(turns, len(ranked)) if ranked else (), strict=True))
    left_out = shows(first_part_of(pieces[place]) for place in ranked)
    return [
        Standing(place="out", reason=reason, first_part=first_part_of(pieces[place]))
        if reason is not None
        else _standing(place == ranked[0], found[place], first_part_of(pieces[place]), left_out)
        for place, reason in enumerate(reasons)
    ]


def log_ratios_of(race: Race) -> dict[int, list[float]]:
    """Logarithms of an entry's time per sample over the reference's, pair by pair of turns, for
    each entry that is ranked beside it."""
    ranked = [place for place, standing in enumerate(race.standings) if standing.place != "out"]
    turns = turns_of([_pieces_of(race.entries[place]) for place in ranked])
    return {place: log_ratios(turns, number) for number, place in enumerate(ranked) if number}


def gate(race: Race, found: Sequence[Standing]) -> GateVerdict | None:
    """What the race's gate says of its entries; None where it has none. Of an entry that is out,
    and of all where the first one is, nothing can be said."""
    if race.gate is None:
        return None
    if found[0].place == "out":
        return GateVerdict.STRADDLES
    return gate_of_ratios([*map(_ratio_of, found[1:])], race.gate)


def _ratio_of(standing: Standing) -> RaceRatio | None:
    if standing.ratio is None or standing.low is None or standing.high is None:
        return None
    return RaceRatio(standing.ratio, standing.low, standing.high, standing.pairs, standing.blocks)


def _standing(
    is_reference: bool, ratio: RaceRatio | None, first_part: float | None, left_out: bool
) -> Standing:
    if ratio is None:
        return Standing(place="unknown", first_part=first_part, left_out=left_out)
    return Standing(
        place="reference" if is_reference else _place(ratio),
        ratio=ratio.ratio,
        low=ratio.low,
        high=ratio.high,
        pairs=ratio.pairs,
        blocks=ratio.autocorrelation_blocks,
        first_part=first_part,
        left_out=left_out,
    )


def _place(ratio: RaceRatio) -> Place:
    if ratio.low > 1:
        return "slower"
    return "faster" if ratio.high < 1 else "alike"


def _pieces_of(entry: RaceEntry) -> list[Piece]:
    """The entry's turns; none where its workload is not known here."""
    run, laps = entry.record.workload, entry.record.timing.laps
    if not is_known(run):
        return []
    pieces = Pieces(run.batch_size, workload_of(run).train_samples)
    pieces.warm_up(laps[: entry.warm_up_laps])
    start = entry.warm_up_laps
    for turn in entry.turns:
        pieces.turn(laps[start : start + turn.laps])
        start += turn.laps
    return pieces.turns


def _reasons(entries: Sequence[RaceEntry], pieces: Sequence[Sequence[Piece]]) -> list[str | None]:
    """Why each entry is not ranked; None for those that are. What differs is measured against the
    first that did its work."""
    reasons = [
        _unfit(entry.record) or clock_problem(entry.turns, own)
        for entry, own in zip(entries, pieces, strict=True)
    ]
    sound = [entry.record for entry, reason in zip(entries, reasons, strict=True) if not reason]
    return [
        reason or _not_comparable(entry.record, sound[0])
        for entry, reason in zip(entries, reasons, strict=True)
    ]


def _unfit(record: Record) -> str | None:
    """What is wrong with an entry by itself. One that the user stopped is not proven, no more."""
    if not is_known(record.workload):
        return f"its workload {record.workload.name} is not known here"
    unproven = record.failure is not None and record.failure.kind == "interrupted"
    wrong = [
        f"{finding.code}: {finding.detail}"
        for finding in record.findings
        if MEANING[FindingCode(finding.code)].validity == "invalid"
        and not (unproven and finding.code == FindingCode.INTERRUPTED.value)
    ]
    return wrong[0][:2000] if wrong else None


def clock_problem(turns: Sequence[RaceTurn], pieces: Sequence[Piece]) -> str | None:
    """The worker's clock against the launcher's, all turns together."""
    shares = [
        (piece.first_s + piece.rest_s) / turn.wall_s
        for piece, turn in zip(pieces, turns, strict=True)
        if turn.wall_s > 0
    ]
    if not shares or LEAST_CLOCK <= median(shares) <= MOST_CLOCK:
        return None
    return (
        f"by its own clock a turn took {median(shares):.2f} times what it took by the clock of "
        "the process that started it"
    )


def _not_comparable(record: Record, reference: Record) -> str | None:
    """What makes another job of it than the reference's."""
    ours, theirs = record.workload, reference.workload
    for name, own, other in (
        ("workload", f"{ours.name} v{ours.version}", f"{theirs.name} v{theirs.version}"),
        ("batch", ours.batch_size, theirs.batch_size),
        ("device", record.device.resolved, reference.device.resolved),
        ("observed precision", record.precision.observed, reference.precision.observed),
    ):
        if own is not None and other is not None and own != other:
            return f"not comparable: {name} differs: {own} and {other}"
    return None
