"""The closed list of findings: what limits trust in a run, how badly, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from epochmark.records.record import Finding, Validity


@dataclass(frozen=True)
class _Meaning:
    validity: Validity
    title: str
    remedy: str


class FindingCode(Enum):
    """Every finding there is. The value is the code in records."""

    WORKER_CRASHED = "worker-crashed"
    WORKER_KILLED = "worker-killed"
    WORKER_HUNG = "worker-hung"
    INTERRUPTED = "interrupted"
    CUT_SHORT = "cut-short"
    ENGINE_FAILED = "engine-failed"
    OUT_OF_MEMORY = "out-of-memory"
    PROTOCOL_BROKEN = "protocol-broken"
    CONTRADICTORY = "contradictory"
    LOSS_DIVERGED = "loss-diverged"
    LOSS_FLAT = "loss-flat"
    LEARNING_OUT_OF_BAND = "learning-out-of-band"
    PARITY_FAILED = "parity-failed"
    PARITY_MISSING = "parity-missing"
    CONTINUATION_FAILED = "continuation-failed"
    CONTINUATION_MISSING = "continuation-missing"
    WEIGHTS_MISMATCH = "weights-mismatch"
    PRECISION_MISMATCH = "precision-mismatch"
    DEVICE_MISMATCH = "device-mismatch"
    WORK_INCOMPLETE = "work-incomplete"
    IMPLAUSIBLE = "implausible"
    CLOCKS_DISAGREE = "clocks-disagree"
    LIMITS_STALE = "limits-stale"
    LAPS_UNSYNCHRONISED = "laps-unsynchronised"
    NOT_JUDGED = "not-judged"
    WORKLOAD_UNKNOWN = "workload-unknown"
    FOREIGN_LOAD = "foreign-load"
    STEAL_TIME = "steal-time"
    MEMORY_PRESSURE = "memory-pressure"
    QUOTA_THROTTLED = "quota-throttled"
    SUSPENDED = "suspended"
    UNWATCHED = "unwatched"
    POWER_CHANGED = "power-changed"
    THROTTLED = "throttled"
    DRIFTING = "drifting"
    UNSETTLED = "unsettled"
    UNSTEADY = "unsteady"
    FEW_LAPS = "few-laps"
    STEPS_LIMITED = "steps-limited"


MEANING: dict[FindingCode, _Meaning] = {
    FindingCode.WORKER_CRASHED: _Meaning(
        "invalid",
        "the worker process crashed",
        "take away what is set there, if the line above names anything; read the stderr file "
        "beside the record; a mistake in the framework or a build of it for other processors is "
        "likelier than a lack of memory: try another version of it",
    ),
    FindingCode.WORKER_KILLED: _Meaning(
        "invalid",
        "the worker process was killed",
        "SIGKILL is what the system sends when memory runs out (see its log): close other programs "
        "or use a smaller --batch; every other signal was sent by a program or a person",
    ),
    FindingCode.WORKER_HUNG: _Meaning(
        "invalid",
        "the worker made no progress and was stopped",
        "run it again; if it hangs again, give it longer with --patience SECONDS or report it to "
        "the engine's maintainers",
    ),
    FindingCode.INTERRUPTED: _Meaning(
        "invalid",
        "the run was interrupted before an epoch or six laps were done",
        "run it again and let it finish",
    ),
    FindingCode.CUT_SHORT: _Meaning(
        "partial",
        "the run was interrupted: its speed holds for what was done, its arithmetic is not proven",
        "run it again and let it finish",
    ),
    FindingCode.ENGINE_FAILED: _Meaning(
        "invalid",
        "the engine reported an error",
        "the message names it, and what is set there, if anything; the stderr file beside the "
        "record has the rest",
    ),
    FindingCode.OUT_OF_MEMORY: _Meaning(
        "invalid",
        "the device's memory was not enough",
        "close what else uses that memory, or use a smaller --batch, a variant that is ranked "
        "apart",
    ),
    FindingCode.PROTOCOL_BROKEN: _Meaning(
        "invalid",
        "the worker reported what cannot be, or too much",
        "the engine file is at fault: report it, with the stderr file beside the record",
    ),
    FindingCode.CONTRADICTORY: _Meaning(
        "invalid",
        "the record contradicts itself: not all of it can be true",
        "the engine file, or a counter of this machine, is at fault: report it, with the record",
    ),
    FindingCode.LOSS_DIVERGED: _Meaning(
        "invalid",
        "the training loss became NaN or infinite",
        "take away what is set there, if the line above names anything; else the engine computes "
        "wrongly on this device: update its framework or driver",
    ),
    FindingCode.LOSS_FLAT: _Meaning(
        "invalid",
        "the training loss did not fall: nothing was learned",
        "take away what is set there, if the line above names anything; else the engine computes "
        "wrongly on this device: update its framework or driver",
    ),
    FindingCode.LEARNING_OUT_OF_BAND: _Meaning(
        "invalid",
        "loss or accuracy lie outside what correct training gives",
        "the engine does other work than the workload; compare its settings with "
        "docs/measurement/timing.md",
    ),
    FindingCode.PARITY_FAILED: _Meaning(
        "invalid",
        "ten replayed training steps gave other losses than the exact computation",
        "take away what is set there, if the line above names anything; else the engine does other "
        "arithmetic than it says: update its framework or driver",
    ),
    FindingCode.PARITY_MISSING: _Meaning(
        "invalid",
        "the replay that proves the arithmetic did not complete",
        "run it again; without the replay a time proves nothing",
    ),
    FindingCode.CONTINUATION_FAILED: _Meaning(
        "invalid",
        "what was timed trains otherwise than the exact computation from the same state",
        "the engine does other work in its fit than in its replay, or hands out another state than "
        "it trains: report it, or update its framework or driver",
    ),
    FindingCode.CONTINUATION_MISSING: _Meaning(
        "invalid",
        "the steps after the fit that prove what was timed were not made",
        "run it again; if it happens again the engine file is at fault: report it",
    ),
    FindingCode.WEIGHTS_MISMATCH: _Meaning(
        "invalid",
        "the trained weights do not give the loss and accuracy that were reported",
        "the engine reports what it did not train, or computes wrongly on this device: report it, "
        "or update its framework or driver",
    ),
    FindingCode.PRECISION_MISMATCH: _Meaning(
        "invalid",
        "the precision asked for was not met",
        "ask for the precision the engine really uses, or for 'stock'",
    ),
    FindingCode.DEVICE_MISMATCH: _Meaning(
        "invalid",
        "the work was not done on the device asked for",
        "check the framework's device support and driver; 'epochmark machine' lists what it sees",
    ),
    FindingCode.WORK_INCOMPLETE: _Meaning(
        "invalid",
        "fewer or other steps were reported than the workload has",
        "take away what is set there, if the line above names anything; else the engine file is at "
        "fault: report it",
    ),
    FindingCode.IMPLAUSIBLE: _Meaning(
        "invalid",
        "it was faster than this processor can compute",
        "the engine leaves work out or ends laps too early: report it",
    ),
    FindingCode.LIMITS_STALE: _Meaning(
        "valid",
        "it was faster than the measured peak of this processor allows",
        "the work is proven, so the peak is too low: measure it again on a quiet machine, with "
        "'epochmark limits'",
    ),
    FindingCode.CLOCKS_DISAGREE: _Meaning(
        "invalid",
        "the worker's clock and the launcher's tell different times",
        "run it again; if it comes back, the worker's times are wrong: report it, and how the "
        "engine's Python was installed",
    ),
    FindingCode.LAPS_UNSYNCHRONISED: _Meaning(
        "disturbed",
        "work went on after the last lap had ended",
        "the engine file is at fault, it ends laps before the device has finished: report it",
    ),
    FindingCode.FOREIGN_LOAD: _Meaning(
        "disturbed",
        "other programs used the processor during the run",
        "close them, or wait until they are done, and run it again",
    ),
    FindingCode.STEAL_TIME: _Meaning(
        "disturbed",
        "the host took processor time away from this virtual machine",
        "run it again when the host is less busy, or on a machine with processors of its own",
    ),
    FindingCode.MEMORY_PRESSURE: _Meaning(
        "disturbed",
        "the machine was short of memory and waited for the disk",
        "close other programs, or use a smaller --batch",
    ),
    FindingCode.QUOTA_THROTTLED: _Meaning(
        "disturbed",
        "the container used up its share of processor time and was stopped again and again",
        "give the container whole processors, or use no more --threads than its share has",
    ),
    FindingCode.SUSPENDED: _Meaning(
        "disturbed",
        "the machine slept during the run",
        "keep it awake and run it again",
    ),
    FindingCode.UNWATCHED: _Meaning(
        "disturbed",
        "nobody could watch whether other programs used the processor",
        "run it where the system counts processor time: outside of the sandbox or container that "
        "hides it",
    ),
    FindingCode.POWER_CHANGED: _Meaning(
        "disturbed",
        "the machine was plugged in or unplugged during the run",
        "leave it on mains power and run it again",
    ),
    FindingCode.THROTTLED: _Meaning(
        "disturbed",
        "the machine became slower because of heat",
        "let it cool down and give its fans air; 'epochmark run --settle' measures the speed that "
        "it can keep up",
    ),
    FindingCode.UNSETTLED: _Meaning(
        "disturbed",
        "the machine was not thermally steady when the run ended",
        "run it again while it is still warm",
    ),
    FindingCode.DRIFTING: _Meaning(
        "disturbed",
        "the speed changed steadily during the run",
        "let the machine cool down, put it on mains power, and run it again",
    ),
    FindingCode.UNSTEADY: _Meaning(
        "disturbed",
        "the epochs took too different times for a figure",
        "close other programs and run it again; a virtual machine's speed changes with its "
        "host's other guests as well",
    ),
    FindingCode.NOT_JUDGED: _Meaning(
        "partial",
        "no tolerance has been measured for this workload in this precision",
        "'epochmark workloads show' names the precisions in which each workload is judged",
    ),
    FindingCode.WORKLOAD_UNKNOWN: _Meaning(
        "partial",
        "this version of epochmark does not know the workload",
        "upgrade epochmark to have it judged",
    ),
    FindingCode.FEW_LAPS: _Meaning(
        "disturbed",
        "too few laps to know how much the speed varied",
        "train for longer: without --quick, or with more --epochs or --steps",
    ),
    FindingCode.STEPS_LIMITED: _Meaning(
        "partial",
        "only a fraction of the work was asked for",
        "leave --steps out for a figure that can be ranked",
    ),
}

_ORDER: tuple[Validity, ...] = ("valid", "disturbed", "partial", "invalid")


def worst_validity(codes: list[FindingCode]) -> Validity:
    """The validity of a run with these findings: that of its worst."""
    return max((MEANING[code].validity for code in codes), key=_ORDER.index, default="valid")


def make_finding(code: FindingCode, detail: str) -> Finding:
    """A finding as records hold it; a detail too long for a record is cut."""
    return Finding(code=code.value, detail=detail[:2000])
