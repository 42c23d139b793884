"""Real MNIST for every test that trains or reads it, obtained once a session."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, settings

from epochmark.bench.session import Bench
from epochmark.datasets import get_mnist, read_idx_folder
from epochmark.hardware.machine import describe_machine

Bytes = npt.NDArray[np.uint8]

# Started in the background or under nohup, we inherit that Ctrl-C and a hang-up are ignored; the
# programs that tests interrupt would inherit it from us.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGTERM, signal.SIG_DFL)

# A busy machine must not fail a test: no time limits, neither per example nor for drawing them.
settings.register_profile("epochmark", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("epochmark")


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """A folder with the four verified IDX files."""
    return get_mnist(None, lambda what, done, total: None)


@pytest.fixture(scope="session")
def mnist(mnist_folder: Path) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Training images, training labels, test images, test labels, all uint8."""
    return read_idx_folder(mnist_folder)


@pytest.fixture(scope="session")
def bench(mnist_folder: Path) -> Bench:
    """Makes runs on this machine without watching it."""
    return Bench(mnist_folder, describe_machine(None))
