"""The search for tuned settings, over times that are made up, and its file."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from epochmark.bench.tuned.search import BUDGET_S, MAX_PAIRS, is_clearly_faster, search
from epochmark.bench.tuned.trial import TrialStop, WarmSteps, warm_step_s
from epochmark.engines import Tunable, get_engine
from epochmark.errors import EpochmarkError
from epochmark.records.machine.tuned_settings import (
    Tried,
    Tuned,
    decode_tuned,
    read_tuned,
    save_tuned,
    tuned_file,
)
from epochmark.records.record import Lap, Machine
from epochmark.report.tables.tuned_settings import gain_lines, tuning_lines, tuning_rows
from epochmark.worker import protocol
from epochmark.workloads import WORKLOADS
from tests.report.samples import sample
from tests.unit.samples import record

LAYOUT = Tunable("layout", ("rows", "columns", "tiles"), "")
FUSED = Tunable("fused", ("no", "yes"), "")

FACTORS = {"layout=columns": 0.7, "layout=tiles": 0.9, "fused=yes": 0.8}
"""What each setting multiplies a step's time by."""


class Machinery:
    """A machine whose steps take a known time, give or take ``noise``, and longer with every run
    by ``drift``. Every run takes ``run_s`` of its clock."""

    def __init__(
        self,
        factors: Mapping[str, float],
        noise: float = 0.0,
        drift: float = 0.0,
        seed: int = 1,
        run_s: float = 5.0,
    ) -> None:
        self._factors, self._noise, self._drift, self._run_s = factors, noise, drift, run_s
        self._random = random.Random(seed)
        self.runs: list[dict[str, str]] = []
        self.clock_s = 0.0

    def attempt(self, settings: Mapping[str, str]) -> WarmSteps:
        self.runs.append(dict(settings))
        self.clock_s += self._run_s
        step_s = 0.1 * (1 + self._drift) ** len(self.runs)
        step_s *= 1 + self._random.uniform(-self._noise, self._noise)
        for setting in map("=".join, settings.items()):
            step_s *= self._factors.get(setting, 1.0)
        return WarmSteps(step_s)

    def now_s(self) -> float:
        return self.clock_s


def found_on(machine: Machinery, *tunables: Tunable) -> dict[str, str]:
    return search(tunables or (LAYOUT, FUSED), machine.attempt, machine.now_s).settings


def test_what_is_faster_is_kept_and_built_upon() -> None:
    machine = Machinery(FACTORS)
    found = search((LAYOUT, FUSED), machine.attempt, machine.now_s)
    assert found.settings == {"layout": "columns", "fused": "yes"}
    outcomes = {(trial.setting, trial.value): trial.outcome for trial in found.tried}
    assert outcomes == {
        ("layout", "columns"): "kept",
        ("layout", "tiles"): "not faster",
        ("fused", "yes"): "kept",
    }
    assert found.tried[2].gains == pytest.approx([1.25, 1.25])


@pytest.mark.parametrize("seed", range(40))
def test_noise_hides_no_large_gain_and_makes_none(seed: int) -> None:
    """Runs that differ by up to 4 % either way."""
    factors = {"layout=columns": 0.7, "layout=tiles": 1.4, "fused=yes": 1.2}
    assert found_on(Machinery(factors, noise=0.04, seed=seed)) == {"layout": "columns"}


def test_equal_settings_are_seldom_kept() -> None:
    kept = [found_on(Machinery({}, noise=0.01, seed=seed), FUSED) for seed in range(200)]
    assert sum(map(bool, kept)) <= 10, "one in twenty"


@pytest.mark.parametrize("drift", [-0.03, 0.03])
def test_a_machine_that_drifts_does_not_decide(drift: float) -> None:
    """Steps become 3 % slower, or faster, with every run: without taking turns the last setting
    tried would always win, or always lose."""
    assert found_on(Machinery(FACTORS, drift=drift)) == {"layout": "columns", "fused": "yes"}
    assert found_on(Machinery({}, drift=drift)) == {}


def test_what_loses_its_first_pair_costs_one_run() -> None:
    machine = Machinery({"fused=yes": 1.5})
    assert found_on(machine, FUSED) == {}
    assert machine.runs == [{}, {"fused": "yes"}]


