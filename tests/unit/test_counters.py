"""What the kernel counts, read from saved files and from this very machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from epochmark.hardware import counters
from epochmark.hardware.cgroups import quota_statistics
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

KINDS = [PsutilCounters, *([LinuxCounters] if sys.platform == "linux" else [])]

BURN = (
    "import sys, time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\nsys.stdin.read()"
)


def test_busy_idle_and_stolen_time_of_the_cpus_we_may_use() -> None:
    busy, idle, steal, runnable = parse_stat(STAT, {b"cpu1"})
    assert (busy, idle, steal, runnable) == (907 / TICK, 2025 / TICK, 40 / TICK, 3)
    both = parse_stat(STAT, {b"cpu0", b"cpu1"})
    assert both[0] == (606 + 907) / TICK


def test_a_name_with_spaces_and_brackets_does_not_shift_the_fields() -> None:
    line = b"7 (a) b (c) R 1 7 7 0 -1 4194304 99 0 0 0 150 50 30 20 20 0 1 0 277824 1 1"
    assert parse_process_stat(line) == 250 / TICK


def test_a_process_that_is_gone_used_nothing() -> None:
    assert parse_process_stat(b"") == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_a_group_with_a_quota_tells_when_it_throttled(tmp_path: Path) -> None:
    own = Path("/proc/self/cgroup").read_text("ascii")
    version_2 = [line[3:] for line in own.splitlines() if line.startswith("0::")]
    inner = tmp_path / (version_2[0].strip("/") if version_2 else "")
    inner.mkdir(parents=True, exist_ok=True)
    assert quota_statistics(tmp_path) is None
    (inner / "cpu.max").write_text("max 100000\n")
    assert quota_statistics(tmp_path) is None
    (inner / "cpu.max").write_text("150000 100000\n")
    assert quota_statistics(tmp_path) == inner / "cpu.stat"


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
    assert (burnt.busy_s - before.busy_s) - (burnt.own_s - before.own_s) > 0.15
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


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pressure_that_is_switched_off_leaves_swapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with psi=0, the default of RHEL 8; a folder can be opened but not read either."""
    really = counters._open
    switched_off = {"/proc/pressure/memory": tmp_path}
    monkeypatch.setattr(counters, "_open", lambda path: really(switched_off.get(path, path)))
    seen = LinuxCounters(os.getpid())
    reading = seen.read()
    seen.close()
    assert reading.memory_stall_s is None
    assert reading.swap_in_bytes is not None


def test_a_mac_does_not_tell_what_was_read_from_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a data set that is mapped into memory is no memory pressure."""
    for clock in ("CLOCK_MONOTONIC_RAW", "CLOCK_UPTIME_RAW"):
        monkeypatch.setattr(time, clock, time.CLOCK_MONOTONIC, raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert PsutilCounters(os.getpid()).read().swap_in_bytes is None
