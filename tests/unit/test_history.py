"""A machine over time: which runs form a series, and what each run changed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from epochmark.analysis.comparing.history import Series, history
from epochmark.records.record import Gpu, Record
from epochmark.report.text.history import history_lines
from tests.unit.samples import record

SECOND = 1_000_000_000
UNSTEADY = [{"code": "unsteady", "detail": "it was"}]


def run(
    number: int, epoch_s: float, spread: float = 0.002, steps: int = 469, **values: Any
) -> Record:
    """The run of that day of November 2026; its epochs are up to ``spread`` shorter or longer."""
    ends_s = itertools.accumulate(epoch_s * (1 + spread * (n % 3 - 1)) for n in range(10))
    laps = [
        {"epoch": n, "steps": steps, "end_ns": round(end_s * SECOND)}
        for n, end_s in enumerate(ends_s, start=1)
    ]
    timing = {"startup_s": 1.0, "fit_ns": laps[-1]["end_ns"], "laps": laps}
    created = f"2026-11-{number:02d}T10:00:00Z"
    return record(timing=timing, id=f"{number:012d}", created=created, **values)


def torch(number: int, epoch_s: float, version: str, **values: Any) -> Record:
    return run(number, epoch_s, engine__name="torch", engine__family="torch",
               engine__versions={"torch": version}, **values)  # fmt: skip


def only(records: Sequence[Record]) -> Series:
    (series,) = history(records)
    return series


def text_of(records: Sequence[Record]) -> list[str]:
    return [line.partition(") ")[2].strip() for line in history_lines([only(records)])[1:]]


def test_a_new_version_is_named_with_what_it_gained() -> None:
    series = only([torch(2, 10.0, "2.13.0"), torch(1, 11.0, "2.12.1")])
    first, second = series.entries
    assert first.change is None
    assert second.change is not None
    assert second.change.verdict == "faster"
    assert second.change.before.id == first.record.id
    assert second.change.times_as_fast.median == pytest.approx(1.1)
    assert second.change.times_as_fast.low > 1.09
    assert text_of([entry.record for entry in series.entries]) == [
        "",
        "torch 2.12.1 -> 2.13.0: 1.10 times as fast (1.09 to 1.11)",
    ]


def test_a_slower_run_has_a_ratio_below_one() -> None:
    (_, change) = text_of([torch(1, 10.0, "2.12.1"), torch(2, 12.5, "2.13.0")])
    assert change.startswith("torch 2.12.1 -> 2.13.0: 0.80 times as fast (0.79")


def test_no_clear_difference_is_said_beside_what_changed() -> None:
    (_, change) = text_of([torch(1, 10.0, "2.12.1"), torch(2, 10.05, "2.13.0")])
    assert change.startswith("torch 2.12.1 -> 2.13.0: no clear difference (0.9")


def test_a_change_without_a_recorded_cause_says_where_to_look() -> None:
    (_, change) = text_of([torch(1, 10.0, "2.13.0"), torch(2, 10.9, "2.13.0")])
    assert change.startswith("nothing recorded changed, yet 8% slower (0.91")
    assert change.endswith("look at heat, other guests of the host, power mode")


def test_a_disturbed_run_is_shown_and_decides_nothing() -> None:
    noisy = torch(2, 15.0, "2.13.0", spread=0.5, findings=UNSTEADY)
    series = only([torch(1, 10.0, "2.13.0"), noisy, torch(3, 10.0, "2.13.0")])
    assert [entry.decides for entry in series.entries] == [True, False, True]
    assert series.entries[1].change is None
    last = series.entries[2].change
    assert last is not None
    assert last.before.id == series.entries[0].record.id
    assert text_of([entry.record for entry in series.entries])[1] == (
        "disturbed (unsteady): not compared"
    )


def test_each_way_to_train_is_a_series_of_its_own() -> None:
    records = [
        torch(1, 10.0, "2.13.0"),
        torch(2, 9.0, "2.13.0", steps=938, workload__variant=["batch 64"], workload__batch_size=64),
        torch(
            3,
            8.0,
            "2.13.0",
            engine__tuning="tuned",
            engine__tuned_settings={"adam": "fused"},
            precision__requested="float32",
        ),
        run(4, 7.0),
    ]
    assert [(s.setup.engine, s.setup.tuning, s.setup.variant) for s in history(records)] == [
        ("fake", "stock", ()),
        ("torch", "stock", ()),
        ("torch", "stock", ("batch 64",)),
        ("torch", "tuned", ()),
    ]
    assert all(len(s.entries) == 1 for s in history(records))


def test_the_speed_over_time_needs_three_valid_runs() -> None:
    runs = [torch(n, epoch_s, "2.13.0") for n, epoch_s in enumerate((20.0, 20.0, 10.0), start=1)]
    assert history_lines([only(runs)])[1] == "  speed  ▅▅█"
    assert "speed" not in " ".join(history_lines([only(runs[:2])]))


def test_a_new_driver_or_power_limit_of_the_gpu_is_what_changed() -> None:
    def on_gpu(number: int, epoch_s: float, driver: str, watts: float) -> Record:
        made = torch(
            number, epoch_s, "2.13.0", device__resolved="gpu:0", device__observed=["gpu:0"]
        )
        gpu = Gpu(name="NVIDIA H200", driver=driver, power_limit_w=watts)
        return msgspec.structs.replace(
            made, machine=msgspec.structs.replace(made.machine, gpus=[gpu])
        )

    (_, driver) = text_of([on_gpu(1, 11.0, "580.82.07", 700), on_gpu(2, 10.0, "595.57", 700)])
    assert driver == "GPU driver 580.82.07 -> 595.57: 1.10 times as fast (1.09 to 1.11)"
    (_, limit) = text_of([on_gpu(1, 10.0, "595.57", 700), on_gpu(2, 12.5, "595.57", 500)])
    assert limit.startswith("GPU power limit 700 W -> 500 W: 0.80 times as fast")


def test_the_gpus_of_the_machine_say_nothing_about_a_run_on_its_processor() -> None:
    runs = [torch(number, epoch_s, "2.13.0") for number, epoch_s in ((1, 11.0), (2, 10.0))]
    machines = [
        msgspec.structs.replace(run.machine, gpus=[Gpu(name="NVIDIA H200", driver=driver)])
        for run, driver in zip(runs, ("580.82.07", "595.57"), strict=True)
    ]
    (_, change) = text_of(
        [
            msgspec.structs.replace(run, machine=machine)
            for run, machine in zip(runs, machines, strict=True)
        ]
    )
    assert change.startswith("nothing recorded changed, yet 10% faster")
