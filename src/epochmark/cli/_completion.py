"""What a shell completes: engines, workloads, charts, ids of records and races; imports no
framework."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from epochmark.records.store import RecordFolder


def complete_engine(incomplete: str) -> list[str]:
    """Names of engines."""
    from epochmark.bench.request import public_engines

    return [name for name in public_engines() if name.startswith(incomplete)]


def complete_workload(incomplete: str) -> list[str]:
    """Names of workloads, and the word for all of them."""
    from epochmark.workloads import WORKLOADS

    return [name for name in (*WORKLOADS, "all") if name.startswith(incomplete)]


def complete_chart(incomplete: str) -> list[str]:
    """Names of charts."""
    from epochmark.report.charts import all_charts

    return [chart.name for chart in all_charts() if chart.name.startswith(incomplete)]


def complete_id(incomplete: str) -> list[str]:
    """Short ids of the user's records."""
    from epochmark.judge.results import ResultFiles

    return _ids_in(ResultFiles, incomplete)


def _ids_in(files: type[RecordFolder], incomplete: str) -> list[str]:
    """Those in the names of the user's files of this kind."""
    from epochmark.errors import EpochmarkError

    with contextlib.suppress(EpochmarkError):
        names = sorted(file.name for file in files.of_user().folder.glob("*.json"))
        found = (re.search(r"-([0-9a-f]{8})\.json$", name) for name in names)
        return [match[1] for match in found if match and match[1].startswith(incomplete)]
    return []


def complete_run(incomplete: str) -> list[str]:
    """What names a run: an engine, or a record's id."""
    return [*complete_engine(incomplete), *complete_id(incomplete)]


def complete_result(incomplete: str) -> list[str]:
    """What names a run, a race or a scaling: an engine, or an id."""
    from epochmark.judge.documents.races import RaceFiles
    from epochmark.judge.documents.scalings import ScalingFiles

    kinds = (RaceFiles, ScalingFiles)
    return [
        *complete_run(incomplete),
        *(found for files in kinds for found in _ids_in(files, incomplete)),
    ]
