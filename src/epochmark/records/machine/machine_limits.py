"""What a machine can do at most, as ``epochmark limits`` measured it, and the figures from it.

Raw repetitions are kept; every figure is derived on reading. Rates are in GFLOP/s and GB/s of 1e9;
a multiply-add counts as two."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from epochmark.records.fields import (
    MAX_RATE,
    MIN_RATE,
    Count,
    Date,
    EngineName,
    LongText,
    PositiveCount,
    ShortMap,
    ShortText,
)
from epochmark.records.machine.machine_file import MachineFile
from epochmark.records.quantities import GIGA
from epochmark.records.record import RunLimits

REPEATED = 0.8
"""A peak whose median repetition is below this share of the fastest was measured on a busy machine:
one busy process beside it takes half of a core. Clocks of a calm one vary by a tenth."""
LOADED_CPUS = 0.1
"""CPUs that other programs may use while a peak is measured, which needs all: more, and it bounds
nothing. Coarser than for runs: a measurement takes seconds, and CPU time is counted in ticks."""

PositiveSeconds = Annotated[float, Meta(gt=0.0, lt=1e6)]
Work = Annotated[float, Meta(gt=0.0, lt=1e18)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of the file: immutable, and strict about unknown fields."""


@dataclass(frozen=True)
class Spread:
    """Median of several repetitions, the lowest and the highest of them, and how many."""

    median: float
    low: float
    high: float
    count: int

    @property
    def repeats(self) -> bool:
        """Of a rate: whether at least half of the repetitions came near to the fastest."""
        return self.median >= REPEATED * self.high


class Timed(_Part, frozen=True, kw_only=True):
    """A piece of work, done again and again: ``seconds`` of each repetition, per call of the work;
    ``work`` is what one call does (floating-point operations, or bytes moved)."""

    work: Work
    seconds: Annotated[list[PositiveSeconds], Meta(min_length=1, max_length=1000)]

    def __post_init__(self) -> None:
        if self.work / min(self.seconds) / GIGA >= MAX_RATE:
            raise ValueError("it has a rate that no machine reaches")
        if self.work / max(self.seconds) / GIGA < MIN_RATE:
            raise ValueError("it has a rate lower than any machine's")

    @property
    def per_s(self) -> Spread:
        """Work a second, in 1e9 (GFLOP/s, or GB/s)."""
        return _spread([self.work / seconds / GIGA for seconds in self.seconds])

    @property
    def call_s(self) -> Spread:
        """Seconds a call takes."""
        return _spread(self.seconds)


class MultiplyAdds(_Part, frozen=True, kw_only=True):
    """Independent multiply-adds in registers: the arithmetic peak. ``timed.work`` in FLOP.

    ``instruction_set`` is one of the native engine's (``avx512``, ``avx2``, ``portable``), or for
    bfloat16 ``amx_bf16`` (matrix unit), ``avx512_bf16`` (dot product) or ``bfmmla`` (Arm's matrix
    multiply-accumulate).
    """

    instruction_set: ShortText
    precision: Literal["float32", "bfloat16"]
    threads: PositiveCount
    timed: Timed


class Product(_Part, frozen=True, kw_only=True):
    """A float32 product of two square matrices with ``size`` rows. ``timed.work`` in FLOP."""

    size: PositiveCount
    timed: Timed


class NativeProduct(Product, frozen=True, kw_only=True):
    """The same by the native kernels of one instruction set."""

    instruction_set: ShortText
    threads: PositiveCount


class Triad(_Part, frozen=True, kw_only=True):
    """Memory bandwidth: STREAM's triad ``a = b + factor * c`` over three float32 arrays.

    ``timed.work`` in bytes, three times ``array_bytes`` as STREAM counts. ``cache_bytes`` is the
    sum of the last-level caches, None where the system does not say.
    """

    threads: PositiveCount
    array_bytes: PositiveCount
    cache_bytes: Count | None
    timed: Timed


