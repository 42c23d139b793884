"""epochmark from Python: measure, read results, take them elsewhere (docs/python-api.md).

The names here are those of ``epochmark`` itself: ``import epochmark; epochmark.run()``. The command
line is made of the same functions.
"""

from epochmark.api.answers import Compared, Explained, compare, explain
from epochmark.api.measuring import run
from epochmark.api.reading import load_results, to_rows
from epochmark.api.reporting import write_report
from epochmark.api.sharing import check, export_results, import_results
from epochmark.errors import EpochmarkError
from epochmark.judge.check import Checked
from epochmark.records.record import Record

__all__ = [
    "Checked",
    "Compared",
    "EpochmarkError",
    "Explained",
    "Record",
    "check",
    "compare",
    "explain",
    "export_results",
    "import_results",
    "load_results",
    "run",
    "to_rows",
    "write_report",
]
