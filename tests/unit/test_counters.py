"""What the kernel counts, read from saved files and from this very machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from epochmark.bench.watching.watch import foreign_cpu_s
from epochmark.hardware import counters
from epochmark.hardware.counters import (
    Counters,
    LinuxCounters,
    PsutilCounters,
    parse_process_stat,
    parse_stat,
)

STAT = b"""cpu  1000 200 300 4000 50 6 7 80 90 9
cpu0 400 100 100 2000 25 3 3 40 90 9
cpu1 600 100 200 2000 25 3 4 40 0 0
intr 123 0 9
ctxt 456
btime 1700000000
processes 4242
procs_running 3
procs_blocked 0
"""
TICK = counters.TICKS_PER_S

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

KINDS = [PsutilCounters, *([LinuxCounters] if sys.platform == "linux" else [])]

BURN = (
    "import sys, time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\nsys.stdin.read()"
)


def test_busy_idle_and_stolen_time_of_the_cpus_we_may_use() -> None:
    assert parse_stat(STAT, {b"cpu1"}) == (907 / TICK, 2025 / TICK, 40 / TICK, 3)
    both = parse_stat(STAT, {b"cpu0", b"cpu1"})
    assert both is not None
    assert both.busy_s == (606 + 907) / TICK


@pytest.mark.parametrize(
    "content",
    [
        b"",
        STAT.replace(b"cpu1", b"cpu7"),  # offline, or renumbered by a container
        STAT.replace(b"cpu1 600 100", b"cpu1 600 many"),
        STAT.replace(b"cpu1 600 100 200 2000 25 3 4 40 0 0", b"cpu1 600"),
        STAT.replace(b"600", b"9" * 400),
        b"\xff\xfe\x00",
    ],
)
def test_processors_that_are_not_listed_are_not_known(content: bytes) -> None:
    """Not idle: a run beside a busy loop would pass for calm."""
    assert parse_stat(content, {b"cpu0", b"cpu1"}) is None


def test_a_name_with_spaces_and_brackets_does_not_shift_the_fields() -> None:
    line = b"7 (a) b (c) R 1 7 7 0 -1 4194304 99 0 0 0 150 50 30 20 20 0 1 0 277824 1 1"
    assert parse_process_stat(line) == 250 / TICK


def test_a_process_that_is_gone_used_nothing() -> None:
    assert parse_process_stat(b"") == 0.0


def machine_folder(root: Path, **files: str) -> Path:
    """A folder with a ``proc`` and ``sys`` of its own; ``__`` in a name stands for a slash."""
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "proc").mkdir(exist_ok=True)
    return root


@linux
@pytest.mark.parametrize(
    ("statistics", "throttled_s"),
    [
        # Linux 5.15, version 2
        ("usage_usec 9600000\nnr_periods 835\nnr_throttled 824\nthrottled_usec 7900000\n", 7.9),
        # Linux 3.10, version 1
        ("nr_periods 835\nnr_throttled 824\nthrottled_time 7900000000\n", 7.9),
        ("usage_usec 9600000\n", None),
        ("throttled_usec many\n", None),
    ],
)
def test_a_group_with_a_quota_says_for_how_long_it_throttled(
    statistics: str, throttled_s: float | None, tmp_path: Path
) -> None:
    files = {"sys__fs__cgroup__cpu.max": "100000 100000\n"}
    root = machine_folder(tmp_path, **files, **{"sys__fs__cgroup__cpu.stat": statistics})
    seen = LinuxCounters(os.getpid(), root)
    assert seen.read().quota_throttled_s == pytest.approx(throttled_s)
    seen.close()


@linux
def test_a_machine_that_reports_nothing_is_read_without_an_error(tmp_path: Path) -> None:
    seen = LinuxCounters(os.getpid(), machine_folder(tmp_path))
    reading = seen.read()
    seen.close()
    assert (reading.busy_s, reading.idle_s, reading.steal_s) == (None, None, None)
    assert (reading.runnable, reading.swap_in_bytes, reading.memory_stall_s) == (None, None, None)


@linux
def test_a_machine_with_thousands_of_cpus_is_read_whole(tmp_path: Path) -> None:
    """Its ``/proc/stat`` is longer than one read; we may run on the last of them as well."""
    mask = os.sched_getaffinity(0)
    others = "".join(f"cpu{n} 1 2 3 4 5 6 7 8 9 10{' ' * 20}\n" for n in range(9000, 13000))
    ours = "".join(f"cpu{n} 100 0 0 300 0 0 0 0 0 0\n" for n in sorted(mask))
    text = f"{others}{ours}procs_running 3\n"
    assert len(text) > 2 * counters.READ_BYTES
    seen = LinuxCounters(os.getpid(), machine_folder(tmp_path, proc__stat=text))
    reading = seen.read()
    seen.close()
    assert (reading.busy_s, reading.idle_s) == (len(mask) * 100 / TICK, len(mask) * 300 / TICK)
    assert reading.runnable == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_is_foreign_until_it_is_known_as_a_child(
    kind: type[PsutilCounters | LinuxCounters],
) -> None:
    """A real process burns 0.3 s of CPU time; ticks of 10 ms make busy time inexact."""
    seen: Counters = kind(os.getpid())
    before = seen.read()
    with subprocess.Popen(
        [sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        burnt = seen.read()
        assert seen.look_for_children()
        known = seen.read()
        assert not seen.look_for_children()
        child.communicate()
    seen.close()
    foreign_s = foreign_cpu_s(before, burnt)
    assert foreign_s is not None
    assert foreign_s > 0.15
    assert known.own_s - burnt.own_s > 0.25
    assert known.at_s > before.at_s


@pytest.mark.parametrize("kind", KINDS)
def test_reading_a_tree_that_has_ended_is_no_error(
    kind: type[PsutilCounters | LinuxCounters],
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        opened: list[Counters] = [kind(child.pid)]
        child.wait()
    opened.append(kind(child.pid))
    for seen in opened:
        first = seen.read()
        assert not seen.look_for_children()
        assert seen.read().own_s >= first.own_s
        seen.close()


@linux
def test_pressure_that_is_switched_off_leaves_swapping(tmp_path: Path) -> None:
    """As with psi=0, the default of RHEL 8; a folder can be opened but not read either."""
    (tmp_path / "proc/pressure/memory").mkdir(parents=True)
    root = machine_folder(tmp_path, proc__vmstat="pgpgin 9\npswpin 12\npswpout 3\n")
    seen = LinuxCounters(os.getpid(), root)
    reading = seen.read()
    seen.close()
    assert reading.memory_stall_s is None
    assert reading.swap_in_bytes == 12 * counters.PAGE_BYTES


def test_a_mac_does_not_tell_what_was_read_from_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a data set that is mapped into memory is no memory pressure."""
    for clock in ("CLOCK_MONOTONIC_RAW", "CLOCK_UPTIME_RAW"):
        monkeypatch.setattr(time, clock, time.CLOCK_MONOTONIC, raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert PsutilCounters(os.getpid()).read().swap_in_bytes is None
