"""The document of ``epochmark scale``: what each number of devices did, and its proof
(docs/scaling.md).

It is no record of a run, so that no table, rank or chart of runs can take a figure of several
devices for one of a single device. Whatever follows from laps is derived again on reading.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from epochmark.records.documents.race import MOST_TURNS, RaceEnding, RaceTurn
from epochmark.records.fields import (
    MAX_LAPS,
    Count,
    Date,
    Digest,
    LongText,
    PositiveCount,
    RecordId,
    Seconds,
    ShortMap,
    ShortText,
)
from epochmark.records.json_text import RecordError, parsed, retyped, to_json
from epochmark.records.record import EngineRun, Failure, Lap, Machine, WorkloadRun
from epochmark.records.upgrades import MAX_RECORD_BYTES

SCALING_SCHEMA = 1
MOST_ENTRIES = 8
MOST_DEVICES = 1024

Mode = Literal["weak", "strong"]
Place = Literal["base", "scaled", "mathematics", "unknown", "out"]
Devices = Annotated[int, Meta(ge=1, le=MOST_DEVICES)]
Share = Annotated[float, Meta(gt=0.0, lt=1e6)]
Loss = Annotated[float, Meta(ge=0.0, lt=1e12)]
Losses = Annotated[list[Loss | None], Meta(max_length=1000)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of the document: immutable, and strict about unknown fields."""


class ScaledDevice(_Part, frozen=True, kw_only=True):
    """A device at the end: where the parameters were, the SHA-256 of their bytes, the cores that
    its process was bound to (none: it shares them), and seconds of a forward pass, which waits for
    no other device."""

    device: ShortText
    sha256: Digest
    cores: Annotated[list[Count], Meta(max_length=4096)]
    forward_s: Seconds | None


class ScalingEntry(_Part, frozen=True, kw_only=True):
    """What one number of devices did. ``batch_size`` is the whole batch of a step. The first
    ``warm_up_laps`` came before the first turn; a lap ends when the last of the devices has ended
    it. One that is not ``rated`` had no devices, or cores, of its own for each of them: it took no
    turns, and shows the mathematics only.

    ``adam`` and ``sgd`` are the losses of the split replay; ``all_reduce_s`` is how long the
    framework's own sum of as many float32 numbers as there are parameters took, call by call.
    """

    devices: Devices
    batch_size: PositiveCount
    rated: bool
    warm_up_laps: Count
    turns: Annotated[list[RaceTurn], Meta(max_length=MOST_TURNS)]
    laps: Annotated[list[Lap], Meta(max_length=MAX_LAPS)]
    resolved: ShortText | None
    description: ShortText | None
    parts: Annotated[list[ScaledDevice], Meta(max_length=MOST_DEVICES)]
    adam: Losses
    sgd: Losses
    all_reduce_s: Annotated[list[Seconds], Meta(max_length=1000)]
    failure: Failure | None = None


class Efficiency(_Part, frozen=True, kw_only=True):
    """What follows for an entry, by the formulas of docs/scaling.md.

    ``base``: one device, what the others are compared with. ``scaled``: its rate and efficiency,
    the latter with its 95 % interval. ``mathematics``: proven, not rated. ``unknown``: too few
    turns. ``out``: ``reason`` says what was wrong.
    """

    place: Place
    samples_per_s: Annotated[float, Meta(gt=0.0, lt=1e12)] | None = None
    efficiency: Share | None = None
    low: Share | None = None
    high: Share | None = None
    pairs: Count = 0
    precision: ShortText | None = None
    gradient_bytes: Count = 0
    all_reduce_s: Seconds | None = None
    bus_bytes_per_s: float | None = None
    exposed_s: float | None = None
    exposed_low_s: float | None = None
    exposed_high_s: float | None = None
    predicted: Share | None = None
    slowest: Count | None = None
    slowest_by: Share | None = None
    reason: LongText | None = None


class ScaledNode(_Part, frozen=True, kw_only=True):
    """A node of a cluster that had a device; those with the same ``host`` are on one machine."""

    machine: Machine
    host: Count


