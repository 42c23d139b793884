"""What may be asked of ``epochmark scale``, which cores are a device, what its processes say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from epochmark.bench.plan import PlannedRun
from epochmark.bench.process.messages import MessageError
from epochmark.bench.process.order import ScaleOrder, scale_reports
from epochmark.bench.racing.entries import parse_entry
from epochmark.bench.request import RunRequest, find_workload
from epochmark.bench.scaling import cores
from epochmark.bench.scaling.request import ScaleRequest, parse_counts, scale_request
from epochmark.engines import Group, get_engine
from epochmark.engines._shared.parallel import shard, whole_batches
from epochmark.errors import EpochmarkError
from epochmark.worker.protocol import (
    DevicePart,
    Failed,
    Figure,
    Finished,
    Fitted,
    Hello,
    LapEnd,
    Message,
    MessagePipe,
    Opened,
    Parked,
    Phase,
    ScaleJob,
    SplitReplayed,
    UsedSettings,
    decode_job,
    encode_job,
)
from epochmark.worker.ranks import RankError, Ranks
from epochmark.worker.scaling import FollowingStopwatch, LeadingStopwatch, check_versions, means
from epochmark.worker.stopwatch import Word


def asked(engine: str = "torch", counts: str = "1,2", **fields: Any) -> ScaleRequest:
    mode = fields.pop("mode", "weak")
    if "workload" in fields:
        fields["workload"] = find_workload(fields["workload"])
    planned = PlannedRun(RunRequest(engine=engine, **fields))
    return scale_request(planned, parse_counts(counts), mode, 0.01, 60.0)


def refusal(*arguments: Any, **fields: Any) -> str:
    with pytest.raises(EpochmarkError) as caught:
        asked(*arguments, **fields)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_one_device_is_always_among_the_numbers() -> None:
    assert parse_counts("4, 2") == [1, 2, 4]
    for text in ("", "0", "-1", "1;2", "two", "1,1e3", "2000", "1,2,3,4,5,6,7,8,9"):
        with pytest.raises(EpochmarkError):
            parse_counts(text)


def test_an_engine_without_it_names_those_that_have_it() -> None:
    assert "these do: jax, torch" in refusal("native")


def test_a_batch_that_cannot_be_split_names_the_numbers_that_fit() -> None:
    said = refusal(counts="1,3", mode="strong")
    assert "128 cannot be split evenly over 3 devices" in said
    assert "1, 2, 4, 8, 16" in said
    assert asked(counts="1,3").batch_size(3) == 3 * 128


def test_the_proof_must_be_split_too() -> None:
    """PyTorch weights parts of different size; JAX lays equal parts only over its devices."""
    assert "cannot split them over 3 devices" in refusal("jax", counts="1,3")
    assert "cannot split them over 8 devices" in refusal(counts="8", workload="gpt-3m")


def test_more_devices_than_there_are_are_refused() -> None:
    assert "more than there are" in refusal(counts="1,64")
    assert "takes a kind of devices" in refusal(device="gpu:1")
    assert "an epoch of gpt-3m has 2688" in refusal(
        "torch", "1,4", workload="gpt-3m", batch_size=896
    )


def test_a_device_is_as_many_cores_whatever_their_number() -> None:
    eight = list(range(8))
    assert cores.shares(eight, [1, 2, 4]) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert cores.shares(eight, [1, 3]) == [[0, 1], [2, 3], [4, 5]]
    assert cores.shares([5, 7], [1, 2, 4]) == [[5], [7]], "four do not fit and share"
    assert cores.shares([], [1, 2]) == []
    assert set(cores.usable()) <= os.sched_getaffinity(0)


def test_cores_beyond_a_quota_are_no_devices() -> None:
    """And those that are left are far apart: neighbours share a physical core."""
    eight = list(range(8))
    assert cores.within(eight, None) == eight
    assert cores.within(eight, 16.0) == eight
    assert cores.within(eight, 2.5) == [0, 4]
    assert cores.within(eight, 0.5) == [0]


def test_fewer_devices_share_no_physical_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two physical cores with two threads each: 0 and 2, 1 and 3."""
    monkeypatch.setattr(cores, "usable", lambda: [0, 2, 1, 3])
    request = asked(counts="1,2,4")
    assert request.shares == [[0], [2], [1], [3]]
    assert request.cores_of(1) == [[0]]
    assert request.cores_of(2) == [[0], [1]]
    assert request.cores_of(4) == [[0], [2], [1], [3]]


