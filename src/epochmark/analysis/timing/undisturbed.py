"""The speed of an unsteady run in its calm stretches; pure functions.

The rule and its limits are explained in docs/measurement/steady-epoch.md. The figure is for
orientation: nothing shows that the run was undisturbed there, so it is never ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from epochmark.analysis.timing.beside import Span
from epochmark.analysis.timing.headline import steady_of, steps_per_epoch
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.records.findings import FindingCode
from epochmark.records.record import Lap, Record

BAND = 0.05
"""Laps of one speed lie within this share of it."""
FEWEST_LAPS = 6
"""In a row, at one speed, are a stretch: by chance few speeds that scatter come to that."""
LEAST_SHARE = 0.1
"""Of the warm time, all stretches together."""
PEAK = 1.5
"""This many times as many laps lie at the speed itself as at the edge of its band: in a run that
drifts, or scatters widely, a speed is as frequent as those beside it."""
CORE = 0.02
"""Half of what counts as the speed itself, and as the edge."""
MOST_FASTER = 0.5
"""For at most this many times as long the run may have been faster: else that speed is none of an
undisturbed machine."""
TRIED = 101
"""Speeds, from that of the fastest lap to that of the median."""
MOST_MOVES = 50

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Undisturbed:
    """Seconds an epoch takes at the speed of the calm ``stretches``, which lasted ``share`` of the
    warm time. Of laps inside epochs it lacks what a change of epochs takes on top."""

    epoch_s: float
    share: float
    stretches: tuple[Span, ...]


class _Laps:
    """Warm laps: where on the clock they ended, how long they and each of their steps lasted."""

    def __init__(self, laps: Sequence[Lap], since_s: float) -> None:
        ends_s = np.array([lap.end_ns for lap in laps]) / NANOSECONDS
        lasted_s = np.diff(ends_s, prepend=0.0)
        steps = np.array([lap.steps for lap in laps], np.float64)
        timed = (lasted_s > 0) & (steps > 0)
        kept = timed & (ends_s - lasted_s >= since_s) & _inside_epochs(laps)
        self.ends_s, self.lasted_s, self.steps = ends_s[kept], lasted_s[kept], steps[kept]
        self.step_s = self.lasted_s / self.steps

    def share(self, places: Places) -> float:
        """Of the time."""
        return float(self.lasted_s[places].sum() / self.lasted_s.sum())

    def near(self, step_s: float, band: float) -> Places:
        """Laps whose steps last that long, within a share of it."""
        return np.abs(self.step_s - step_s) <= band * step_s

    def sustained(self, step_s: float) -> Places:
        """Those of them that stand in a row of enough of them; one other between two
        and two is no break."""
        near = self.near(step_s, BAND)
        near[2:-2] |= near[:-4] & near[1:-3] & near[3:-1] & near[4:]
        edges = np.flatnonzero(np.diff(near, prepend=False, append=False))
        kept = np.zeros(len(near), np.bool_)
        for start, end in edges.reshape(-1, 2):
            kept[start:end] = end - start >= FEWEST_LAPS
        return kept

    def mean_step_s(self, places: Places) -> float:
        """Of the laps at these places together."""
        return float(self.lasted_s[places].sum() / self.steps[places].sum())


def undisturbed_of(record: Record) -> Undisturbed | None:
    """The calm stretches of an unsteady run; None without any, and of all other runs."""
    steady = steady_of(record)
    if steady is None or not is_asked(record):
        return None
    return undisturbed(record.timing.laps, steps_per_epoch(record.workload), steady.warm_up_s)


def is_asked(record: Record) -> bool:
    """Whether the run is one whose steady epoch leaves the question open."""
    return any(finding.code == FindingCode.UNSTEADY.value for finding in record.findings)


def undisturbed(
    laps: Sequence[Lap], steps_per_epoch: int, warm_up_s: float = 0.0
) -> Undisturbed | None:
    """The fastest speed that was sustained for a tenth of the warm time; None if there is none."""
    warm = _Laps(laps, warm_up_s)
    if len(warm.step_s) < FEWEST_LAPS:
        return None
    for tried in np.quantile(warm.step_s, np.linspace(0, 0.5, TRIED)):
        if warm.share(warm.sustained(float(tried))) >= LEAST_SHARE:
            return _found(warm, _middle(warm, float(tried)), steps_per_epoch)
    return None


def _middle(warm: _Laps, step_s: float) -> float:
    """From a speed at the edge of the calm laps to the middle of them: the mean of those near it,
    until that stays (a mean shift: Fukunaga and Hostetler 1975)."""
    for _ in range(MOST_MOVES):
        places = warm.sustained(step_s)
        moved = warm.mean_step_s(places & warm.near(step_s, BAND)) if places.any() else step_s
        if moved == step_s:
            break
        step_s = moved
    return step_s


def _found(warm: _Laps, step_s: float, steps_per_epoch: int) -> Undisturbed | None:
    """The stretches at a speed, if it is more frequent than what lies at the slow edge of it, and
    than what is faster."""
    places = warm.sustained(step_s)
    share, core = warm.share(places), warm.share(warm.near(step_s, CORE))
    edge = warm.share(warm.near(step_s * (1 + BAND), CORE))
    faster = warm.share(warm.step_s < step_s * (1 - BAND))
    if share < LEAST_SHARE or core < PEAK * edge or faster > MOST_FASTER * share:
        return None
    return Undisturbed(step_s * steps_per_epoch, share, _spans(warm, places))


def _spans(warm: _Laps, places: Places) -> tuple[Span, ...]:
    """From the start of the first lap of each row to the end of its last."""
    edges = np.flatnonzero(np.diff(places, prepend=False, append=False)).reshape(-1, 2)
    return tuple(
        Span(float(warm.ends_s[start] - warm.lasted_s[start]), float(warm.ends_s[end - 1]))
        for start, end in edges
    )


def _inside_epochs(laps: Sequence[Lap]) -> Places:
    """All but the laps beside a change of epochs, one of which pays for it; of whole epochs all."""
    epochs = np.array([lap.epoch for lap in laps])
    if len(np.unique(epochs)) == len(epochs):
        return np.ones(len(laps), np.bool_)
    changes = np.diff(epochs) != 0
    beside: Places = np.append(changes, False) | np.insert(changes, 0, False)
    return ~beside
