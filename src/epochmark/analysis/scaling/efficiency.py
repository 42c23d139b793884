"""Rates and efficiencies of a scaling, by the formulas of docs/scaling.md."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from epochmark.analysis.racing.pieces import Piece, Pieces, turns_of
from epochmark.analysis.racing.ratio import RaceRatio, ratios
from epochmark.analysis.racing.standings import clock_problem
from epochmark.analysis.racing.turns import Turn
from epochmark.analysis.scaling.proof import Proven, proven
from epochmark.analysis.timing.headline import is_known, workload_of
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.documents.scaling import Efficiency, Scaling, ScalingEntry
from epochmark.workloads._proof.parity import CLASSES
from epochmark.workloads.shapes import parameter_count

NUMBER_BYTES = 4
"""Gradients travel in float32, whatever is computed in between."""


def efficiencies(scaling: Scaling) -> list[Efficiency]:
    """One for each entry. The base is the first, one device; where its work is not right, the
    others have none."""
    found = [proven(scaling, entry) for entry in scaling.entries]
    pieces = [pieces_of(entry) for entry in scaling.entries]
    found = [
        _with_clock(entry, own, proof)
        for entry, own, proof in zip(scaling.entries, pieces, found, strict=True)
    ]
    found = [_as_fine(proof, found[0]) for proof in found]
    rated = [
        place
        for place, (entry, proof) in enumerate(zip(scaling.entries, found, strict=True))
        if entry.rated and proof.reason is None
    ]
    has_base = rated[:1] == [0]
    turns = turns_of([pieces[place] for place in rated]) if has_base else []
    compared = dict(zip(rated, ratios(turns, len(rated)), strict=True)) if has_base else {}
    base_s = _seconds_per_sample([turn for turn in turns if turn.entry == 0])
    return [
        _efficiency(scaling, place, found[place], compared.get(place), base_s)
        for place in range(len(scaling.entries))
    ]


def pieces_of(entry: ScalingEntry) -> list[Piece]:
    """The entry's turns; every step has a whole batch."""
    pieces = new_pieces(entry.batch_size)
    pieces.warm_up(entry.laps[: entry.warm_up_laps])
    start = entry.warm_up_laps
    for turn in entry.turns:
        pieces.turn(entry.laps[start : start + turn.laps])
        start += turn.laps
    return pieces.turns


def new_pieces(batch_size: int) -> Pieces:
    """For laps of whole batches only: no epoch ends with a smaller one."""
    return Pieces(batch_size, epoch=2**63)


def _with_clock(entry: ScalingEntry, pieces: Sequence[Piece], proof: Proven) -> Proven:
    reason = proof.reason or clock_problem(entry.turns, pieces)
    return Proven(proof.precision, reason)


def _as_fine(proof: Proven, base: Proven) -> Proven:
    """Several devices compute as one does: a wrong sum may pass for a coarser precision."""
    if None in (proof.precision, base.precision) or proof.reason or base.reason:
        return proof
    met, of_one = (CLASSES.index(each.precision or "") for each in (proof, base))
    if met <= of_one:
        return proof
    return Proven(
        proof.precision,
        f"its split replay met {proof.precision} only, that of one device {base.precision}",
    )


def _seconds_per_sample(turns: Sequence[Turn]) -> float | None:
    samples = sum(turn.samples for turn in turns if turn.counts)
    seconds = sum(turn.compute_s for turn in turns if turn.counts)
    return seconds / samples if samples else None


def _efficiency(
    scaling: Scaling, place: int, proof: Proven, ratio: RaceRatio | None, base_s: float | None
) -> Efficiency:
    entry = scaling.entries[place]
    if proof.reason is not None:
        return Efficiency(place="out", reason=proof.reason)
    slowest, by = slowest_of(entry)
    known = Efficiency(
        place="unknown" if entry.rated else "mathematics",
        precision=proof.precision,
        gradient_bytes=_gradient_bytes(scaling),
        slowest=slowest,
        slowest_by=by,
    )
    if ratio is None or base_s is None:
        return known
    return _rated(known, entry, ratio, base_s, is_base=place == 0)


def _gradient_bytes(scaling: Scaling) -> int:
    """That each device has to sum with the others in a step."""
    if not is_known(scaling.workload):
        return 0
    return NUMBER_BYTES * parameter_count(workload_of(scaling.workload))


def _rated(
    known: Efficiency, entry: ScalingEntry, ratio: RaceRatio, base_s: float, is_base: bool
) -> Efficiency:
    """``ratio`` is that of its seconds per sample to the base's, ``base_s`` those of the base."""
    count = entry.devices
    ideal_s = base_s * entry.batch_size / count
    efficiency, low, high = (1 / (count * each) for each in (ratio.ratio, ratio.high, ratio.low))
    reduce_s = median(entry.all_reduce_s) if entry.all_reduce_s else None
    moved = known.gradient_bytes * 2 * (count - 1) / count
    return Efficiency(
        place="base" if is_base else "scaled",
        samples_per_s=1 / (base_s * ratio.ratio),
        efficiency=efficiency,
        low=low,
        high=high,
        pairs=ratio.pairs,
        precision=known.precision,
        gradient_bytes=known.gradient_bytes,
        all_reduce_s=reduce_s,
        bus_bytes_per_s=moved / reduce_s if reduce_s else None,
        exposed_s=None if is_base else ideal_s * (1 / efficiency - 1),
        exposed_low_s=None if is_base else ideal_s * (1 / high - 1),
        exposed_high_s=None if is_base else ideal_s * (1 / low - 1),
        predicted=None if reduce_s is None else ideal_s / (ideal_s + reduce_s),
        slowest=known.slowest,
        slowest_by=known.slowest_by,
    )


def slowest_of(entry: ScalingEntry) -> tuple[int | None, float | None]:
    """The device whose forward passes take longest, and how many times as long as the fastest's;
    None where that is not known of several."""
    times = [part.forward_s for part in entry.parts]
    known = [time for time in times if time]
    if len(known) < 2 or len(known) < len(times):
        return None, None
    return times.index(max(known)), max(known) / min(known)


def efficiency_interval(found: Efficiency) -> Interval | None:
    """In percent; None where there is none, and of the base."""
    middle, low, high = found.efficiency, found.low, found.high
    if found.place != "scaled" or middle is None or low is None or high is None:
        return None
    return Interval(100 * middle, 100 * low, 100 * high, found.pairs)
