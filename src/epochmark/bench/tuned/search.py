"""Tuned mode: find an engine's fastest settings once on this machine, and remember them.

One setting after the other, each value against the best so far, in short runs in fresh workers that
take turns. The rule is in docs/measurement/tuned-settings.md.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from epochmark._version import __version__
from epochmark.bench.interpreters.probe import SeenDevice, probe
from epochmark.bench.plan import PlannedRun
from epochmark.bench.session import Bench
from epochmark.bench.tuned.trial import WarmSteps, try_settings
from epochmark.bench.watching.memory import check_memory
from epochmark.engines import Tunable, get_engine
from epochmark.errors import EpochmarkError
from epochmark.records import dates
from epochmark.records.machine.tuned_settings import (
    Outcome,
    Tried,
    Tuned,
    read_tuned,
    save_tuned,
    settings_text,
)

BUDGET_S = 150.0
"""No trial begins after that; what is left is recorded as not tried."""
MAX_PAIRS = 3
MIN_PAIRS = 2
MIN_GAIN = 1.02
"""Less is not worth a departure from stock, and within what a quiet machine varies by itself."""

Try = Callable[[Mapping[str, str]], WarmSteps]


@dataclass(frozen=True)
class Found:
    """The end of a search: departures from stock, and everything that was tried, in order."""

    settings: dict[str, str]
    tried: list[Tried]


def search(
    tunables: Sequence[Tunable], attempt: Try, now_s: Callable[[], float] = time.monotonic
) -> Found:
    """Change one setting after the other and keep what is clearly faster.

    ``attempt`` makes one short run. Raises ``EpochmarkError`` when stock itself cannot be timed.
    """
    began_s = now_s()
    trials = _PairedTrials(attempt)
    tried: list[Tried] = []
    for tunable in tunables:
        standing = trials.best
        for value in tunable.values[1:]:
            if now_s() - began_s > BUDGET_S:
                tried.append(_tried(tunable.name, value, "not tried"))
                continue
            trial = trials.challenge(tunable, value, {**standing, tunable.name: value})
            tried.append(trial)
    return Found(trials.best, tried)


class _PairedTrials:
    """The best settings so far, and the challenges to them."""

    def __init__(self, attempt: Try) -> None:
        self._attempt = attempt
        self._fresh: float | None = None
        self.best: dict[str, str] = {}

    def challenge(self, tunable: Tunable, value: str, settings: dict[str, str]) -> Tried:
        """Run the best and the challenger in turns (A B, B A, A B) until it is clear which is
        faster; a challenger that loses its first pair is let go."""
        name = tunable.name
        before_s: list[float] = []
        with_s: list[float] = []
        for pair in range(MAX_PAIRS):
            if pair == 2:
                self._fresh = None  # each pair has readings of its own
            if pair % 2 == 0:
                before_s.append(self._of_best())
            reading = self._attempt(settings)
            if reading.step_s is None:
                outcome: Outcome = "wrong" if reading.wrong else "failed"
                return _tried(name, value, outcome, detail=reading.problem)
            with_s.append(reading.step_s)
            self._fresh = None
            if pair % 2 == 1:
                before_s.append(self._of_best())
            gains = [before / then for before, then in zip(before_s, with_s, strict=True)]
            has_won = _has_won(gains, tunable.beyond_steps)
            if has_won is False:
                break
            if has_won:
                self.best, self._fresh = settings, None
                return _tried(name, value, "kept", before_s, with_s)
        return _tried(name, value, "not faster", before_s, with_s)

    def _of_best(self) -> float:
        """Seconds of a step with the best settings: the last run's, if that had them."""
        if self._fresh is None:
            reading = self._attempt(self.best)
            if reading.step_s is None:
                named = settings_text(self.best)
                raise EpochmarkError(f"the engine could not be timed {named}: {reading.problem}")
            self._fresh = reading.step_s
        return self._fresh


def _has_won(gains: Sequence[float], beyond_steps: bool) -> bool | None:
    """Whether a challenger is kept after these pairs; None where it takes another pair to say."""
    if beyond_steps:
        enough = len(gains) >= MIN_PAIRS
        return statistics.median(gains) * MIN_GAIN > 1 if enough else None
    # one lost pair decides: most settings change nothing, and cost one run that way
    if min(gains) <= 1.0:
        return False
    return True if is_clearly_faster(gains) else None


