"""What a run of sequences learned: when it was good enough, both halves of its loss, and the lowest
loss there is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from epochmark.analysis.timing.time_to_target import time_to_target_s
from epochmark.judge.check import check_record
from epochmark.judge.learning import copying_learned, not_below_entropy
from epochmark.records.json_text import RecordError
from epochmark.records.record import Lap, Record
from epochmark.records.upgrades import encode_record
from epochmark.report.tables.runs import runs_section
from epochmark.report.text.answer import answer_lines
from epochmark.workloads import MNIST_CNN, WORKLOADS
from epochmark.workloads._data import language_of, read_data
from epochmark.workloads._data.known_losses import halves_of, lowest_test_loss
from epochmark.workloads.spec import Target
from tests.unit.samples import document, record

GPT = WORKLOADS["gpt-3m"]
LOSSES = (4.9, 1.6, 0.95, 0.71, 0.69, 0.68)
EPOCH_S = 30
LOWEST = lowest_test_loss(GPT, GPT.test_samples)
assert LOWEST is not None


def lap(epoch: int, steps: int, end_s: float, loss: float | None = None) -> Lap:
    return Lap(epoch=epoch, steps=steps, end_ns=round(end_s * 1e9), loss=loss)


def values_of(
    losses: tuple[float, ...] = LOSSES, halves: tuple[float | None, ...] = (1.332, 0.012)
) -> dict[str, Any]:
    """What a run of gpt-3m has that others do not, a half minute for each epoch."""
    epochs = list(enumerate(losses, start=1))
    laps = [{"epoch": n, "steps": 84, "end_ns": n * EPOCH_S * 10**9, "loss": loss}
            for n, loss in epochs]  # fmt: skip
    base = document("fake-valid-4")
    asked = {"name": "gpt-3m", "epochs": len(losses), "batch_size": 32}
    whole = None if None in halves else sum(map(float, filter(None, halves))) / len(halves)
    found = {"right_test_loss": whole, "right_half_losses": list(halves)}
    return {
        "workload": {**base["workload"], **asked},
        "timing": {"startup_s": 1.0, "fit_ns": laps[-1]["end_ns"], "laps": laps},
        "learning": {
            "epochs": [{"epoch": n, "loss": loss, "accuracy": 0.5} for n, loss in epochs],
            "test_loss": 0.672,
            "test_accuracy": 0.72,
        },
        "continuation": {**base["continuation"], **found},
    }


def run_of(*learned: Any, **changes: Any) -> Record:
    """That run; of ``changes`` each names a value in a part (``learning__test_loss``)."""
    values = values_of(*learned)
    for path, value in changes.items():
        part, name = path.split("__")
        values[part][name] = value
    return record("fake-valid-4", **values)


def test_the_target_is_reached_at_the_end_of_the_first_epoch_that_is_good_enough() -> None:
    laps = [lap(1, 2, 1, 2.0), lap(2, 1, 2, 0.4), lap(2, 1, 3, 1.0), lap(3, 2, 4, 0.9),
            lap(4, 2, 5, 0.5)]  # fmt: skip
    assert time_to_target_s(laps, 2, Target(0.9)) == 4.0
    assert time_to_target_s(laps, 2, Target(1.0)) == 3.0
    assert time_to_target_s(laps, 2, Target(0.45)) is None, "half of epoch 2 was better by luck"
    assert time_to_target_s(laps, 2, None) is None


def test_an_epoch_that_was_cut_short_or_says_nothing_reaches_no_target() -> None:
    laps = [lap(1, 2, 1), lap(2, 1, 2, 0.1)]
    assert time_to_target_s(laps, 2, Target(0.9)) is None
    assert time_to_target_s([], 2, Target(0.9)) is None


def test_a_run_says_when_it_reached_its_target_and_what_each_half_costs() -> None:
    run = run_of()
    assert run.headline.time_to_target_s == 5 * EPOCH_S
    text = "\n".join(answer_lines(run))
    assert "150.0 s (an epoch's mean training loss of at most 0.7065)" in text
    assert "1.3320 in the first half of the context, 0.0120 in its copy, the second" in text
    section = runs_section([run])
    row = dict(zip(section.header, section.rows[0], strict=True))
    assert (row["to target"], row["loss by half"]) == ("150.0 s", "1.332 and 0.012")


def test_a_run_that_did_not_come_so_far_says_so() -> None:
    run = run_of(LOSSES[:2])
    assert run.headline.time_to_target_s is None
    assert "not reached (an epoch's mean" in "\n".join(answer_lines(run))


def test_a_time_to_target_that_its_laps_do_not_give_is_found() -> None:
    fields = json.loads(encode_record(run_of()))
    fields["headline"]["time_to_target_s"] = 30.0
    problems = check_record(json.dumps(fields).encode()).problems
    assert "the headline says time_to_target_s 30.0, its raw data give 150.0" in problems


def test_images_have_neither_target_nor_halves() -> None:
    run = record("fake-valid-4")
    assert run.headline.time_to_target_s is None
    text = "\n".join(answer_lines(run))
    assert "to target" not in text
    assert "loss by half" not in text
    assert not {"to target", "loss by half"} & set(runs_section([run]).header)


def test_the_lowest_loss_is_that_of_the_very_sequences() -> None:
    assert LOWEST is not None
    assert pytest.approx(0.6065, abs=4 * LOWEST.error) == LOWEST.loss
    assert pytest.approx(0.0011, abs=0.0001) == LOWEST.error
    assert LOWEST.limit == LOWEST.loss - 5 * LOWEST.error
    data, language = read_data(GPT, ""), language_of(GPT)
    assert language is not None
    sequences = np.concatenate([data.test_inputs, data.test_targets[:, -1:]], axis=1)[:100]
    nats = language.surprisal(sequences)
    few = lowest_test_loss(GPT, 100)
    assert few is not None
    assert few.loss == pytest.approx(nats.mean())
    first, second = halves_of(GPT, nats) or (None, None)
    assert first == pytest.approx(2 * few.loss)
    assert second == 0.0
    assert lowest_test_loss(MNIST_CNN, 100) is None
    assert halves_of(MNIST_CNN, np.ones(5)) is None


@pytest.mark.parametrize("max_steps", [None, 84, 10])
def test_a_loss_is_refused_only_where_luck_cannot_explain_it(max_steps: int | None) -> None:
    """Of less than an epoch on the few sequences that such a run is tested on."""
    samples = GPT.proof.tested_samples if max_steps == 10 else GPT.test_samples
    lowest = lowest_test_loss(GPT, samples)
    assert lowest is not None
    for loss, codes in ((lowest.limit - 1e-6, ["loss-below-entropy"]), (lowest.limit + 1e-6, [])):
        run = run_of(workload__max_steps=max_steps, learning__test_loss=loss)
        found = list(not_below_entropy(run))
        assert [finding.code for finding in found] == codes
        assert all(f"{samples:,} sequences" in finding.detail for finding in found)


@pytest.mark.parametrize(
    ("halves", "codes"),
    [
        ((1.21, 1.21), ["copy-not-learned"]),
        ((1.33, 0.7), ["copy-not-learned"]),
        ((1.33, 0.6), []),
        ((1.33, 0.013), []),
        ((None, None), []),
    ],
)
def test_the_second_half_must_cost_less_than_the_first(
    halves: tuple[float | None, ...], codes: list[str]
) -> None:
    assert [finding.code for finding in copying_learned(run_of(LOSSES, halves))] == codes
    young = run_of(LOSSES[:5], halves)
    assert list(copying_learned(young)) == [], "it may not have come so far yet"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"workload__name": "mnist-cnn", "workload__batch_size": 128},
         "halves, which mnist does not have"),
        ({"continuation__right_half_losses": [1.3, 0.1]}, "two halves are 1.3 and 0.1"),
        ({"continuation__right_half_losses": [1.5, -0.156]}, "negative loss"),
        ({"continuation__right_test_loss": None}, "that of the whole is unknown"),
        ({"continuation__right_half_losses": [0.672]}, "length"),
    ],
)  # fmt: skip
def test_halves_that_cannot_be_are_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        run_of(**change)
