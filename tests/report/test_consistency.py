"""What contradicts itself is refused, by check, by import and by whoever reads; honest records of
every kind pass."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

import epochmark
from epochmark.analysis.timing.headline import headline_of
from epochmark.cli import app
from epochmark.judge.check import check_record
from epochmark.judge.consistency import contradictions
from epochmark.judge.reading import decode_record
from epochmark.judge.results import ResultFiles
from epochmark.judge.validity import judge
from epochmark.records.bundle import sum_of_records
from epochmark.records.digest import digest_of
from epochmark.records.findings import FindingCode
from epochmark.records.json_text import RecordError, parsed
from epochmark.records.record import Calm, Record, RunLimits, WatchingCost
from epochmark.records.upgrades import encode_record
from tests.report.samples import failed, sample
from tests.report.test_check import judged

Fields = dict[str, Any]
Edit = Callable[[Fields], object]
SAVED = sorted((Path(__file__).parents[1] / "records").glob("*.json"))


def watched() -> Record:
    """A valid run with everything that is measured around one: two CPUs, sampled every second."""
    record = sample(7)
    lasted_s = (record.timing.fit_ns or 0) / 1e9
    samples = math.ceil(lasted_s)
    calm = Calm(
        source="/proc",
        cpus=record.machine.usable_cores,
        end_s=[*(float(second) for second in range(1, samples)), lasted_s],
        foreign_cpu_s=[0.01] * samples,
        own_cpu_s=[*[1.93] * (samples - 1), 1.93 * (lasted_s % 1)],
        idle_cpu_s=[*[0.06] * (samples - 1), 0.06 * (lasted_s % 1)],
        steal_cpu_s=[0.0] * samples,
        memory_stall_s=[0.0] * samples,
        swap_in_bytes=[0.0] * samples,
        quota_throttled_s=None,
        suspended_s=[0.0] * samples,
        runnable=[3.0] * samples,
        worker_cpu_s=1.92 * lasted_s,
        involuntary_switches=2000,
        cost=WatchingCost(sampler_cpu_s=0.03, parent_cpu_s=0.1, reporting_cpu_s=0.02),
    )
    limits = RunLimits(
        measured="2026-11-01T09:00:00Z",
        float32_gflop_per_s=480.0,
        float32_source="avx512 multiply-adds, 2 threads",
        triad_gb_per_s=30.0,
    )
    return judged(msgspec.structs.replace(record, calm=calm, limits=limits))


def resealed(record: Record, edit: Edit) -> bytes:
    """The record's file after an edit by hand, with digest and headline made to fit."""
    fields = json.loads(encode_record(record))
    edit(fields)
    try:
        headline = headline_of(msgspec.convert(fields, Record))
        fields["headline"] = msgspec.to_builtins(headline)
    except (msgspec.ValidationError, ValueError, ArithmeticError, LookupError):
        pass
    fields["digest"] = digest_of(fields)
    return json.dumps(fields).encode()


def put(*path: Any, value: Any) -> Edit:
    """An edit that puts a value at a place."""

    def edit(fields: Any) -> None:
        for step in path[:-1]:
            fields = fields[step]
        fields[path[-1]] = value

    return edit


def scale_laps(fields: Fields) -> None:
    for lap in fields["timing"]["laps"]:
        lap["end_ns"] = lap["end_ns"] // 1000 + 1
    fields["timing"]["fit_ns"] //= 1000