def is_clearly_faster(gains: Sequence[float]) -> bool:
    """Whether every pair was faster, and the median gain is beyond half the pairs' range."""
    gain = statistics.median(gains)
    beyond = gain - 1 > (max(gains) - min(gains)) / 2
    return len(gains) >= MIN_PAIRS and min(gains) > 1.0 and gain >= MIN_GAIN and beyond


def _tried(
    name: str,
    value: str,
    outcome: Outcome,
    before_s: Iterable[float] = (),
    with_s: Iterable[float] = (),
    detail: str = "",
) -> Tried:
    return Tried(
        setting=name,
        value=value,
        outcome=outcome,
        before_s=list(before_s),
        with_s=list(with_s),
        detail=detail[:300],
    )


@dataclass(frozen=True)
class TunedSearch:
    """What searches on this machine have in common: the ``bench`` of their trials. They are
    remembered in ``folder``, that of the result files, if ``saves``; ``retune`` searches also what
    is known."""

    bench: Bench
    folder: Path
    saves: bool = True
    retune: bool = False

    def tuned(self, planned: PlannedRun, tell: Callable[[str], None]) -> Tuned:
        """The engine's fastest settings on the device of a planned run: as remembered, or searched
        now and remembered. ``tell`` hears what is going on.

        Raises ``EpochmarkError`` when it cannot be searched, ``KeyboardInterrupt`` when the user
        stops it: then nothing is remembered.
        """
        known = self._known()
        wanted = _description(planned, tell)
        remembered = next((settings for settings in known if settings.fits(wanted)), None)
        if remembered is not None and not self.retune:
            return remembered
        found = self._search(planned, wanted, tell)
        if self.saves:
            save_tuned(self.folder, self.bench.machine, known, found)
        return found

    def _known(self) -> list[Tuned]:
        try:
            return read_tuned(self.folder, self.bench.machine)
        except EpochmarkError:
            if self.retune:
                return []
            raise

    def _search(self, planned: PlannedRun, wanted: Tuned, tell: Callable[[str], None]) -> Tuned:
        check_memory(planned.request, proves=False)
        began_s = time.monotonic()
        readings: list[WarmSteps] = []

        def attempt(settings: Mapping[str, str]) -> WarmSteps:
            lasted_s = time.monotonic() - began_s
            tell(f"run {len(readings) + 1}, {lasted_s:.0f} s so far: {settings_text(settings)}")
            readings.append(try_settings(self.bench, planned, settings))
            return readings[-1]

        info = get_engine(planned.request.engine).info
        found = search(info.tunables_on(planned.request.device, planned.request.workload), attempt)
        return msgspec.structs.replace(
            wanted,
            settings=found.settings,
            runs=len(readings),
            disturbed=sum(reading.disturbed for reading in readings),
            tried=found.tried,
        )


def _description(planned: PlannedRun, tell: Callable[[str], None]) -> Tuned:
    """What is searched for, known before any run: engine, device, versions, settings offered."""
    request = planned.request
    info = get_engine(request.engine).info
    tell("checking its device and versions")
    status = probe(info, planned.interpreter)
    if status.state != "ready":
        raise EpochmarkError(f"{request.engine}: {status.problem}\n{status.remedy}")
    device = _resolved(status.devices, request.device)
    return Tuned(
        measured=dates.now(),
        epochmark_version=__version__,
        workload=request.workload.name,
        engine=request.engine,
        device=device.id,
        device_description=device.description[:300],
        versions=status.versions,
        offered={
            tunable.name: list(tunable.values)
            for tunable in info.tunables_on(request.device, request.workload)
        },
        settings={},
        runs=0,
        disturbed=0,
        tried=[],
    )


def _resolved(devices: Sequence[SeenDevice], asked: str) -> SeenDevice:
    """The device an engine would open; for one that is not there, what was asked for, which the
    first run then refuses in the engine's own words."""
    for device in devices:
        if asked in (device.id, device.id.split(":")[0]):
            return device
    return SeenDevice(asked, "")


def with_settings(planned: PlannedRun, tuned: Tuned) -> PlannedRun:
    """The run, with the settings found for it."""
    request = replace(planned.request, tuned_settings=tuned.settings)
    return replace(planned, request=request)
