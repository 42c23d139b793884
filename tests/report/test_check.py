"""``check`` derives everything again: ten kinds of clumsy edit are found, honest records pass."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import epochmark
from epochmark.analysis.timing.headline import replay_verdict
from epochmark.api import export_results
from epochmark.judge.check import check_record
from epochmark.judge.reading import decode_record
from epochmark.judge.validity import judge
from epochmark.records.digest import digest_of
from epochmark.records.findings import FindingCode
from epochmark.records.record import Lap, Record
from epochmark.records.upgrades import encode_record
from tests.report.samples import failed, finished, real_record, sample

Fields = dict[str, Any]
Edit = Callable[[Fields], object]


def sound() -> Record:
    """A valid run in which everything fits."""
    return sample(7)


def doubtful() -> Record:
    """A run whose findings follow from its own data: the fit went on after the last lap."""
    record = sample(8)
    timing = msgspec.structs.replace(record.timing, fit_ns=int(record.timing.fit_ns or 0) * 2)
    return judged(msgspec.structs.replace(record, timing=timing))


def judged(record: Record) -> Record:
    """The record with the precision and the findings it gives, as a session writes them."""
    verdict = replay_verdict(record)
    precision = msgspec.structs.replace(
        record.precision, observed=verdict.precision if verdict else None
    )
    record = msgspec.structs.replace(record, precision=precision)
    return finished(msgspec.structs.replace(record, findings=judge(record)))


def edited(record: Record, edit: Edit, *, digest_too: bool) -> bytes:
    """The record's file after an edit by hand, with or without a new digest."""
    fields = json.loads(encode_record(record))
    edit(fields)
    if digest_too:
        fields["digest"] = digest_of(fields)
    return json.dumps(fields).encode()


def change_headline(fields: Fields) -> None:
    fields["headline"]["steady_epoch_s"] *= 0.9


def shorten_a_lap(fields: Fields) -> None:
    laps = fields["timing"]["laps"]
    index = next(i for i, lap in enumerate(laps) if lap["epoch"] == 3)
    laps[index - 1]["end_ns"] -= 90_000_000


def shorten_the_run(fields: Fields) -> None:
    """All laps after one, and the fit, end earlier."""
    laps = fields["timing"]["laps"]
    for lap in laps[len(laps) // 2 :]:
        lap["end_ns"] -= 100_000_000
    fields["timing"]["fit_ns"] -= 100_000_000


def drop_laps(fields: Fields) -> None:
    del fields["timing"]["laps"][20:25]


def duplicate_laps(fields: Fields) -> None:
    laps = fields["timing"]["laps"]
    laps[20:20] = laps[15:20]


def raise_accuracy(fields: Fields) -> None:
    fields["learning"]["test_accuracy"] = 0.9999


def take_another_loss_curve(fields: Fields) -> None:
    other = json.loads(encode_record(sample(99)))
    fields["learning"]["epochs"] = other["learning"]["epochs"]


def rename_device(fields: Fields) -> None:
    fields["machine"]["cpu"] = "Apple M9 Ultra"
    fields["machine"]["microarchitecture"] = "m9"


def move_to_a_gpu(fields: Fields) -> None:
    fields["device"]["resolved"] = fields["device"]["requested"] = "gpu:0"


def upgrade_validity(fields: Fields) -> None:
    fields["headline"]["validity"] = "valid"


def remove_findings(fields: Fields) -> None:
    fields["findings"] = []


def remove_findings_and_upgrade(fields: Fields) -> None:
    remove_findings(fields)
    upgrade_validity(fields)


def relabel_epochs(fields: Fields) -> None:
    fields["workload"]["epochs"] = 5


def relabel_batch(fields: Fields) -> None:
    fields["workload"]["batch_size"] = 256
    fields["workload"]["variant"] = ["batch 256"]


def leave_the_variant_out(fields: Fields) -> None:
    fields["workload"]["variant"] = []


EDITS: list[tuple[Callable[[], Record], Edit]] = [
    (sound, change_headline),
    (sound, shorten_a_lap),
    (sound, shorten_the_run),
    (sound, drop_laps),
    (sound, duplicate_laps),
    (sound, raise_accuracy),
    (sound, take_another_loss_curve),
    (sound, rename_device),
    (sound, move_to_a_gpu),
    (doubtful, upgrade_validity),
    (doubtful, remove_findings),
    (doubtful, remove_findings_and_upgrade),
    (sound, relabel_epochs),
    (sound, relabel_batch),
    (lambda: judged(sample(9, epochs=3)), leave_the_variant_out),
]


@pytest.mark.parametrize(
    "make", [sound, doubtful, lambda: judged(real_record()), lambda: judged(failed(5))]
)
def test_an_untouched_record_fits(make: Callable[[], Record]) -> None:
    assert check_record(encode_record(make())).problems == ()


@pytest.mark.parametrize("digest_too", [False, True])
@pytest.mark.parametrize(("make", "edit"), EDITS)
def test_a_clumsy_edit_is_found(make: Callable[[], Record], edit: Edit, digest_too: bool) -> None:
    assert check_record(edited(make(), edit, digest_too=digest_too)).problems != ()


def test_what_only_the_digest_shows() -> None:
    """A renamed graphics card contradicts nothing else in the record: docs/report.md says so."""

    def rename(fields: Fields) -> None:
        fields["device"]["resolved_description"] = "a faster one"

    record = sample(3, device="gpu:0", description="a card")
    assert check_record(edited(record, rename, digest_too=False)).problems != ()
    assert check_record(edited(record, rename, digest_too=True)).problems == ()


def test_a_record_of_another_version_keeps_its_judgement() -> None:
    """Its rules may have been other ones; an edit of it is still found."""
    record = msgspec.structs.replace(
        sample(4, findings=[FindingCode.UNSTEADY]), epochmark_version="0.0.1"
    )
    document = encode_record(finished(record))
    assert check_record(document).problems == ()
    assert check_record(edited(record, remove_findings, digest_too=False)).problems != ()


def test_a_record_without_digest_is_named() -> None:
    fields = json.loads(encode_record(sound()))
    del fields["digest"]
    (problem,) = check_record(json.dumps(fields).encode()).problems
    assert "no digest" in problem


def test_a_bundle_shows_records_left_out_changed_or_doubled(tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    export_results([sample(1), sample(2)], file)
    assert [result.problems for result in epochmark.check(file)] == [(), ()]
    whole = json.loads(file.read_bytes())
    changes: list[Callable[[list[Fields]], object]] = [
        lambda records: records.pop(),
        lambda records: records.append(records[0]),
        lambda records: records.reverse(),
        lambda records: records[0].update(label="another"),
    ]
    for change in changes:
        records = [dict(record) for record in whole["records"]]
        change(records)
        file.write_text(json.dumps({**whole, "records": records}))
        assert epochmark.check(file)[0].name == "the bundle"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"schema": 1}', "[" * 5000, '{"epochmark_bundle": 1}']
)
def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file.json"
    file.write_text(text)
    with pytest.raises(epochmark.EpochmarkError, match="neither a bundle nor a record"):
        epochmark.check(file)


