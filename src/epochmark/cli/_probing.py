"""Asking engines what they see, and other work that takes a while, with a sign of life."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from epochmark.cli._console import console, printable, remark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from epochmark.bench.interpreters.probe import EngineStatus


def probe_engines(names: Sequence[str] | None = None) -> list[EngineStatus]:
    """The status of these engines, one after the other; all that users choose from by default."""
    from epochmark.bench.interpreters.probe import status_of
    from epochmark.bench.request import public_engines
    from epochmark.engines import get_engine

    statuses = []
    with activity("asking the engines", terminal_only=True) as tell:
        for name in public_engines() if names is None else names:
            tell(name)
            statuses.append(status_of(get_engine(name).info))
    return statuses


@contextlib.contextmanager
def activity(title: str, terminal_only: bool = False) -> Iterator[Callable[[str], None]]:
    """Yields a function to tell what is going on: one line that changes on a terminal, with the
    seconds so far; else a line for each, or with ``terminal_only`` just the title."""
    out = console(stderr=True)
    if not out.is_terminal:
        if terminal_only:
            remark(title)
        yield (lambda text: None) if terminal_only else (lambda text: remark(f"{title}: {text}"))
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=out, transient=True, refresh_per_second=4) as shown:
        task = shown.add_task(title, total=None)
        yield lambda text: shown.update(task, description=printable(f"{title}: {text}"))