CONTRADICTIONS: list[tuple[Callable[[], Record], Edit, str]] = [
    (watched, put("timing", "fit_ns", value=1), "its last lap ended after"),
    (watched, put("timing", "trained_ns", value=1), "its last lap ended after"),
    (watched, put("timing", "trained_ns", value=10**15), "its last lap ended after"),
    (watched, put("timing", "fit_ns", value=None), "does not say how long"),
    (watched, scale_laps, "CPU seconds in"),
    (watched, put("calm", "own_cpu_s", value=[1.0]), "different lengths"),
    (watched, put("calm", "runnable", value=[]), "different lengths"),
    (watched, put("calm", "end_s", 3, value=3.0), "are not in time order"),
    (watched, put("calm", "end_s", 0, value=0.0), "are not in time order"),
    (watched, put("calm", "own_cpu_s", 2, value=9.0), "CPU seconds were counted in a sample"),
    (watched, put("calm", "steal_cpu_s", 2, value=9.0), "CPU seconds were counted in a sample"),
    (watched, put("calm", "idle_cpu_s", 2, value=-1.0), "a CPU time is negative"),
    (watched, put("calm", "own_cpu_s", 2, value=0.0), "CPU seconds are accounted for in a sample"),
    (watched, put("calm", "foreign_cpu_s", 2, value=-60.0), "more processor time than all"),
    (watched, put("calm", "worker_cpu_s", value=1000.0), "of [0-9.]+ CPU seconds"),
    (watched, put("calm", "memory_stall_s", 2, value=3.0), "memory was waited for"),
    (watched, put("calm", "runnable", 2, value=0.5), "tasks that ran is impossible"),
    (watched, put("calm", "cpus", value=64), "64 CPUs were watched"),
    (watched, put("calm", "cost", "sampler_cpu_s", value=9.0), "sampling took more"),
    (watched, put("machine", "cpu_quota", value=0.5), "with a quota of 0.5 CPUs"),
    (watched, put("machine", "usable_cores", value=0), "no processor core"),
    (watched, put("machine", "memory_bytes", value=10_000), "bytes of memory, its machine has"),
    (watched, put("peak_memory_bytes", value=1000), "too few for any"),
    (watched, put("learning", "test_loss", value=-0.03), "negative loss"),
    (watched, put("learning", "epochs", 0, "loss", value=-0.1), "negative loss"),
    (watched, put("timing", "laps", 5, "loss", value=-0.1), "negative loss"),
    (watched, put("learning", "test_loss", value=0.0), "its test loss cannot be 0"),
    (watched, put("learning", "test_loss", value=99.0), "its test loss cannot be 99"),
    (watched, put("learning", "epochs", 0, "accuracy", value=1.2), "not a share of the images"),
    (watched, put("timing", "laps", 5, "loss", value=0.0001), "sum of losses falls"),
    (watched, put("learning", "epochs", 0, "epoch", value=2), "the loss of epoch 2 is given as"),
    (watched, put("workload", "batch_size", value=60_001), "larger than the 60000 images"),
    (watched, put("workload", "max_steps", value=0), "0 steps asked for"),
    (watched, put("workload", "seed", value=2**32), "seed"),
    (watched, put("workload", "variant", value=["5 of 2 threads"]), "5 of 2 threads"),
    (watched, put("device", "requested", value="moon"), "'moon' is not a device"),
    (watched, put("precision", "requested", value="float8"), "'float8' is not a precision"),
    (watched, put("engine", "tuning", value="tuned"), "lacks tuned settings"),
    (watched, put("engine", "family", value="torch"), "native is of family native"),
    (watched, put("engine", "adam_form", value="algorithm_1"), "computes Adam in the form"),
    (
        watched,
        put("engine", "versions", value={"numpy": "the best"}),
        "'the best' is not a version",
    ),
    (watched, put("epochmark_version", value="newest"), "'newest' is not a version"),
    (watched, put("limits", "measured", value="2026-12-24T00:00:00Z"), "limits were measured"),
    (watched, put("created", value="2026-13-01T00:00:00Z"), "no such date: 2026-13"),
    (watched, put("created", value="2031-01-01T00:00:00Z"), "cannot have been measured at 2031"),
    (watched, put("created", value="1970-01-01T00:00:00Z"), "cannot have been measured at 1970"),
    (watched, put("label", value="a\u202eb"), "text that cannot be printed"),
    (
        watched,
        put("findings", value=[{"code": "worker-crashed", "detail": ""}]),
        "do not support the finding",
    ),
    (lambda: failed(5), put("failure", "exit_status", value=1), "by itself and by a signal"),
    (lambda: failed(5), put("failure", "signal", value=None), "in neither way"),
    (lambda: failed(5), put("failure", "signal", value="SIG\n"), "no signal"),
    (lambda: failed(5), put("failure", "kind", value="failed"), "no exception is named"),
    (lambda: failed(5), put("failure", "phase", value="loading"), "and has laps"),
    (lambda: failed(5), put("learning", "epochs", 1, "epoch", value=9), "not numbered from 1"),
    (lambda: failed(5), put("timing", "laps", 3, "steps", value=999), "of this batch"),
    (lambda: failed(5), put("workload", "epochs", value=1), "it made"),
]


@pytest.mark.parametrize(("make", "edit", "reason"), CONTRADICTIONS)
def test_what_contradicts_itself_is_refused(
    make: Callable[[], Record], edit: Edit, reason: str
) -> None:
    untouched = check_record(encode_record(judged(make())))
    assert (untouched.problems, untouched.differences) == ((), ())
    (*others, last) = [
        problem
        for problem in check_record(resealed(judged(make()), edit)).problems
        if not problem.startswith("the headline says")
    ]
    assert re.search(reason, " ".join((*others, last))), (*others, last)