class Scaling(_Part, frozen=True, kw_only=True):
    """One call of ``epochmark scale``. ``workload.batch_size`` is the batch of a single device.
    ``efficiencies`` are derived, one for each entry in their order, and not part of the digest.

    Over nodes the n-th device of every entry was on the n-th of the ``nodes``, and ``machine`` is
    that of the first; none on one machine."""

    scaling_schema: PositiveCount
    id: RecordId
    created: Date
    epochmark_version: ShortText
    label: ShortText | None
    mode: Mode
    target: Annotated[float, Meta(gt=0.0, le=1.0)]
    max_seconds: Seconds
    seconds: Seconds
    ending: RaceEnding
    workload: WorkloadRun
    engine: EngineRun
    device: ShortText
    precision: ShortText
    replay_version: PositiveCount
    machine: Machine
    environment: ShortMap
    nodes: Annotated[list[ScaledNode], Meta(max_length=MOST_DEVICES)] = []
    entries: Annotated[list[ScalingEntry], Meta(min_length=1, max_length=MOST_ENTRIES)]
    efficiencies: Annotated[list[Efficiency], Meta(max_length=MOST_ENTRIES)] = []
    digest: Digest | None = None


def is_scaling_fields(fields: Any) -> bool:
    """Whether a parsed document looks like that of ``epochmark scale``; it may be a broken one."""
    return isinstance(fields, dict) and "scaling_schema" in fields


def typed_scaling(document: bytes) -> Scaling:
    """Such a document from JSON, held to its types. Raises ``RecordError``."""
    if len(document) > MAX_RECORD_BYTES:
        raise RecordError(f"it is larger than {MAX_RECORD_BYTES >> 20} MiB")
    fields = parsed(document)
    if not is_scaling_fields(fields):
        raise RecordError("it has no schema number of a scaling, so it is none")
    schema = fields["scaling_schema"]
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise RecordError("its schema number is none")
    if schema != SCALING_SCHEMA:
        raise RecordError(
            f"it has schema {schema} of a scaling, this version of epochmark reads "
            f"{SCALING_SCHEMA}: upgrade epochmark to read it"
        )
    try:
        return msgspec.convert(retyped(fields, Scaling), Scaling)
    except RecursionError as error:
        raise RecordError("it is nested too deeply") from error
    except msgspec.ValidationError as error:
        raise RecordError(str(error)) from error


def encode_scaling(scaling: Scaling) -> bytes:
    """The document as indented JSON, ending in a newline."""
    return to_json(scaling, indent=1) + b"\n"


def scaling_digest(fields: dict[str, Any]) -> str:
    """SHA-256 (hexadecimal) of its JSON fields: of what was measured, without what is derived, the
    machine's id, so that leaving that out of an export breaks nothing, and ``nodes`` where there
    are none."""
    content = retyped(fields, Scaling)
    stated = {
        name: value
        for name, value in content.items()
        if name not in ("digest", "efficiencies") and value is not None
    }
    if not stated.get("nodes"):
        stated.pop("nodes", None)  # documents from before there were nodes have none
    if isinstance(stated.get("machine"), dict):
        stated["machine"] = _without_id(stated["machine"])
    if isinstance(stated.get("nodes"), list):
        stated["nodes"] = [_node_without_id(node) for node in stated["nodes"]]
    return hashlib.sha256(msgspec.json.encode(stated, order="sorted")).hexdigest()


def _without_id(machine: dict[str, Any]) -> dict[str, Any]:
    return {**machine, "machine_id": None}


def _node_without_id(node: Any) -> Any:
    if not isinstance(node, dict) or not isinstance(node.get("machine"), dict):
        return node
    return {**node, "machine": _without_id(node["machine"])}


def is_intact_scaling(fields: dict[str, Any]) -> bool:
    """Whether the fields are those the digest was taken of."""
    return fields.get("digest") == scaling_digest(fields)


def sealed_scaling(scaling: Scaling) -> Scaling:
    """The document with the digest of its content."""
    return msgspec.structs.replace(scaling, digest=scaling_digest(msgspec.to_builtins(scaling)))
