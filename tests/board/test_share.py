"""``epochmark share`` as a user types it, against a running board."""

from __future__ import annotations

import json
import os
import pty
import re
import secrets
import socket
import stat
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import msgspec
import pytest

from epochmark.board.client.identity import identity_for
from epochmark.board.protocol import RESULTS_PATH
from epochmark.cli.commands.boards._extras import MODULES
from epochmark.judge.results import ResultFiles
from epochmark.records.digest import sealed
from epochmark.records.record import Record
from tests.board.records import native
from tests.board.running import TIMEOUT_S, Board
from tests.pipeline.program import Program

ROOT = Path(__file__).parents[2]
LABEL = "next to the window"


@pytest.fixture
def user(tmp_path: Path) -> Program:
    """A user with a folder of results and no key yet."""
    environment = {
        "EPOCHMARK_RESULTS": str(tmp_path / "results"),
        "EPOCHMARK_BOARD": str(tmp_path / "own"),
        "no_proxy": "*",
    }
    return Program(tmp_path, environment)


def saved(user: Program, record: Record) -> Record:
    """A record among the user's results, with a label."""
    record = sealed(msgspec.structs.replace(record, label=LABEL))
    ResultFiles(user.results).save(record)
    return record


def test_without_a_terminal_every_field_is_shown_and_nothing_is_sent(
    sqlite_board: Board, user: Program
) -> None:
    record = saved(user, native(200, cpu="Chip T"))
    done = user.run("share", record.id, "--to", sqlite_board.origin)
    assert (done.returncode, done.stdout) == (2, "")
    for field in (
        "machine.cpu: Chip T",
        "timing.laps[].end_ns: ",
        "replay.losses: ",
        "engine.name",
    ):
        assert f"  {field}" in done.stderr
    assert "--yes sends it without asking" in done.stderr
    assert LABEL not in done.stderr
    assert record.id not in done.stderr
    assert str(record.machine.machine_id) not in done.stderr


def test_at_a_terminal_it_asks_first(sqlite_board: Board, user: Program) -> None:
    record = saved(user, native(201, cpu="Chip U"))
    terminal, ours = pty.openpty()
    os.write(terminal, b"n\n")
    try:
        done = user.run("share", record.id, "--to", sqlite_board.origin, stdin=ours, input=None)
    finally:
        os.close(terminal)
        os.close(ours)
    assert (done.returncode, "nothing was sent" in done.stderr) == (1, True)


def test_what_was_sent_can_be_sent_again_and_erased(sqlite_board: Board, user: Program) -> None:
    record = saved(user, native(202, cpu="Chip V"))
    for _ in range(2):
        done = user.run("share", record.id, "--to", sqlite_board.origin, "--yes", "--json")
        receipt = json.loads(done.stdout)
        assert (done.returncode, receipt["state"]) == (0, "held")
    key = user.folder / "own" / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    repeated = user.run("share", record.id, "--to", sqlite_board.origin, "--yes")
    assert "held: it is the first result of Chip V." in repeated.stdout
    user.run("results", "rm", record.id)
    erase = ("share", "--delete", record.id, "--to", sqlite_board.origin)
    unasked = user.run(*erase)
    assert (unasked.returncode, "nothing was erased: --yes" in unasked.stderr) == (2, True)
    again = user.run("board", "held", "--json", "--database", sqlite_board.database)
    assert receipt["id"] in again.stdout
    erased = user.run(*erase, "--yes")
    assert erased.returncode == 0, erased.stderr
    assert sqlite_board.get(f"{RESULTS_PATH}/{receipt['id']}").status == 410


def test_a_label_leaves_only_if_it_is_asked_for(sqlite_board: Board, user: Program) -> None:
    record = saved(user, native(203, cpu="Chip W"))
    done = user.run("share", record.id, "--to", sqlite_board.origin, "--label")
    assert f"  label: {LABEL}" in done.stderr