@pytest.mark.parametrize("file", SAVED, ids=lambda file: file.stem)
def test_records_that_were_really_saved_contradict_nothing(file: Path) -> None:
    record = decode_record(file.read_bytes())
    assert list(contradictions(record)) == []
    for problem in check_record(file.read_bytes()).problems:
        assert problem.startswith("judged by the rules of schema 1: today's rules would add")


def test_a_record_that_says_itself_that_it_contradicts_itself_can_be_read_and_is_invalid() -> None:
    """Nothing that was measured is lost, and it is never taken for a figure."""
    calm = watched().calm
    assert calm is not None
    odd = msgspec.structs.replace(calm, own_cpu_s=[9.0] * len(calm.end_s))
    record = judged(msgspec.structs.replace(watched(), calm=odd))
    assert record.findings[0].code == FindingCode.CONTRADICTORY.value
    read = decode_record(encode_record(record))
    assert read.headline.validity == "invalid"
    assert check_record(encode_record(record)).problems != ()


def bundle_of(*documents: bytes) -> bytes:
    """A bundle of documents that need not be records, or text."""
    readable = []
    for document in documents:
        try:
            readable.append(parsed(document))
        except RecordError:
            readable.append(None)
    head = {"epochmark_bundle": 1, "epochmark_version": "0.1.0", "sha256": sum_of_records(readable)}
    return json.dumps(head)[:-1].encode() + b', "records": [' + b",".join(documents) + b"]}"


