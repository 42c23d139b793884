"""Did heat slow a run down? A pure rule over what its sensors say.

Its limits are explained in docs/measurement/heat-and-energy.md.
"""

from __future__ import annotations

import statistics

from epochmark.analysis.machine.sensed import Series, series_of, warm_span
from epochmark.analysis.timing.trend import drift
from epochmark.records.fields import Quantity
from epochmark.records.record import Record

RISE_C = 5.0
"""From the first tenth of a run to the median of its second half: well over what a sensor
fluctuates by, well under what training heats a processor by."""
FREQUENCY_FALL = 0.02
"""Where the frequency is known, it must have fallen by so much as well: heat slows a processor
through its clock and in no other way."""
TREND_Z = 2.58
"""Two-sided 99 % of a normal distribution, as for drift."""
THROTTLED_SHARE = 0.1
"""Of the readings that show throttling."""


def signs_of_heat(record: Record) -> list[str]:
    """What the sensors say that explains a loss of speed by heat, in words; nothing otherwise."""
    span = warm_span(record)
    if span is None:
        return []
    signs = [
        *_counted(_of_trainer(record, "throttle_count"), span),
        *_throttled(_of_trainer(record, "throttle_level")),
    ]
    frequencies = [series.between(*span) for series in _of_trainer(record, "frequency")]
    for series in _of_trainer(record, "temperature"):
        its_own = [frequency for frequency in frequencies if frequency.part == series.part]
        if not its_own or any(map(_fell, its_own)):
            signs += _rise(series)
    return signs


def _of_trainer(record: Record, quantity: Quantity) -> list[Series]:
    """Only of the kind of device that trained: a processor warms as well while a GPU trains. A
    scope may name both (``CPU and GPU``)."""
    kind = (record.device.resolved or "").split(":")[0].upper()
    return [series for series in series_of(record, quantity) if kind in series.scope.split()]


def _counted(counts: list[Series], span: tuple[float, float]) -> list[str]:
    """Throttling events while it was warm."""
    found = []
    for series in counts:
        warm = series.between(*span).values
        if len(warm) >= 2 and warm[-1] > warm[0]:
            found.append(f"{series.scope} throttled {warm[-1] - warm[0]:,.0f} times")
    return found


def _throttled(levels: list[Series]) -> list[str]:
    """The share of readings in which the system said that it throttles."""
    found = []
    for series in levels:
        share = sum(value > 0 for value in series.values) / len(series.values)
        if share >= THROTTLED_SHARE:
            found.append(f"{series.scope} throttled in {share:.0%} of the readings")
    return found


def _rise(series: Series) -> list[str]:
    """A temperature that rose."""
    values = series.values
    if len(values) < 6:
        return []
    cold = statistics.median(values[: max(1, len(values) // 10)])
    hot = statistics.median(values[len(values) // 2 :])
    if hot - cold < RISE_C:
        return []
    return [f"{series.scope} warmed from {cold:.0f} to {hot:.0f} °C"]


def _fell(series: Series) -> bool:
    """Whether a frequency fell while it was warm."""
    trend = drift(series.at_s, series.values)
    return trend is not None and trend.change < -FREQUENCY_FALL and trend.z < -TREND_Z
