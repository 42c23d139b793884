"""What the worker does for the proof of its work: the trained model goes on through ``fit``."""

from __future__ import annotations

import math
import traceback
from pathlib import Path
from typing import BinaryIO, Optional

from epochmark.engines import Batch, Engine, Settings, TrainingState
from epochmark.worker.error_text import in_short
from epochmark.worker.protocol import Continued, OptionalFloat, finite
from epochmark.workloads._data import Data
from epochmark.workloads._proof import continuation, training_state


class Proof:
    """The continuation of one fit (``workloads._proof.continuation``), reported as a ``Continued``.

    ``begin`` right after the fit, before anything else touches the model; then ``end``. What an
    engine raises in between is the report's ``problem``: the replay can still be made.
    """

    def __init__(self, engine: Engine, settings: Settings, states_file: str) -> None:
        self._engine, self._settings = engine, settings
        self._states_file = states_file
        self._fitted: Optional[TrainingState] = None
        self._problem: Optional[str] = None

    def begin(self) -> None:
        """Keep the state at the fit's end."""
        try:
            self._fitted = self._engine.state()
        except Exception as error:
            self._problem = _raised(error)

    def end(self, data: Data) -> Continued:
        """Go on with batches of the training set."""
        if self._fitted is None:
            return Continued(problem=self._problem)
        try:
            return self._go_on(self._fitted, data)
        except Exception as error:
            return Continued(problem=_raised(error))

    def _go_on(self, fitted: TrainingState, data: Data) -> Continued:
        settings = self._settings
        size, workload = settings.batch_size, settings.workload
        first = slice(workload.proof.tested_samples)
        further = (workload, data.inputs, data.targets, size)
        with Path(self._states_file).open("wb") as file:
            self._write(file, fitted)
            test_loss, test_accuracy = self._engine.evaluate(
                data.test_inputs[first], data.test_targets[first]
            )
            losses = [self._fit(batch) for batch in continuation.single_batches(*further)]
            self._write(file, self._engine.state())
            steps = continuation.repeated_steps(
                size, settings.tuning == "tuned", workload.train_samples, settings.max_steps
            )
            repeated = continuation.repeated_batch(
                workload, data.inputs, data.targets, steps * size
            )
            repeated_loss = self._fit(repeated)
            last = self._engine.state()
            self._write(file, last)
        return Continued(
            losses=losses,
            repeated_loss=repeated_loss,
            steps=fitted.steps,
            steps_after=last.steps,
            test_loss=finite(test_loss),
            test_accuracy=finite(test_accuracy),
        )

    def _fit(self, batch: Batch) -> OptionalFloat:
        """One more call of ``fit``, for one epoch of this data: its mean loss."""
        stopwatch = _OneEpoch()
        self._engine.fit(self._engine.load(*batch), stopwatch)
        return finite(stopwatch.loss)

    def _write(self, file: BinaryIO, state: TrainingState) -> None:
        parts = (state.weights, state.first, state.second)
        training_state.write_state(file, self._settings.workload, parts)


class _OneEpoch:
    """A stopwatch that wants no laps and lets ``fit`` end with its first epoch."""

    def __init__(self) -> None:
        self.loss = math.nan

    def wants_lap(self) -> bool:
        return False

    def lap(
        self, steps: int, loss: Optional[float] = None, accuracy: Optional[float] = None
    ) -> bool:
        if loss is not None:
            self.loss = loss
        return True

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        self.loss = loss
        return False

    def trained(self) -> None:
        pass


def _raised(error: Exception) -> str:
    """What the engine raised; the rest goes to stderr."""
    traceback.print_exc()
    message = in_short(str(error))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