@pytest.mark.parametrize(
    "bad",
    [
        b'{"schema": 2, "id": "00ff00ff00ff", "timing": "\xff"}',
        resealed(sample(3), put("created", value="2026-13-01T00:00:00Z")),
        resealed(sample(3), put("timing", "fit_ns", value=1)),
        b"null",
    ],
    ids=["byte", "month", "fit", "null"],
)
def test_one_bad_record_does_not_block_its_bundle(
    results: ResultFiles, tmp_path: Path, bad: bytes
) -> None:
    file = tmp_path / "bundle.json"
    file.write_bytes(bundle_of(encode_record(sample(1)), bad, encode_record(sample(2))))
    for arguments in (["check", str(file)], ["results", "import", str(file)]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 1, done.output
        assert isinstance(done.exception, SystemExit)
        assert "cannot be read" in done.output
    assert {run.record.id for run in results.load()[0]} == {sample(1).id, sample(2).id}


@pytest.mark.parametrize("bad", [b"\xff", b'{"schema": 3, "timing": {}, "label": "\xff"}'])
def test_a_file_that_is_no_text_is_refused_without_a_traceback(tmp_path: Path, bad: bytes) -> None:
    file = tmp_path / "record.json"
    file.write_bytes(bad)
    done = CliRunner().invoke(app, ["check", str(file)])
    assert done.exit_code == 2
    assert "neither a bundle nor a record" in done.output


def test_of_a_bundle_that_is_not_whole_the_records_that_fit_are_taken_and_it_is_said(
    results: ResultFiles, tmp_path: Path
) -> None:
    """The same rule, in the same words, for check, import and whoever reads a bundle."""
    file = tmp_path / "bundle.json"
    epochmark.export_results([sample(1), sample(2), sample(3)], file)
    whole = json.loads(file.read_bytes())
    whole["records"][1]["label"] = "edited"
    file.write_text(json.dumps({**whole, "records": whole["records"][:2]}))
    rule = "each record is checked on its own, and the sound ones are used"
    with pytest.warns(UserWarning, match="bundle") as warned:
        assert [loaded.id for loaded in epochmark.load_results(file)] == [sample(1).id]
    assert rule in str(warned[0].message)
    assert "changed after it was written" in str(warned[1].message)
    for arguments in (["check", str(file)], ["results", "import", str(file)]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 1
        assert rule in done.output
    assert "1 record imported" in done.output


def with_older_version(record: Record, **changes: Any) -> bytes:
    """The record as one of version 0.0.9, with other changes and a digest that fits."""
    fields = {**json.loads(encode_record(record)), "epochmark_version": "0.0.9", **changes}
    return json.dumps({**fields, "digest": digest_of(fields)}).encode()


def test_findings_that_were_emptied_do_not_hide_behind_another_version(
    results: ResultFiles, tmp_path: Path
) -> None:
    timing = msgspec.structs.replace(sample(8).timing, fit_ns=10**12)
    doubtful = judged(msgspec.structs.replace(sample(8), timing=timing))
    assert [finding.code for finding in doubtful.findings] == ["laps-unsynchronised"]
    headline = msgspec.to_builtins(doubtful.headline)
    file = tmp_path / "record.json"
    file.write_bytes(
        with_older_version(doubtful, findings=[], headline={**headline, "validity": "valid"})
    )
    done = CliRunner().invoke(app, ["check", str(file)])
    assert done.exit_code == 1
    assert "judged by the rules of version 0.0.9: today's rules would add laps-unsyn" in done.output
    assert "consistent and plausible" not in done.output
    assert epochmark.import_results(file)[0] == []


def test_an_honest_record_of_another_version_does_not_read_like_a_tampered_one() -> None:
    older = msgspec.structs.replace(sample(4, findings=[FindingCode.UNSTEADY]))
    checked = check_record(with_older_version(older))
    assert checked.problems == ()
    (difference,) = checked.differences
    assert difference == ("judged by the rules of version 0.0.9: today's rules would drop unsteady")
    forged = json.loads(with_older_version(older))
    forged["headline"]["validity"] = "valid"
    assert check_record(json.dumps(forged).encode()).problems != ()
    forged = json.loads(with_older_version(older))
    forged["headline"]["steady_epoch_s"] *= 0.5
    assert check_record(json.dumps(forged).encode()).problems != ()


SPARE: dict[str, str] = {
    "timing.startup_s": "nothing else in a record spans the time before the clock",
    "workload.seed": "initial weights of any seed learn alike",
    "timing.laps.*.end_ns": "the first lap, which holds the compilation, may be as short as it is",
    "timing.laps.*.loss": "the first of an epoch has none before it; only reported",
    "learning.epochs.*.accuracy": "an engine's own word about training; only reported",
    "machine.physical_cores": "virtual machines make it up; only reported",
    "machine.usable_cores": "of a failed run, which was not watched to its end",
    "machine.memory_bytes": "more of it bounds nothing",
    "machine.cpu_quota": "more of it bounds nothing",
    "peak_memory_bytes": "less of it bounds nothing above that of Python itself",
    "calm.end_s.*": "the last one, by how long the launcher was late",
    "calm.foreign_cpu_s.*": "a change smaller than a sample's ticks",
    "calm.idle_cpu_s.*": "a change smaller than a sample's ticks",
    "calm.own_cpu_s.*": "a change smaller than a sample's ticks",
    "calm.runnable.*": "any whole number of tasks may wait; only reported",
    "calm.worker_cpu_s": "less than the tree's: its children used the rest; only reported",
    "calm.involuntary_switches": "only reported",
    "calm.cost.sampler_cpu_s": "less than the parent's whole time; only reported",
    "calm.cost.parent_cpu_s": "less than the tree's whole time; only reported",
    "calm.cost.reporting_cpu_s": "less than the worker's whole time; only reported",
    "limits.float32_gflop_per_s": "a higher peak allows more; the static bound holds it",
    "limits.triad_gb_per_s": "only reported",
    "schema": "an older schema has fewer fields",
}
"""Numbers that may be changed by hand unseen, when digest and headline are computed again: why."""


def numbers(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the numbers of a document are."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    found = []
    for key, value in items:
        if isinstance(value, dict | list):
            found += numbers(value, (*path, key))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((*path, key))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0, -1, 0.001, 1000])
@pytest.mark.parametrize("make", [watched, lambda: judged(failed(5))], ids=["valid", "failed"])
def test_every_number_is_bounded_by_another_or_listed(
    make: Callable[[], Record], factor: float
) -> None:
    record = make()
    fields = json.loads(encode_record(record))
    unseen = set()
    for path in numbers({name: part for name, part in fields.items() if name != "headline"}):
        value: Any = fields
        for step in path:
            value = value[step]
        scaled = value * factor
        scaled = round(scaled) if isinstance(value, int) else scaled
        if scaled == value or (len(path) > 2 and isinstance(path[2], int) and path[2] % 40 > 1):
            continue
        if not check_record(resealed(record, put(*path, value=scaled))).problems:
            unseen.add(".".join("*" if isinstance(step, int) else step for step in path))
    assert unseen <= SPARE.keys(), unseen - SPARE.keys()


@pytest.mark.parametrize("number", [5, 6])
def test_a_run_that_only_failed_does_not_contradict_itself(number: int) -> None:
    unjudged = msgspec.structs.replace(failed(number), findings=[])
    assert [finding.code for finding in judge(unjudged)] == ["worker-killed"]


def test_a_finding_of_a_contradiction_says_what_it_is() -> None:
    timing = msgspec.structs.replace(sample(1).timing, fit_ns=1)
    (finding, *_) = judge(msgspec.structs.replace(sample(1), timing=timing))
    assert finding.code == "contradictory"
    assert "its last lap ended after" in finding.detail
