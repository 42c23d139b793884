"""What a workload's samples are before a framework makes tensors of them."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import numpy.typing as npt

from epochmark.engines._shared.contract import Inputs
from epochmark.workloads import Workload
from epochmark.workloads.spec import Images


def images_nhwc(workload: Workload, images: Inputs) -> npt.NDArray[Any]:
    """``(n, height, width)`` to ``(n, height, width, channels)``, as the workload has them."""
    return images.reshape(len(images), *workload.input_shape)


def images_nchw(workload: Workload, images: Inputs) -> npt.NDArray[Any]:
    """The same with the channels first, contiguous."""
    return np.ascontiguousarray(np.moveaxis(images_nhwc(workload, images), -1, 1))


def blank_sample(workload: Workload) -> npt.NDArray[np.uint8]:
    """One black image, or one sequence of the symbol 0: ``(1, *input_shape)``."""
    return np.zeros((1, *workload.input_shape), np.uint8)


def blank_targets(workload: Workload) -> npt.NDArray[np.uint8]:
    """The class, or the symbols, 0 for ``blank_sample``."""
    several = () if isinstance(workload.input, Images) else workload.input_shape
    return np.zeros((1, *several), np.uint8)


def evaluation_batch(workload: Workload, images: int) -> int:
    """How many samples to evaluate at a time: that many images; of sequences, whose activations are
    larger, a training batch."""
    return images if isinstance(workload.input, Images) else workload.batch_size


def layout_of(workload: Workload, layout: str) -> Dict[str, str]:
    """What a record says of the order of an image's axes; nothing of what is no image."""
    return {"layout": layout} if isinstance(workload.input, Images) else {}
