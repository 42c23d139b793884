"""Read the machine's sensors while a fit goes on, without ever waiting for one of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from epochmark.hardware.sensors import Channel, OpenSensor, Sensor, UnreadableError
from epochmark.records.quantities import QUANTITIES, implausible
from epochmark.records.record import SensorColumn, SensorLog

MAX_READINGS = 240
"""When there are more, every second one goes and the interval doubles: a record stays small."""
MAX_COLUMNS = 100
"""As many as a record's sensor may have: a machine with many GPUs has more."""
CPU_SHARE = 0.0003
"""Of one CPU, that one sensor may cost, its first reading aside (cold caches, late imports): the
next one waits until all of them together cost no more. All nine sensors that there are then stay
below 0.27 %, about half of what watching may take."""
RARE_S = 30.0
"""A pause that is longer because of the cost is mentioned."""
STALL_S = 2.0
"""A reading that took longer is not kept: when in that time its values were true is unknown."""
MOST_FAILURES = 3
"""In a row, after which a sensor is left alone."""


class Sensing:
    """A thread for each sensor: one that stalls, raises or lies harms only itself.

    Sensors are opened at once and read from ``begin`` on, when the clock of the fit starts.
    """

    def __init__(self, openers: Mapping[str, OpenSensor], worker: int) -> None:
        self._readers = [_Reader(name, opener, worker) for name, opener in openers.items()]

    def begin(self) -> None:
        """The clock of the fit has just started."""
        now_s = time.monotonic()
        for reader in self._readers:
            reader.begin(now_s)

    def end(self) -> None:
        """Nothing more is to be read. Does not wait."""
        for reader in self._readers:
            reader.end()

    def logs(self) -> list[SensorLog]:
        """What was read so far by the sensors that are here; and of the others, what went wrong."""
        logs = [reader.log() for reader in self._readers]
        return [log for log in logs if log.columns or log.problems]

    @property
    def cpu_s(self) -> float:
        """CPU seconds that all readings took so far."""
        return sum(reader.cpu_s for reader in self._readers)