def test_every_single_changed_number_is_found() -> None:
    """Whatever number is changed by hand, anywhere: the digest or the headline shows it."""
    fields = json.loads(encode_record(sound()))
    chance = random.Random(1)
    for path in chance.sample(list(_numbers(fields)), 60):
        changed = json.loads(json.dumps(fields))
        parent = changed
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] += 1
        assert check_record(json.dumps(changed).encode()).problems != (), path


def _numbers(fields: Any, path: tuple[Any, ...] = ()) -> Any:
    items = fields.items() if isinstance(fields, dict) else enumerate(fields)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from _numbers(value, (*path, key))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield (*path, key)


def quick_of(count: int) -> Record:
    """A quick run of ``count`` steady laps, none of which reached the end of an epoch."""
    record = sample(5)
    laps = [Lap(epoch=1, steps=40, end_ns=n * 10**9) for n in range(1, count + 1)]
    workload = msgspec.structs.replace(record.workload, quick=True, variant=["quick"])
    timing = msgspec.structs.replace(record.timing, laps=laps, fit_ns=laps[-1].end_ns + 10**6)
    learning = msgspec.structs.replace(record.learning, epochs=[])
    return msgspec.structs.replace(
        record, workload=workload, timing=timing, learning=learning, calm=None
    )


def by_schema(record: Record, schema: int) -> bytes:
    """The record as a version with that schema would have written it."""
    fields = json.loads(encode_record(finished(record)))
    fields["schema"] = schema
    fields["digest"] = digest_of(fields)
    return json.dumps(fields).encode()


def test_an_older_record_that_todays_rules_trust_less_is_refused_by_their_name() -> None:
    checked = check_record(by_schema(quick_of(4), 3))
    (problem,) = checked.problems
    assert problem.startswith("judged by the rules of schema 3: today's rules would add few-laps")
    # but it can be read, as what it was
    assert decode_record(by_schema(quick_of(4), 3)).headline.validity == "valid"


def test_what_todays_rules_leave_out_is_said_and_gone_on_reading() -> None:
    record = msgspec.structs.replace(sample(4, findings=[FindingCode.UNSTEADY]), calm=None)
    document = by_schema(record, 3)
    checked = check_record(document)
    assert checked.problems == ()
    assert "rules of schema 3: today's rules would drop unsteady" in checked.differences[0]
    read = decode_record(document)
    assert read.headline.validity == "valid"
    assert read.digest == digest_of(msgspec.to_builtins(read))
    # an edit is no rule: the digest stays that of what was written
    changed = json.loads(document)
    changed["label"] = "another"
    read = decode_record(json.dumps(changed).encode())
    assert read.digest != digest_of(msgspec.to_builtins(read))


def test_only_what_was_found_of_time_may_go() -> None:
    findings = [FindingCode.LOSS_FLAT, FindingCode.UNSTEADY, FindingCode.STEPS_LIMITED]
    record = msgspec.structs.replace(sample(4, findings=findings), calm=None)
    read = decode_record(by_schema(record, 3))
    assert [finding.code for finding in read.findings] == ["loss-flat", "steps-limited"]
