"""The story of one data-parallel training: meet, load, build, train in turns, prove it, and time
the framework's own sum over all devices."""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Callable, List, Optional, Sequence

from epochmark.engines import get_engine
from epochmark.engines._shared.parallel import DataParallel, Group
from epochmark.worker.protocol import (
    DevicePart,
    Failed,
    Figure,
    Finished,
    Hello,
    LapEnd,
    MessagePipe,
    Opened,
    OptionalFloat,
    PhasedRun,
    ScaleJob,
    SplitReplayed,
    UsedSettings,
    finite,
)
from epochmark.worker.ranks import Ranks
from epochmark.worker.stopwatch import (
    FIRST_PART_NS,
    LAP_INTERVAL_NS,
    TURN_NS,
    RunStopwatch,
    TurnStopwatch,
    Word,
)
from epochmark.worker.surroundings import ThreadTimes
from epochmark.worker.train import fitted, peak_memory_bytes, read_weights, surroundings_of
from epochmark.workloads._data import Data, read_data
from epochmark.workloads._proof import replay_data
from epochmark.workloads.shapes import parameter_count

WARM_NS = 3_000_000_000
"""A training is warm so long after its first step, with two laps more at least: every step has the
same shape, so nothing is compiled later."""
WARM_LAPS = 3


class ScaleRun(PhasedRun):
    """One job carried out; ``phase`` says how far it came when something raises."""

    def __init__(self, job: ScaleJob, pipe: MessagePipe, word: Word) -> None:
        super().__init__(pipe)
        self._job = job
        self._word = word

    def carry_out(self) -> None:
        """Train and report. What an engine raises passes through, and what another process of the
        training failed with as ``RankError``."""
        bind(self._job)
        ranks = Ranks(self._job, self._give_up)
        try:
            self._train(ranks)
        except Exception as error:
            raise ranks.cause(error) from error

    def _give_up(self, failed: Failed) -> None:
        self._pipe.send(failed)
        os._exit(1)

    def _train(self, ranks: Ranks) -> None:
        job, pipe = self._job, self._pipe
        engine = get_engine(job.engine)
        training = engine.data_parallel(Group(job.devices, job.rank, job.meeting, job.listening))
        hello = Hello(
            sys.version.split()[0], engine.versions(), surroundings_of(engine, job.variables)
        )
        pipe.send(hello)

        self._enter("starting")
        device = training.open(job.settings)
        check_versions(hello, ranks.hear(Hello))
        pipe.send(Opened(device.id, device.description, engine.versions()))

        self._enter("loading")
        workload = job.settings.workload
        read = read_data(workload, job.data_folder, verify=True)
        data = training.load(read.inputs, read.targets)

        self._enter("building")
        training.build(read_weights(job.weights_file))

        self._enter("training")
        stopwatch = self._stopwatch(ranks)
        startup_s = (time.monotonic_ns() - job.spawned_ns) / 1e9
        threads = ThreadTimes.now()
        before = resource.getrusage(resource.RUSAGE_SELF)
        stopwatch.start()
        training.fit(data, stopwatch)
        pipe.send(fitted(startup_s, stopwatch.stop(), before, threads, stopwatch))

        self._enter("checking")
        settings = training.effective_settings()
        pipe.send(UsedSettings({key: str(value) for key, value in settings.items()}))
        for part in [*self._parts(training), *ranks.hear(DevicePart)]:
            pipe.send(part)
        pipe.send(self._replayed(training, read, ranks))
        if job.all_reduces:
            pipe.send(self._all_reduced(training, parameter_count(workload)))
        ranks.hear(Finished)
        pipe.send(Finished(peak_memory_bytes()))

    def _stopwatch(self, ranks: Ranks) -> RunStopwatch:
        if self._job.rank:
            return FollowingStopwatch(self._pipe, self._word)
        return LeadingStopwatch(self._pipe, self._word, ranks)

    def _parts(self, training: DataParallel) -> List[DevicePart]:
        cores = sorted(os.sched_getaffinity(0)) if self._job.cores else []
        return [
            DevicePart(replica.device, replica.sha256, cores, finite(training.forward_s()))
            for replica in training.replicas()
        ]

    def _replayed(self, training: DataParallel, read: Data, ranks: Ranks) -> SplitReplayed:
        """The means over all processes, which all give the same part of a batch's mean loss."""
        job = self._job
        weights = read_weights(job.replay_weights_file)
        workload = job.settings.workload
        batches = replay_data.replay_batches(workload, read.inputs, read.targets)
        adam = training.replay(weights, batches)
        first, plain = batches[: replay_data.SGD_STEPS], replay_data.replay_sgd(workload)
        sgd = training.replay(weights, first, plain)
        own = SplitReplayed(*([finite(loss) for loss in losses] for losses in (adam, sgd)))
        parts = [own, *ranks.hear(SplitReplayed)]
        return SplitReplayed(
            adam=means([part.adam for part in parts]), sgd=means([part.sgd for part in parts])
        )

    def _all_reduced(self, training: DataParallel, numbers: int) -> Figure:
        """All processes make as many calls; the first one's seconds count, since none ends before
        all have begun."""
        reduce = training.all_reduce(numbers)
        reduce()
        seconds = [timed(reduce) for _ in range(self._job.all_reduces)]
        return Figure("all_reduce", {"devices": self._job.devices}, 4.0 * numbers, seconds)


