"""Confirmed results: three keys from different addresses and days agree; derived by the board."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from epochmark.board.intake.address import hashed
from epochmark.board.intake.receive import delete, receive
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.operating.forgetting import forget
from epochmark.board.protocol import RESULTS_PATH
from epochmark.board.storage import results as stored
from epochmark.board.storage.database import Database
from epochmark.board.storage.moderation import ban, decide
from epochmark.board.storage.results import result_by_id
from epochmark.board.storage.tables import results
from epochmark.board.storage.trust import confirmed
from epochmark.board.storage.trust.confirmed import best_confirmed, confirming
from epochmark.board.storage.trust.tables import addresses
from epochmark.board.storage.trust.words import words_of
from epochmark.records.digest import sealed
from epochmark.records.record import Record
from epochmark.records.upgrades import encode_record
from tests.board.records import native
from tests.board.running import MANY, Board, operate

DAYS = ("2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04")
KEYS = tuple(letter * 64 for letter in "abcd")
PLACES = tuple(letter * 32 for letter in "1234")


class Day:
    """What day it is on the board."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.today = DAYS[0]
        for module in (stored, confirmed):
            monkeypatch.setattr(module, "now", lambda: f"{self.today}T12:00:00Z")


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    return Day(monkeypatch)


@pytest.fixture
def database(empty_database: str) -> Iterator[Database]:
    """A board that knows the chip of all these results."""
    with contextlib.closing(Database(empty_database)) as opened:
        receive(opened, encode_record(native(900, step_s=0.05)), None)
        yield opened


def take(database: Database, clock: Day, number: int, who: int, **made: object) -> Record:
    """A result of the sender, place and day with this number, unless ``key``, ``place`` or ``day``
    say otherwise."""
    options = {"key": who, "place": who, "day": who, "step_s": 0.025, **made}
    record = native(number, step_s=float(str(options["step_s"])))
    clock.today = DAYS[int(str(options["day"]))]
    place = PLACES[int(str(options["place"]))]
    receipt = receive(database, encode_record(record), KEYS[int(str(options["key"]))], place)
    if receipt.state == "held":
        with database.writing() as connection:
            decide(connection, "shown", record.id, "looked at")
    return record


def confirmed_among(database: Database, *records: Record) -> list[bool]:
    with database.reading() as connection:
        numbers = [result_by_id(connection, record.id).number for record in records]  # type: ignore[union-attr]
        words = words_of(connection, numbers)
        assert all(
            ("confirmed" in words[number]) == bool(confirming(connection, number))
            for number in numbers
        )
    return ["confirmed" in words[number] for number in numbers]


def test_three_keys_from_three_places_on_three_days_confirm_each_other(
    database: Database, day: Day
) -> None:
    first, second = (take(database, day, 901 + who, who) for who in range(2))
    assert confirmed_among(database, first, second) == [False, False]
    third = take(database, day, 903, 2)
    assert confirmed_among(database, first, second, third) == [True] * 3
    fourth = take(database, day, 904, 0, day=3, step_s=0.0255)
    assert confirmed_among(database, fourth) == [True], "with two of the three"


@pytest.mark.parametrize(
    "alike", [{"key": 1}, {"place": 1}, {"day": 1}, {"step_s": 0.029}, {"step_s": 0.0215}]
)
def test_what_is_alike_or_too_far_apart_confirms_nothing(
    database: Database, day: Day, alike: dict[str, object]
) -> None:
    records = [take(database, day, 911 + who, who) for who in range(2)]
    records.append(take(database, day, 913, 2, **alike))
    assert confirmed_among(database, *records) == [False] * 3


def test_only_shown_runs_that_someone_sent_confirm(database: Database, day: Day) -> None:
    first, second = (take(database, day, 921 + who, who) for who in range(2))
    receive(database, encode_record(native(924)), None)
    assert confirmed_among(database, first, second) == [False, False], "an import has no key"
    third = native(925)
    bare = msgspec.structs.replace(third.machine, virtualized=False)
    third = sealed(msgspec.structs.replace(third, machine=bare))
    day.today = DAYS[2]
    receive(database, encode_record(third), KEYS[2], PLACES[2])
    assert confirmed_among(database, first, second) == [False, False], "other hardware"