def test_devices_that_share_cores_are_not_rated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    request = asked(counts="1,2,4")
    assert [request.rates(count) for count in (1, 2, 4)] == [True, True, False]
    assert request.cores_of(2) == [[0], [1]]
    assert request.cores_of(4) == []
    jax = asked("jax", "1,2")
    assert [jax.rates(count) for count in (1, 2)] == [True, False]
    assert jax.cores_of(1) == []


def test_a_race_says_where_numbers_of_devices_are_compared() -> None:
    with pytest.raises(EpochmarkError, match="'epochmark scale' compares numbers of them"):
        parse_entry("torch+devices=2")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_no_sample_of_a_batch_is_lost(count: int) -> None:
    batch = np.arange(17)
    parts = [shard(batch, Group(count, rank, "file")) for rank in range(count)]
    assert np.concatenate(parts).tolist() == batch.tolist()
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


class _Laps:
    """Ends after the third lap; a lap has two steps."""

    def __init__(self) -> None:
        self.asked, self.laps = 0, list[tuple[int, Any, Any]]()

    def wants_lap(self) -> bool:
        self.asked += 1
        return self.asked % 2 == 0

    def lap(self, steps: int, loss: float | None = None, accuracy: float | None = None) -> bool:
        self.laps.append((steps, loss, accuracy))
        return len(self.laps) < 3

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        raise AssertionError("no epoch ends")

    def trained(self) -> None:
        raise AssertionError


def test_every_step_has_a_whole_batch() -> None:
    """Of ten samples in batches of four: two steps an epoch."""
    stopwatch = _Laps()
    orders = [np.arange(10)] * 9
    batches = list(whole_batches(orders, 4, stopwatch, lambda: (16.0, 4.0), 4))
    assert [batch.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7]] * 3
    assert stopwatch.laps == [(2, 2.0, 0.5)] * 3


def test_losses_of_the_parts_are_one_mean() -> None:
    assert means([[1.0, 2.0], [3.0, None]]) == [2.0, None]


def test_processes_of_other_versions_do_not_train_together() -> None:
    own = Hello("3.11.2", {"torch": "2.13.0"})
    check_versions(own, [own])
    with pytest.raises(RuntimeError, match=r"rank 2 has other versions.*2\.12"):
        check_versions(own, [own, Hello("3.11.2", {"torch": "2.12.0"})])


def job(devices: int = 2, **fields: Any) -> ScaleJob:
    workload = find_workload("mnist-mlp")
    settings = RunRequest(engine="torch", workload=workload).settings
    given: dict[str, Any] = {
        "engine": "torch", "settings": settings, "data_folder": "", "weights_file": "",
        "replay_weights_file": "", "spawned_ns": 0, "variables": [], "devices": devices,
        "meeting": "meeting", "cores": [[0], [1]],
        "all_reduces": 0, **fields,
    }  # fmt: skip
    return ScaleJob(**given)


def test_a_job_comes_as_it_was_sent() -> None:
    assert decode_job(encode_job(job())) == job()


def sound_reports(devices: int) -> list[Message]:
    reports: list[Message] = [
        Hello("3.11", {}), Phase("starting"), Opened("cpu", ""), Phase("loading"),
        Phase("building"), Phase("training"), LapEnd(1, 1, 1000, 2.3, 0.1), Parked(),
    ]  # fmt: skip
    reports += [Fitted(1.0, 2000), Phase("checking"), UsedSettings({})]
    reports += [DevicePart("cpu", "0" * 64, [])] * devices
    return [*reports, SplitReplayed([1.0] * 10, [1.0] * 3), Finished(None)]


def take_all(reports: list[Message], devices: int = 2) -> None:
    order = ScaleOrder(1000, devices)
    for report in reports:
        order.take(report, 10.0)
        order.take_turn()


def test_what_a_scaling_worker_reports_comes_in_order() -> None:
    take_all(sound_reports(2))
    timed: list[Message] = [*sound_reports(2)]
    timed.insert(-1, Figure("all_reduce", {"devices": 2}, 4.0, [0.1]))
    take_all(timed)
    assert scale_reports(3).count(DevicePart) == 3


@pytest.mark.parametrize(
    "reports",
    [
        sound_reports(1),
        sound_reports(3),
        [*sound_reports(2)[:-2], SplitReplayed([1.0] * 9, [1.0] * 3)],
        [*sound_reports(2)[:-2], SplitReplayed([1.0] * 10, [])],
        [*sound_reports(2)[:-2], Finished(None)],
    ],
)
def test_anything_else_is_not_believed(reports: list[Message]) -> None:
    with pytest.raises(MessageError):
        take_all(reports)


