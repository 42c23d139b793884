"""Make runs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack, overload

from epochmark.api.reading import known_limits
from epochmark.judge.results import ResultFiles
from epochmark.records.record import Record

if TYPE_CHECKING:
    from epochmark.bench.plan import PlannedRun
    from epochmark.bench.session import Bench
    from epochmark.worker.protocol import Message


class _Options(TypedDict, total=False):
    """The options of ``run`` but for ``repeat``, for type checkers."""

    device: str
    precision: str
    tuning: Literal["stock", "tuned"]
    workload: str
    epochs: int | None
    quick: bool
    settle: bool
    max_steps: int | None
    batch_size: int | None
    threads: int | None
    seed: int
    label: str | None
    save: bool
    data: str | Path | None
    python: str | None
    on_report: Callable[[Message], None]


@overload
def run(engine: str = ..., *, repeat: None = ..., **options: Unpack[_Options]) -> Record: ...
@overload
def run(engine: str = ..., *, repeat: int, **options: Unpack[_Options]) -> list[Record]: ...
def run(  # noqa: PLR0913 (the options of a run, by name)
    engine: str = "native",
    *,
    repeat: int | None = None,
    device: str = "cpu",
    precision: str = "stock",
    tuning: Literal["stock", "tuned"] = "stock",
    workload: str = "mnist-cnn",
    epochs: int | None = None,
    quick: bool = False,
    settle: bool = False,
    max_steps: int | None = None,
    batch_size: int | None = None,
    threads: int | None = None,
    seed: int = 1,
    label: str | None = None,
    save: bool = True,
    data: str | Path | None = None,
    python: str | None = None,
    on_report: Callable[[Message], None] = lambda report: None,
) -> Record | list[Record]:
    """Train in a fresh worker process and return the record, saved unless ``save`` is False; with
    ``repeat`` that many times, one after the other, and return a list.

    The worker's interpreter is ``python``, by default ours or the managed environment in which the
    engine is ready, as for ``epochmark run``. Waits while another measurement of this user goes on.
    ``on_report`` is called with each report of the worker (``epochmark.worker.protocol``), laps
    included. A run that fails is a record too: look at ``record.headline.validity``. Raises
    ``EpochmarkError`` for what cannot be run here, and ``KeyboardInterrupt`` when the user stopped
    it. The run that was stopped is saved first, once it has done an epoch or six laps.
    """
    from epochmark.bench.interpreters.interpreter import choose_interpreter
    from epochmark.bench.plan import PlannedRun
    from epochmark.bench.repeats import check_repeats
    from epochmark.bench.request import RunRequest, find_workload
    from epochmark.engines import get_engine

    request = RunRequest(
        engine=engine,
        device=device,
        precision=precision,
        tuning=tuning,
        epochs=epochs,
        quick=quick,
        settle=settle,
        max_steps=max_steps,
        batch_size=batch_size,
        threads=threads,
        seed=seed,
        label=label,
        workload=find_workload(workload),
    )
    request.check()
    check_repeats("repeat", repeat)
    planned = PlannedRun(request, choose_interpreter(get_engine(engine).info, python))
    source = None if data is None else Path(data)
    records = _Measurement(planned, save, source, on_report).records(repeat or 1)
    return records[0] if repeat is None else records


@dataclass(frozen=True)
class _Measurement:
    """What was asked for: a run, whether to save it, where the data are, who hears of it."""

    planned: PlannedRun
    save: bool
    data: Path | None
    on_report: Callable[[Message], None]

    def records(self, repeats: int) -> list[Record]:
        """That many runs, saved one by one."""
        from epochmark.bench.process.lock import measuring_alone
        from epochmark.bench.session import Bench
        from epochmark.bench.tuned.search import TunedSearch, with_settings
        from epochmark.datasets import get_data
        from epochmark.hardware.gpus.described import gpus_here
        from epochmark.hardware.machine import describe_machine, machine_id

        files, planned = ResultFiles.of_user(), self.planned
        if self.save:
            files.check_writable()
        workload = planned.request.workload
        folder = get_data([workload], self.data, lambda what, done, total: None)
        own_id = machine_id(files.folder) if self.save else None
        with measuring_alone(lambda holder: None):
            # not beside the run that may hold the lock: a GPU's driver is asked by a process
            machine = describe_machine(own_id, gpus=gpus_here())
            bench = Bench(folder, machine, known_limits(files.folder, machine))
            if planned.request.is_real:
                bench = bench.watching()
            if planned.request.tuning == "tuned":
                search = TunedSearch(bench, files.folder, saves=self.save)
                planned = with_settings(planned, search.tuned(planned, lambda doing: None))
            return [self._one(bench, planned, files) for _ in range(repeats)]

    def _one(self, bench: Bench, planned: PlannedRun, files: ResultFiles) -> Record:
        from epochmark.bench.process.interrupts import interrupts_later

        with interrupts_later():
            measured = bench.measure(planned, self.on_report)
            if self.save and measured.is_worth_keeping:
                files.save(measured.record, measured.stderr)
        if measured.interrupted:
            raise KeyboardInterrupt
        return measured.record
