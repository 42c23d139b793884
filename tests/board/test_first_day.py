"""What a board has on its first day: this project's own runs, and published results of others."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from importlib import resources

from epochmark.analysis.comparing.references import load_references
from epochmark.board.intake.receive import recomputed
from epochmark.board.protocol import RESULTS_PATH
from tests.board.running import MANY, Board, operate

PACKED = resources.files("epochmark.board.first") / "results.jsonl.gz"
MOST_BYTES = 1 << 20


def documents() -> list[bytes]:
    return gzip.decompress(PACKED.read_bytes()).splitlines()


def test_the_first_results_recompute_and_name_no_one() -> None:
    assert len(PACKED.read_bytes()) < MOST_BYTES
    records = [recomputed(document) for document in documents()]
    assert records
    assert {record.headline.validity for record in records} == {"valid"}
    assert {(record.label, record.machine.machine_id) for record in records} == {(None, None)}
    assert max(Counter(record.id for record in records).values()) == 1


def test_a_new_board_begins_with_them_and_with_published_results_that_are_not_ranked(
    start: Callable[..., Board], empty_database: str
) -> None:
    own = len(documents())
    done = operate(empty_database, "import", "--first", "--json")
    expected = {"imported": own, "known": 0, "refused": 0, "published": len(load_references())}
    assert json.loads(done.stdout) == expected
    again = operate(empty_database, "import", "--first")
    assert f"0 results imported, {own} known already, 0 refused" in again.stdout
    assert "published results of other machines, not ranked" in again.stdout
    board = start(empty_database, *MANY)
    assert len(board.get(f"{RESULTS_PATH}?limit=100").json["results"]) == min(own, 100)
    published = board.get("/api/1/published").json["published"]
    assert {row["id"] for row in published} == {reference.id for reference in load_references()}
    page = board.get("/published").text
    assert page.count("<li>") == len(published)
    assert "not ranked" in page
    machine = next(row["machine"] for row in published)
    assert machine not in board.get("/").text
    assert "published results of other machines" in board.get("/").text


def test_import_takes_a_file_or_what_comes_with_it() -> None:
    for words in ([], ["bundle.json", "--first"]):
        done = operate("sqlite:////nonexistent/x", "import", *words)
        assert (done.exit_code, "a FILE, or --first" in done.stderr) == (2, True)
