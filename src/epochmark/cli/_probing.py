"""Asking engines what they see, and other work that takes a while, with a sign of life."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from epochmark.cli._console import console, printable, remark

if TYPE_CHECKING:
    from epochmark.bench.interpreters.probe import EngineStatus


def probe_engines(refresh: bool = False) -> list[EngineStatus]:
    """The status of every engine that users choose from. Answers of earlier that still hold are
    taken, unless ``refresh`` asks for new ones; the others are asked, one after the other."""
    from epochmark.bench.interpreters.answers import ask, asked_before
    from epochmark.bench.interpreters.interpreter import look_for
    from epochmark.bench.interpreters.probe import not_installed
    from epochmark.bench.request import public_engines
    from epochmark.engines import get_engine

    infos = [get_engine(name).info for name in public_engines()]
    found = look_for(infos)
    statuses: dict[str, EngineStatus] = {}
    left = []
    for info in infos:
        where = found[info.name]
        if where.interpreter is None:
            statuses[info.name] = not_installed(info, where.missing)
            continue
        before = None if refresh else asked_before(info, where.interpreter)
        if before is None:
            left.append((info, where.interpreter))
        else:
            statuses[info.name] = before
    if left:
        with activity("asking the engines", terminal_only=True) as tell:
            for info, interpreter in left:
                tell(info.name)
                statuses[info.name] = ask(info, interpreter)
    return [statuses[info.name] for info in infos]


@contextlib.contextmanager
def activity(title: str, terminal_only: bool = False) -> Iterator[Callable[[str], None]]:
    """Yields a function that says what is going on: one line that changes on a terminal, with the
    seconds so far; otherwise a line for each, or with ``terminal_only`` just the title."""
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