class _SlowRanks:
    """Another process, which ends each lap a second later."""

    are_elsewhere = False

    def __init__(self) -> None:
        self.said: list[int] = []

    def hear(self, kind: type[LapEnd]) -> list[LapEnd]:
        import time

        return [LapEnd(1, 1, time.perf_counter_ns() + 10**9, None, None)]

    def say_steps(self, steps: int) -> None:
        self.said.append(steps)


def test_a_lap_ends_when_the_last_process_has_ended_it(tmp_path: Path) -> None:
    """And the first tells the others how many steps the next one has."""
    with (tmp_path / "reports").open("wb") as file:
        ranks = _SlowRanks()
        stopwatch = LeadingStopwatch(MessagePipe(file.fileno()), Word(), ranks)  # type: ignore[arg-type]
        stopwatch.start()
        assert stopwatch.wants_lap()
        assert stopwatch.lap(1, 2.0)
    assert ranks.said == [1], "a step took a second"
    line = (tmp_path / "reports").read_bytes()
    assert b'"end_ns": 1' in line


def test_another_process_trains_as_many_steps_as_the_first_says(tmp_path: Path) -> None:
    word = Word()
    with (tmp_path / "reports").open("wb") as file:
        stopwatch = FollowingStopwatch(MessagePipe(file.fileno()), word)
        stopwatch.start()
        assert stopwatch.wants_lap()
        word.hear(b"3\n")
        assert stopwatch.lap(1, 2.0)
        assert [stopwatch.wants_lap() for _ in range(3)] == [False, False, True]
        word.hear(b"0\n")
        assert not stopwatch.lap(3, 2.0)


def ranks_of(
    monkeypatch: pytest.MonkeyPatch, program: str
) -> tuple[Ranks, list[subprocess.Popen[bytes]]]:
    """The first process's view of one other that runs this program instead of a worker; and that
    process."""
    real, started = subprocess.Popen, list[subprocess.Popen[bytes]]()

    def start(command: list[str], **options: Any) -> Any:
        started.append(real([sys.executable, "-c", program, command[-1]], **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    return Ranks(job(), lambda failed: None), started


def test_a_process_that_was_killed_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the first makes of a lost connection."""
    program = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
    ranks, (other,) = ranks_of(monkeypatch, program)
    with pytest.raises(RankError, match="rank 1 was killed by SIGKILL"):
        ranks.hear(LapEnd)
    cause = ranks.cause(RuntimeError("connection closed by peer"))
    assert isinstance(cause, RankError)
    assert "SIGKILL" in cause.failed.message
    assert other.wait() == -signal.SIGKILL


def test_a_process_that_was_killed_while_it_wrote_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half a report is none; the reason says how far it came."""
    program = (
        "import os, signal, sys\n"
        'said = b\'{"report": "Phase", "name": "checking"}\\n{"report": "De\'\n'
        "os.write(int(sys.argv[1]), said)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ranks, (other,) = ranks_of(monkeypatch, program)
    with pytest.raises(RankError, match="rank 1 was killed by SIGKILL") as caught:
        ranks.hear(LapEnd)
    assert caught.value.failed.phase == "checking"
    assert other.wait() == -signal.SIGKILL


def test_what_another_process_raised_first_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import json, os, sys\n"
        "fields = dict(report='Failed', phase='training', exception='MemoryError',"
        " message='no room', usage=False)\n"
        "os.write(int(sys.argv[1]), json.dumps(fields).encode() + b'\\n')\n"
    )
    ranks, (other,) = ranks_of(monkeypatch, program)
    with pytest.raises(RankError) as caught:
        ranks.hear(LapEnd)
    assert caught.value.failed == Failed("training", "MemoryError", "rank 1: no room", usage=False)
    assert other.wait() == 0


def test_what_this_process_raised_itself_stays_the_cause() -> None:
    alone = Ranks(job(1, meeting=None), lambda failed: None)
    error = ValueError("own")
    assert alone.cause(error) is error


def test_every_engine_says_whether_it_has_it() -> None:
    assert {name for name in ("torch", "jax") if get_engine(name).info.parallel} == {"torch", "jax"}
    with pytest.raises(NotImplementedError, match="native trains on one device"):
        get_engine("native").data_parallel(Group(1))
