"""Published results of other machines, with source and confidence; rules in docs/references.md.

They were measured by others, with other engines, and are never mixed unmarked with records.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from epochmark.analysis.comparing.comparability import ComparabilityKey

Confidence = Literal["as stated", "unit inferred", "uncertain"]
DeviceKind = Literal["cpu", "gpu", "tpu"]

_DATA = "mnist_cnn_references.json"


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part: immutable, and strict about unknown fields."""


class Source(_Part, frozen=True):
    """Where a figure was published; ``url`` None where no address is known."""

    title: str
    url: str | None
    remark: str | None


class OtherReading(_Part, frozen=True):
    """Another published figure of the same machine, device and framework, as it was printed."""

    reported: str
    framework_version: str | None
    source: Source
    note: str | None


class Comparability(_Part, frozen=True):
    """What a reference can be ranked with, in the words of a record.

    ``precision`` is what the framework does by default on that device; it was not observed.
    """

    workload: str
    variant: tuple[str, ...]
    precision: str
    precision_basis: Literal["stock, not observed"]
    tuning: Literal["stock"]
    engine_family: str


class PostCell(_Part, frozen=True):
    """A cell of the original post's table: ``text`` as printed there, question mark included."""

    row: int
    machine: str
    column: DeviceKind
    text: str


class Reference(_Part, frozen=True):
    """One published result.

    The true figure lies between ``low_s`` and ``high_s`` if the source is right: half a unit of
    the last printed digit on either side, or the range it states. ``doubt`` says why not to rely
    on it; it is set exactly when ``confidence`` is ``uncertain``.
    """

    id: str
    machine: str
    device: str
    device_kind: DeviceKind
    framework: str
    framework_version: str | None
    execution_mode: Literal["graph", "eager"] | None
    batch_size: int
    epochs: int | None
    seconds_per_epoch: float
    low_s: float
    high_s: float
    reported: str
    confidence: Confidence
    doubt: str | None
    validation_in_clock: bool
    dropout: bool
    first_epoch_only: bool
    comparability: Comparability
    post: PostCell | None
    source: Source
    note: str
    also: tuple[OtherReading, ...]

    @property
    def rankable(self) -> bool:
        """Whether it may be ranked at all, among others of its key."""
        return self.doubt is None and not self.first_epoch_only

    @property
    def key(self) -> ComparabilityKey:
        """The key under which measured runs of the same engine family can stand beside it."""
        parts = self.comparability
        return ComparabilityKey(
            workload=parts.workload,
            variant=parts.variant,
            precision=parts.precision,
            tuning=parts.tuning,
            engine_family=parts.engine_family,
        )


class _References(_Part, frozen=True):
    version: Literal[1]
    references: tuple[Reference, ...]


@cache
def load_references() -> tuple[Reference, ...]:
    """Every reference for ``mnist-cnn`` version 1, best sourced first."""
    content = resources.files("epochmark.analysis.comparing").joinpath(_DATA).read_bytes()
    return msgspec.json.decode(content, type=_References).references


def post_references() -> tuple[Reference, ...]:
    """The ten cells of the original post, in its row order, CPU before GPU before TPU."""
    cells = [(reference.post, reference) for reference in load_references() if reference.post]
    return tuple(
        reference for _, reference in sorted(cells, key=lambda cell: (cell[0].row, cell[0].column))
    )