class Readings:
    """What one sensor said, as columns; what cannot be is left out, and counted."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = channels
        self._at_s: list[float] = []
        self._rows: list[list[float | None]] = []
        self._first: list[float | None] = [None] * len(channels)
        self._last: list[tuple[float, float] | None] = [None] * len(channels)
        self._absurd: dict[int, list[float]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, at_s: float, values: Sequence[float | None]) -> None:
        """One reading of all channels, later than the one before. Raises ``ValueError`` when it
        has another number of them."""
        if len(values) != len(self._channels):
            raise ValueError("a sensor returned a different number of values than it has channels")
        if self._at_s and round(at_s, 3) <= self._at_s[-1]:
            return
        row = [self._credible(index, at_s, value) for index, value in enumerate(values)]
        self._at_s.append(round(at_s, 3))
        self._rows.append(row)

    def thin_out(self) -> None:
        """Leave every second reading out."""
        self._at_s, self._rows = self._at_s[::2], self._rows[::2]

    def times(self) -> list[float]:
        """When each reading was taken, seconds."""
        return list(self._at_s)

    def columns(self) -> list[SensorColumn]:
        """All readings by channel, in order of time."""
        return [
            SensorColumn(
                quantity=channel.quantity,
                unit=QUANTITIES[channel.quantity].unit,
                scope=channel.scope[:300],
                values=[row[index] for row in self._rows],
            )
            for index, channel in enumerate(self._channels[:MAX_COLUMNS])
        ]

    def problems(self) -> list[str]:
        """Which values were left out."""
        return [
            f"{len(values)} impossible values of its {self._channels[index].quantity}, the first "
            f"{values[0]:.6g}"
            for index, values in self._absurd.items()
        ]

    def _credible(self, index: int, at_s: float, value: float | None) -> float | None:
        """The value as it is recorded, None where it cannot be. A sum that once made a jump is not
        believed any more."""
        quantity = self._channels[index].quantity
        is_sum = QUANTITIES[quantity].grows is not None
        if value is None or (is_sum and index in self._absurd):
            return None
        number = float(value)
        if is_sum:
            first = self._first[index]
            self._first[index] = first = number if first is None else first
            number -= first
        number = float(f"{number:.7g}")
        before = self._last[index]
        times = [at_s] if before is None else [before[0], at_s]
        numbers = [number] if before is None else [before[1], number]
        if implausible(quantity, times, numbers) is None:
            self._last[index] = at_s, number
            return number
        self._absurd.setdefault(index, []).append(float(value))
        return None


class _Reader:
    """One sensor and the thread that opens and reads it."""

    def __init__(self, name: str, opener: OpenSensor, worker: int) -> None:
        self._name, self._opener, self._worker = name, opener, worker
        self._source = ""
        self._readings = Readings(())
        self._problems: list[str] = []
        self._slowest_s = self._longest_pause_s = 0.0
        self._lock = threading.Lock()
        self._begun, self._ended = threading.Event(), threading.Event()
        self._began_s = 0.0
        self._asked_s: float | None = time.monotonic()
        self.cpu_s = 0.0
        threading.Thread(target=self._run, name=f"sensor {name}", daemon=True).start()

    def begin(self, now_s: float) -> None:
        self._began_s = now_s
        self._begun.set()

    def end(self) -> None:
        """What a reading that is under way brings later is not taken any more."""
        with self._lock:
            silent_s = 0.0 if self._asked_s is None else time.monotonic() - self._asked_s
            if silent_s > STALL_S and not self._ended.is_set():
                self._problems.append(f"it had not answered for the last {silent_s:.0f} s")
            self._ended.set()
        self._begun.set()

    def log(self) -> SensorLog:
        with self._lock:
            problems = [*self._problems, *self._readings.problems()]
            if self._slowest_s > 0:
                problems.append(f"it took up to {self._slowest_s:.0f} s to answer")
            if self._longest_pause_s > RARE_S:
                problems.append(
                    f"it is so slow to read that it pauses up to {self._longest_pause_s:.0f} s"
                )
            return SensorLog(
                sensor=self._name,
                source=self._source,
                at_s=self._readings.times(),
                columns=self._readings.columns() if len(self._readings) else [],
                problems=[problem[:300] for problem in problems[:20]],
            )

    def _run(self) -> None:
        try:
            sensor = self._opener(self._worker)
        except UnreadableError as error:
            self._complain(str(error))
        except Exception as error:  # whatever a driver or library raises must not matter
            self._complain(f"it could not be opened: {_reason(error)}")
        else:
            if sensor.channels:
                self._follow(sensor)
        finally:
            self._asked_s = None

    def _follow(self, sensor: Sensor) -> None:
        """Read the sensor until the fit ends, or it fails for good."""
        with self._lock:
            self._source, self._readings = sensor.source, Readings(sensor.channels)
        self._asked_s = None
        self._begun.wait()
        interval_s, pause_s, failures = sensor.interval_s, 0.0, 0
        first_cost_s: float | None = None
        while not self._ended.wait(pause_s):
            began_cpu_s = time.thread_time()
            try:
                self._read(sensor)
                failures = 0
            except Exception as error:  # as above
                failures += 1
                if failures == MOST_FAILURES:
                    after_s = time.monotonic() - self._began_s
                    self._complain(f"it was given up after {after_s:.0f} s: {_reason(error)}")
                    break
            if len(self._readings) > MAX_READINGS:
                with self._lock:
                    self._readings.thin_out()
                interval_s *= 2
            self.cpu_s += time.thread_time() - began_cpu_s
            first_cost_s = self.cpu_s if first_cost_s is None else first_cost_s
            pause_s = max(interval_s, self._rest_s(self.cpu_s - first_cost_s))
        sensor.close()

    def _rest_s(self, cost_s: float) -> float:
        """How long it must pause for what all its readings but the first cost."""
        rest_s = self._began_s + cost_s / CPU_SHARE - time.monotonic()
        with self._lock:
            self._longest_pause_s = max(self._longest_pause_s, rest_s)
        return rest_s

    def _read(self, sensor: Sensor) -> None:
        self._asked_s = began_s = time.monotonic()
        try:
            values = sensor.read()
        finally:
            self._asked_s = None
        now_s = time.monotonic()
        with self._lock:
            if self._ended.is_set():
                return
            if now_s - began_s > STALL_S:
                self._slowest_s = max(self._slowest_s, now_s - began_s)
                return
            self._readings.add(now_s - self._began_s, values)

    def _complain(self, problem: str) -> None:
        with self._lock:
            self._problems.append(problem)


def _reason(error: Exception) -> str:
    """What an exception says of itself, without paths."""
    return getattr(error, "strerror", None) or type(error).__name__