def bind(job: ScaleJob) -> None:
    """This process to the cores that the job has for it, before a framework counts them."""
    if job.cores:
        os.sched_setaffinity(0, job.cores[job.rank])


def check_versions(own: Hello, others: Sequence[Hello]) -> None:
    """Raises ``RuntimeError`` where another process has another Python or framework."""
    for rank, hello in enumerate(others, 1):
        if (hello.python, hello.versions) != (own.python, own.versions):
            raise RuntimeError(
                f"rank {rank} has other versions than rank 0: Python {hello.python}, "
                f"{hello.versions}, not Python {own.python}, {own.versions}"
            )


def means(parts: Sequence[Sequence[OptionalFloat]]) -> List[OptionalFloat]:
    """Of the processes' losses at each step; None where one of them has none."""
    found: List[OptionalFloat] = []
    for losses in zip(*parts):
        known = [loss for loss in losses if loss is not None]
        found.append(sum(known) / len(known) if len(known) == len(losses) else None)
    return found


def timed(call: Callable[[], None]) -> float:
    """Seconds a call takes."""
    began_ns = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - began_ns) / 1e9


class LeadingStopwatch(TurnStopwatch):
    """The clock of the first process. It plans how many steps the next lap has, from how long the
    last ones took, since all processes must end a lap after the same step; a lap ends when the last
    of them has ended it. Clocks of other machines say nothing here: then it ends when the first
    process has heard so from all."""

    def __init__(self, pipe: MessagePipe, word: Word, ranks: Ranks) -> None:
        super().__init__(pipe, 0, word)
        self._ranks = ranks
        self._planned = 1
        self._laps = 0
        self._before_ns = self._first_ns = 0

    def wants_lap(self) -> bool:
        self._asked += 1
        return self._asked == self._planned

    def _now_ns(self) -> int:
        self._before_ns = self._last_ns
        own_ns = time.perf_counter_ns()
        self._laps += 1
        ends_ns = [lap.end_ns for lap in self._ranks.hear(LapEnd)]
        heard_ns = time.perf_counter_ns()
        now_ns = heard_ns if self._ranks.are_elsewhere else max([own_ns, *ends_ns])
        self._first_ns = self._first_ns or now_ns
        return now_ns

    def lap(
        self, steps: int, loss: Optional[float] = None, accuracy: Optional[float] = None
    ) -> bool:
        goes_on = super().lap(steps, loss, accuracy)
        self._ranks.say_steps(self._planned if goes_on else 0)
        return goes_on

    def _goes_on(self) -> bool:
        step_ns = (self._last_ns - self._before_ns) / self._planned
        goes_on = super()._goes_on()
        self._planned = max(1, round(self._wanted_ns() / step_ns))
        return goes_on

    def _wanted_ns(self) -> int:
        """How long the next lap should take."""
        if self._turn_began_ns is None:
            return LAP_INTERVAL_NS
        if self._last_ns == self._turn_began_ns:
            return FIRST_PART_NS
        return TURN_NS - (self._last_ns - self._turn_began_ns)

    def _may_park(self) -> bool:
        if self._turn_began_ns is None:
            return self._laps >= WARM_LAPS and self._last_ns - self._first_ns >= WARM_NS
        return super()._may_park()


class FollowingStopwatch(RunStopwatch):
    """The clock of another process: it says when each lap ended, on the clock that all processes of
    the machine share, and how long the next one is the first process says."""

    def __init__(self, pipe: MessagePipe, word: Word) -> None:
        super().__init__(pipe, 0, word)
        self._planned = 1

    def start(self) -> None:
        self._start_ns = self._last_ns = 0

    def wants_lap(self) -> bool:
        self._asked += 1
        return self._asked == self._planned

    def _goes_on(self) -> bool:
        self._word.wait()
        self._planned = self._word.steps
        return self._planned > 0
