"""PlaidML that believes in a GPU which is not there, selects none, and so gets the CPU.

``DEFECT`` "unchecked" takes our engine's own look at what was opened away too.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, List, Optional, Sequence

from epochmark.engines import Batch, Device, TrainingState, Weights
from epochmark.engines.plaidml_keras import PlaidmlKerasEngine
from epochmark.workloads.spec import Optimizer

if TYPE_CHECKING:
    from epochmark.engines._plaidml.devices import Found


class TrickedPlaidmlEngine(PlaidmlKerasEngine):
    info = replace(PlaidmlKerasEngine.info, name="tricked-plaidml-keras")

    def _find_devices(self) -> List[Found]:
        from epochmark.engines._plaidml.devices import Found

        gone = Found(Device("gpu:0", "opencl_gone.0"), "opencl_gone.0", experimental=False)
        return [*super()._find_devices(), gone]

    def _select_device(self) -> None:
        from epochmark.engines._plaidml.devices import DEVICE_IDS

        super()._select_device()
        os.environ[DEVICE_IDS] = ""

    def _check_device(self) -> None:
        if os.environ["DEFECT"] != "unchecked":
            super()._check_device()

    def state(self) -> TrainingState:
        raise NotImplementedError("the continuation takes minutes on a CPU")

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        """Of one batch, reported for all: each takes seconds on a CPU, and the device matters
        here."""
        return super().replay(weights, batches[:1], optimizer) * len(batches)


ENGINE = TrickedPlaidmlEngine()
