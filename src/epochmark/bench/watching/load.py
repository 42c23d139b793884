"""How busy other programs are while a worker measures what the machine can do."""

from __future__ import annotations

from epochmark.analysis.machine.calm import counts_all
from epochmark.bench.watching.watch import OpenCounters, Watch, foreign_cpu_s
from epochmark.hardware.counters import Counters, Reading
from epochmark.hardware.processes import is_there
from epochmark.records.machine.machine_limits import LOADED_CPUS
from epochmark.worker.protocol import Message

MIN_S = 0.5
"""Over less time than that, ticks of CPU time show nothing."""


class LoadWatch(Watch):
    """Follows one worker from its first report to its last: counters are read at each of them, and
    nothing is read in between."""

    def __init__(self, open_counters: OpenCounters) -> None:
        super().__init__(open_counters)
        self._first: Reading | None = None
        self._last: Reading | None = None

    def on_report(self, report: Message, worker: int) -> None:
        if self._first is None and self._open_counters is not None:
            self._counters = self._open_counters(worker)
            self._cpus = self._counters.cpus
            self._first = self._counters.read()
        elif self._counters is not None:
            reading = self._read(self._counters)
            if is_there(worker):  # else its CPU time is gone, and would pass for that of others
                self._last = reading

    def foreign_cpus(self) -> float | None:
        """CPUs that other programs used on average; None where unknown."""
        first, last = self._first, self._last
        if first is None or last is None or last.at_s - first.at_s < MIN_S:
            return None
        foreign_s, lasted_s = foreign_cpu_s(first, last), last.at_s - first.at_s
        if foreign_s is None or first.idle_s is None or last.idle_s is None:
            return None
        own_s, idle_s = last.own_s - first.own_s, last.idle_s - first.idle_s
        stolen_s = (last.steal_s or 0.0) - (first.steal_s or 0.0)
        if not counts_all(self._cpus, lasted_s, foreign_s + own_s, idle_s, stolen_s, own_s):
            return None
        return max(0.0, foreign_s) / lasted_s

    def _read(self, counters: Counters) -> Reading:
        """Once more where what seems to be others' may be that of processes the worker started."""
        reading, first = counters.read(), self._first
        foreign_s = None if first is None else foreign_cpu_s(first, reading)
        if first is None or foreign_s is None:
            return reading
        if foreign_s > LOADED_CPUS * (reading.at_s - first.at_s) and counters.look_for_children():
            return counters.read()
        return reading
