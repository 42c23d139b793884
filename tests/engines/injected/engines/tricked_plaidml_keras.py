"""PlaidML that believes in a GPU which is not there, selects none, and so gets the CPU.

``DEFECT`` "unchecked" takes our engine's own look at what was opened away too.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import List, Sequence

from epochmark.engines import Batch, Device, TrainingState, Weights
from epochmark.engines import plaidml_keras as engine_file
from epochmark.engines.plaidml_keras import DEVICE_IDS, PlaidmlKerasEngine

GONE = engine_file._Found(Device("gpu:0", "opencl_gone.0"), "opencl_gone.0", experimental=False)


class TrickedPlaidmlEngine(PlaidmlKerasEngine):
    info = replace(PlaidmlKerasEngine.info, name="tricked-plaidml-keras")

    def _select_device(self) -> None:
        super()._select_device()
        os.environ[DEVICE_IDS] = ""

    def _check_device(self) -> None:
        if os.environ["DEFECT"] != "unchecked":
            super()._check_device()

    def state(self) -> TrainingState:
        raise NotImplementedError("the continuation takes minutes on a CPU")

    def replay(self, weights: Weights, batches: Sequence[Batch]) -> List[float]:
        """Of one batch, told for all: each takes seconds on a CPU, and the device matters here."""
        return super().replay(weights, batches[:1]) * len(batches)


_found = engine_file._find_devices
engine_file._find_devices = lambda: [*_found(), GONE]

ENGINE = TrickedPlaidmlEngine()
