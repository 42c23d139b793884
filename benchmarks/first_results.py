"""Make the runs that a new board begins with: quick runs of every engine and workload, on the CPU.

    python benchmarks/first_results.py FOLDER [--each 2] [--attempts 4] [--pack-only]

On a quiet machine. Each run is kept in FOLDER as soon as it is over, and the script goes on where
it was ended. Engines take turns, so that a restless hour hits them alike. A pair of engine and
workload is done with ``--each`` valid runs, or given up after ``--attempts``. At the end, the valid
runs of FOLDER join those in ``src/epochmark/board/first/results.jsonl.gz``, without machine ids and
labels.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec

from epochmark.bench.plan import plan_all
from epochmark.bench.request import RunRequest, named_workloads
from epochmark.board.intake.receive import recomputed
from epochmark.errors import EpochmarkError
from epochmark.judge.results import ResultFiles
from epochmark.records.bundle import documents_in, encode_bundle
from epochmark.records.digest import sealed
from epochmark.records.files import written_atomically
from epochmark.records.json_text import parsed, to_json
from epochmark.records.record import Record

PACKED = Path(__file__).parents[1] / "src" / "epochmark" / "board" / "first" / "results.jsonl.gz"
Pair = tuple[str, str]
"""Engine and workload."""


def main() -> None:
    """Run what is missing, then pack."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=2)
    parser.add_argument("--attempts", type=int, default=4)
    parser.add_argument("--pack-only", action="store_true")
    asked = parser.parse_args()
    if not asked.pack_only:
        pairs = _pairs()
        for _ in range(asked.attempts):
            valid, made = _counts(asked.folder)
            for pair in pairs:
                if valid[pair] < asked.each and made[pair] < asked.attempts:
                    _run(pair, asked.folder)
    print(f"{_pack(asked.folder)} runs in {PACKED.name}")


def _pairs() -> list[Pair]:
    """Engines that are ready here, with each workload that they offer."""
    pairs: list[Pair] = []
    for workload in named_workloads("all"):
        asked = RunRequest(engine="native", workload=workload, quick=True)
        try:
            runs = plan_all(asked, lambda name: None).runs
        except EpochmarkError as error:
            print(f"{workload.name}: {error}", file=sys.stderr)
            continue
        pairs += [(planned.request.engine, workload.name) for planned in runs]
    return pairs


def _counts(folder: Path) -> tuple[Counter[Pair], Counter[Pair]]:
    """How many runs are valid, and how many there are, by engine and workload."""
    records = [stored.record for stored in ResultFiles(folder).load()[0]]
    valid = [record for record in records if record.headline.validity == "valid"]
    return Counter(map(_pair_of, valid)), Counter(map(_pair_of, records))


def _pair_of(record: Record) -> Pair:
    return record.engine.name, record.workload.name


def _run(pair: Pair, folder: Path) -> None:
    engine, workload = pair
    command = [sys.executable, "-m", "epochmark", "run", engine, "-w", workload, "--quick"]
    variables = {**os.environ, "EPOCHMARK_RESULTS": str(folder)}
    subprocess.run(command, env=variables, check=False)


def _pack(folder: Path) -> int:
    """Add the folder's valid runs to the packed ones; how many there are."""
    own = [stored.record for stored in ResultFiles(folder).load()[0]] if folder.is_dir() else []
    bare = [sealed(msgspec.structs.replace(record, label=None)) for record in own]
    exported = documents_in(encode_bundle(bare))[0] if bare else []
    with gzip.open(PACKED) as stream:
        documents = {json.loads(line)["id"]: line.rstrip(b"\n") for line in stream}
    for document in exported:
        record = recomputed(document)
        if record.headline.validity == "valid":
            documents.setdefault(record.id, to_json(parsed(document)))
    with (
        written_atomically(PACKED) as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed,
    ):
        packed.writelines(document + b"\n" for document in documents.values())
    return len(documents)


if __name__ == "__main__":
    main()
