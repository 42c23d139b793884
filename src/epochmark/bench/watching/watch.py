"""Watch the machine around a run from outside, a few times a second, while its fit goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from itertools import accumulate, pairwise

from epochmark.analysis.machine.calm import counts_all, counts_worker
from epochmark.analysis.timing.beside import FOREIGN_CPUS
from epochmark.bench.watching.sensing import Sensing
from epochmark.hardware.counters import Counters, Reading
from epochmark.hardware.processes import is_there
from epochmark.hardware.sensors import OpenSensor
from epochmark.records.record import Calm, SensorLog, WatchingCost
from epochmark.worker.protocol import Fitted, Message, Phase

INTERVAL_S = 0.25
"""An epoch of two seconds then has samples enough to see what the framework waits in it."""
MAX_SAMPLES = 240
"""When there are more, every second one goes and the interval doubles: a record stays small, and
each of ten epochs has twelve samples or more."""

SUSPICIOUS_CPUS = FOREIGN_CPUS
"""Foreign CPU use from which the tree is searched for processes that only seem foreign ..."""
SEARCH_INTERVAL_S = 10.0
"""... but not more often than this: searching looks at every process of the machine."""

OpenCounters = Callable[[int], Counters]


class Watch:
    """Follows one worker: the launcher hands it every report, and calls ``tick`` when it is due.

    Without ``open_counters`` it sees nothing, without ``sensors`` it feels nothing.
    """

    def __init__(
        self,
        open_counters: OpenCounters | None,
        sensors: Mapping[str, OpenSensor] | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._open_counters = open_counters
        self._sensors = sensors
        self._sensing: Sensing | None = None
        self._counters: Counters | None = None
        self._source, self._cpus, self._worker = "", 0, 0
        self._readings: list[Reading] = []
        self._interval_s = interval_s
        self._due_s = self._never = float("inf")
        self._searched_s = float("-inf")
        self._sampler_s = 0.0
        self._parent_began_s = self._parent_s = 0.0

    def on_report(self, report: Message, worker: int) -> None:
        """The process ``worker`` reported something; only begin and end of the fit matter.

        Sensors are opened before, while the worker still imports its framework.
        """
        if self._sensing is None and self._sensors is not None:
            self._sensing = Sensing(self._sensors, worker)
        if self._sensing is not None:
            if isinstance(report, Phase) and report.name == "training":
                self._sensing.begin()
            elif isinstance(report, Fitted):
                self._sensing.end()
                self._sampler_s += self._sensing.cpu_s
        if self._open_counters is None:
            return
        if isinstance(report, Phase) and report.name == "training":
            self._worker = worker
            self._counters = self._open_counters(worker)
            self._source, self._cpus = self._counters.source, self._counters.cpus
            self._parent_began_s = time.process_time()
            self._sample(self._counters)
        elif isinstance(report, Fitted) and self._counters is not None:
            self._sample(self._counters)
            self._parent_s = time.process_time() - self._parent_began_s
            self.close()

    def close(self) -> None:
        """Nothing more is to be watched."""
        if self._counters is not None:
            self._counters.close()
            self._counters = None
        if self._sensing is not None:
            self._sensing.end()
        self._due_s = self._never

    def wait_s(self) -> float:
        """Seconds until ``tick`` is due; infinite outside the fit."""
        return max(0.0, self._due_s - time.monotonic())

    def tick(self) -> None:
        """Take a sample if one is due."""
        if self._counters is not None and time.monotonic() >= self._due_s:
            self._sample(self._counters)

    def sensor_logs(self) -> list[SensorLog] | None:
        """What the sensors said so far; None when none were asked."""
        return None if self._sensing is None else self._sensing.logs()

    def calm(self, fitted: Fitted | None) -> Calm | None:
        """What was seen, for the record; None when the fit did not come to its end."""
        if fitted is None or len(self._readings) < 2:
            return None
        readings = self._readings
        grown = {field.name: _grown(readings, field.name) for field in fields(Reading)}
        own_s = grown["own_s"]
        if own_s is not None and not counts_worker(own_s[-1], fitted.cpu_s or 0.0):
            own_s = None
        lasted_s = readings[-1].at_s - readings[0].at_s
        foreign_s: list[float] | None = None
        shares = _shares_s(grown, own_s, self._cpus, lasted_s)
        if shares is None:  # what cannot be believed of some counters cannot of their siblings
            grown.update(idle_s=None, steal_s=None, runnable=None)
        else:
            own_s, foreign_s = shares
        return Calm(
            source=self._source,
            cpus=self._cpus,
            end_s=[_short(later.at_s - readings[0].at_s) for later in readings[1:]],
            foreign_cpu_s=_each(foreign_s),
            own_cpu_s=_each(own_s),
            idle_cpu_s=_each(grown["idle_s"]),
            steal_cpu_s=_each(grown["steal_s"]),
            memory_stall_s=_each(grown["memory_stall_s"]),
            swap_in_bytes=_each(grown["swap_in_bytes"]),
            quota_throttled_s=_each(grown["quota_throttled_s"]),
            suspended_s=_each(grown["suspended_s"]),
            runnable=None
            if grown["runnable"] is None
            else [float(later.runnable or 0) for later in readings[1:]],
            worker_cpu_s=fitted.cpu_s,
            involuntary_switches=fitted.involuntary_switches,
            cost=WatchingCost(
                sampler_cpu_s=_short(self._sampler_s),
                parent_cpu_s=_short(self._parent_s),
                reporting_cpu_s=_short(fitted.reporting_cpu_s),
            ),
        )

    def _sample(self, counters: Counters) -> None:
        began_s = time.thread_time()
        if not self._readings:
            counters.look_for_children()  # else what they used before the fit counts when found
        reading = counters.read()
        if self._is_suspicious(reading) and counters.look_for_children():
            reading = counters.read()
        if not is_there(self._worker):
            return  # its CPU time is gone with it, and would pass for that of others
        self._readings.append(reading)
        if len(self._readings) > MAX_SAMPLES:
            self._readings = self._readings[::2]
            self._interval_s *= 2
        self._due_s = time.monotonic() + self._interval_s
        self._sampler_s += time.thread_time() - began_s

    def _is_suspicious(self, reading: Reading) -> bool:
        """Whether foreign CPU use is high, and the last search was long enough ago."""
        if not self._readings or reading.at_s - self._searched_s < SEARCH_INTERVAL_S:
            return False
        last = self._readings[-1]
        foreign_s = foreign_cpu_s(last, reading)
        if foreign_s is None or foreign_s <= SUSPICIOUS_CPUS * (reading.at_s - last.at_s):
            return False
        self._searched_s = reading.at_s
        return True


def foreign_cpu_s(earlier: Reading, later: Reading) -> float | None:
    """CPU seconds that neither the worker's tree nor we used; None where they are not counted. A
    little below zero at times: the kernel counts a machine's time in ticks and a process's more
    finely."""
    if earlier.busy_s is None or later.busy_s is None:
        return None
    return (later.busy_s - earlier.busy_s) - (later.own_s - earlier.own_s)


def _grown(readings: Sequence[Reading], name: str) -> list[float] | None:
    """How much a counter had grown at each reading since the first; None where it is missing once.

    None of them falls in truth: the kernel's idle and stolen time are not exact, and a process that
    ended takes its CPU time along until its parent has it.
    """
    values = [getattr(reading, name) for reading in readings]
    if None in values:
        return None
    return [highest - values[0] for highest in accumulate(values, max)]


def _shares_s(
    grown: Mapping[str, Sequence[float] | None],
    own_s: Sequence[float] | None,
    cpus: int,
    lasted_s: float,
) -> tuple[list[float], list[float]] | None:
    """The same of our own and of foreign CPU time; None where the counters do not report it.

    What a child of ours had used before it was found, or before it ended, is taken back from the
    foreign time of then and counts as ours, and so do ticks that were counted too early.
    """
    busy_s, idle_s, steal_s = (grown[name] for name in ("busy_s", "idle_s", "steal_s"))
    if busy_s is None or idle_s is None or own_s is None:
        return None
    stolen_s = 0.0 if steal_s is None else steal_s[-1]
    if not counts_all(cpus, lasted_s, busy_s[-1], idle_s[-1], stolen_s, own_s[-1]):
        return None
    foreign_s = [busy - own for busy, own in zip(busy_s, own_s, strict=True)]
    # a sum never falls: each entry is at most the least of what follows
    backwards = [*accumulate(reversed(foreign_s), min)]
    foreign_s = [max(0.0, least) for least in reversed(backwards)]
    ours = [busy - foreign for busy, foreign in zip(busy_s, foreign_s, strict=True)]
    return ours, foreign_s


def _each(grown: Sequence[float] | None) -> list[float] | None:
    """How much was added from each reading to the next."""
    return None if grown is None else [_short(later - at) for at, later in pairwise(grown)]


def _short(seconds: float) -> float:
    return round(seconds, 4) + 0.0  # no -0.0
