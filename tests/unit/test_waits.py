"""What the framework waited is its own, and no unsteadiness of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from epochmark.analysis.comparing.comparison import compare, side_of_record, side_of_reference
from epochmark.analysis.comparing.references import load_references
from epochmark.analysis.timing.beside import Beside, Span, Wait, beside, waits_of
from epochmark.analysis.timing.headline import steady_of
from epochmark.analysis.timing.start_up import clocks_of
from epochmark.analysis.timing.steady_epoch import SteadyEpoch, steady_epoch
from epochmark.api import check, load_results
from epochmark.judge.disturbances import disturbances
from epochmark.records.record import Calm, Lap, Record
from epochmark.report.text.answer import answer_lines
from tests.report.explained import watched
from tests.report.samples import sample

SLEPT = Path(__file__).parents[1] / "measured" / "keras-tensorflow-slept.json"
"""A full run of keras-tensorflow, in whose third epoch TensorFlow slept for 20 s."""
AT_WORK, ASLEEP = 1.8, 0.0


@pytest.fixture
def slept() -> Record:
    (record,) = load_results(SLEPT)
    return record


def test_a_run_in_which_tensorflow_slept_is_valid(slept: Record) -> None:
    steady = steady_of(slept)
    assert steady is not None
    assert slept.headline.validity == "valid"
    assert slept.findings == []
    # all but the third, of 39.8 s
    assert steady.interval.count == 9
    assert 19 < steady.interval.low < steady.interval.median < steady.interval.high < 22
    assert steady.waiting is not None
    assert (steady.waiting.units, steady.waiting.taken_off) == (1, False)
    assert steady.waiting.seconds == pytest.approx(20.4, abs=0.2)
    assert slept.headline.elapsed_s == pytest.approx(222.8, abs=0.1)


def test_it_is_ranked_against_the_published_machines(slept: Record) -> None:
    by_id = {reference.id: reference for reference in load_references()}
    ranked = compare(
        side_of_record(slept, "here"), side_of_reference(by_id["post-mac-mini-2020-cpu"])
    )
    assert ranked.verdict == "faster"
    assert ranked.slower.name == "here"


def test_its_file_says_by_which_rules_it_was_judged() -> None:
    (checked,) = check(SLEPT)
    assert checked.problems == ()
    (said,) = checked.differences
    assert said.startswith("judged by the rules of schema 2: today's rules would drop unsteady")
    assert checked.record is not None
    assert checked.record.headline.validity == "valid"


def test_a_run_that_slept_in_half_of_its_epochs_is_valid() -> None:
    (record,) = load_results(SLEPT.with_name("keras-tensorflow-slept-5-times.json"))
    found = steady(record)
    assert record.headline.validity == "valid"
    assert found.interval.count == 10
    assert 29 < found.interval.low < found.interval.high < 32
    assert found.waiting is not None
    assert (found.waiting.units, found.waiting.taken_off) == (5, True)
    assert found.waiting.seconds == pytest.approx(55.8, abs=0.2)


def test_an_older_record_may_have_counted_the_waits() -> None:
    """It said 41.1 s, between 32.0 and 42.9; without the waits it is 31.1 s. Its epochs differ for
    other reasons as well."""
    (checked,) = check(SLEPT.with_name("keras-tensorflow-slept-8-times.json"))
    assert checked.problems == ()
    assert checked.record is not None
    assert checked.record.headline.steady_epoch_s == pytest.approx(31.1, abs=0.1)
    assert [finding.code for finding in checked.record.findings] == ["unsteady"]


def test_the_answer_says_what_was_waited(slept: Record) -> None:
    text = "\n".join(answer_lines(slept))
    assert "median of 9 epochs" in text
    assert "the framework slept 20.41 s in 1 epoch: part of elapsed, such epochs are left" in text


def ten_epochs(*seconds: float, busy: dict[int, float] | None = None) -> Record:
    """A run of epochs this long, in samples of a second; in those from ``busy`` on, CPUs."""
    ends = [sum(seconds[: n + 1]) for n in range(len(seconds))]
    laps = [Lap(epoch=n, steps=469, end_ns=round(end * 1e9)) for n, end in enumerate(ends, start=1)]
    record = sample(engine="keras-tensorflow")
    timing = msgspec.structs.replace(record.timing, laps=laps, fit_ns=laps[-1].end_ns)
    samples = dict.fromkeys(range(int(ends[-1])), AT_WORK) | (busy or {})
    calm = watched(float(len(samples)), *samples.values())
    return msgspec.structs.replace(record, timing=timing, calm=calm)


def asleep(*spans: tuple[int, int]) -> dict[int, float]:
    return {second: ASLEEP for start, end in spans for second in range(start, end)}


def steady(record: Record) -> SteadyEpoch:
    found = steady_of(record)
    assert found is not None
    return found


def spans(calm: Calm) -> list[Span]:
    return [wait.span for wait in waits_of(calm)]


def test_where_most_epochs_waited_the_waits_are_taken_off() -> None:
    """Of epochs of 10 s every second one began with a sleep of 5 s."""
    lasted = [10.0, 15.0] * 5
    starts = [10 + 25 * n for n in range(5)]
    record = ten_epochs(*lasted, busy=asleep(*((start, start + 5) for start in starts)))
    found = steady(record)
    assert found.interval.median == pytest.approx(10.0)
    # the ends of a wait are known to a quarter of a sample
    assert (found.interval.low, found.interval.high) == pytest.approx((10.0, 10.25))
    assert found.interval.count == 10
    assert found.waiting is not None
    assert (found.waiting.units, found.waiting.taken_off) == (5, True)
    assert found.waiting.seconds == pytest.approx(25.0)
    assert list(disturbances(record)) == []
    text = "\n".join(answer_lines(record))
    assert "slept 25.00 s in 5 epochs: part of elapsed, taken off for the steady epoch" in text


def test_a_wait_in_the_first_epochs_is_no_warm_up() -> None:
    record = ten_epochs(12.0, 20.0, *[10.0] * 8, busy=asleep((12, 22)))
    found = steady(record)
    assert found.warm_up_units == 1
    assert found.warm_up_excess_s == pytest.approx(2.0)
    assert clocks_of(record).first_epoch_excess_s == pytest.approx(2.0)


def test_short_waits_change_nothing() -> None:
    record = ten_epochs(*[30.0] * 10, busy=asleep((30, 32)))
    assert steady(record).waiting is None
    assert steady(record).interval.count == 10


@pytest.mark.parametrize(
    "change",
    [
        # other programs, the host, memory, or sleep kept the processors from it
        {"idle_cpu_s": 1.0, "foreign_cpu_s": 1.0},
        {"steal_cpu_s": 0.1},
        {"memory_stall_s": 0.5},
        {"suspended_s": 0.9},
        {"quota_throttled_s": 0.5},
        {"swap_in_bytes": 4e6},
        {"idle_cpu_s": None},
        {"own_cpu_s": None},
    ],
)
def test_what_something_else_may_have_held_up_is_no_wait(change: dict[str, float | None]) -> None:
    calm = watched(6.0, 1.8, 1.8, 0.0, 0.0, 1.8, 1.8)
    assert spans(calm) == [Span(2.0, 4.0)]
    columns: dict[str, Any] = {
        name: None if value is None else [value] * 6 for name, value in change.items()
    }
    assert waits_of(msgspec.structs.replace(calm, **columns)) == ()


def test_the_rest_of_a_wait_lies_in_the_samples_around_it() -> None:
    calm = watched(9.0, 1.8, 1.8, 1.8, 0.9, 0.0, 0.0, 1.35, 1.8, 1.8)
    (span,) = spans(calm)
    assert span == pytest.approx((3.5, 6.25))


def test_a_sample_between_two_waits_is_counted_once() -> None:
    calm = watched(7.0, 1.8, 1.8, 0.0, 0.9, 0.0, 1.8, 1.8)
    assert sum(span.lasted_s for span in spans(calm)) == pytest.approx(2.5)


def test_on_a_gpu_idle_processors_say_nothing() -> None:
    record = ten_epochs(*[10.0] * 10, busy=asleep((10, 20)))
    assert beside(record).waits
    device = msgspec.structs.replace(record.device, resolved="gpu:0")
    assert beside(msgspec.structs.replace(record, device=device)).waits == ()


def test_a_quick_run_leaves_out_the_change_at_which_the_framework_waited() -> None:
    """Laps of 1 s, twenty an epoch; at the second change it slept for 12 s."""
    seconds = [1.0] * 56
    seconds[40] += 12.0
    end_s, laps = 0.0, []
    for number, lasted in enumerate(seconds):
        end_s += lasted
        laps.append(Lap(epoch=1 + number // 20, steps=20, end_ns=round(end_s * 1e9)))
    found = steady_epoch(laps, 400, Beside(waits=(Wait(Span(40.0, 52.0), 0.25),)))
    assert found is not None
    assert found.interval.median == pytest.approx(20.0)
    assert found.waiting is not None
    assert found.waiting.seconds == pytest.approx(12.0)


def loaded(calm: Calm, *seconds: int, cpus: float = 0.9) -> Calm:
    """The samples of these seconds with other programs at work."""
    own, foreign, idle = (
        list(column or []) for column in (calm.own_cpu_s, calm.foreign_cpu_s, calm.idle_cpu_s)
    )
    for second in seconds:
        own[second], foreign[second], idle[second] = 2 - cpus - 0.1, cpus, 0.1
    return msgspec.structs.replace(calm, own_cpu_s=own, foreign_cpu_s=foreign, idle_cpu_s=idle)


def test_slowness_beside_other_programs_is_no_warm_up() -> None:
    """As it happened: the first epoch compiled, the next two were slowed by others."""
    lasted = (47.0, 86.0, 48.0, *[39.0, 40.0, 39.0, 40.0, 39.0, 40.0, 39.0])
    quiet = ten_epochs(*lasted)
    assert steady(quiet).warm_up_units == 3
    assert quiet.calm is not None
    busy = msgspec.structs.replace(quiet, calm=loaded(quiet.calm, *range(47, 181)))
    assert steady(busy).warm_up_units == 1
    assert steady(busy).warm_up_excess_s == pytest.approx(clocks_of(busy).first_epoch_excess_s)
    assert clocks_of(busy).first_epoch_excess_s == pytest.approx(7.0, abs=0.6)


def test_a_little_load_does_not_explain_a_slow_start() -> None:
    record = ten_epochs(47.0, *[39.0, 40.0] * 5)
    assert record.calm is not None
    light = msgspec.structs.replace(record, calm=loaded(record.calm, 0, 1, 2, 3, cpus=0.3))
    assert steady(light).warm_up_units == 1


def test_what_is_said_of_the_first_epoch_is_its_own_although_more_were_warm_up() -> None:
    record = ten_epochs(14.0, 13.0, 12.0, *[10.0] * 7)
    assert steady(record).warm_up_units == 3
    assert steady(record).warm_up_excess_s == pytest.approx(9.0)
    assert clocks_of(record).first_epoch_excess_s == pytest.approx(4.0)
    assert "4.00 s more than at steady speed" in "\n".join(answer_lines(record))
