"""Two speeds in a group: then half of the nodes are no outliers, and the median is neither's."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from epochmark.analysis.timing.intervals import robust_spread
from epochmark.fleet.verdicts import FAR_SIGMAS, SLOWER_SHARE, Findings, JudgedNode

SMALLER_SHARE = 0.25
"""Of the nodes at least: fewer are outliers of the others."""
FEWEST = 3


@dataclass(frozen=True)
class Clusters:
    """The nodes on both sides of a gap, and the median seconds of each side."""

    fast: tuple[JudgedNode, ...]
    slow: tuple[JudgedNode, ...]

    @property
    def medians_s(self) -> tuple[float, float]:
        """Of the fast side and of the slow side."""
        return _median(self.fast), _median(self.slow)


def clusters_of(findings: Findings) -> Clusters | None:
    """The two sides of the widest gap between neighbours, where it is more than 5 % and wider than
    3.5 robust standard deviations of either side, and where the smaller side has three nodes and a
    quarter of all; else None."""
    timed = sorted(
        (node for node in findings.judged if node.epoch_s is not None),
        key=lambda node: node.epoch_s or 0,
    )
    fewest = max(FEWEST, round(SMALLER_SHARE * len(timed)))
    if len(timed) < 2 * fewest:
        return None
    figures = [node.epoch_s or 0.0 for node in timed]
    gaps = {at: figures[at] - figures[at - 1] for at in range(fewest, len(timed) - fewest + 1)}
    at = max(gaps, key=gaps.__getitem__)
    sides = figures[:at], figures[at:]
    wide = SLOWER_SHARE * statistics.median(sides[0])
    if gaps[at] <= max(wide, *(FAR_SIGMAS * robust_spread(side) for side in sides)):
        return None
    return Clusters(tuple(timed[:at]), tuple(timed[at:]))


def _median(side: tuple[JudgedNode, ...]) -> float:
    return statistics.median(node.epoch_s or 0.0 for node in side)
