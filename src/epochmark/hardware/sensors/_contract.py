"""What a sensor is: a few channels that are read together, and the sensor that is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from epochmark.records.fields import Quantity

INTERVAL_S = 1.0


class UnreadableError(Exception):
    """The sensor is here and may not be read, or lacks a library; one line that says which."""


@dataclass(frozen=True)
class Channel:
    """One quantity, in the unit of ``records.quantities``, and of what part of the machine.

    ``scope`` begins with ``CPU`` or ``GPU`` where it belongs to one of them.
    """

    quantity: Quantity
    scope: str


@dataclass(frozen=True)
class SensorInfo:
    """What a file of a sensor says of it in the documentation.

    ``reads``: quantities with their units, and of what; ``source``: the library or interface that
    is asked; ``needs``: what must be there. ``seen``: on what hardware that has it this has run.
    """

    reads: str
    source: str
    needs: str = "nothing"
    seen: str = "no"


class Sensor:
    """Without channels, as this class is, it is the sensor that a machine does not have.

    ``source`` names the library or interface that is asked. A sensor may take its time and may
    raise: each has a thread of its own (``bench.watching.sensing``), and nothing waits for it.
    """

    source = ""
    channels: tuple[Channel, ...] = ()
    interval_s = INTERVAL_S
    """Seconds between two readings at least; longer where a reading costs more than most."""

    def read(self) -> Sequence[float | None]:
        """A value for each channel; None where it has none just now. Sums (energy, throttle_count)
        may begin anywhere: they are kept from the first reading on."""
        return ()

    def close(self) -> None:
        """Nothing more will be read."""


ABSENT = Sensor()


def values_of(reads: Iterable[Callable[[], float | None]]) -> list[float | None]:
    """What each of these channels reads, None for those that fail. Raises what the last one raised
    where none has a value: then it is the whole sensor that fails."""
    values: list[float | None] = []
    failure: Exception | None = None
    for read in reads:
        try:
            values.append(read())
        except Exception as error:  # a driver or library may raise anything
            values.append(None)
            failure = error
    if failure is not None and all(value is None for value in values):
        raise failure
    return values


def number_in(file: Path) -> float:
    """The number that a file of ``/sys`` holds."""
    return float(file.read_text("ascii"))


def text_in(file: Path) -> str | None:
    """The line that a file of ``/sys`` holds; None where it is not there."""
    try:
        return file.read_text("utf-8", errors="replace").strip() or None
    except OSError:
        return None
