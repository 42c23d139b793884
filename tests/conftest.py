"""Real MNIST for every test that trains or reads it; what tests in several processes share.

``make test`` runs tests in several processes side by side (pytest-xdist). Each has cores
(``tests.cores``) and temporary files of its own, hence its own lock of measuring. A test that needs
the whole machine is marked ``alone`` and runs afterwards.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, settings

from epochmark.bench.session import Bench
from epochmark.datasets import get_mnist, read_idx_folder
from epochmark.engines._shared.variables import known_variables, recorded_environment
from epochmark.hardware.machine import describe_machine
from tests import cores

Bytes = npt.NDArray[np.uint8]

# Started in the background or under nohup, we inherit that Ctrl-C and a hang-up are ignored; the
# programs that tests interrupt would inherit it from us.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGTERM, signal.SIG_DFL)

# Containers often forbid Python to keep what it has compiled. The thousands of processes that tests
# start would compile all they import, each of them again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A busy machine must not fail a test: no time limits, neither per example nor for drawing them.
settings.register_profile("epochmark", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("epochmark")


NOTHING_IS_SKIPPED = os.environ.get("EPOCHMARK_REQUIRE_ENGINES") == "all"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where every engine is required, as in CI, a test that is skipped has failed."""
    report = yield
    if NOTHING_IS_SKIPPED and report.skipped:
        report.outcome, report.longrepr = "failed", f"it was skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Temporary files of this process's own, and no variable that changes the work of a framework:
    a run in an interpreter that the user names records each of them."""
    known = known_variables()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
        for name in recorded_environment(os.environ, (*known.threads, *known.switches)):
            environment.delenv(name)
        yield


@pytest.fixture
def all_cores() -> Iterator[None]:
    """For runs that are to have as many threads as a user's, though other tests run beside them."""
    if cores.ALL:
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores.ALL)
    yield
    if cores.ALL:
        os.sched_setaffinity(0, own)


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
