"""What a shell completes, asked as bash asks: no framework is imported for it."""

from __future__ import annotations

import json

from epochmark.bench.request import public_engines
from tests.pipeline.program import Program


def completed(program: Program, words: str, tool: str = "epochmark") -> list[str]:
    asked = {
        "_EPOCHMARK_COMPLETE": "complete_bash",
        "COMP_WORDS": f"{tool} {words}",
        "COMP_CWORD": str(len(words.split(" "))),
    }
    return program.run(environment=asked).stdout.split()


def test_commands_engines_and_charts_are_completed(program: Program) -> None:
    assert completed(program, "exp") == ["explain"]
    assert completed(program, "run kera") == ["keras-jax", "keras-tensorflow", "keras-torch"]
    assert completed(program, "engines install ml") == ["mlx"]
    assert completed(program, "plot bat") == ["batch-sweep"]


def test_ids_of_records_are_completed(program: Program) -> None:
    assert program.here("run", "fake").returncode == 0
    (record_id,) = {*completed(program, "results show ")} - {*public_engines()}
    assert completed(program, f"results show {record_id[:5]}") == [record_id]
    assert {record_id, "torch"} <= {*completed(program, "explain ")}
    assert program.run("results", "show", record_id).returncode == 0


def test_ids_of_races_are_completed_where_a_race_may_be_named(program: Program) -> None:
    program.script(step_s=0.01)
    done = program.run("race", "fake", "fake", "--max-seconds", "1", "--json")
    race_id = json.loads(done.stdout)["id"][:8]
    for words in ("results show", "results rm", "results export x.json", "check", "plot race"):
        assert completed(program, f"{words} {race_id[:5]}") == [race_id]
    for words in ("compare", "explain"):
        assert completed(program, f"{words} {race_id[:5]}") == []
    assert program.run("results", "show", race_id).returncode == 0


def test_without_results_only_engines_are_completed(program: Program) -> None:
    assert completed(program, "results show ") == public_engines()
