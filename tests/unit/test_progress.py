"""What the progress of a run says of its end, on scripted laps."""

from __future__ import annotations

import pytest

from epochmark.bench.request import RunRequest
from epochmark.cli import _progress
from epochmark.worker.protocol import LapEnd

EPOCH = 469


def last_line(
    request: RunRequest, step_s: float, laps: int, capsys: pytest.CaptureFixture[str]
) -> str:
    """After that many laps of 50 steps."""
    with _progress.RunProgress(request, (1, 1)) as progress:
        for number in range(1, laps + 1):
            end_ns = round(50 * number * step_s * 1e9)
            progress.on_report(LapEnd(1 + 50 * number // EPOCH, 50, end_ns, 0.5, None))
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("asked", "step_s", "laps", "line"),
    [
        # a slow machine: the budget of a minute ends it
        ({"quick": True}, 0.1, 4, "epoch 1, loss 0.5000, 1,280 images/s, about 40 s left"),
        # a quarter of the work, 1,172 steps, takes 23 s
        ({"quick": True}, 0.02, 4, "epoch 1, loss 0.5000, 6,400 images/s, about 19 s left"),
        # half of the one epoch
        ({"quick": True, "epochs": 1}, 0.02, 4, "images/s, about 1 s left"),
        # past a quarter without a figure: half of the work, 2,345 steps
        ({"quick": True}, 0.02, 26, "epoch 3, loss 0.5000, 6,400 images/s, about 21 s left"),
        ({"settle": True}, 0.1, 4, "settling, at most 19 min 40 s left"),
        ({}, 0.1, 4, "epoch 1/10, loss 0.5000, 1,280 images/s, 7 min 29 s left"),
    ],
)
def test_the_time_left_is_that_of_this_run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: dict[str, object],
    step_s: float,
    laps: int,
    line: str,
) -> None:
    monkeypatch.setattr(_progress, "PLAIN_INTERVAL_S", 0.0)
    request = RunRequest(engine="fake", **asked)  # type: ignore[arg-type]
    assert last_line(request, step_s, laps, capsys).endswith(line)
