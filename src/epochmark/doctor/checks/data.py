"""The training data: is there a whole copy?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from epochmark.datasets import mnist_status
from epochmark.datasets.obtain import DATA_VARIABLE, MnistStatus
from epochmark.doctor.contract import Check, Line, fault, note, ok
from epochmark.doctor.facts import Facts


def examine(facts: Facts) -> Iterator[Line]:
    """One line."""
    yield data_line(mnist_status())


def data_line(status: MnistStatus) -> Line:
    """What ``epochmark data`` says, as a line."""
    if status.named is not None and not Path(status.named).expanduser().exists():
        return fault(
            f"{DATA_VARIABLE} names {status.named}, which is not there", f"unset {DATA_VARIABLE}"
        )
    if status.named is not None:
        return ok(f"MNIST is taken from {status.named} ({DATA_VARIABLE})")
    if status.state == "verified":
        return ok("MNIST is here and verified")
    if status.state == "damaged":
        return fault(f"the copy of MNIST is damaged: {status.detail}", "epochmark data fetch")
    if status.local_sources:
        return ok(f"MNIST will be taken from another program's copy ({status.local_sources[0]})")
    return note("MNIST is not here yet: the first run fetches 11 MB", "epochmark data fetch")


CHECK = Check(
    name="data",
    looks_at="our copy of MNIST, by its published checksums",
    notes="no copy yet",
    faults="a damaged copy; a variable that names what is not there",
    examine=examine,
    needs_drivers=False,
)
