"""The story of one extra replay: open the engine, build the model, train on a few batches."""

from __future__ import annotations

import sys
from typing import List

import numpy as np

from epochmark.engines import Batch, get_engine
from epochmark.worker.protocol import (
    Finished,
    Hello,
    MessagePipe,
    Opened,
    PhasedRun,
    Replayed,
    ReplayJob,
    finite,
)
from epochmark.worker.train import read_weights


class ReplayRun(PhasedRun):
    """One job carried out; ``phase`` says how far it came when something raises."""

    def __init__(self, job: ReplayJob, pipe: MessagePipe) -> None:
        super().__init__(pipe)
        self._job = job

    def carry_out(self) -> None:
        """Train and report the losses. Whatever an engine raises passes through."""
        job, pipe = self._job, self._pipe
        engine = get_engine(job.engine)
        pipe.send(Hello(sys.version.split()[0], engine.versions()))
        self._enter("starting")
        device = engine.open(job.settings)
        pipe.send(Opened(device.id, device.description, engine.versions()))
        self._enter("building")
        weights = read_weights(job.weights_file)
        engine.build(weights)
        self._enter("checking")
        losses = engine.replay(weights, _read_batches(job.batches_file))
        pipe.send(Replayed([finite(loss) for loss in losses], sgd_losses=[]))
        pipe.send(Finished(None))


def _read_batches(path: str) -> List[Batch]:
    with np.load(path, allow_pickle=False) as arrays:
        return list(zip(arrays["inputs"], arrays["targets"]))
