"""Where a run stands among the owners of a chip, by ``compare`` and by ``share``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from epochmark.board.client.standing import Cell, among
from epochmark.board.protocol import STANDING_PATH
from epochmark.judge.results import ResultFiles
from epochmark.records.findings import FindingCode, make_finding
from epochmark.records.record import Record
from tests.board.records import native, torch
from tests.board.running import Board, operate
from tests.pipeline.program import Program
from tests.report.samples import finished

CHIP = "NVIDIA GeForce RTX 4070"
QUERY = (
    f"{STANDING_PATH}?workload=mnist-cnn%20v1&engine_family=torch&tuning=stock&precision=float32"
)


@pytest.fixture
def user(tmp_path: Path) -> Program:
    """A user with a folder of results."""
    environment = {
        "EPOCHMARK_RESULTS": str(tmp_path / "results"),
        "EPOCHMARK_BOARD": str(tmp_path / "own"),
        "no_proxy": "*",
    }
    return Program(tmp_path, environment)


def saved(user: Program, record: Record) -> Record:
    ResultFiles(user.results).save(record)
    return record


def filled(board: Board, gpu: str, steps_s: list[float], first: int) -> None:
    """An owner for each of these seconds per step, on one kind of GPU."""
    for number, step_s in enumerate(steps_s):
        record = torch(first + number, gpu=gpu, step_s=step_s)
        receipt = board.send(record, board.sender(f"{gpu} {number}")).json
        if receipt["state"] == "held":
            operate(board.database, "release", receipt["id"], "--reason", "looked at")


def compared(user: Program, board: Board, run: str, chip: str, *more: str) -> tuple[int, str, str]:
    done = user.run("compare", run, f"chip:{chip}", "--board", board.origin, *more)
    return done.returncode, done.stdout, done.stderr


def test_a_run_stands_among_the_owners_of_a_chip(board: Board, user: Program) -> None:
    filled(board, CHIP, [0.006, 0.0066, 0.0063, 0.0069], 700)
    own = saved(user, torch(710, gpu="NVIDIA GeForce RTX 4060", step_s=0.0065))
    status, said, _ = compared(user, board, own.id, "rtx 4070")
    assert status == 0
    assert re.search(
        r"RTX 4070, virtual machine: 3\.\d+ s per epoch, the median of 4 owners, 4 runs \(range "
        r"2\.\d+ to 3\.\d+ s\)",
        said,
    ), said
    assert re.search(r"is (0\.9|1\.0)\d times as fast \(0\.\d+ to 1\.\d+\)", said), said
    (url,) = re.findall(r"faster than 50% of them \(2 of 4\): (\S+)", said)
    assert board.get(url.removeprefix(board.origin)).status == 200
    _, said, _ = compared(user, board, own.id, CHIP, "--json")
    (cell,) = json.loads(said)["cells"]
    assert (cell["owners"], cell["slower_owners"], cell["percentile"]) == (4, 2, 50.0)
    assert cell["low_s"] < cell["median_s"] < cell["high_s"]


def test_nothing_of_the_run_but_its_key_goes_to_the_board(
    sqlite_board: Board, user: Program
) -> None:
    own = saved(user, torch(711, gpu="NVIDIA GeForce RTX 4060"))
    compared(user, sqlite_board, own.id, "rtx 4070")
    assert not (user.folder / "own").exists(), "no key is made"


def test_a_chip_that_is_not_there_is_answered_with_names_like_it(
    board: Board, user: Program
) -> None:
    filled(board, "NVIDIA GeForce RTX 4050", [0.01], 720)
    own = saved(user, torch(721, gpu="NVIDIA GeForce RTX 4060"))
    status, said, complaint = compared(user, board, own.id, "RTX 4055")
    assert (status, said) == (1, "")
    assert "this board has no results of a chip called 'RTX 4055'; names like it: " in complaint
    assert "RTX 4050" in complaint
    status, _, complaint = compared(user, board, own.id, "")
    assert (status, "wants a chip's name" in complaint) == (2, True)


def test_a_run_of_another_key_has_nothing_to_be_compared_with(board: Board, user: Program) -> None:
    filled(board, "NVIDIA GeForce RTX 4040", [0.01], 730)
    own = saved(user, native(731))
    status, said, _ = compared(user, board, own.id, "RTX 4040")
    assert status == 3
    assert "has nothing of RTX 4040 that is comparable with it" in said
    assert "  - mnist-cnn v1, torch stock, float32" in said


def test_a_board_that_is_not_there_is_named(user: Program) -> None:
    own = saved(user, native(732))
    done = user.run("compare", own.id, "chip:x", "--board", "http://127.0.0.1:9")
    assert (done.returncode, "127.0.0.1:9 did not answer" in done.stderr) == (1, True)
    for wrong in (("native", "--board", "http://a"), ("chip:x", "--fail-slower", "3%")):
        done = user.run("compare", own.id, *wrong)
        assert (done.returncode, "--board goes with" in done.stderr) == (2, True)


def test_a_disturbed_run_is_not_ranked(board: Board, user: Program) -> None:
    filled(board, CHIP, [0.006], 740)
    finding = make_finding(FindingCode.FOREIGN_LOAD, "others computed")
    record = msgspec.structs.replace(torch(745, gpu=CHIP), findings=[finding])
    own = saved(user, finished(record))
    _, said, _ = compared(user, board, own.id, CHIP)
    assert "Not ranked: disturbed (foreign-load)" in said
    assert "times as fast" in said
    assert "of them" not in said


def test_names_that_differ_by_marks_only_are_asked_back(board: Board) -> None:
    for number, name in enumerate(("Chip 5-5", "Chip 5 5")):
        receipt = board.send(native(750 + number, cpu=name), board.sender(name)).json
        operate(board.database, "release", receipt["id"], "--reason", "looked at")
    answer = board.get(f"{QUERY}&chip=chip_5_5")
    assert (answer.status, answer.json["error"]) == (
        409,
        "chip_5_5 may be any of these: Chip 5 5, Chip 5-5",
    )
    assert board.get(f"{QUERY}&chip={quote('Chip 5-5')}").json["chip"] == "Chip 5-5"


def test_many_owners_are_answered_by_the_percent() -> None:
    seconds = [1 + number / 1000 for number in range(1000)]
    cell = Cell("0" * 16, "x", "gpu", 1000, 1000, 1.5, 1.49, 1.51, seconds[::10])
    for percent in (1, 37, 99):
        place = among(cell, seconds[10 * percent] - 0.0005)
        assert abs(place.percent - (100 - percent)) <= 1
    assert among(cell, 0.5).slower == 1000
    assert among(cell, 9.0).slower == 0


def test_share_says_where_a_result_stands_and_links_to_it(
    sqlite_board: Board, user: Program
) -> None:
    filled(sqlite_board, "NVIDIA GeForce RTX 3090", [0.006, 0.0068], 760)
    own = saved(user, torch(765, gpu="NVIDIA GeForce RTX 3090", step_s=0.0062))
    done = user.run("share", own.id, "--to", sqlite_board.origin, "--yes")
    said = re.search(r"faster than 50% of 2 other owners of like machines: (\S+)", done.stdout)
    assert said, done.stdout + done.stderr
    assert sqlite_board.get(said[1].removeprefix(sqlite_board.origin)).status == 200
