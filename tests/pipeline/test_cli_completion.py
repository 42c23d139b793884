"""What a shell completes, asked as bash asks: no framework is imported for it."""

from __future__ import annotations

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


def test_without_results_only_engines_are_completed(program: Program) -> None:
    assert completed(program, "results show ") == public_engines()
