"""The story of one run: open, load, build, train under the stopwatch, then prove the work."""

from __future__ import annotations

import itertools
import math
import os
import re
import resource
import sys
import time
from pathlib import Path
from typing import Dict, Optional, Sequence

import numpy as np
import numpy.typing as npt

from epochmark.engines import Engine, UnavailableError, Weights, get_engine
from epochmark.engines._shared.variables import recorded_environment
from epochmark.worker.error_text import in_short
from epochmark.worker.proof import Proof
from epochmark.worker.protocol import (
    Failed,
    Finished,
    Fitted,
    Hello,
    Job,
    MessagePipe,
    Observed,
    Opened,
    PhasedRun,
    Replayed,
    finite,
)
from epochmark.worker.ranks import RankError
from epochmark.worker.stopwatch import RunStopwatch, TurnStopwatch, Word
from epochmark.worker.surroundings import ThreadTimes, busy_threads, python_mode
from epochmark.workloads import Workload
from epochmark.workloads._data import Data, read_data
from epochmark.workloads._proof import replay_data

MAX_VARIABLES = 90
"""A record has room for a hundred entries."""


class Run(PhasedRun):
    """One job carried out; ``phase`` says how far it came when something raises.

    The fit ends at its next lap once the launcher's ``word`` is to stop.
    """

    def __init__(self, job: Job, pipe: MessagePipe, word: Word) -> None:
        super().__init__(pipe)
        self._job = job
        self._word = word

    def carry_out(self) -> None:
        """Train and report. Whatever an engine raises passes through."""
        job, pipe = self._job, self._pipe
        engine = get_engine(job.engine)
        pipe.send(
            Hello(sys.version.split()[0], engine.versions(), surroundings_of(engine, job.variables))
        )

        self._enter("starting")
        settings = job.settings
        device = engine.open(settings)
        pipe.send(Opened(device.id, device.description, engine.versions()))

        self._enter("loading")
        workload = settings.workload
        read = read_data(workload, job.data_folder, verify=True)
        data = engine.load(read.inputs, read.targets)

        self._enter("building")
        engine.build(read_weights(job.weights_file))

        self._enter("training")
        steps_per_epoch = workload.steps_per_epoch(settings.batch_size)
        kind = TurnStopwatch if job.takes_turns else RunStopwatch
        stopwatch = kind(pipe, steps_per_epoch, self._word)
        startup_s = (time.monotonic_ns() - job.spawned_ns) / 1e9
        threads = ThreadTimes.now()
        before = resource.getrusage(resource.RUSAGE_SELF)
        stopwatch.start()
        engine.fit(data, stopwatch)
        fit_ns = stopwatch.stop()
        pipe.send(fitted(startup_s, fit_ns, before, threads, stopwatch))

        self._enter("checking")
        proof = Proof(engine, settings, job.states_file)
        if not job.trial:
            proof.begin()
        loss, accuracy = math.nan, math.nan
        if not job.trial:
            tested = slice(workload.samples_tested(settings.batch_size, settings.max_steps))
            loss, accuracy = engine.evaluate(read.test_inputs[tested], read.test_targets[tested])
            if accuracy < 0.0 or accuracy > 1.0:
                raise ValueError(
                    f"the engine found {accuracy:.0%} of the test {workload.samples} right"
                )
        pipe.send(
            Observed(
                observed_devices=list(engine.observed_devices()),
                settings={key: str(value) for key, value in engine.effective_settings().items()},
                test_loss=finite(loss),
                test_accuracy=finite(accuracy),
            )
        )
        if not job.trial:
            pipe.send(proof.end(read))
        pipe.send(_replayed(engine, workload, read_weights(job.replay_weights_file), read))
        pipe.send(Finished(peak_memory_bytes()))


def fitted(
    startup_s: float,
    fit_ns: int,
    before: resource.struct_rusage,
    threads: ThreadTimes,
    stopwatch: RunStopwatch,
) -> Fitted:
    """What the fit took; the kernel's counts are those of all threads, before and now."""
    now = resource.getrusage(resource.RUSAGE_SELF)
    busy, cpus = busy_threads(threads, ThreadTimes.now())
    return Fitted(
        startup_s=startup_s,
        fit_ns=fit_ns,
        trained_ns=stopwatch.trained_ns,
        cpu_s=now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime,
        involuntary_switches=now.ru_nivcsw - before.ru_nivcsw,
        reporting_cpu_s=stopwatch.reporting_ns / 1e9,
        busy_threads=busy or None,
        their_cpus=cpus or None,
    )


def _replayed(engine: Engine, workload: Workload, weights: Weights, data: Data) -> Replayed:
    """Both replays, each with a new model: as it was timed, and with plain SGD."""
    batches = replay_data.replay_batches(workload, data.inputs, data.targets)
    sgd = replay_data.replay_sgd(workload)
    return Replayed(
        losses=[finite(loss) for loss in engine.replay(weights, batches)],
        sgd_losses=[
            finite(loss) for loss in engine.replay(weights, batches[: replay_data.SGD_STEPS], sgd)
        ],
    )


def surroundings_of(engine: Engine, counted: Sequence[str]) -> Dict[str, str]:
    """Variables, files of the user's and Python's own mode that can change the work."""
    variables = recorded_environment(os.environ, (*counted, *engine.info.variables.own))
    few = dict(itertools.islice(variables.items(), MAX_VARIABLES))
    return {**few, **engine.user_settings(), **python_mode()}


def failure_of(error: BaseException, phase: str) -> Failed:
    """An engine's exception as a report: its type and what its message says in short; of another
    process that trained with this one its own report."""
    if isinstance(error, RankError):
        return error.failed
    return Failed(
        phase=phase,
        exception=type(error).__name__[:300],
        message=in_short(str(error)),
        usage=isinstance(error, UnavailableError),
    )


def read_weights(path: str) -> Dict[str, npt.NDArray[np.float32]]:
    """The arrays of a file of weights, by parameter name."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def peak_memory_bytes() -> Optional[int]:
    """Largest resident set of this process so far, without its children; None where unknown.

    Not ``ru_maxrss`` on Linux: that begins at the size of the process which started this one
    (``exec_mmap`` in fs/exec.c takes it over), while ``VmHWM`` is that of the memory since then.
    """
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        status = Path("/proc/self/status").read_text("ascii", errors="replace")
    except OSError:
        return None
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peak[1]) * 1024 if peak else None