def test_no_setting_costs_more_than_its_pairs() -> None:
    machine = Machinery({"fused=yes": 0.99})
    assert found_on(machine, FUSED) == {}, "a gain of 1 % is no reason"
    assert len(machine.runs) == 2 * MAX_PAIRS


@pytest.mark.parametrize(
    ("gains", "clear"),
    [
        ([1.3], False),
        ([1.3, 1.31], True),
        ([1.3, 0.99, 1.3], False),
        ([1.01, 1.012], False),
        ([1.05, 1.3], True),
        ([1.01, 1.02, 1.3], False),
    ],
)
def test_clearly_faster(gains: list[float], clear: bool) -> None:
    assert is_clearly_faster(gains) is clear


@pytest.mark.parametrize("outcome", ["failed", "wrong"])
def test_a_setting_that_cannot_be_used_is_passed_over(outcome: str) -> None:
    machine = Machinery(FACTORS)

    def attempt(settings: Mapping[str, str]) -> WarmSteps:
        if settings.get("layout") == "columns":
            return WarmSteps(None, "no compiler", wrong=outcome == "wrong")
        return machine.attempt(settings)

    found = search((LAYOUT, FUSED), attempt, machine.now_s)
    assert found.settings == {"layout": "tiles", "fused": "yes"}
    assert (found.tried[0].outcome, found.tried[0].detail) == (outcome, "no compiler")


def test_an_engine_that_cannot_train_as_stock_is_an_error() -> None:
    with pytest.raises(EpochmarkError, match="as stock: it is broken"):
        search((FUSED,), lambda settings: WarmSteps(None, "it is broken"))


def test_the_search_ends_in_time() -> None:
    machine = Machinery(FACTORS, run_s=BUDGET_S)
    found = search((LAYOUT, FUSED), machine.attempt, machine.now_s)
    assert [trial.outcome for trial in found.tried] == ["kept", "not tried", "not tried"]


def test_a_trials_reading_is_not_that_of_its_disturbed_laps() -> None:
    ends_s = [3.0, *(3.0 + 0.5 * number for number in range(1, 5)), 9.0, 14.0]
    laps = [Lap(epoch=1, steps=5, end_ns=int(end * 1e9)) for end in ends_s]
    assert warm_step_s(laps) == pytest.approx(0.1)
    assert warm_step_s(laps[:1]) is None


@pytest.mark.parametrize(
    ("laps", "stops_after"),
    [
        ([(1, 9.0)] + [(5, 9.0 + 0.3 * number) for number in range(1, 20)], 9),
        ([(1, 1.0), (1, 5.0), (1, 9.0), (1, 13.0)], 3),
        ([(1, 1.0), (1, 11.0), (1, 21.0)], 3),
        ([(1, 1.0), (32, 11.0), (32, 21.0)], 2),
    ],
    ids=["fast", "slow", "very slow", "far ahead of the device"],
)
def test_a_trial_ends_when_it_knows_enough(laps: list[tuple[int, float]], stops_after: int) -> None:
    stop = TrialStop()
    answers = [
        stop(
            protocol.LapEnd(epoch=1, steps=steps, end_ns=int(end_s * 1e9), loss=None, accuracy=None)
        )
        for steps, end_s in laps
    ]
    assert answers.index(True) + 1 == stops_after
    assert sum(answers) == 1, "it asks once"


MACHINE = msgspec.structs.replace(record().machine, machine_id="0" * 16)


def tuned(engine: str = "torch", **changes: Any) -> Tuned:
    tuned = Tuned(
        measured="2026-11-24T12:00:00Z",
        epochmark_version="0",
        engine=engine,
        device="cpu",
        device_description="the processor",
        versions={"torch": "2.13.0"},
        offered={"layout": ["rows", "columns"]},
        settings={"layout": "columns"},
        runs=4,
        disturbed=0,
        tried=[
            Tried(
                setting="layout", value="columns", outcome="kept",
                before_s=[0.1, 0.12], with_s=[0.05, 0.06],
            )
        ],
    )  # fmt: skip
    return msgspec.structs.replace(tuned, **changes)


def test_what_was_found_is_read_again(tmp_path: Path) -> None:
    save_tuned(tmp_path, MACHINE, [], tuned())
    known = read_tuned(tmp_path, MACHINE)
    assert known == [tuned()]
    newer = tuned(settings={})
    save_tuned(tmp_path, MACHINE, [*known, tuned("jax")], newer)
    assert read_tuned(tmp_path, MACHINE) == [tuned("jax"), newer]


