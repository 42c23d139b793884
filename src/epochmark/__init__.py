"""epochmark: how fast does this machine train a neural network, and can the number be believed?

From Python: ``run``, ``compare``, ``explain``, ``load_results``, ``to_rows``, ``write_report``,
``export_results``, ``import_results`` and ``check`` of ``epochmark.api`` are names of this module
too, loaded when they are first used.

This module, ``worker``, ``engines``, ``workloads`` and ``native`` also run inside foreign
interpreters: Python 3.9 syntax, standard library, numpy and the engine's own framework only.
"""

from epochmark._version import __version__ as __version__

TYPE_CHECKING = False  # typing's own is not asked: see __main__.py
if TYPE_CHECKING:
    from epochmark.api import (
        Checked,
        Compared,
        EpochmarkError,
        Explained,
        Record,
        check,
        compare,
        explain,
        export_results,
        import_results,
        load_results,
        run,
        to_rows,
        write_report,
    )

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


def __getattr__(name: str) -> object:
    """Load ``epochmark.api`` when one of its names is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module("epochmark.api"), name)


def __dir__() -> "list[str]":
    """The names above, loaded or not."""
    return sorted({*globals(), *__all__})