def test_two_boards_cannot_join_what_they_got(user: Program) -> None:
    record = saved(user, native(204))
    folder = user.folder / "own"
    here, there = (identity_for(f"https://{name}.example", folder) for name in ("a", "b"))
    copies = here.copy_of(record), there.copy_of(record)
    assert here.secret == there.secret
    for found in (
        {copy.id for copy in (*copies, record)},
        {copy.digest for copy in (*copies, record)},
        {copy.machine.machine_id for copy in (*copies, record)},
    ):
        assert len(found) == 3
    keys = {sender.headers("POST", "")["Epochmark-Key"] for sender in (here, there)}
    assert len(keys) == 2
    assert here.copy_of(record) == copies[0]


def test_who_sent_nothing_has_nothing_to_delete_and_gets_no_key(user: Program) -> None:
    done = user.run("share", "--delete", "a" * 12, "--yes")
    assert done.returncode == 2
    assert f"there is no key in {user.folder / 'own'}: nothing was sent from here" in done.stderr
    assert not (user.folder / "own").exists()


def test_two_first_uses_at_once_have_one_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, others = "https://one.example", []
    make = secrets.token_hex

    def interrupted(count: int) -> str:
        monkeypatch.setattr(secrets, "token_hex", make)
        others.append(identity_for(url, tmp_path))
        return make(count)

    monkeypatch.setattr(secrets, "token_hex", interrupted)
    assert identity_for(url, tmp_path) == others[0] == identity_for(url, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_a_key_that_others_can_read_is_not_used(user: Program) -> None:
    record = saved(user, native(205))
    identity_for("https://one.example", user.folder / "own")
    (user.folder / "own" / "key").chmod(0o644)
    done = user.run("share", record.id, "--yes")
    assert (done.returncode, "chmod 600" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "url", ["board.example", "ftp://a", "https://a/b", "http://u@a", "http://["]
)
def test_what_is_no_address_of_a_board_is_refused(user: Program, url: str) -> None:
    done = user.run("share", saved(user, native(206)).id, "--to", url, "--yes")
    assert (done.returncode, "is not the address of a board" in done.stderr) == (2, True)


def test_a_refusal_is_in_the_boards_own_words(sqlite_board: Board, user: Program) -> None:
    record = native(207)
    engine = msgspec.structs.replace(record.engine, adam_form="algorithm_1")
    ResultFiles(user.results).write(sealed(msgspec.structs.replace(record, engine=engine)))
    done = user.run("share", record.id, "--to", sqlite_board.origin, "--yes")
    assert done.returncode == 1
    assert re.search(r"refused \(422\): the record does not recompute\n.*  - ", done.stderr)


def test_a_lost_connection_says_that_repeating_is_safe(user: Program) -> None:
    record = saved(user, native(208))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)

        def break_off() -> None:
            connection, _ = server.accept()
            connection.settimeout(TIMEOUT_S)
            connection.recv(100)
            connection.close()

        thread = threading.Thread(target=break_off)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = user.run("share", record.id, "--to", url, "--yes")
        thread.join()
    assert (done.returncode, "the same command again is safe" in done.stderr) == (1, True)


WITHOUT_PACKAGES = """
import importlib.util, sys
real = importlib.util.find_spec
absent = ("cryptography", "starlette")
importlib.util.find_spec = lambda name, *more: None if name in absent else real(name, *more)
from epochmark.cli import main
main()
"""


@pytest.mark.parametrize(("words", "extra"), [(("board",), "board"), (("share", "x"), "share")])
def test_without_the_packages_it_says_what_installs_them(
    words: tuple[str, ...], extra: str
) -> None:
    command = [sys.executable, "-c", WITHOUT_PACKAGES, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cryptography" in done.stderr
    assert f"pip install 'epochmark[{extra}]'" in done.stderr


def test_the_command_line_loads_no_package_of_a_board() -> None:
    program = (
        "import json, sys, epochmark.cli\n"
        f"print(json.dumps([name for name in {MODULES['board']!r} if name in sys.modules]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stdout) == []


def test_what_is_looked_for_is_what_the_extras_bring() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for extra, modules in MODULES.items():
        wanted = project["optional-dependencies"][extra]
        assert {re.split(r"[\[<>=]", package)[0] for package in wanted} == {*modules}
        assert {*wanted} <= {*project["optional-dependencies"]["dev"]}
