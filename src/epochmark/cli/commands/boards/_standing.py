"""``epochmark compare RUN chip:NAME``: where a run stands among the machines of a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from epochmark.analysis.comparing.comparison import Side
    from epochmark.board.client.standing import Answer, Cell

CHIP = "chip:"
EXIT_NOT_COMPARABLE = 3
FEWEST_FOR_AN_INTERVAL = 6
"""Owners; of fewer the interval of their median is their range."""


def compare_with_chip(run: Side, named: str, board: str | None, *, json: bool) -> None:
    """Print where a run stands among the owners of a chip.

    Raises ``EpochmarkError`` for a chip that the board does not know, a board that does not answer,
    and a run that has nothing to compare; ``typer.Exit`` (3) where the board has nothing
    comparable.
    """
    from epochmark.board.client.standing import ask_for
    from epochmark.board.protocol import LOCAL_BOARD, origin_of
    from epochmark.cli._console import print_json, say
    from epochmark.errors import EpochmarkError

    chip = named.removeprefix(CHIP).strip()
    if not chip or len(chip) > 300:
        raise EpochmarkError(
            f"{CHIP} wants a chip's name behind it, such as {CHIP}'RTX 4090'", exit_code=2
        )
    if run.unfit is not None or run.steady_epoch is None:
        raise EpochmarkError(f"{run.name} cannot be compared: {run.unfit}")
    origin = origin_of(board or LOCAL_BOARD)
    answer = ask_for(origin, chip, run.key)
    if json:
        print_json(_document(run, answer, origin))
    else:
        say(*_lines(run, answer, origin))
    if not answer.cells:
        raise typer.Exit(EXIT_NOT_COMPARABLE)


def _document(run: Side, answer: Answer, origin: str) -> dict[str, Any]:
    return {
        "run": run.name,
        "board": origin,
        "chip": answer.chip,
        "cells": [_cell_document(run, cell, origin) for cell in answer.cells],
        "other_keys": answer.other_keys,
    }


def _cell_document(run: Side, cell: Cell, origin: str) -> dict[str, Any]:
    from epochmark.board.client.standing import among

    assert run.steady_epoch is not None
    place = among(cell, run.steady_epoch.median)
    return {
        "hardware": cell.hardware,
        "device_kind": cell.device_kind,
        "owners": cell.owners,
        "runs": cell.runs,
        "median_s": cell.median_s,
        "low_s": cell.low_s,
        "high_s": cell.high_s,
        "times_as_fast": _times_as_fast(run, cell),
        "slower_owners": None if run.doubt else place.slower,
        "percentile": None if run.doubt else round(place.percent, 1),
        "url": f"{origin}/group/{cell.cell}",
    }


def _times_as_fast(run: Side, cell: Cell) -> Any:
    """The run's speed by that of the chip's median owner. The cell's interval is one of 95 % from
    six owners on, else a range, and then the ratio's extremes are taken."""
    from epochmark.analysis.comparing.comparison import ratio_interval

    assert run.steady_epoch is not None
    exact = cell.owners < FEWEST_FOR_AN_INTERVAL or run.doubt is not None
    return ratio_interval(cell.interval, run.steady_epoch, exact)


def _lines(run: Side, answer: Answer, origin: str) -> list[str]:
    from epochmark.report.digits import range_text, value_text

    assert run.steady_epoch is not None
    own = run.steady_epoch
    lines = [f"{run.name}: {value_text(own)} s per epoch ({range_text(own)} s); {run.key}"]
    if run.doubt is not None:
        lines.append(f"Not ranked: {run.doubt}")
    for cell in answer.cells:
        lines += ["", *_cell_lines(run, cell, origin)]
    if not answer.cells:
        lines += ["", f"{origin} has nothing of {answer.chip} that is comparable with it"]
        keys = [_key_text(key) for key in answer.other_keys]
        lines += ["It has of this chip:", *(f"  - {key}" for key in keys)] if keys else []
    return lines


def _key_text(key: dict[str, str]) -> str:
    from epochmark.analysis.comparing.comparability import ComparabilityKey

    variant = tuple(filter(None, [key.get("variant")]))
    parts = (key.get(name, "?") for name in ("workload", "precision", "tuning", "engine_family"))
    workload, *others = parts
    return str(ComparabilityKey(workload, variant, *others))


def _cell_lines(run: Side, cell: Cell, origin: str) -> list[str]:
    """The hardware, its owners' median, and where the run stands among them."""
    from epochmark.board.client.standing import among
    from epochmark.records.wording import counted
    from epochmark.report.digits import MAX_DECIMALS, range_text, ratio_text
    from epochmark.report.figures import bare_seconds

    assert run.steady_epoch is not None
    whole = cell.owners >= FEWEST_FOR_AN_INTERVAL
    interval = f"{'95 % interval' if whole else 'range'} "
    interval += f"{bare_seconds(cell.low_s)} to {bare_seconds(cell.high_s)} s"
    owners = f"{counted(cell.owners, 'owner')}, {counted(cell.runs, 'run')}"
    ratio = _times_as_fast(run, cell)
    times = f"{ratio_text(ratio)} times as fast ({range_text(ratio, MAX_DECIMALS)})"
    lines = [
        f"{cell.hardware}: {bare_seconds(cell.median_s)} s per epoch, the median of {owners} "
        f"({interval})",
        f"  {run.name} is {times}",
    ]
    if run.doubt is None:
        place = among(cell, run.steady_epoch.median)
        share = f"faster than {place.percent:.0f}% of them ({place.slower} of {place.owners})"
        lines.append(f"  {share}: {origin}/group/{cell.cell}")
    return lines
