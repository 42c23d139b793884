"""MLX with its Adam as it comes by default: without bias correction."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Sequence

from epochmark.engines import Batch, Weights
from epochmark.engines.mlx import MlxEngine
from epochmark.workloads.spec import Optimizer


class UncorrectedMlxEngine(MlxEngine):
    info = replace(MlxEngine.info, name="uncorrected-mlx")

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        from mlx import optimizers

        corrected = optimizers.Adam

        def uncorrected(*arguments: object, bias_correction: bool, **named: object) -> object:
            return corrected(*arguments, **named)

        optimizers.Adam = uncorrected
        try:
            return super().replay(weights, batches, optimizer)
        finally:
            optimizers.Adam = corrected


ENGINE = UncorrectedMlxEngine()
