"""What follows from a scaling: efficiency by its formulas, what is refused, how it is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from epochmark.cli import app
from epochmark.cli.commands.this_machine.scale import _exit_code
from epochmark.errors import EpochmarkError
from epochmark.fleet.files import read_fleet
from epochmark.judge.documents.scalings import ScalingFiles, check_scaling, decode_scaling
from epochmark.judge.results import ResultFiles
from epochmark.records.bundle import documents_in, encode_bundle
from epochmark.records.documents.kinds import kind_of
from epochmark.records.documents.scaling import (
    Scaling,
    ScalingEntry,
    encode_scaling,
    is_intact_scaling,
    scaling_digest,
    sealed_scaling,
)
from epochmark.records.json_text import RecordError
from epochmark.records.record import Failure, Record
from epochmark.report.charts import all_charts
from epochmark.report.drawing import theme as themes
from epochmark.report.subject import subject_of
from epochmark.report.text.scaling import scaling_lines, scalings_section
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import replay_data
from tests.report.samples import sample
from tests.report.scaling_samples import GOLDEN, RIGHT_SGD, sample_scaling, with_entries

replace = msgspec.structs.replace


def test_weak_efficiency_is_the_rate_over_as_many_times_one_device() -> None:
    """A step of twice the samples takes 0.025 s beside 0.020 s: 80 %."""
    base, two = sample_scaling({1: 0.020, 2: 0.025}).efficiencies
    assert (base.place, two.place) == ("base", "scaled")
    assert base.samples_per_s == pytest.approx(128 / 0.020, rel=0.01)
    assert two.samples_per_s == pytest.approx(256 / 0.025, rel=0.01)
    assert None not in (two.low, two.high, two.efficiency)
    assert two.efficiency == pytest.approx(0.8, rel=0.01)
    assert (two.low or 0) < 0.8 < (two.high or 0)


def test_strong_efficiency_compares_with_a_share_of_the_work() -> None:
    """Half of 0.020 s would be ideal; 0.0125 s is 80 %."""
    _, two = sample_scaling({1: 0.020, 2: 0.0125}, "strong").efficiencies
    assert two.samples_per_s == pytest.approx(128 / 0.0125, rel=0.01)
    assert two.efficiency == pytest.approx(0.8, rel=0.01)
    assert two.exposed_s == pytest.approx(0.0025, rel=0.05)


def test_what_communication_costs_stands_beside_what_was_predicted() -> None:
    """busbw as nccl-tests define it: bytes over seconds, times 2 (N - 1) / N."""
    _, two = sample_scaling({1: 0.020, 2: 0.025}).efficiencies
    assert two.exposed_s == pytest.approx(0.005, rel=0.05)
    assert (two.exposed_low_s or 0) < 0.005 < (two.exposed_high_s or 0)
    assert two.gradient_bytes == 4 * 1_199_882
    assert two.bus_bytes_per_s == pytest.approx(4 * 1_199_882 / 0.004)
    assert two.predicted == pytest.approx(20 / 24, rel=0.01)
    assert two.slowest == 1
    assert two.slowest_by == pytest.approx(1.2)


def test_a_number_of_devices_that_share_cores_is_proven_and_not_rated() -> None:
    scaling = sample_scaling({1: 0.020, 2: 0.025, 4: 0.05}, proven_only=4)
    assert [found.place for found in scaling.efficiencies] == ["base", "scaled", "mathematics"]
    four = scaling.efficiencies[2]
    assert (four.precision, four.efficiency, four.samples_per_s) == ("float32", None, None)
    assert any(line.startswith("4 devices: mathematics only") for line in scaling_lines(scaling))


def parts_with(entry: ScalingEntry, **changes: Any) -> ScalingEntry:
    """The entry with its last device changed."""
    return replace(entry, parts=[*entry.parts[:-1], replace(entry.parts[-1], **changes)])


WRONG: dict[str, tuple[Callable[[ScalingEntry], ScalingEntry], str]] = {
    "a sum for a mean": (
        lambda entry: replace(entry, sgd=[RIGHT_SGD[0], 2.1, 1.9]),
        "gradients are not the mean",
    ),
    "another replay": (
        lambda entry: replace(entry, adam=[loss and loss * 1.001 for loss in entry.adam]),
        "not that of one device",
    ),
    "a step missing": (lambda entry: replace(entry, sgd=entry.sgd[:2]), "plain SGD"),
    "other parameters": (
        lambda entry: parts_with(entry, sha256="1" * 64),
        "ended with different parameters",
    ),
    "a device missing": (lambda entry: replace(entry, parts=entry.parts[:1]), "1 devices reported"),
    "shared cores": (lambda entry: parts_with(entry, cores=[0]), "shared cores"),
    "more cores than one device alone": (
        lambda entry: replace(
            entry,
            parts=[replace(part, cores=[*part.cores, 10 + part.cores[0]]) for part in entry.parts],
        ),
        "as many cores as one device alone",
    ),
    "losses of a coarser precision": (
        lambda entry: replace(entry, adam=[loss and loss * 1.0001 for loss in entry.adam]),
        "only, that of one device float32",
    ),
    "no cores": (lambda entry: parts_with(entry, cores=[]), "shared cores"),
    "another device": (lambda entry: parts_with(entry, device="gpu:0"), "seen on gpu:0"),
    "a slow clock": (
        lambda entry: replace(
            entry, turns=[replace(turn, wall_s=2 * turn.wall_s) for turn in entry.turns]
        ),
        "by its own clock",
    ),
    "a rank that died": (
        lambda entry: replace(
            entry,
            failure=Failure(
                kind="failed",
                phase="training",
                exception="RankError",
                message="rank 1 was killed by SIGKILL",
                exit_status=1,
                signal=None,
            ),
        ),
        "rank 1 was killed",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_work_of_several_devices_is_not_rated(what: str) -> None:
    change, reason = WRONG[what]
    sound = sample_scaling({1: 0.020, 2: 0.025})
    changed = with_entries(sound, [sound.entries[0], change(sound.entries[1])])
    base, two = changed.efficiencies
    assert (base.place, two.place, two.efficiency) == ("base", "out", None)
    assert two.reason is not None
    assert reason in two.reason
    assert any("not rated" in line for line in scaling_lines(changed))


def interrupted(scaling: Scaling, entries: list[ScalingEntry]) -> Scaling:
    return with_entries(replace(scaling, ending="interrupted"), entries)


def unproven(entry: ScalingEntry) -> ScalingEntry:
    """As it is where Ctrl-C ended it in its turns."""
    return replace(entry, parts=[], adam=[], sgd=[], all_reduce_s=[], failure=Failure(
        kind="interrupted", phase="training", exception=None, message="interrupted",
        exit_status=None, signal=None,
    ))  # fmt: skip


def test_an_interruption_excuses_only_what_was_not_proven() -> None:
    sound = sample_scaling({1: 0.020, 2: 0.025, 4: 0.030})
    one, two, four = sound.entries
    wrong = replace(two, sgd=[RIGHT_SGD[0], 2.1, 1.9])
    stopped = replace(four, all_reduce_s=[], failure=unproven(four).failure)
    found = interrupted(sound, [one, wrong, stopped]).efficiencies
    assert [each.place for each in found] == ["base", "out", "scaled"]
    assert [each.precision for each in found] == ["float32", None, "float32"]
    failed = with_entries(sound, [one, two, stopped]).efficiencies[2]
    assert failed.place == "out", "the scaling itself was not interrupted"


def test_what_is_not_proven_is_marked_and_not_drawn() -> None:
    sound = sample_scaling({1: 0.020, 2: 0.025, 4: 0.030})
    one, two, four = sound.entries
    stopped = interrupted(sound, [one, two, unproven(four)])
    (row,) = scalings_section([stopped]).rows
    assert "2: 79.9 %; 4: 66.7 % (not proven)" in row
    (chart,) = (chart for chart in all_charts() if chart.name == "scaling")
    drawing = chart.draw(subject_of([], (), None, scalings=[stopped]), themes.light(600))
    assert drawing is not None
    assert [len(panel["data"]["values"]) for panel in drawing.spec["vconcat"]] == [2, 1]
    nothing = interrupted(sound, [unproven(entry) for entry in sound.entries])
    assert any("1 device" in line and "(not proven)" in line for line in scaling_lines(nothing))
    subject = subject_of([], (), None, scalings=[sound, nothing])
    assert chart.draw(subject, themes.light(600)) is None, "the text has the newest, too"


def test_a_replay_without_plain_sgd_proves_nothing() -> None:
    sound = replace(sample_scaling({1: 0.020, 2: 0.025}), replay_version=2)
    adam: list[float | None] = [*replay_data.golden_losses(MNIST_CNN, "algorithm_1", 2)]
    old = with_entries(sound, [replace(entry, adam=adam, sgd=[]) for entry in sound.entries])
    assert {found.reason for found in old.efficiencies} == {
        "its replay has no steps with plain SGD"
    }
    assert adam != GOLDEN


def test_why_nothing_is_compared_is_said() -> None:
    sound = sample_scaling({1: 0.020, 2: 0.025})
    one, two = sound.entries
    wrong = scaling_lines(with_entries(sound, [replace(one, sgd=[1.0, 1.0, 1.0]), two]))
    assert any("2 devices: one device is out, so there is nothing" in line for line in wrong)
    few = with_entries(sound, [replace(each, turns=each.turns[:1]) for each in (one, two)])
    assert any("2 devices: too few turns" in line for line in scaling_lines(few))
    alone = sample_scaling({1: 0.020, 2: 0.025}, proven_only=2)
    alone = with_entries(alone, [replace(alone.entries[0], turns=[]), alone.entries[1]])
    assert any("1 device: not compared with others" in line for line in scaling_lines(alone))
    assert [*map(_exit_code, (sound, few, alone))] == [0, 3, 0]


def test_several_devices_that_gain_take_shorter() -> None:
    lines = scaling_lines(sample_scaling({1: 0.020, 2: 0.018}))
    (cost,) = (line for line in lines if "a step takes" in line)
    assert "ms shorter than one without" in cost
    assert "-" not in cost


def test_without_a_right_base_there_is_no_efficiency() -> None:
    sound = sample_scaling({1: 0.020, 2: 0.025})
    wrong = replace(sound.entries[0], sgd=[1.0, 1.0, 1.0])
    changed = with_entries(sound, [wrong, sound.entries[1]])
    assert [found.place for found in changed.efficiencies] == ["out", "unknown"]


def test_what_was_asked_for_must_be_met() -> None:
    sound = sample_scaling({1: 0.020, 2: 0.025})
    asked = with_entries(replace(sound, precision="bfloat16"), sound.entries)
    assert {found.place for found in asked.efficiencies} == {"out"}


def test_what_is_wrong_with_a_document_is_found() -> None:
    scaling = sample_scaling({1: 0.020, 2: 0.025})
    document = encode_scaling(scaling)
    assert decode_scaling(document) == scaling
    assert check_scaling(document).problems == ()
    fields = json.loads(document)
    fields["efficiencies"][1]["efficiency"] = 0.99
    (difference,) = check_scaling(json.dumps(fields).encode()).differences
    assert "says efficiency 0.99 of 2 devices" in difference
    fields = json.loads(document)
    fields["entries"][1]["laps"][3]["end_ns"] += 1
    assert any(
        "digest" in problem for problem in check_scaling(json.dumps(fields).encode()).problems
    )


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("scaling_schema",), 2, "upgrade epochmark"),
        (("scaling_schema",), 0, "schema number is none"),
        (("scaling_schema",), True, "schema number is none"),
        (("scaling_schema",), {}, "schema number is none"),
        (("scaling_schema",), "x" * 10**6, "^its schema number is none$"),
        (("entries", 1, "devices"), 1, "do not ascend"),
        (("entries", 1, "batch_size"), 128, "not that of weak scaling"),
        (("entries", 0, "warm_up_laps"), 10**6, "turns of"),
        (("entries", 0, "laps", 0, "end_ns"), 2**50, "not in time order"),
        (("created",), "2026-13-01T00:00:00Z", "no such date"),
        (("entries", 0, "adam", 0), "x" * 5000, "Expected"),
        (("entries",), [], "Expected"),
    ],
)
def test_a_hostile_document_is_refused(
    path: tuple[str | int, ...], value: Any, reason: str
) -> None:
    fields = json.loads(encode_scaling(sample_scaling({1: 0.020, 2: 0.025})))
    place: Any = fields
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(RecordError, match=reason):
        decode_scaling(json.dumps(fields).encode())


def test_text_that_cannot_be_printed_is_named() -> None:
    scaling = sealed_scaling(replace(sample_scaling({1: 0.020, 2: 0.025}), label="a\x1b[2Jb"))
    problems = check_scaling(encode_scaling(scaling)).problems
    assert problems == ("it has text that cannot be printed: 'a\\x1b[2Jb'",)


def test_numbers_that_another_tool_rewrote_are_the_same() -> None:
    scaling = sample_scaling({1: 0.020, 2: 0.025})
    fields = json.loads(encode_scaling(scaling))
    fields["max_seconds"] = int(fields["max_seconds"])
    assert is_intact_scaling(fields)
    fields["mode"] = "strong"
    assert scaling_digest(fields) != scaling.digest


def test_a_bundle_holds_it_without_the_machine_id() -> None:
    scaling = sample_scaling({1: 0.020, 2: 0.025})
    documents, whole = documents_in(encode_bundle([sample(1), scaling]))
    assert whole
    assert [kind_of(document) for document in documents] == [Record, Scaling]
    exported = decode_scaling(documents[1])
    assert (exported.digest, exported.machine.machine_id) == (scaling.digest, None)
    assert check_scaling(documents[1]).problems == ()


def test_it_is_listed_shown_checked_drawn_and_taken_elsewhere(
    results: ResultFiles, tmp_path: Path
) -> None:
    file = ScalingFiles.of_user().save(sample_scaling({1: 0.020, 2: 0.025}))
    bundle, page, chart = (str(tmp_path / name) for name in ("b.json", "p.html", "c.svg"))

    def said(*command: str) -> str:
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    assert "2: 79.9 %" in said("results")
    assert "weak efficiency 79.9 %" in said("results", "show", "1111")
    assert "1 scaling: intact" in said("check", "1111")
    assert "1 scaling exported" in said("results", "export", bundle)
    assert said("plot", "scaling", "-o", chart)
    assert said("report", "1111", "-o", page)
    assert "weak scaling" in Path(page).read_text("utf-8")
    said("results", "rm", "1111")
    assert not file.exists()
    assert "1 scaling imported" in said("results", "import", bundle)
    assert file.exists()


def test_a_fleet_takes_no_scaling_for_a_machine(tmp_path: Path) -> None:
    """It says so: what several devices give is no figure of one machine beside others."""
    file = tmp_path / "scaling.json"
    file.write_bytes(encode_scaling(sample_scaling({1: 0.020, 2: 0.025})))
    with pytest.raises(EpochmarkError, match="a scaling, which compares numbers of devices"):
        read_fleet([file])


def test_the_chart_has_rates_and_efficiencies_beside_the_ideal() -> None:
    scaling = sample_scaling({1: 0.020, 2: 0.025, 4: 0.030})
    (chart,) = (chart for chart in all_charts() if chart.name == "scaling")
    drawing = chart.draw(subject_of([], (), None, scalings=[scaling]), themes.light(600))
    assert drawing is not None
    rates, shares = (panel["data"]["values"] for panel in drawing.spec["vconcat"])
    assert [value["devices"] for value in rates] == [1, 2, 4]
    assert [value["devices"] for value in shares] == [2, 4]
    assert rates[2]["ideal"] == pytest.approx(4 * 128 / 0.020, rel=0.01)
    assert "2 devices: weak efficiency 79.9 %" in drawing.alt
    proven = sample_scaling({1: 0.020, 2: 0.025}, proven_only=2)
    assert chart.draw(subject_of([], (), None, scalings=[proven]), themes.light(600)) is None
