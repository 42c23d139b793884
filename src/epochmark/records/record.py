"""The record: one run, raw laps included, as typed structures (see docs/record-format.md)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from epochmark.records.fields import (
    MAX_EPOCHS,
    MAX_GPUS,
    MAX_LAPS,
    MAX_PARAMETERS,
    Count,
    Date,
    Digest,
    EngineName,
    EpochNumber,
    FailureKind,
    LongText,
    Nanoseconds,
    Outcome,
    PositiveCount,
    Quantity,
    Rate,
    RecordId,
    ReplayLosses,
    Samples,
    Seconds,
    ShortList,
    ShortMap,
    ShortText,
    Validity,
)

SCHEMA_VERSION = 5


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of a record: immutable, and strict about unknown fields."""


class Gpu(_Part, frozen=True, kw_only=True):
    """A GPU of the machine as its driver shows it before a run; None: it does not say.

    ``power_limit_w`` is what it may draw. ``pcie_generation`` is the newest that card and slot both
    have, since an idle link is slower than it can be; ``pcie_width`` are the lanes in use.
    """

    name: ShortText
    driver: ShortText | None = None
    power_limit_w: Annotated[float, Meta(gt=0.0, le=10_000.0)] | None = None
    pcie_generation: Annotated[int, Meta(ge=1, le=10)] | None = None
    pcie_width: Annotated[int, Meta(ge=1, le=32)] | None = None


class Machine(_Part, frozen=True, kw_only=True):
    """The hardware and system a run was measured on; nothing that names its owner.

    ``core_kinds`` are named where cores differ (``4 Performance, 4 Efficiency``), ``cpu_quota`` is
    the CPUs' worth of time that a control group allows, ``memory_limit_bytes`` the memory.
    ``gpus`` are None where none is seen, whichever of them the run was on.
    """

    machine_id: ShortText | None
    model: ShortText | None
    cpu: ShortText
    microarchitecture: ShortText | None
    instruction_sets: ShortList
    physical_cores: Count | None
    usable_cores: Count
    memory_bytes: Count | None
    os: ShortText
    os_version: ShortText
    kernel: ShortText
    architecture: ShortText
    virtualized: bool | None
    power_source: ShortText | None
    cpu_governor: ShortText | None
    power_mode: ShortText | None = None
    core_kinds: ShortText | None = None
    cpu_quota: Annotated[float, Meta(gt=0.0, lt=1e6)] | None = None
    memory_limit_bytes: Count | None = None
    gpus: Annotated[list[Gpu], Meta(max_length=MAX_GPUS)] | None = None


class WorkloadRun(_Part, frozen=True, kw_only=True):
    """What was trained; ``variant`` names every departure from the workload as specified.

    A ``quick`` run ended by itself as soon as it knew its steady epoch, one that was to ``settle``
    as soon as the machine was thermally steady.
    """

    name: ShortText
    version: Count
    epochs: EpochNumber
    max_steps: Count | None
    batch_size: PositiveCount
    seed: Count
    variant: ShortList
    quick: bool = False
    settle: bool = False


class EngineRun(_Part, frozen=True, kw_only=True):
    """Who trained, and with which settings.

    ``tuned_settings`` are those in which a tuned run departs from stock, by name; None in a
    stock run.
    """

    name: EngineName
    family: ShortText
    title: ShortText
    adam_form: Literal["epsilon_hat", "algorithm_1"]
    tuning: Literal["stock", "tuned"]
    versions: ShortMap
    settings: ShortMap
    python: ShortText
    interpreter: Literal["own", "managed", "foreign"]
    tuned_settings: ShortMap | None = None


class DeviceRun(_Part, frozen=True, kw_only=True):
    """Where: as typed, as the engine picked it, and where the tensors were seen to be."""

    requested: ShortText
    resolved: ShortText | None
    resolved_description: ShortText | None
    observed: ShortList


class PrecisionRun(_Part, frozen=True, kw_only=True):
    """Precision asked for, and the tightest class whose parity tolerance the run met."""

    requested: ShortText
    observed: ShortText | None


class Lap(_Part, frozen=True, kw_only=True):
    """A stretch of ``steps`` steps of one epoch that ended ``end_ns`` after the clock started.

    ``loss`` is the epoch's mean so far, to six digits; None where the engine did not say.
    """

    epoch: EpochNumber
    steps: PositiveCount
    end_ns: Nanoseconds
    loss: float | None = None


class Epoch(_Part, frozen=True, kw_only=True):
    """A finished epoch: mean training loss and accuracy; None where the engine gave NaN."""

    epoch: EpochNumber
    loss: float | None
    accuracy: float | None


