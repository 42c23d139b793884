"""The limits of a machine as a user sees them, and how large arrays must be for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from epochmark.bench.measure_limits import triad_size
from epochmark.hardware.cgroups import memory_limit
from epochmark.hardware.memory import last_level_cache_bytes
from epochmark.records.machine.machine_limits import EngineLimits, NativeProduct, Timed
from epochmark.report.tables.limits import limits_sections
from epochmark.worker.measure import time_calls
from tests.unit.test_limits_file import (
    WHEN,
    engine,
    limits,
    multiply_adds,
    of_processor,
    timed,
)

MIB = 1 << 20
GIB = 1 << 30


def test_every_figure_stands_in_a_table() -> None:
    product = NativeProduct(size=1536, instruction_set="avx2", threads=2, timed=timed(101.4))
    processor = limits().processor
    assert processor is not None
    processor = msgspec.structs.replace(processor, products=[product], problems=["hot"])
    measured = msgspec.structs.replace(
        engine("torch", "cpu", 98.7),
        convolution=timed(250.0),
        dispatch=Timed(work=1.0, seconds=[4.2e-6]),
        input=Timed(work=401_408.0, seconds=[4.92e-3]),
    )
    arithmetic, memory, engines = limits_sections(
        msgspec.structs.replace(limits(measured), processor=processor)
    )
    assert arithmetic.rows == (
        ("avx2", "float32", "1", "80", "-"),
        ("avx2", "float32", "2", "160", "101"),
        ("portable", "float32", "2", "20", "-"),
    )
    assert "Highest float32 peak: 160 GFLOP/s (avx2 multiply-adds, 2 threads)." in arithmetic.notes
    assert memory.rows == (("3 x 256 MiB", "1", "20"), ("3 x 256 MiB", "2", "30"))
    assert "hot" in memory.notes
    assert engines.rows == (("torch", "cpu", "99", "250", "4.2 µs", "4,920 µs", WHEN[:10]),)


def test_an_engine_that_failed_is_shown_with_the_reason() -> None:
    broken = EngineLimits(
        measured=WHEN, epochmark_version="0", engine="jax", device="gpu:0", problem="no\x1bmemory"
    )
    section = limits_sections(limits(broken))[-1]
    assert section.rows == (("jax", "gpu:0", "-", "-", "-", "-", WHEN[:10]),)
    assert section.notes[-1] == "jax on gpu:0: no memory"


def test_what_is_measured_again_replaces_what_there_was() -> None:
    kept = limits(engine("torch", "cpu", 1.0), engine("torch", "gpu:0", 2.0))
    kept = kept.with_engine(engine("torch", "cpu", 3.0)).with_engine(engine("jax", "cpu", 4.0))
    found = {
        f"{measured.engine} {measured.device}": round(measured.product.timed.per_s.median, 6)
        for measured in kept.engines
        if measured.product
    }
    assert found == {"jax cpu": 4.0, "torch cpu": 3.0, "torch gpu:0": 2.0}


@pytest.mark.parametrize(
    ("cache", "memory", "sum_mib", "problem"),
    [
        (None, 16 * GIB, 384, False),
        (8 * MIB, 16 * GIB, 384, False),
        (300 * MIB, 24 * GIB, 1200, False),
        (300 * MIB, 4 * GIB, 512, True),
        (None, 1 * GIB, 128, False),
        (8 * MIB, 1 * GIB, 128, False),
    ],
)
def test_the_triad_outgrows_the_caches_as_far_as_memory_allows(
    cache: int | None, memory: int, sum_mib: int, problem: bool
) -> None:
    size = triad_size(cache, memory)
    assert 3 * size.array_bytes == pytest.approx(sum_mib * MIB, abs=3 * 4096)
    assert 3 * size.array_bytes <= memory / 8
    assert (size.problem is not None) is problem


def test_caches_are_counted_once_each_and_only_the_last_level(tmp_path: Path) -> None:
    assert last_level_cache_bytes(tmp_path) is None
    for cpu in range(4):
        for index, (level, kind, size, shared) in enumerate(
            [
                (1, "Data", "48K", f"{cpu}"),
                (3, "Unified", "2M", "0-1" if cpu < 2 else "2-3"),
            ]
        ):
            folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/cache/index{index}"
            folder.mkdir(parents=True)
            for name, text in [
                ("level", level), ("type", kind), ("size", size), ("shared_cpu_list", shared),
            ]:  # fmt: skip
                (folder / name).write_text(f"{text}\n")
    assert last_level_cache_bytes(tmp_path) == 4 * MIB


def test_a_control_group_limits_memory(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) is None
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    assert memory_limit(tmp_path) is None
    (group / "memory.max").write_text(f"{GIB}\n")
    assert memory_limit(tmp_path) == GIB


def test_short_calls_are_timed_together_and_waited_for() -> None:
    waited: list[int] = []
    calls = iter(range(10**9))
    seconds = time_calls(lambda: next(calls), waited.append)
    assert len(seconds) >= 3
    assert all(0 < second < 0.1 for second in seconds)
    assert waited[0] == 0
    assert waited == sorted(waited)
    assert waited[-1] == next(calls) - 1, "the last call of a repetition is waited for"


def test_a_peak_that_bounds_nothing_says_why() -> None:
    def notes(*rates: float, **circumstances: Any) -> str:
        peaks = [multiply_adds("avx512", n, rate) for n, rate in enumerate(rates, start=1)]
        return " ".join(limits_sections(of_processor(*peaks, **circumstances))[0].notes)

    assert "other programs used 1.6 CPUs" in notes(100.0, 200.0, foreign_cpus=1.6)
    assert "more threads reached less than fewer" in notes(237.0, 226.0)
    assert "real peak" not in notes(100.0, 200.0, foreign_cpus=0.01)