class _Measured(_Part, frozen=True, kw_only=True):
    """When something was measured, by which version, and under which circumstances.

    ``foreign_cpus`` are the CPUs that other programs used at the same time, on average. None: this
    system does not report it, or the version that measured did not ask.
    """

    measured: Date
    epochmark_version: ShortText
    foreign_cpus: Annotated[float, Meta(ge=0.0, lt=1e6)] | None = None
    power_source: ShortText | None = None
    cpu_quota: Annotated[float, Meta(gt=0.0, lt=1e6)] | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether other programs took a part of the processor."""
        return self.foreign_cpus is not None and self.foreign_cpus > LOADED_CPUS


class ProcessorLimits(_Measured, frozen=True, kw_only=True):
    """What the processor and its memory can do, measured by the native kernels.

    ``problems`` says in sentences what could not be measured, and why.
    """

    multiply_adds: Annotated[list[MultiplyAdds], Meta(max_length=100)] = []
    products: Annotated[list[NativeProduct], Meta(max_length=100)] = []
    triads: Annotated[list[Triad], Meta(max_length=10)] = []
    problems: Annotated[list[LongText], Meta(max_length=100)] = []

    @property
    def has_figures(self) -> bool:
        """Whether anything was measured."""
        return bool(self.multiply_adds or self.products or self.triads)


class EngineLimits(_Measured, frozen=True, kw_only=True):
    """What one engine reaches on one device, by its framework's own operations, stock settings.

    ``convolution``: forward, of the shape of ``mnist-cnn``'s second convolution at batch 128;
    ``timed.work`` as direct arithmetic, so minimal filtering may exceed the peak. ``dispatch``: one
    addition of two scalars and waiting for the device, ``work`` 1 call: its ``call_s`` is the
    latency in seconds. ``input``: gathering the images and labels of a batch of the workload's size
    and bringing them to the device, ``work`` in bytes of the images; None where the engine does not
    do that apart from the step. ``problem``: why some are None.
    """

    engine: EngineName
    device: ShortText
    device_description: ShortText | None = None
    versions: ShortMap = {}
    settings: ShortMap = {}
    product: Product | None = None
    convolution: Timed | None = None
    dispatch: Timed | None = None
    input: Timed | None = None
    problem: LongText | None = None

    @property
    def has_figures(self) -> bool:
        """Whether anything was measured."""
        return any((self.product, self.convolution, self.dispatch, self.input))


@dataclass(frozen=True)
class Peak:
    """The highest arithmetic rate known of a processor, and what reached it.

    Its fastest repetition (``high``) counts, not the median: other load only makes one slower, and
    what is held against the peak may have run when there was none.
    """

    gflop_per_s: Spread
    source: str
    loaded: bool = False

    @property
    def is_steady(self) -> bool:
        """Whether it repeated, and no other programs were busy."""
        return self.gflop_per_s.repeats and not self.loaded


class Limits(MachineFile, frozen=True, kw_only=True):
    """All that was measured on one machine; each part carries its own date."""

    processor: ProcessorLimits | None = None
    engines: Annotated[list[EngineLimits], Meta(max_length=200)] = msgspec.field(
        default_factory=list
    )

    def peak(self, precision: Literal["float32", "bfloat16"] = "float32") -> Peak | None:
        """The fastest multiply-adds of any instruction set and thread count; for float32 also an
        engine's matrix product on the CPU, where that is faster: matrix units (Apple's AMX, Arm's
        SME) are out of reach for the native kernels."""
        return max(self._peaks(precision), key=lambda peak: peak.gflop_per_s.high, default=None)

    def _peaks(self, precision: str) -> Iterator[Peak]:
        processor = self.processor
        if processor is not None:
            for measured in processor.multiply_adds:
                if measured.precision == precision:
                    threads = f"{measured.threads} thread{'s' if measured.threads != 1 else ''}"
                    source = f"{measured.instruction_set} multiply-adds, {threads}"
                    yield Peak(measured.timed.per_s, source, processor.is_loaded)
        for engine in self.engines if precision == "float32" else []:
            if engine.device == "cpu" and engine.product is not None:
                source = f"matrix product of {engine.engine}"
                yield Peak(engine.product.timed.per_s, source, engine.is_loaded)

    @property
    def threads_slow_each_other(self) -> bool:
        """Whether more threads, each on a core of its own, reached less than fewer did: then
        something else had those cores."""
        cores = self.machine.physical_cores or self.machine.usable_cores
        found = self.processor.multiply_adds if self.processor else []
        return any(
            (few.instruction_set, few.precision) == (more.instruction_set, more.precision)
            and few.threads < more.threads <= cores
            and more.timed.per_s.high < few.timed.per_s.high
            for few in found
            for more in found
        )

    def bandwidth(self) -> Spread | None:
        """The fastest triad, in GB/s; ``high`` counts, as for peaks and in STREAM itself."""
        triads = self.processor.triads if self.processor else []
        return max((t.timed.per_s for t in triads), key=lambda rate: rate.high, default=None)

    def of_engine(self, engine: str, device: str) -> EngineLimits | None:
        """What this engine reached on this device, if it was measured."""
        found = (e for e in self.engines if (e.engine, e.device) == (engine, device))
        return next(found, None)

    def with_engine(self, measured: EngineLimits) -> Limits:
        """These, with what was measured now in place of what there was of that engine and
        device."""
        now = (measured.engine, measured.device)
        others = [known for known in self.engines if (known.engine, known.device) != now]
        engines = sorted([*others, measured], key=lambda known: (known.engine, known.device))
        return msgspec.structs.replace(self, engines=engines)

    def for_run(self) -> RunLimits | None:
        """The few figures a record of a CPU run keeps; None without an arithmetic peak."""
        peak, low_precision, bandwidth = self.peak(), self.peak("bfloat16"), self.bandwidth()
        if peak is None or self.processor is None:
            return None
        return RunLimits(
            measured=self.processor.measured,
            float32_gflop_per_s=peak.gflop_per_s.high,
            float32_source=peak.source,
            bfloat16_gflop_per_s=low_precision.gflop_per_s.high if low_precision else None,
            steady=not self.threads_slow_each_other
            and all(reached.is_steady for reached in (peak, low_precision) if reached is not None),
            triad_gb_per_s=bandwidth.high if bandwidth else None,
            foreign_cpus=self.processor.foreign_cpus,
            power_source=self.processor.power_source,
            cpu_quota=self.processor.cpu_quota,
        )


def _spread(values: list[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values), len(values))
