"""Races by turns: the order of turns, the ratio and its interval, when a race ends, its gate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice, pairwise, product

import numpy as np
import pytest

from epochmark.analysis.racing.ratio import REFERENCE, RaceRatio, ratios
from epochmark.analysis.racing.signed_rank import located, smallest_rank
from epochmark.analysis.racing.stopping import FIRST_LOOK, look, looks_until, order
from epochmark.analysis.racing.turns import Turn
from epochmark.analysis.racing.verdict import GateVerdict, gate

TURN_S = 0.5
ENTRIES = (2, 3, 4, 5, 6)


def rounds_of(entries: int, count: int) -> list[list[int]]:
    turns = order(entries)
    return [list(islice(turns, entries)) for _ in range(count)]


def race(
    slowness: Sequence[float], rounds: int, machine: Callable[[int], float] = lambda turn: 1.0
) -> list[Turn]:
    """Turns of entries that take so long for a sample, as much longer as the machine is slow."""
    entries = len(slowness)
    return [
        Turn(entry, number * TURN_S, 1000, TURN_S * slowness[entry] * machine(number), 0.01)
        for number, entry in enumerate(islice(order(entries), entries * rounds))
    ]


def noise(sigma: float, seed: int = 1) -> Callable[[int], float]:
    values = np.exp(sigma * np.random.default_rng(seed).standard_normal(10_000)).tolist()
    return lambda turn: float(values[turn % len(values)])


def known(found: RaceRatio | None) -> RaceRatio:
    assert found is not None
    return found


def test_two_entries_take_turns_a_b_b_a() -> None:
    assert "".join("AB"[entry] for entry in islice(order(2), 12)) == "ABBAABBAABBA"


@pytest.mark.parametrize("entries", ENTRIES)
def test_each_round_has_a_turn_of_each_entry_and_begins_as_the_last_ended(entries: int) -> None:
    rounds = rounds_of(entries, 5 * entries)
    assert all(sorted(turns) == list(range(entries)) for turns in rounds)
    assert all(before[-1] == after[0] for before, after in pairwise(rounds))


@pytest.mark.parametrize("entries", ENTRIES)
def test_every_order_of_neighbours_comes_equally_often(entries: int) -> None:
    turns = [entry for each in rounds_of(entries, 2 * entries) for entry in each]
    seen = Counter(pairwise([*turns, turns[0]]))
    assert {pair: seen[pair] for pair in product(range(entries), repeat=2)} == dict.fromkeys(
        product(range(entries), repeat=2), 2
    )


@pytest.mark.parametrize("entries", ENTRIES)
def test_a_machine_that_slows_down_steadily_slows_all_entries_alike(entries: int) -> None:
    rounds = rounds_of(entries, 2 * entries)
    places = [sum(turns.index(entry) for turns in rounds) for entry in range(entries)]
    assert len({*places}) == 1


def test_a_race_has_two_entries_at_least() -> None:
    with pytest.raises(ValueError, match="no race"):
        order(1)


def test_ranks_are_those_of_the_tables() -> None:
    """Hollander and Wolfe, table A.4: P(T <= 0) = 0.0156 of six, P(T <= 52) = 0.0242 of twenty."""
    assert [smallest_rank(count) for count in (6, 7, 8, 9, 10, 20)] == [1, 3, 4, 6, 9, 53]


def test_the_normal_rank_goes_on_where_the_exact_one_ends() -> None:
    ranks = [smallest_rank(count) for count in (58, 59, 60, 61, 62)]
    steps = [after - before for before, after in pairwise(ranks)]
    assert max(steps) - min(steps) <= 2


def test_the_estimate_minds_no_far_value() -> None:
    found = located([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 1000.0])
    assert 4.5 <= found.median <= 5.5
    assert found.low < 3
    assert located([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).high == 6.0


def test_fewer_than_six_values_have_no_interval() -> None:
    with pytest.raises(ValueError, match="5 values"):
        located([1.0] * 5)


def test_the_ratio_is_that_of_the_seconds_per_sample() -> None:
    found = ratios(race([1.0, 1.03, 0.5], 40), 3)
    assert found[0] == REFERENCE
    assert [round(known(entry).ratio, 9) for entry in found] == [1.0, 1.03, 0.5]
    assert known(found[1]).pairs == 40


def test_a_machine_that_loses_a_third_of_its_speed_for_seconds_hides_no_percent() -> None:
    scattered = noise(0.002)

    def machine(turn: int) -> float:
        return scattered(turn) * (1 + (turn // 7 % 2) / 2)

    found = known(ratios(race([1.0, 1.03], 150, machine), 2)[1])
    assert found.low <= 1.03 <= found.high
    assert found.half_width < 0.005


def test_a_race_of_a_day_is_merged() -> None:
    found = known(ratios(race([1.0, 1.01], 40_000, noise(0.02)), 2)[1])
    assert found.pairs == 40_000
    assert found.ratio == pytest.approx(1.01, rel=0.002)
    assert found.half_width < 0.001


def test_an_entry_with_fewer_than_six_pairs_has_no_ratio() -> None:
    turns = race([1.0, 1.0, 1.0], 8)
    left = [turn for turn in turns if turn.entry != 2] + [t for t in turns if t.entry == 2][:5]
    first, second, third = ratios(left, 3)
    assert (first, known(second).pairs, third) == (REFERENCE, 8, None)


def test_a_turn_without_samples_or_time_is_passed_over() -> None:
    turns = race([1.0, 1.02], 10)
    turns[0] = turns[0]._replace(samples=0)
    turns[5] = turns[5]._replace(compute_s=0.0)
    assert known(ratios(turns, 2)[1]).pairs == 8


def test_pairs_that_go_together_count_in_blocks() -> None:
    free = known(ratios(race([1.0, 1.0], 120, noise(0.02)), 2)[1])
    assert free.autocorrelation_blocks > 50
    slow = np.repeat(np.random.default_rng(2).standard_normal(12), 10)
    turns = race([1.0, 1.0], 120)
    turns = [
        turn._replace(compute_s=turn.compute_s * math.exp(0.02 * slow[n // 2] * turn.entry))
        for n, turn in enumerate(turns)
    ]
    bound = known(ratios(turns, 2)[1])
    assert bound.autocorrelation_blocks < 30
    assert bound.half_width > 2 * free.half_width


def test_it_looks_after_fixed_numbers_of_rounds_only() -> None:
    turns = race([1.0, 1.0], 60, noise(0.001))
    done = [
        count for count in range(1, len(turns) + 1)
        if look(turns[:count], 2, 0.01, 0.0, 300.0).done
    ]  # fmt: skip
    assert done == [2 * rounds for rounds in looks_until(60)]
    assert done[0] == 2 * FIRST_LOOK


def test_it_goes_on_until_the_last_ratio_is_known() -> None:
    wild = noise(0.1)
    turns = race([1.0, 1.0, 1.0], FIRST_LOOK)
    turns = [
        turn._replace(compute_s=turn.compute_s * (wild(n) if turn.entry == 2 else 1.0))
        for n, turn in enumerate(turns)
    ]
    assert look(turns, 3, 0.01, 10.0, 300.0) == (len(turns), False, "going on")
    known_two = [turn for turn in turns if turn.entry != 2]
    assert look(known_two, 2, 0.01, 10.0, 300.0) == (len(known_two), True, "resolved")


def test_it_ends_when_its_time_is_over() -> None:
    assert look(race([1.0, 1.0], 3), 2, 0.01, 300.0, 300.0) == (6, True, "time")


def ratio(low: float, high: float) -> RaceRatio:
    return RaceRatio(math.sqrt(low * high), low, high, 40, 40)


@pytest.mark.parametrize(
    ("entries", "verdict"),
    [
        ([ratio(0.9, 1.03), ratio(1.0, 1.01)], GateVerdict.PASS),
        ([ratio(0.99, 1.01), ratio(1.04, 1.05)], GateVerdict.FAIL),
        ([ratio(1.02, 1.04), ratio(1.04, 1.05)], GateVerdict.FAIL),
        ([ratio(1.02, 1.04), ratio(0.9, 1.0)], GateVerdict.STRADDLES),
        ([None, ratio(0.9, 1.0)], GateVerdict.STRADDLES),
    ],
)
def test_the_gate_goes_by_whole_intervals(
    entries: list[RaceRatio | None], verdict: GateVerdict
) -> None:
    assert gate([REFERENCE, *entries], 0.03) == verdict