class LauncherClock(_Part, frozen=True, kw_only=True):
    """The fit by the clock of the process that started the worker: at least ``fit_low_ns``, at most
    ``fit_high_ns``, from when reports came.

    ``lap_gap_ns`` is by how much a lap's end lay outside what that clock allows, of all laps the
    most. ``absent_s`` is for how much of the fit that process was stopped itself.
    """

    fit_low_ns: Nanoseconds
    fit_high_ns: Nanoseconds
    lap_gap_ns: Nanoseconds = 0
    absent_s: Seconds = 0.0


class Timing(_Part, frozen=True, kw_only=True):
    """Raw times. ``startup_s`` is process start to clock start; ``fit_ns`` is the whole fit,
    ``trained_ns`` the part of it until the training was done, where the engine says it.
    ``launcher`` is what the launcher's own clock says of it."""

    startup_s: Seconds | None
    fit_ns: Nanoseconds | None
    trained_ns: Nanoseconds | None = None
    laps: Annotated[list[Lap], Meta(max_length=MAX_LAPS)]
    launcher: LauncherClock | None = None


class Learning(_Part, frozen=True, kw_only=True):
    """What was learned."""

    epochs: Annotated[list[Epoch], Meta(max_length=MAX_EPOCHS)]
    test_loss: float | None
    test_accuracy: Annotated[float, Meta(ge=0.0, le=1.0)] | None


class Replay(_Part, frozen=True, kw_only=True):
    """Losses of the parity replay, before each update; None where the engine gave NaN.

    ``version`` is that of the replay: which weights and samples it trained on. ``sgd_losses``: the
    same of its first steps with plain SGD, from version 3 on.
    """

    version: PositiveCount
    losses: ReplayLosses
    sgd_losses: ReplayLosses | None = None


class Placement(_Part, frozen=True, kw_only=True):
    """The threads that did the work of the fit, and the CPUs on which they may run all together."""

    threads: PositiveCount
    cpus: PositiveCount


class Stretch(_Part, frozen=True, kw_only=True):
    """Steps that the trained model made after the fit, beside the same steps in float64.

    ``losses`` before each update; of several steps in one call of ``fit`` their mean.
    ``update_errors``, by parameter: how far the engine's update is from the right one, norm of the
    difference over norm of the right one. None: not a number.
    """

    losses: Annotated[list[float | None], Meta(max_length=100)]
    right_losses: Annotated[list[float | None], Meta(max_length=100)]
    update_errors: Annotated[
        dict[ShortText, Annotated[float, Meta(ge=0.0)] | None], Meta(max_length=MAX_PARAMETERS)
    ]


class Continuation(_Part, frozen=True, kw_only=True):
    """How the trained model went on through ``fit``, and what its weights are worth.

    ``version`` is that of its batches and tolerances. ``single``: calls of ``fit`` with one batch
    each; ``repeated``: one call with several batches of one image. ``steps`` and ``steps_after``:
    the optimizer's own count at the fit's end and at the very end. The test figures are of the
    first test samples, as the engine says and as our float64 code finds them; the latter also over
    each half of the context, where the data set has halves. ``problem`` says why there is nothing
    of all this.
    """

    version: PositiveCount
    single: Stretch | None = None
    repeated: Stretch | None = None
    repeated_steps: Count | None = None
    steps: Count | None = None
    steps_after: Count | None = None
    test_loss: float | None = None
    test_accuracy: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    right_test_loss: float | None = None
    right_test_accuracy: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    right_half_losses: Annotated[list[float | None], Meta(min_length=2, max_length=2)] | None = None
    problem: LongText | None = None


class WatchingCost(_Part, frozen=True, kw_only=True):
    """CPU seconds that watching took during the fit: sampling, all of the parent process (sampling
    included), and the worker's reports."""

    sampler_cpu_s: Seconds
    parent_cpu_s: Seconds
    reporting_cpu_s: Seconds


class Calm(_Part, frozen=True, kw_only=True):
    """What else the machine did while the fit went on: columns, one entry a sample.

    ``end_s`` is when a sample ended, from the start of the clock; the others are what happened in
    it, summed over the ``cpus`` we may run on (``foreign``: outside our process tree). ``runnable``
    counts tasks that ran or waited for a CPU at its end. None: this system does not report it,
    or reports what cannot be (less CPU time in all than our own processes used).
    """

    source: ShortText
    cpus: PositiveCount
    end_s: Samples
    foreign_cpu_s: Samples | None
    own_cpu_s: Samples | None
    idle_cpu_s: Samples | None
    steal_cpu_s: Samples | None
    memory_stall_s: Samples | None
    swap_in_bytes: Samples | None
    quota_throttled_s: Samples | None
    suspended_s: Samples | None
    runnable: Samples | None
    worker_cpu_s: Seconds | None
    involuntary_switches: Count | None
    cost: WatchingCost