@pytest.mark.parametrize(
    "change",
    [{"cpu": "another"}, {"machine_id": "1" * 16}, {"usable_cores": 77}],
)
def test_another_machine_has_settings_of_its_own(tmp_path: Path, change: dict[str, Any]) -> None:
    save_tuned(tmp_path, MACHINE, [], tuned())
    other: Machine = msgspec.structs.replace(MACHINE, **change)
    assert read_tuned(tmp_path, other) == []


@pytest.mark.parametrize(
    "change",
    [
        {"device": "gpu:0"},
        {"device_description": "another"},
        {"versions": {"torch": "2.14.0"}},
        {"offered": {"layout": ["rows", "columns", "tiles"]}},
    ],
)
def test_another_version_or_device_is_searched_again(change: dict[str, Any]) -> None:
    assert tuned().fits(tuned(settings={}, tried=[]))
    assert not tuned().fits(tuned(**change))


def hostile(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = {"format": 1, "machine": MACHINE, "engines": [tuned()]}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    change(plain)
    return msgspec.json.encode(plain)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[" * 100_000,
        b"\xff\x00",
        b" " * (5 << 20),
        hostile(lambda d: d.update(format=2)),
        hostile(lambda d: d.update(extra=1)),
        hostile(lambda d: d["engines"][0]["settings"].update(layout="; rm -rf")),
        hostile(lambda d: d["engines"][0]["settings"].update(colour="red")),
        hostile(lambda d: d["engines"][0].update(engine="../../etc")),
        hostile(lambda d: d["engines"][0]["tried"][0].update(before_s=[0.1])),
        hostile(lambda d: d["engines"][0]["tried"][0].update(with_s=[0.0, 0.0])),
    ],
    ids=count(),
)
def test_a_file_is_not_believed(tmp_path: Path, document: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_tuned(document)
    tuned_file(tmp_path).write_bytes(document)
    with pytest.raises(EpochmarkError, match="--retune"):
        read_tuned(tmp_path, MACHINE)


def test_the_table_of_what_was_tried() -> None:
    failed = Tried(setting="compile", value="on", outcome="failed", detail="no compiler")
    rows = tuning_rows(tuned(tried=[*tuned().tried, failed]))
    assert rows == [
        ("layout", "columns", "2.00 (2.00 to 2.00)", "2", "55", "kept"),
        ("compile", "on", "-", "-", "-", "failed: no compiler"),
    ]
    assert tuning_lines(tuned()) == ["torch on cpu, tuned 2026-11-24: layout columns"]
    assert "3 of its 4 runs" in tuning_lines(tuned(disturbed=3))[1]


def test_what_tuned_gains_over_stock() -> None:
    stock, tuned_run = (sample(2, engine="torch", tuning=name) for name in ("stock", "tuned"))
    half = {
        name: getattr(stock.headline, name) / 2
        for name in ("steady_epoch_s", "steady_epoch_low_s", "steady_epoch_high_s")
    }
    faster = msgspec.structs.replace(
        tuned_run, headline=msgspec.structs.replace(tuned_run.headline, **half)
    )
    (line,) = gain_lines([stock, faster])
    assert line.startswith("torch on cpu: tuned trains 2.00 times as fast as stock (")
    assert gain_lines([stock]) == gain_lines([faster, faster]) == []


def test_what_gains_beyond_steps_is_kept_unless_steps_are_slower() -> None:
    """A trial of some steps sees nothing of what a setting saves between epochs."""
    beyond = Tunable("fused", ("no", "yes"), "", beyond_steps=True)
    kept = [found_on(Machinery({}, noise=0.01, seed=seed), beyond) for seed in range(20)]
    assert all(kept)
    assert found_on(Machinery({"fused=yes": 1.1}, noise=0.01), beyond) == {}


@pytest.mark.parametrize(
    ("engine", "settings"),
    [
        ("torch", ["adam", "compile", "threads"]),
        ("jax", ["data", "donate"]),
        ("tinygrad", ["adam"]),
        ("keras-torch", ["threads"]),
        ("keras-jax", []),
    ],
)
def test_a_transformer_is_not_tried_with_layouts_of_images(
    engine: str, settings: list[str]
) -> None:
    offered = get_engine(engine).info.tunables_on("cpu", WORKLOADS["gpt-3m"])
    assert [tunable.name for tunable in offered] == settings
