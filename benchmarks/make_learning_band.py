"""Measure where loss curve and accuracy of correct training lie, and store it in the package.

    python benchmarks/make_learning_band.py run RESULTS.jsonl --seeds 1 24 --threads 1
    python benchmarks/make_learning_band.py run benchmarks/outcomes/gpt_3m_trial.jsonl \
        --workload gpt-3m --engine torch --seeds 1 20 --threads 1
    python benchmarks/make_learning_band.py write RESULTS.jsonl [MORE.jsonl ...]

``run`` makes a whole run in float32 for each seed, by default of ``mnist-cnn`` with the native
engine, and appends a JSON line for each that finished; seeds already in the file are skipped, so it
may be interrupted and repeated, or run twice at a time into two files. ``write`` turns at least 20
runs into ``learning_band.json`` in the folder of their workload.

A line has the ``workload``, the ``seed``, ``epoch_losses`` (mean training loss of each epoch,
nats), ``test_accuracy``, ``test_loss``, ``half_losses`` (test loss over both halves of the context,
of sequences), the ``engine`` with its ``versions``, ``threads``, ``architecture``, ``date``, and
the ``findings`` that make a run invalid, of which correct training has none.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from _measuring import bench

from epochmark._version import __version__
from epochmark.analysis.timing.headline import half_losses
from epochmark.bench.interpreters.interpreter import choose_interpreter
from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest
from epochmark.engines import get_engine
from epochmark.records.findings import MEANING, FindingCode
from epochmark.records.record import Record
from epochmark.workloads import WORKLOADS, Workload
from epochmark.workloads._proof import learning_band
from epochmark.workloads.registry import LEARNING_BAND, evidence_file

MINIMUM_RUNS = 20
PATIENCE_S = 3600.0
"""Nothing is timed: it may be run on a busy machine, with the least priority."""

Run = dict[str, Any]


def line_of(record: Record) -> Run:
    """What of a run goes into the band, and where it comes from."""
    learning, engine = record.learning, record.engine
    kernels = {"kernels": engine.settings["kernel_version"]} if engine.name == "native" else {}
    codes = {FindingCode(finding.code) for finding in record.findings}
    codes -= {FindingCode.LEARNING_OUT_OF_BAND}  # of the band so far
    return {
        "workload": record.workload.name,
        "workload_version": record.workload.version,
        "seed": record.workload.seed,
        "epoch_losses": [epoch.loss for epoch in learning.epochs],
        "test_accuracy": learning.test_accuracy,
        "test_loss": learning.test_loss,
        "half_losses": half_losses(record),
        "engine": engine.name,
        "versions": {**engine.versions, **kernels},
        "threads": engine.settings.get("threads"),
        "architecture": platform.machine(),
        "date": date.today().isoformat(),
        "findings": sorted(one.value for one in codes if MEANING[one].validity == "invalid"),
    }


def run_seeds(results: Path, base: RunRequest, seeds: range) -> None:
    """Train every seed that ``results`` does not hold yet. Ends the script where a run fails."""
    done = {run["seed"] for run in read_runs([results])} if results.exists() else set()
    patient = replace(bench(), patience_s=PATIENCE_S)
    for seed in seeds:
        if seed in done:
            continue
        request = replace(base, seed=seed)
        request.check()
        interpreter = choose_interpreter(get_engine(base.engine).info, None)
        measured = patient.measure(PlannedRun(request, interpreter))
        if measured.record.outcome != "completed":
            raise SystemExit(measured.stderr.decode(errors="replace")[-2000:])
        line = line_of(measured.record)
        results.parent.mkdir(parents=True, exist_ok=True)
        with results.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        losses = f"test loss {line['test_loss']:.4f}, by half {line['half_losses']}"
        print(f"seed {seed}: {losses}, accuracy {line['test_accuracy']:.4f}", flush=True)


def read_runs(files: Iterable[Path]) -> list[Run]:
    """Runs of all files, in order of their seeds; of an interrupted write the half line is left."""
    runs: dict[int, Run] = {}
    for file in files:
        for line in file.read_text("utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                run: Run = json.loads(line)
                runs[run["seed"]] = run
    return [runs[seed] for seed in sorted(runs)]


def make_band(runs: Sequence[Run]) -> tuple[Workload, dict[str, Any]]:
    """The runs' workload, and the content of its JSON file. Raises ValueError for too few or unfit
    runs."""
    if len(runs) < MINIMUM_RUNS:
        raise ValueError(f"{len(runs)} runs with different seeds, {MINIMUM_RUNS} are needed")
    kinds = {(run["workload"], run["engine"], str(run["versions"])) for run in runs}
    if len(kinds) > 1:
        raise ValueError(f"the runs are of several workloads, engines or versions: {sorted(kinds)}")
    workload = WORKLOADS[runs[0]["workload"]]
    for run in runs:
        losses = run["epoch_losses"]
        if len(losses) != workload.epochs or not all(map(math.isfinite, losses)) or run["findings"]:
            raise ValueError(f"seed {run['seed']} is not a whole run of correct training")
    by_epoch = zip(*(run["epoch_losses"] for run in runs), strict=True)
    accuracies = [run["test_accuracy"] for run in runs]
    return workload, {
        "workload": workload.name,
        "workload_version": workload.version,
        "epoch_losses": [asdict(learning_band.positive_interval(losses)) for losses in by_epoch],
        "test_accuracy": asdict(learning_band.accuracy_interval(accuracies)),
        "provenance": {
            "script": "benchmarks/make_learning_band.py",
            "method": "two-sided normal tolerance interval (Howe 1969) of the logarithms of losses "
            "and of the error rate",
            "content": learning_band.CONTENT,
            "confidence": learning_band.CONFIDENCE,
            "factor": learning_band.tolerance_factor(len(runs)),
            "engine": runs[0]["engine"],
            "versions": runs[0]["versions"],
            "runs": len(runs),
            "seeds": [run["seed"] for run in runs],
            "threads": sorted({run["threads"] for run in runs}, key=str),
            "epochmark": __version__,
            "architecture": sorted({run["architecture"] for run in runs}),
            "date": max(run["date"] for run in runs),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="train, one line per finished run")
    run.add_argument("results", type=Path)
    run.add_argument("--workload", choices=list(WORKLOADS), default="mnist-cnn")
    run.add_argument("--engine", default="native")
    run.add_argument("--seeds", type=int, nargs=2, required=True, metavar=("FIRST", "LAST"))
    run.add_argument("--threads", type=int)
    write = commands.add_parser("write", help="turn the runs into the package's JSON file")
    write.add_argument("results", type=Path, nargs="+")
    options = parser.parse_args()
    if options.command == "run":
        first, last = options.seeds
        base = RunRequest(
            options.engine,
            precision="float32",
            workload=WORKLOADS[options.workload],
            threads=options.threads,
        )
        run_seeds(options.results, base, range(first, last + 1))
        return
    workload, band = make_band(read_runs(options.results))
    path = evidence_file(workload, LEARNING_BAND)
    path.write_text(json.dumps(band, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
