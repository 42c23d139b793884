"""What a field of a record or of another document may hold: types with their bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

MAX_EPOCHS = 1000
"""Longer runs measure nothing more."""
MAX_LAPS = 200_000
MAX_PARAMETERS = 1000
"""Arrays of a workload: GPT-2 has 196 at its smallest size and 772 at its largest."""
MAX_GPUS = 64

ShortText = Annotated[str, Meta(max_length=300)]
LongText = Annotated[str, Meta(max_length=2000)]
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
EpochNumber = Annotated[int, Meta(ge=1, le=MAX_EPOCHS)]
EngineName = Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,60}\Z")]
"""It becomes part of a file's name."""
Date = Annotated[str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")]
"""UTC."""
RecordId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{12}\Z")]
MAX_INTEGER = 2**53 - 1
"""What other tools' numbers hold exactly, JavaScript's among them: 104 days of nanoseconds."""
Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
PositiveCount = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
Nanoseconds = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
MIN_RATE, MAX_RATE = 1e-12, 1e9
"""In 1e9 a second: from one operation in a quarter of an hour to what no machine reaches."""
Rate = Annotated[float, Meta(ge=MIN_RATE, lt=MAX_RATE)]
Seconds = Annotated[float, Meta(ge=0.0, lt=1e12)]
ShortMap = Annotated[dict[ShortText, ShortText], Meta(max_length=100)]
Samples = Annotated[list[Annotated[float, Meta(gt=-1e18, lt=1e18)]], Meta(max_length=1000)]
ReplayLosses = Annotated[list[float | None], Meta(max_length=1000)]
ShortList = Annotated[list[ShortText], Meta(max_length=100)]

Validity = Literal["valid", "disturbed", "partial", "invalid"]
Outcome = Literal["completed", "failed"]
FailureKind = Literal["failed", "crashed", "killed", "hung", "interrupted", "protocol-broken"]
Quantity = Literal[
    "temperature", "frequency", "energy", "power", "utilisation", "memory", "throttle_count",
    "throttle_level", "mains",
]  # fmt: skip
"""What a sensor may read; units and plausible values are in ``records.quantities``."""
