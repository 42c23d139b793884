"""Progress on standard error: bars on a terminal that can draw them, else a plain line now and
then."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from epochmark.bench.quick import seconds_left
from epochmark.cli._console import console, printable, remark
from epochmark.worker import protocol
from epochmark.workloads import DEFAULT_WORKLOAD

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, TaskID

    from epochmark.bench.request import RunRequest
    from epochmark.datasets import Progress as TransferProgress

PLAIN_INTERVAL_S = 5.0
"""Between two plain lines at least, however fast news come."""
REFRESH_HZ = 2
"""Drawing costs CPU that the measured worker may want: not more often than one can read."""

BAR_WIDTH = 24
WIDE_ENOUGH_FOR_A_BAR = 100
"""Columns; figures are worth more than a bar."""

_PHASES = {
    "starting": "starting the engine",
    "loading": "loading the data",
    "building": "building the model",
    "training": "training: first steps",
    "checking": "checking the work: test set, further steps and replay",
    "proving": "proving the work: the same steps in float64",
}


@contextlib.contextmanager
def transfer_progress() -> Iterator[TransferProgress]:
    """Bars for downloads and the like, or a line at their beginning and now and then."""
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    out = console(stderr=True)
    bars = Progress(
        _text_column(), *_bar_column(out), DownloadColumn(), TransferSpeedColumn(),
        console=out, transient=True, disable=not out.is_terminal,
    )  # fmt: skip
    tasks: dict[str, TaskID] = {}
    told_at = 0.0

    def show(what: str, done: int, total: int | None) -> None:
        nonlocal told_at
        now = time.monotonic()
        if not out.is_terminal and (what not in tasks or now - told_at > PLAIN_INTERVAL_S):
            told_at = now
            of_all = f" of {total / 1e6:.1f}" if total else ""
            remark(f"{what}: {done / 1e6:.1f}{of_all} MB" if done else what)
        if what not in tasks:
            tasks[what] = bars.add_task(printable(what), total=total)
        bars.update(tasks[what], completed=done, total=total)

    with bars:
        yield show


@contextlib.contextmanager
def files_progress() -> Iterator[Callable[[int, int], None]]:
    """How many of many files are read: a bar, or a plain line every few seconds."""
    from rich.progress import MofNCompleteColumn, Progress

    out = console(stderr=True)
    bars = Progress(
        _text_column(), *_bar_column(out), MofNCompleteColumn(),
        console=out, transient=True, disable=not out.is_terminal,
    )  # fmt: skip
    task = bars.add_task("reading files", total=None)
    told_at = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal told_at
        now = time.monotonic()
        if not out.is_terminal and now - told_at > PLAIN_INTERVAL_S:
            told_at = now
            remark(f"reading files: {done:,} of {total:,}")
        bars.update(task, completed=done, total=total)

    with bars:
        yield show


class RunProgress:
    """Shows one run: epoch, loss, accuracy, images per second, time left.

    ``position`` is (number, of how many): with several runs, a second bar shows how far all are.
    A run that ends by itself has no number of steps: one that is to settle has a time after which
    it ends at the latest, a quick one a time at which it will probably know enough.
    """

    def __init__(self, request: RunRequest, position: tuple[int, int]) -> None:
        from epochmark.analysis.timing.settling import LIMIT_S

        self._limit_s = LIMIT_S if request.settle else None
        self._quick = request.quick
        self._steps_per_epoch = request.steps_per_epoch
        self._left_s: float | None = None
        self._elapsed_s = 0.0
        self._number, self._runs = position
        title = _title_of(request)
        self._title = title if self._runs == 1 else f"{self._number} of {self._runs}: {title}"
        self._epochs = request.run_epochs
        self._steps = request.run_steps
        self._unit = request.workload.unit
        self._per_step = request.run_batch_size * request.workload.targets_per_sample
        self._done = 0
        self._first_lap: tuple[int, int] | None = None
        self._shown_at = 0.0
        self._over = False
        self._out = console(stderr=True)
        self._bars: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> RunProgress:
        if self._out.is_terminal:
            from rich.progress import Progress

            self._bars = Progress(
                _text_column(), *_bar_column(self._out),
                console=self._out, transient=True, auto_refresh=False,
            )  # fmt: skip
            self._bars.start()
            if self._runs > 1:
                all_runs = f"run {self._number} of {self._runs}"
                self._bars.add_task(all_runs, total=self._runs, completed=self._number - 1)
            self._task = self._bars.add_task(self._title, total=1.0)
            self._bars.refresh()
        return self

    def __exit__(self, *ended: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def on_report(self, report: protocol.Message) -> None:
        """Take in what the worker reports."""
        if isinstance(report, protocol.Phase):
            self._show(f"{self._title}: {_PHASES.get(report.name, report.name)}", at_once=True)
        elif isinstance(report, protocol.LapEnd):
            self._done += report.steps
            self._elapsed_s = report.end_ns / 1e9
            self._show(self._line(report), at_once=False)

    def _line(self, lap: protocol.LapEnd) -> str:
        prefix = f"{self._title}: " if self._runs > 1 else ""
        epochs = "" if self._ends_by_itself else f"/{self._epochs}"
        parts = [f"{prefix}epoch {lap.epoch}{epochs}"]
        if lap.loss is not None:
            parts.append(f"loss {lap.loss:.4f}")
        if lap.accuracy is not None:
            parts.append(f"accuracy {lap.accuracy:.2%}")
        if self._first_lap is None:
            self._first_lap = (self._done, lap.end_ns)
        steps = self._done - self._first_lap[0]
        seconds = (lap.end_ns - self._first_lap[1]) / 1e9
        if steps and seconds > 0:
            parts.append(f"{steps * self._per_step / seconds:,.0f} {self._unit}/s")
            parts.append(self._left(seconds / steps))
        return ", ".join(parts)

    @property
    def _ends_by_itself(self) -> bool:
        return self._quick or self._limit_s is not None

    def _left(self, step_s: float) -> str:
        """How long it still takes, at this rate."""
        if self._limit_s is not None:
            self._left_s = max(0.0, self._limit_s - self._elapsed_s)
            return f"settling, at most {_duration(self._left_s)} left"
        self._left_s = (self._steps - self._done) * step_s
        if not self._quick:
            return f"{_duration(self._left_s)} left"
        self._left_s = seconds_left(
            self._steps_per_epoch, self._epochs, self._done, self._elapsed_s, step_s
        )
        return f"about {_duration(self._left_s)} left"

    def _share(self) -> float:
        """How much of the run is over."""
        if not self._ends_by_itself:
            return self._done / self._steps
        return 0.0 if self._left_s is None else self._elapsed_s / (self._elapsed_s + self._left_s)

    def _show(self, line: str, at_once: bool) -> None:
        """Show it if it is time, or once when all steps are done: however fast reports come."""
        now = time.monotonic()
        interval_s = 1 / REFRESH_HZ if self._bars is not None else PLAIN_INTERVAL_S
        ends = self._done >= self._steps and not self._over
        if not at_once and not ends and now - self._shown_at < interval_s:
            return
        self._over = self._over or ends
        self._shown_at = now
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=self._share(), description=line)
            self._bars.refresh()
        else:
            remark(line)


def _title_of(request: RunRequest) -> str:
    tuned = " tuned" if request.tuning == "tuned" else ""
    batch = "" if request.batch_size is None else f", batch {request.batch_size}"
    work = "" if request.workload.name == DEFAULT_WORKLOAD else f", {request.workload.name}"
    return f"{request.engine}{tuned} on {request.device}{work}{batch}"


def _text_column() -> ProgressColumn:
    """The description, going on in a second line where the terminal is too narrow for it."""
    from rich.progress import TextColumn
    from rich.table import Column

    return TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold"))


def _bar_column(out: Console) -> list[ProgressColumn]:
    from rich.progress import BarColumn

    return [BarColumn(bar_width=BAR_WIDTH)] if out.width >= WIDE_ENOUGH_FOR_A_BAR else []


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
