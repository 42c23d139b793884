"""Measure every engine on every workload, and write the tables of README.md and docs/workloads.md.

    python benchmarks/workload_table.py run FOLDER [--engines torch jax] [--workloads gpt-3m] \
        [--quick] [--steps tinygrad=20 mlx=20]
    python benchmarks/workload_table.py write FOLDER

``run`` keeps records, and the processor's limits, in FOLDER. What has a record there is skipped, so
it may be interrupted and repeated; a ``disturbed`` run is made again. Full runs, one after the
other, on a quiet machine, or ``--quick`` ones, which end when the speed is known; ``--steps`` are
for engines of which even that takes too long: ``partial`` runs. The table marks both. ``write``
puts what is in FOLDER between the marks in both files.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from epochmark.analysis.machine.arithmetic import share_of_peak
from epochmark.analysis.timing.headline import half_losses, replay_verdict, steps_per_epoch
from epochmark.bench.interpreters.interpreter import find_interpreter
from epochmark.bench.request import named_workloads, public_engines
from epochmark.engines import get_engine
from epochmark.judge.results import ResultFiles
from epochmark.records.machine.limits_file import limits_file
from epochmark.records.record import Record
from epochmark.report.digits import significant
from epochmark.report.figures import images_text, machine_name, percent
from epochmark.workloads import WORKLOADS
from epochmark.workloads._proof.replay_data import REPLAY_STEPS

ROOT = Path(__file__).parents[1]
NONE = "-"
COLUMNS = (
    "engine", "ms a step", "speed", "of peak", "replay: Adam", "SGD", "test loss", "its halves",
    "memory", "validity",
)  # fmt: skip

Found = Mapping[tuple[str, str], Record]
"""The newest record of each workload and engine."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=("run", "write"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engines", nargs="*", default=public_engines())
    parser.add_argument(
        "--workloads", nargs="*", default=[workload.name for workload in named_workloads("all")]
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--steps", nargs="*", default=[], metavar="ENGINE=STEPS")
    options = parser.parse_args()
    if options.action == "write":
        write(found_in(options.folder))
        return
    os.environ["EPOCHMARK_RESULTS"] = str(options.folder.absolute())
    options.folder.mkdir(parents=True, exist_ok=True)
    epochmark = [sys.executable, "-m", "epochmark"]
    if not limits_file(options.folder).exists():
        subprocess.run([*epochmark, "limits"], check=False)
    steps = dict(part.split("=") for part in options.steps)
    for engine, workload in missing(options.folder, options.engines, options.workloads):
        limited = ["--quick"] if options.quick else []
        if engine in steps:
            limited = ["--steps", steps[engine]]
        print(f"{engine} on {workload}", flush=True)
        subprocess.run([*epochmark, "run", engine, "-w", workload, *limited], check=False)


def missing(folder: Path, engines: list[str], workloads: list[str]) -> Iterator[tuple[str, str]]:
    """Engines that are ready here, with the workloads of which no calm record is there yet."""
    for engine in engines:
        info = get_engine(engine).info
        if find_interpreter(info) is None:
            print(f"{engine}: not ready here", file=sys.stderr)
            continue
        for name in workloads:
            record = found_in(folder).get((name, engine))
            done = record is not None and record.headline.validity != "disturbed"
            if info.offers(WORKLOADS[name]) and not done:
                yield engine, name


def found_in(folder: Path) -> Found:
    """Records that were completed, stock, on the CPU."""
    records = (stored.record for stored in ResultFiles(folder).load()[0])
    return {
        (record.workload.name, record.engine.name): record
        for record in records
        if record.outcome == "completed"
        and record.engine.tuning == "stock"
        and record.device.resolved == "cpu"
    }


def write(found: Found) -> None:
    """The tables, between the marks of each file."""
    if not found:
        sys.exit("no record to write of")
    put(ROOT / "README.md", short_table(found))
    put(ROOT / "docs" / "workloads.md", long_tables(found))


def short_table(found: Found) -> list[str]:
    """An engine a row, a workload a column: speeds, which stand side by side and are not ranked."""
    names = [name for name in WORKLOADS if any(workload == name for workload, _ in found)]
    heads = [f"{name} ({WORKLOADS[name].unit}/s)" for name in names]
    rows = [
        [engine, *(speed(found.get((name, engine))) for name in names)]
        for engine in sorted({engine for _, engine in found})
    ]
    return [f"On {machines(found)}:", "", *table(["engine", *heads], rows)]


def speed(record: Record | None) -> str:
    if record is None:
        return NONE
    mark = "" if record.headline.validity == "valid" else f" ({record.headline.validity})"
    return f"{images_text(record)}{mark}"


def long_tables(found: Found) -> list[str]:
    """A table for each workload, with what shows whether the figures can be believed."""
    lines = [f"On {machines(found)}. Speeds are of stock runs; errors are relative."]
    for name in WORKLOADS:
        rows = [row(record) for (workload, _), record in sorted(found.items()) if workload == name]
        if rows:
            lines += ["", f"**{name}** ({WORKLOADS[name].unit}/s)", "", *table(COLUMNS, rows)]
    return lines


def row(record: Record) -> list[str]:
    epoch_s, share = record.headline.steady_epoch_s, share_of_peak(record)
    verdict, halves = replay_verdict(record), half_losses(record)
    errors = verdict.errors if verdict else ()
    loss, memory = record.learning.test_loss, record.peak_memory_bytes
    return [
        record.engine.name,
        NONE if epoch_s is None else significant(1000 * epoch_s / steps_per_epoch(record.workload)),
        images_text(record),
        NONE if share is None else percent(share),
        *(
            f"{max(part):.1e}" if part else NONE
            for part in (errors[:REPLAY_STEPS], errors[REPLAY_STEPS:])
        ),
        NONE if loss is None else f"{loss:.4f}",
        NONE if halves is None else " and ".join(f"{half:.3f}" for half in halves),
        NONE if memory is None else f"{memory / 2**20:,.0f} MiB",
        record.headline.validity + (", quick" if record.workload.quick else ""),
    ]


def machines(found: Found) -> str:
    """Whose figures these are."""
    records = found.values()
    names = sorted({machine_name(record) for record in records})
    cores = sorted({str(record.machine.usable_cores) for record in records})
    dates = sorted({record.created[:10] for record in records})
    days = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    return f"{', '.join(names)}, {' or '.join(cores)} cores, {days}"


def table(heads: list[str] | tuple[str, ...], rows: list[list[str]]) -> list[str]:
    cells = [list(heads), ["---"] * len(heads), *rows]
    return [f"| {' | '.join(line)} |" for line in cells]


def put(file: Path, lines: list[str]) -> None:
    """Between ``<!-- speeds ... -->`` and ``<!-- end of speeds -->``."""
    text = file.read_text("utf-8")
    before, begin, rest = text.partition("<!-- speeds: written by benchmarks/workload_table.py -->")
    _, end, after = rest.partition("<!-- end of speeds -->")
    if not end:
        sys.exit(f"{file.name} has no place for the table")
    file.write_text("\n".join([before + begin, "", *lines, "", end + after]), "utf-8")
    print(f"wrote {file}")


if __name__ == "__main__":
    main()
