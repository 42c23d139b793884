"""The generated language: its structure, its exact entropy, and the same bytes everywhere."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest

from epochmark.workloads._data.copy_markov import ENTROPY, Language

LANGUAGE = Language(symbols=256, context=128, seed=1)


def test_successors_are_permutations_that_differ_at_every_symbol() -> None:
    successors = LANGUAGE.successors()
    assert successors.shape == (4, 256)
    for permutation in successors:
        assert sorted(permutation) == list(range(256))
    assert all(len(set(column)) == 4 for column in successors.T)


def test_the_second_half_repeats_the_first() -> None:
    sequences = LANGUAGE.draw(50, seed=3)
    assert sequences.shape == (50, 129)
    assert np.array_equal(sequences[:, 65:], sequences[:, 1:65])
    assert not np.array_equal(sequences[:, 64], sequences[:, 0])


def test_the_chain_follows_its_successors_with_their_probabilities() -> None:
    sequences = LANGUAGE.draw(4000, seed=3)
    nats = LANGUAGE.surprisal(sequences)
    chain = np.rint(nats[:, :64] / math.log(2)).astype(int)
    shares = [(chain == bits).mean() for bits in (1, 2, 3)]
    assert shares == pytest.approx([1 / 2, 1 / 4, 1 / 4], abs=0.005)
    assert not nats[:, 64:].any()


def test_the_lowest_loss_is_half_the_entropy_of_the_chain() -> None:
    assert pytest.approx(0.6065, abs=5e-5) == LANGUAGE.lowest_loss
    nats = LANGUAGE.surprisal(LANGUAGE.draw(4000, seed=3)).mean(axis=1)
    error = nats.std() / math.sqrt(len(nats))
    assert nats.mean() == pytest.approx(ENTROPY / 2, abs=4 * error)


def test_symbols_are_uniform() -> None:
    counts = np.bincount(LANGUAGE.draw(8000, seed=5)[:, 40], minlength=256)
    chi_squared = ((counts - 8000 / 256) ** 2 / (8000 / 256)).sum()
    assert 170 < chi_squared < 360  # 255 degrees of freedom: mean 255, standard deviation 23


def test_the_first_sequences_do_not_depend_on_how_many_are_drawn() -> None:
    assert np.array_equal(LANGUAGE.draw(100, seed=3)[:7], LANGUAGE.draw(7, seed=3))
    assert not np.array_equal(LANGUAGE.draw(7, seed=3), LANGUAGE.draw(7, seed=4))


def test_the_bytes_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256(LANGUAGE.successors().tobytes() + LANGUAGE.draw(64, seed=3).tobytes())
    assert digest.hexdigest() == (
        "f0e9272fb3fc1a98c21593b60e82f3028adfa96aabc558c64aeab8fbf193f460"
    )


@pytest.mark.parametrize("symbols", [8, 32])
def test_small_languages_serve_tests(symbols: int) -> None:
    language = Language(symbols=symbols, context=16, seed=2)
    sequences = language.draw(20, seed=1)
    assert sequences.max() < symbols
    assert language.surprisal(sequences).shape == (20, 16)


def test_sequences_of_another_language_are_refused() -> None:
    sequences = LANGUAGE.draw(5, seed=3)
    with pytest.raises(ValueError, match="cannot follow it"):
        replace(LANGUAGE, seed=2).surprisal(sequences)
    torn = sequences.copy()
    torn[2, 100] ^= 1
    with pytest.raises(ValueError, match="does not repeat"):
        LANGUAGE.surprisal(torn)
    with pytest.raises(ValueError, match="129 symbols"):
        LANGUAGE.surprisal(sequences[:, :-1])
    with pytest.raises(ValueError, match="from 0 to 31"):
        Language(symbols=32, context=128, seed=1).surprisal(sequences)


@pytest.mark.parametrize("wrong", [{"symbols": 100}, {"symbols": 512}, {"context": 7}])
def test_impossible_languages_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        replace(LANGUAGE, **wrong)