class RunLimits(_Part, frozen=True, kw_only=True):
    """What the processor can do at most, as measured by ``epochmark limits``
    (``records.machine.machine_limits``) on this machine before the run.

    Peaks in GFLOP/s, over all instruction sets and thread counts; ``float32_source`` says what
    reached it. ``triad_gb_per_s``: memory bandwidth in GB/s as STREAM counts it. None: unknown.
    ``steady``: the peaks repeated, and nothing else used the processor; otherwise the machine was
    busy, and may do more than they say. ``foreign_cpus`` are the CPUs that other programs used
    at the same time, ``power_source`` and ``cpu_quota`` what it had to run on then.
    """

    measured: Date
    float32_gflop_per_s: Rate
    float32_source: ShortText
    bfloat16_gflop_per_s: Rate | None = None
    triad_gb_per_s: Rate | None = None
    steady: bool = True
    foreign_cpus: Annotated[float, Meta(ge=0.0, lt=1e6)] | None = None
    power_source: ShortText | None = None
    cpu_quota: Annotated[float, Meta(gt=0.0, lt=1e6)] | None = None


class SensorColumn(_Part, frozen=True, kw_only=True):
    """One quantity over time, and of what (``scope``: ``CPU``, ``GPU 0 NVIDIA ...``).

    ``energy`` and ``throttle_count`` are sums since the first reading. None: nothing was read, or
    something that cannot be.
    """

    quantity: Quantity
    unit: ShortText
    scope: ShortText
    values: Annotated[list[float | None], Meta(max_length=1000)]


class SensorLog(_Part, frozen=True, kw_only=True):
    """What one sensor read while the fit went on; ``at_s`` is from the start of the clock.

    ``source`` is who was asked. ``problems`` are what happened to it, in words.
    """

    sensor: ShortText
    source: ShortText
    at_s: Samples
    columns: Annotated[list[SensorColumn], Meta(max_length=100)]
    problems: Annotated[list[ShortText], Meta(max_length=20)]


class Finding(_Part, frozen=True, kw_only=True):
    """One fact that limits trust in the run; ``code`` is from ``findings.FindingCode``."""

    code: ShortText
    detail: LongText


class Failure(_Part, frozen=True, kw_only=True):
    """How a run that did not complete ended: the engine raised (``failed``), the process ended by
    itself or by a signal, went silent, broke the protocol, or the user stopped it. What the worker
    wrote to stderr stays in a side file."""

    kind: FailureKind
    phase: ShortText
    exception: ShortText | None
    message: LongText
    exit_status: Annotated[int, Meta(ge=0, le=255)] | None
    signal: ShortText | None


class Headline(_Part, frozen=True, kw_only=True):
    """The derived figures people quote; recomputed from the raw laps whenever a record is read.

    A quick run that ended before all epochs were trained has no elapsed time but a projected one.
    """

    elapsed_s: float | None
    projected_elapsed_s: float | None = None
    projected_elapsed_low_s: float | None = None
    projected_elapsed_high_s: float | None = None
    steady_epoch_s: float | None
    steady_epoch_low_s: float | None
    steady_epoch_high_s: float | None
    time_to_target_s: float | None = None
    images_per_s: float | None
    test_accuracy: float | None
    validity: Validity


class Record(_Part, frozen=True, kw_only=True):
    """One run. ``digest`` is that of the content (``records.digest``). ``before_continuation``: it
    was written with a schema that had none, so that nothing is to be found in that."""

    schema: PositiveCount
    id: RecordId
    created: Date
    epochmark_version: ShortText
    label: ShortText | None
    outcome: Outcome
    headline: Headline
    findings: Annotated[list[Finding], Meta(max_length=100)]
    workload: WorkloadRun
    engine: EngineRun
    device: DeviceRun
    precision: PrecisionRun
    timing: Timing
    learning: Learning
    replay: Replay | None
    failure: Failure | None
    machine: Machine
    environment: ShortMap
    peak_memory_bytes: Count | None
    calm: Calm | None = None
    limits: RunLimits | None = None
    sensors: Annotated[list[SensorLog], Meta(max_length=50)] | None = None
    placement: Placement | None = None
    continuation: Continuation | None = None
    before_continuation: bool = False
    digest: Digest | None = None
