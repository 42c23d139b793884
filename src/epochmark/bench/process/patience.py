"""How long a silent worker is waited for: derived from its own progress, not a constant."""

from __future__ import annotations

IDLE_START_S = 300.0
"""Before a phase's first lap, without the worker using any CPU."""

BUSY_START_S = 3600.0
"""Before a phase's first lap while the worker uses CPU: imports, compilation, the test set, or one
epoch of a Keras engine, which reports whole epochs only (the slowest published machine takes 310 s
for one)."""

FLOOR_S = 120.0
FACTOR = 20.0
"""After that, this many times its longest silence so far: one niced process on one of two cores
made a framework ten times slower, which is slow, not hung."""


class Patience:
    """Decides when silence means hung. Times are seconds on any one monotonic clock."""

    def __init__(self, now: float, fixed_s: float | None = None) -> None:
        self._fixed_s = fixed_s
        self._last_report = now
        self._longest_silence = 0.0
        self._laps_seen = False

    def report(self, now: float, is_lap: bool, begins_phase: bool = False) -> None:
        """The worker reported something. In a new phase the pace of the laps says nothing: the
        test set alone took longer than twenty of its steps with MLX on a busy CPU."""
        self._longest_silence = max(self._longest_silence, now - self._last_report)
        self._last_report = now
        self._laps_seen = is_lap or (self._laps_seen and not begins_phase)

    def resume(self, now: float) -> None:
        """Until now nothing was expected."""
        self._last_report = now

    def limit_s(self, uses_cpu: bool) -> float:
        """Longest silence accepted now; ``uses_cpu``: the worker is computing something."""
        if self._fixed_s is not None:
            return self._fixed_s
        if not self._laps_seen:
            return BUSY_START_S if uses_cpu else IDLE_START_S
        return max(FLOOR_S, FACTOR * self._longest_silence)

    def silence_s(self, now: float) -> float:
        """Seconds since the last report."""
        return now - self._last_report
