"""What the worker's trained model did after the fit, computed again in float64, for the record."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from epochmark.bench.process.launcher import WorkerOutcome
from epochmark.bench.request import RunRequest
from epochmark.engines import get_engine
from epochmark.records import record as parts
from epochmark.worker import protocol
from epochmark.workloads import Workload
from epochmark.workloads._data import read_data
from epochmark.workloads._proof import continuation, float64, training_state
from epochmark.workloads._proof.continuation import Shares
from epochmark.workloads._proof.reference import Worth
from epochmark.workloads._proof.training_state import State


def judged_continuation(
    request: RunRequest, outcome: WorkerOutcome, states_file: Path, data_folder: Path
) -> parts.Continuation | None:
    """The continuation of a run that ended as it should, None where the worker sent none.

    Takes seconds: nine batches of training and some of the test set in float64.
    """
    continued = outcome.last(protocol.Continued)
    if continued is None:
        return None
    problem = continued.problem
    if problem is None:
        try:
            with one_blas_thread():
                return _computed(request, outcome, continued, states_file, data_folder)
        except MemoryError:  # NumPy's; the run is done, and its record must not be lost
            problem = "not enough memory for the proof in float64"
        except (OSError, ValueError) as error:
            problem = f"the worker's training states could not be used: {error}"
    return parts.Continuation(version=continuation.VERSION, problem=problem[:300])


def one_blas_thread() -> contextlib.AbstractContextManager[object]:
    """NumPy's matrix products on one thread: on a busy machine those of a BLAS wait for each other
    longer than they compute."""
    variable = "KMP_DUPLICATE_LIB_OK"
    before = os.environ.get(variable)
    from threadpoolctl import threadpool_limits

    if before is None:  # importing it sets that, and the next worker would inherit it
        os.environ.pop(variable, None)
    limits: contextlib.AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


def _computed(
    request: RunRequest,
    outcome: WorkerOutcome,
    continued: protocol.Continued,
    states_file: Path,
    data_folder: Path,
) -> parts.Continuation:
    workload, size = request.workload, request.run_batch_size
    data = read_data(workload, data_folder)
    first = slice(workload.proof.tested_samples)
    training = (workload, data.inputs, data.targets)
    judge = get_engine(request.engine).judge(workload)
    reported = sum(lap.steps for lap in outcome.every(protocol.LapEnd))
    steps = reported if continued.steps is None else continued.steps
    repeated = continuation.repeated_steps(
        size, request.tuning == "tuned", workload.train_samples, request.max_steps
    )
    one_sample = continuation.shares_of(workload, continuation.repeated_batch(*training, 1))
    batches = continuation.single_batches(*training, size)
    worth = judge.evaluate(
        _read(workload, states_file, 0, steps).weights,
        data.test_inputs[first],
        data.test_targets[first],
    )
    return parts.Continuation(
        version=continuation.VERSION,
        single=_stretch(
            request,
            lambda number: _read(workload, states_file, number, steps),
            [continuation.shares_of(workload, batch) for batch in batches],
            continued.losses,
        ),
        repeated=_stretch(
            request,
            lambda number: _read(
                workload, states_file, 1 + number, steps + continuation.SINGLE_STEPS
            ),
            [one_sample] * repeated,
            [continued.repeated_loss],
        ),
        repeated_steps=repeated,
        steps=continued.steps,
        steps_after=continued.steps_after,
        test_loss=continued.test_loss,
        test_accuracy=continued.test_accuracy,
        right_test_loss=protocol.finite(worth.loss),
        right_test_accuracy=worth.accuracy,
        right_half_losses=_finite_halves(worth),
    )


def _finite_halves(worth: Worth) -> list[float | None] | None:
    return None if worth.halves is None else [protocol.finite(loss) for loss in worth.halves]


def _read(workload: Workload, states_file: Path, number: int, steps: int) -> State:
    """One of the states in the file, which was reached after ``steps``."""
    weights, first, second = training_state.read_state(states_file, workload, number)
    return State(weights, first, second, steps)


def _stretch(
    request: RunRequest,
    read: Callable[[int], State],
    batches: Sequence[Shares],
    losses: Sequence[float | None],
) -> parts.Stretch:
    """``read`` gives the states before it, 0, and after it, 1; ``losses``: one for each batch, or
    their mean."""
    workload = request.workload
    right_losses, right = get_engine(request.engine).judge(workload).follow(read(0), batches)
    errors = float64.update_errors(workload, read(0).weights, read(1).weights, right)
    if len(losses) == 1:
        right_losses = [math.fsum(right_losses) / len(right_losses)]
    return parts.Stretch(
        losses=list(losses)[:100],
        right_losses=[protocol.finite(loss) for loss in right_losses],
        update_errors={name: protocol.finite(error) for name, error in errors.items()},
    )
