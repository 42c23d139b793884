"""Watching a run: scripted counters in, the samples of a record out."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import msgspec
import pytest

from epochmark.analysis.machine.calm import calmness
from epochmark.bench.watching.preflight import Busy, Culprit, Unwatched, look, wait_for_calm
from epochmark.bench.watching.watch import MAX_SAMPLES, Watch
from epochmark.hardware.counters import Reading, open_counters
from epochmark.judge.disturbances import disturbances
from epochmark.worker.protocol import Fitted, Phase
from tests.unit.samples import record

FITTED = Fitted(startup_s=1.0, fit_ns=10**10, cpu_s=8.0, involuntary_switches=90)


class ScriptedCounters:
    """A machine on which the same happens every second: per second, seconds of each counter."""

    source, cpus = "script", 2

    def __init__(self, each_second: Reading, children_after: int | None = None) -> None:
        self._each = each_second
        self._children_after = children_after
        self.reads = self.searches = 0
        self.found = self.closed = False

    def read(self) -> Reading:
        self.reads += 1
        n, each = self.reads, self._each
        own_s = each.own_s + ((each.busy_s or 0.0) - each.own_s if self.found else 0.0)
        return replace(
            each,
            at_s=100.0 + n,
            busy_s=None if each.busy_s is None else n * each.busy_s,
            idle_s=None if each.idle_s is None else n * each.idle_s,
            own_s=n * own_s,
            steal_s=None if each.steal_s is None else n * each.steal_s,
        )

    def look_for_children(self) -> bool:
        self.searches += 1
        fresh = self._children_after == self.searches
        self.found = self.found or fresh
        return fresh

    def close(self) -> None:
        self.closed = True


def watched(counters: ScriptedCounters, samples: int) -> Watch:
    """A watch that has followed a fit of ``samples`` samples."""
    watch = Watch(lambda worker: counters, interval_s=0.0)
    watch.on_report(Phase("loading"), worker=os.getpid())
    assert counters.reads == 0, "only the fit is watched"
    watch.on_report(Phase("training"), worker=os.getpid())
    for _ in range(samples - 1):
        watch.tick()
    watch.on_report(FITTED, worker=os.getpid())
    return watch


CALM = Reading(at_s=0, busy_s=1.51, idle_s=0.49, own_s=1.5, steal_s=0.01, runnable=2)


def test_samples_become_means_over_the_fit() -> None:
    calm = watched(counters := ScriptedCounters(CALM), samples=10).calm(FITTED)
    assert calm is not None
    assert calm.end_s == [float(n) for n in range(1, 11)]
    assert calm.swap_in_bytes is None
    assert counters.closed
    seen = calmness(calm)
    assert seen.foreign_cpus == pytest.approx(0.01)
    assert seen.own_cpus == pytest.approx(1.5)
    assert seen.idle_cpus == pytest.approx(0.49)
    assert seen.steal_share == pytest.approx(0.01 / 1.52)
    assert seen.switches_per_s == pytest.approx(9.0)
    assert seen.memory_stall_share is None


def test_a_long_run_keeps_few_samples_and_loses_nothing() -> None:
    calm = watched(ScriptedCounters(CALM), samples=1000).calm(FITTED)
    assert calm is not None
    assert MAX_SAMPLES / 2 <= len(calm.end_s) <= MAX_SAMPLES
    assert calm.end_s == sorted(calm.end_s)
    assert calmness(calm).foreign_cpus == pytest.approx(0.01, abs=1e-4)


def test_cpu_time_of_the_whole_fit_is_never_negative() -> None:
    calm = watched(ScriptedCounters(CALM), samples=10).calm(FITTED)
    assert calm is not None
    ended = msgspec.structs.replace(calm, idle_cpu_s=[0.0, -0.01], own_cpu_s=[1.0, -5.0])
    seen = calmness(ended)
    assert (seen.own_cpus, seen.idle_cpus) == (0.0, 0.0)


def test_processes_of_our_own_tree_are_no_foreign_load() -> None:
    counters = ScriptedCounters(replace(CALM, busy_s=1.9, own_s=0.9), children_after=2)
    calm = watched(counters, samples=30).calm(FITTED)
    assert calm is not None
    assert calmness(calm).foreign_cpus == pytest.approx(0.0, abs=0.01)


def test_the_tree_is_searched_now_and_then_not_at_every_sample() -> None:
    watched(counters := ScriptedCounters(replace(CALM, own_s=0.5)), samples=60)
    assert 6 <= counters.searches <= 8


def test_a_calm_machine_is_searched_once() -> None:
    watched(counters := ScriptedCounters(CALM), samples=60)
    assert counters.searches == 1


class WithBusyPast(ScriptedCounters):
    """A worker whose children used 60 CPU seconds before the fit and nothing since."""

    def read(self) -> Reading:
        reading = super().read()
        return replace(reading, own_s=reading.own_s + (60.0 if self.searches else 0.0))


class WithForgottenPast(ScriptedCounters):
    """Somebody's CPU time is taken for foreign until a search finds that it was a child's."""

    def read(self) -> Reading:
        reading = super().read()
        late_s = 20.0 if self.searches > 1 else 0.0
        return replace(reading, own_s=reading.own_s + late_s)


def test_foreign_time_is_never_below_zero_and_none_is_lost() -> None:
    """What is found to have been our own is taken back from the samples before."""
    calm = watched(
        WithForgottenPast(replace(CALM, busy_s=1.9, own_s=0.9), children_after=9), samples=30
    ).calm(FITTED)
    assert calm is not None
    assert calm.foreign_cpu_s is not None
    assert min(calm.foreign_cpu_s) >= 0.0
    assert sum(calm.foreign_cpu_s) == pytest.approx(30 * 1.0 - 20.0)
    assert calm.own_cpu_s is not None
    assert sum(calm.own_cpu_s) == pytest.approx(30 * 0.9 + 20.0)
    both = [own + foreign for own, foreign in zip(calm.own_cpu_s, calm.foreign_cpu_s, strict=True)]
    assert both == pytest.approx([1.9] * 30), "each when it was used"


SILENT = replace(CALM, busy_s=0.0, idle_s=0.0, steal_s=0.0)


@pytest.mark.parametrize(
    "each_second",
    [
        SILENT,  # all zeros, or standing still
        replace(CALM, busy_s=None, idle_s=None, steal_s=None),
        replace(CALM, busy_s=1.2, idle_s=0.8),  # of the 1.5 s that our own processes used
        replace(CALM, busy_s=9.0),  # of two seconds that the processors had
        replace(CALM, busy_s=0.1, idle_s=0.1, own_s=0.0),  # the worker used 8 s in all
    ],
)
def test_counters_that_cannot_be_true_tell_nothing(each_second: Reading) -> None:
    calm = watched(ScriptedCounters(each_second), samples=30).calm(FITTED)
    assert calm is not None
    assert (calm.foreign_cpu_s, calm.idle_cpu_s, calm.steal_cpu_s) == (None, None, None)
    assert calm.runnable is None
    run = record(calm=msgspec.to_builtins(calm), timing__fit_ns=FITTED.fit_ns)
    unwatched = next(disturbances(run))
    assert unwatched.code == "unwatched"


def test_counters_that_stand_still_beside_an_idle_processor_tell_nothing() -> None:
    """As with a run on a GPU, which needs so little CPU time that it could be missed."""
    calm = watched(ScriptedCounters(replace(SILENT, own_s=0.001)), samples=30).calm(
        replace(FITTED, cpu_s=0.03)
    )
    assert calm is not None
    assert calm.foreign_cpu_s is None


def test_processes_of_ours_that_cannot_be_seen_make_no_other_foreign() -> None:
    """``/proc`` of another namespace: our own time would pass for that of others."""
    calm = watched(ScriptedCounters(replace(CALM, own_s=0.01)), samples=30).calm(FITTED)
    assert calm is not None
    assert (calm.own_cpu_s, calm.foreign_cpu_s) == (None, None)


def test_a_machine_that_cannot_be_watched_is_not_waited_for_and_not_called_calm() -> None:
    heard: list[Busy] = []
    for each in (SILENT, replace(CALM, busy_s=None)):
        machine = ScriptedCounters(replace(each, own_s=0.0))
        seen = wait_for_calm(lambda root, m=machine: m, heard.append, sleep=lambda seconds: None)  # type: ignore[misc]
        assert isinstance(seen, Unwatched)
        assert machine.reads == 2
    assert heard == []


def test_what_children_used_before_the_fit_hides_no_foreign_load() -> None:
    calm = watched(WithBusyPast(replace(CALM, own_s=0.5)), samples=30).calm(FITTED)
    assert calm is not None
    assert calmness(calm).foreign_cpus == pytest.approx(1.01)


def test_what_watching_costs_is_counted() -> None:
    calm = watched(ScriptedCounters(CALM), samples=100).calm(FITTED)
    assert calm is not None
    assert 0 < calm.cost.sampler_cpu_s <= calm.cost.parent_cpu_s


def test_a_fit_that_did_not_end_has_no_samples() -> None:
    watch = Watch(lambda worker: ScriptedCounters(CALM), interval_s=0.0)
    watch.on_report(Phase("training"), worker=os.getpid())
    watch.tick()
    watch.close()
    assert watch.calm(None) is None
    assert watch.wait_s() == float("inf")


def test_the_cpu_time_of_a_worker_that_has_gone_is_not_that_of_others() -> None:
    """We looked away for so long that the worker has done its work and ended."""
    program = "import sys, time\nsys.stdin.read()\nwhile time.process_time() < 0.5: pass\n"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as worker:
        watch = Watch(open_counters)
        watch.on_report(Phase("training"), worker.pid)
    watch.on_report(FITTED, worker.pid)
    assert watch.calm(FITTED) is None


def test_a_watch_without_counters_sees_nothing() -> None:
    watch = Watch(None)
    watch.on_report(Phase("training"), worker=os.getpid())
    watch.tick()
    watch.on_report(FITTED, worker=os.getpid())
    assert watch.calm(FITTED) is None


def test_a_calm_machine_is_not_waited_for() -> None:
    heard: list[Busy] = []
    quiet = ScriptedCounters(replace(CALM, busy_s=0.0, own_s=0.0, idle_s=2.0))
    assert wait_for_calm(lambda root: quiet, heard.append, sleep=lambda seconds: None) is None
    assert heard == []


def test_a_busy_machine_is_reported_once_and_waited_for() -> None:
    heard: list[Busy] = []
    busy = ScriptedCounters(replace(CALM, busy_s=0.9, own_s=0.0, idle_s=1.1))
    seen = wait_for_calm(lambda root: busy, heard.append, sleep=lambda seconds: None)
    assert isinstance(seen, Busy)
    assert [round(sight.foreign_cpus, 2) for sight in heard] == [0.9]
    assert heard[0].cpus == 2


def test_what_disturbs_but_costs_little_is_said_and_not_waited_for() -> None:
    heard: list[Busy] = []
    stirring = ScriptedCounters(replace(CALM, busy_s=0.2, own_s=0.0, idle_s=1.8))
    seen = wait_for_calm(lambda root: stirring, heard.append, sleep=lambda seconds: None)
    assert isinstance(seen, Busy)
    assert round(seen.foreign_cpus, 2) == 0.2
    assert heard == []


@pytest.mark.parametrize(
    ("own_cpus", "foreign_cpus", "calm"),
    [(4, 0.4, True), (4, 0.6, False), (8, 0.4, False), (None, 0.2, False), (None, 0.08, True)],
)
def test_beside_a_run_that_leaves_half_of_the_cpus_more_is_borne(
    own_cpus: int | None, foreign_cpus: float, calm: bool
) -> None:
    """As by the rule that judges the run: it would be marked as disturbed, or not."""
    each_second = replace(CALM, busy_s=foreign_cpus, own_s=0.0, idle_s=16 - foreign_cpus)
    machine = ScriptedCounters(each_second)
    machine.cpus = 16
    seen = look(lambda root: machine, own_cpus, sleep=lambda seconds: None)
    assert (seen is None) == calm


@pytest.mark.parametrize(
    ("busy", "text"),
    [
        (
            Busy(0.93, 2, Culprit("python3", 0.9, 720.0)),
            "another process uses 0.9 of 2 CPUs: python3, started 12 min ago",
        ),
        (
            Busy(1.5, 8, Culprit("cc1plus", 0.5, 3.0)),
            "other programs use 1.5 of 8 CPUs; the busiest (0.5) is cc1plus, started 3 s ago",
        ),
        (Busy(0.5, 1, None), "other programs use 0.5 of 1 CPU"),
    ],
)
def test_the_message_names_the_culprit(busy: Busy, text: str) -> None:
    assert str(busy) == text