def test_it_is_derived_again_where_one_is_hidden_released_deleted_or_banned(
    database: Database, day: Day
) -> None:
    three = [take(database, day, 931 + who, who) for who in range(3)]
    with database.writing() as connection:
        decide(connection, "held", three[2].id, "asked the sender")
    assert confirmed_among(database, *three) == [False] * 3
    with database.writing() as connection:
        decide(connection, "shown", three[2].id, "answered")
    assert confirmed_among(database, *three) == [True] * 3
    delete(database, three[0].id, KEYS[0])
    assert confirmed_among(database, *three[1:]) == [False] * 2
    fourth = take(database, day, 934, 3)
    assert confirmed_among(database, *three[1:], fourth) == [True] * 3
    with database.writing() as connection:
        ban(connection, KEYS[1], "made up")
    assert confirmed_among(database, three[2], fourth) == [False] * 2


def test_others_take_the_place_of_one_that_is_gone(database: Database, day: Day) -> None:
    four = [take(database, day, 941 + who, who) for who in range(4)]
    delete(database, four[1].id, KEYS[1])
    assert confirmed_among(database, four[0], four[2], four[3]) == [True] * 3


def test_a_forgotten_address_confirms_no_more_and_takes_nothing_back(
    database: Database, day: Day
) -> None:
    three = [take(database, day, 951 + who, who) for who in range(3)]
    day.today = "2027-02-01"
    forget(database)
    with database.reading() as connection:
        kept = connection.execute(sa.select(sa.func.count()).select_from(addresses)).scalar_one()
    assert kept == 1, "90 days after the first of November two are older"
    assert confirmed_among(database, *three) == [True] * 3
    with database.writing() as connection:
        decide(connection, "hidden", three[2].id, "made up")
        decide(connection, "shown", three[2].id, "it was not")
    assert confirmed_among(database, *three) == [False] * 3


def test_a_result_much_faster_than_the_best_confirmed_is_held(database: Database, day: Day) -> None:
    three = [take(database, day, 961 + who, who) for who in range(3)]
    day.today = DAYS[3]
    released = take(database, day, 964, 3, step_s=0.018)
    fast = receive(database, encode_record(native(965, step_s=0.0185)), KEYS[0], PLACES[0])
    assert fast.state == "held"
    assert "times as fast as the fastest confirmed one like it" in str(fast.reason)
    with database.reading() as connection:
        found = result_by_id(connection, released.id)
        assert found is not None
        best = best_confirmed(connection, found.cell)
    assert best is not None
    assert best == min(record.headline.steady_epoch_s or 0 for record in three)


def test_an_address_is_kept_as_a_keyed_hash_and_of_ipv6_as_its_network() -> None:
    here = hashed("192.0.2.1", b"k" * 32)
    assert here == hashed("::ffff:192.0.2.1", b"k" * 32)
    assert here != hashed("192.0.2.1", b"l" * 32)
    assert hashed("2001:db8::1", b"k" * 32) == hashed("2001:db8::2", b"k" * 32)
    assert hashed("2001:db8::1", b"k" * 32) != hashed("2001:db8:0:1::1", b"k" * 32)
    assert hashed("unknown", b"k" * 32) is None


def test_a_running_board_confirms_and_keeps_no_address(
    start: Callable[..., Board], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'b.sqlite3'}"
    board = start(url, *MANY, "--trusted-proxy", "127.0.0.1")
    ids = []
    for number in range(3):
        receipt = board.post(
            encode_record(board.sender(str(number)).copy_of(native(970 + number))),
            board.sender(str(number)),
            **{"X-Forwarded-For": f"198.51.100.{number}"},
        ).json
        ids.append(receipt["id"])
        if receipt["state"] == "held":
            operate(url, "release", receipt["id"], "--reason", "looked at")
        if number < 2:
            engine = sa.create_engine(url)
            with engine.begin() as connection:
                chosen = results.update().where(results.c.id == receipt["id"])
                connection.execute(chosen.values(received=f"2026-11-1{number}T00:00:00Z"))
            engine.dispose()
    for result_id in ids:
        assert board.get(f"{RESULTS_PATH}/{result_id}").json["words"] == ["checked", "confirmed"]
    page = board.get(f"/result/{ids[0]}").text
    assert all(f'<a href="/result/{other}">' in page for other in ids[1:])
    with contextlib.closing(sqlite3.connect(tmp_path / "b.sqlite3")) as connection:
        dumped = "\n".join(connection.iterdump())
    assert "198.51.100" not in dumped
    key = tmp_path / "board" / "address-key"
    assert key.stat().st_mode & 0o077 == 0
    assert key.read_text().strip() not in dumped


def test_a_result_of_a_key_that_is_refused_leaves_no_address(database: Database, day: Day) -> None:
    with database.writing() as connection:
        ban(connection, KEYS[0], "made up")
    with pytest.raises(RefusedError):
        receive(database, encode_record(native(980)), KEYS[0], PLACES[0])
    with database.reading() as connection:
        assert connection.execute(sa.select(addresses)).all() == []
