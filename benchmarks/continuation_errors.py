"""How far an engine's continuation is from float64, after that many steps of training.

    python benchmarks/continuation_errors.py ENGINE... [--workload mnist-mlp] [--steps 1 20 200] \
        [--precision bfloat16] [--batch 4]

Prints a row of the table in docs/parity.md or docs/workloads.md for each: the largest relative
error of a loss and of a parameter's update, of the eight single steps and of the repeated ones, and
of the test loss.
"""

from __future__ import annotations

import argparse

from epochmark.bench.interpreters.interpreter import Interpreter, find_interpreter
from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest
from epochmark.bench.session import Bench
from epochmark.datasets import get_mnist
from epochmark.engines import get_engine
from epochmark.hardware.machine import describe_machine
from epochmark.records.record import Record, Stretch
from epochmark.workloads import DEFAULT_WORKLOAD, WORKLOADS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", nargs="+")
    parser.add_argument("--workload", choices=list(WORKLOADS), default=DEFAULT_WORKLOAD)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 20, 200])
    parser.add_argument("--precision", default="stock")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, help="default: the workload's")
    options = parser.parse_args()
    bench = Bench(get_mnist(None, lambda what, done, total: None), describe_machine(None))
    print("| engine | precision | steps | loss | update | repeated: loss | update | test loss |")
    print("|---|---|---|---|---|---|---|---|")
    for engine in options.engine:
        interpreter = find_interpreter(get_engine(engine).info) or Interpreter.own()
        for steps in options.steps:
            request = RunRequest(
                engine=engine,
                workload=WORKLOADS[options.workload],
                max_steps=steps,
                precision=options.precision,
                device=options.device,
                batch_size=options.batch,
            )
            print(row(bench.measure(PlannedRun(request, interpreter)).record), flush=True)


def row(record: Record) -> str:
    found = record.continuation
    if found is None or found.single is None or found.repeated is None:
        why = found.problem if found else record.failure
        return f"| {record.engine.name} | {record.workload.max_steps} | {why} |"
    test = relative(found.test_loss, found.right_test_loss)
    cells = [
        record.engine.name,
        str(record.precision.observed),
        str(record.workload.max_steps),
        *errors(found.single),
        *errors(found.repeated),
        f"{test:.1e}",
    ]
    codes = ", ".join(finding.code for finding in record.findings)
    return f"| {' | '.join(cells)} | {codes}"


def errors(stretch: Stretch) -> list[str]:
    """The largest relative error of a loss, and of an update and its parameter."""
    loss = max(map(relative, stretch.losses, stretch.right_losses))
    name, update = max(stretch.update_errors.items(), key=lambda item: item[1] or 0.0)
    return [f"{loss:.1e}", f"{update or 0.0:.1e} {name}"]


def relative(loss: float | None, right: float | None) -> float:
    return float("inf") if loss is None or not right else abs(loss - right) / right


if __name__ == "__main__":
    main()
