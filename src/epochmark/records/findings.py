"""The closed list of findings: what limits trust in a run, how badly, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from epochmark.records.fields import Validity
from epochmark.records.record import Finding


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
    LOSS_BELOW_ENTROPY = "loss-below-entropy"
    COPY_NOT_LEARNED = "copy-not-learned"
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
        "undo the settings that the line above names, if any; read the stderr file beside the "
        "record; a bug in the framework, or a build for other processors, is more likely than too "
        "little memory: try another version",
    ),
    FindingCode.WORKER_KILLED: _Meaning(
        "invalid",
        "the worker process was killed",
        "the system sends SIGKILL when memory runs out (see its log): close other programs or use "
        "a smaller --batch; any other signal came from a program or a person",
    ),
    FindingCode.WORKER_HUNG: _Meaning(
        "invalid",
        "the worker made no progress and was stopped",
        "run it again; if it hangs again, allow it more time with --patience SECONDS or report it "
        "to the engine's maintainers",
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
        "read the message above and the stderr file beside the record; undo the settings that the "
        "message names, if any",
    ),
    FindingCode.OUT_OF_MEMORY: _Meaning(
        "invalid",
        "the device ran out of memory",
        "close other programs that use that memory, or use a smaller --batch (a variant, ranked "
        "separately)",
    ),
    FindingCode.PROTOCOL_BROKEN: _Meaning(
        "invalid",
        "the worker sent impossible reports, or too many",
        "the engine file is at fault: report it, with the stderr file beside the record",
    ),
    FindingCode.CONTRADICTORY: _Meaning(
        "invalid",
        "the record contradicts itself",
        "the engine file, or a counter of this machine, is at fault: report it, with the record",
    ),
    FindingCode.LOSS_DIVERGED: _Meaning(
        "invalid",
        "the training loss became NaN or infinite",
        "undo the settings that the line above names, if any; otherwise the engine computes "
        "incorrectly on this device: update its framework or driver",
    ),
    FindingCode.LOSS_FLAT: _Meaning(
        "invalid",
        "the training loss did not fall: nothing was learned",
        "undo the settings that the line above names, if any; otherwise the engine computes "
        "incorrectly on this device: update its framework or driver",
    ),
    FindingCode.LOSS_BELOW_ENTROPY: _Meaning(
        "invalid",
        "the test loss is lower than any model can reach without seeing the answer",
        "the engine sees what it is to find: look at its attention mask and at how targets are "
        "shifted; otherwise it leaves hard targets out of its mean",
    ),
    FindingCode.COPY_NOT_LEARNED: _Meaning(
        "invalid",
        "the trained model does not copy what it has seen",
        "nothing reaches a position from those before it: look at the engine's attention, at its "
        "positions, and at whether their parameters are trained",
    ),
    FindingCode.LEARNING_OUT_OF_BAND: _Meaning(
        "invalid",
        "loss or accuracy is outside the range of correct training",
        "the engine does different work from the workload; compare its settings with "
        "docs/measurement/timing.md",
    ),
    FindingCode.PARITY_FAILED: _Meaning(
        "invalid",
        "replayed training steps gave different losses from the exact computation",
        "undo the settings that the line above names, if any; otherwise the engine's arithmetic "
        "is not what it reports: update its framework or driver",
    ),
    FindingCode.PARITY_MISSING: _Meaning(
        "invalid",
        "the replay that proves the arithmetic did not complete",
        "run it again; without the replay a time proves nothing",
    ),
    FindingCode.CONTINUATION_FAILED: _Meaning(
        "invalid",
        "the timed code trains differently from the exact computation started in the same state",
        "the engine's fit does different work from its replay, or it exports a different state "
        "from the one it trains: report it, or update its framework or driver",
    ),
    FindingCode.CONTINUATION_MISSING: _Meaning(
        "invalid",
        "the steps after the fit, which prove the timed code, were not run",
        "where the line above speaks of memory or space: close other programs, free space in the "
        "folder for temporary files (TMPDIR), and run it again; otherwise run it again, and if it "
        "happens again the engine file is at fault: report it",
    ),
    FindingCode.WEIGHTS_MISMATCH: _Meaning(
        "invalid",
        "the trained weights do not give the reported loss and accuracy",
        "the engine reports results it did not train, or computes incorrectly on this device: "
        "report it, "
        "or update its framework or driver",
    ),
    FindingCode.PRECISION_MISMATCH: _Meaning(
        "invalid",
        "the requested precision was not used",
        "request the precision the engine really uses, or 'stock'",
    ),
    FindingCode.DEVICE_MISMATCH: _Meaning(
        "invalid",
        "the work was not done on the requested device",
        "check the framework's device support and driver; 'epochmark machine' lists what it sees",
    ),
    FindingCode.WORK_INCOMPLETE: _Meaning(
        "invalid",
        "the reported steps are not those of the workload",
        "undo the settings that the line above names, if any; otherwise the engine file is at "
        "fault: report it",
    ),
    FindingCode.IMPLAUSIBLE: _Meaning(
        "invalid",
        "the run was faster than this processor can compute",
        "the engine leaves work out or ends laps too early: report it",
    ),
    FindingCode.LIMITS_STALE: _Meaning(
        "valid",
        "the run was faster than the measured peak of this processor allows",
        "the work is proven, so the peak is too low: measure it again on a quiet machine, with "
        "'epochmark limits'",
    ),
    FindingCode.CLOCKS_DISAGREE: _Meaning(
        "invalid",
        "the worker's clock and the launcher's clock disagree",
        "run it again; if it happens again, the worker's times are wrong: report it, and say how "
        "the engine's Python was installed",
    ),
    FindingCode.LAPS_UNSYNCHRONISED: _Meaning(
        "disturbed",
        "work continued after the last lap ended",
        "the engine file is at fault: it ends laps before the device has finished; report it",
    ),
    FindingCode.FOREIGN_LOAD: _Meaning(
        "disturbed",
        "other programs used the processor during the run",
        "close them, or wait until they are done, and run it again",
    ),
    FindingCode.STEAL_TIME: _Meaning(
        "disturbed",
        "the host took processor time away from this virtual machine",
        "run it again when the host is less busy, or on dedicated processors",
    ),
    FindingCode.MEMORY_PRESSURE: _Meaning(
        "disturbed",
        "the machine was short of memory and waited for the disk",
        "close other programs, or use a smaller --batch",
    ),
    FindingCode.QUOTA_THROTTLED: _Meaning(
        "disturbed",
        "the container used up its CPU quota and was throttled",
        "give the container whole processors, or use no more --threads than its quota has CPUs",
    ),
    FindingCode.SUSPENDED: _Meaning(
        "disturbed",
        "the machine slept during the run",
        "keep it awake and run it again",
    ),
    FindingCode.UNWATCHED: _Meaning(
        "disturbed",
        "use of the processor by other programs could not be observed",
        "run it where the system counts processor time: outside the sandbox or container that "
        "hides it",
    ),
    FindingCode.POWER_CHANGED: _Meaning(
        "disturbed",
        "the machine was plugged in or unplugged during the run",
        "keep it on mains power and run it again",
    ),
    FindingCode.THROTTLED: _Meaning(
        "disturbed",
        "the machine slowed down because of heat",
        "let it cool down and give its fans air; 'epochmark run --settle' measures the speed that "
        "it can sustain",
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
        "the epoch times varied too much for a reliable result",
        "close other programs and run it again; on a virtual machine, other guests of the host "
        "can be the cause",
    ),
    FindingCode.NOT_JUDGED: _Meaning(
        "partial",
        "something of this workload cannot be judged yet in this precision",
        "'epochmark workloads show NAME' says what is judged",
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
        "only part of the work was requested",
        "omit --steps for a result that can be ranked",
    ),
}

_ORDER: tuple[Validity, ...] = ("valid", "disturbed", "partial", "invalid")


def worst_validity(codes: list[FindingCode]) -> Validity:
    """The validity of a run with these findings: that of its worst."""
    return max((MEANING[code].validity for code in codes), key=_ORDER.index, default="valid")


def make_finding(code: FindingCode, detail: str) -> Finding:
    """A finding as records hold it; a detail too long for a record is cut."""
    return Finding(code=code.value, detail=detail[:2000])
