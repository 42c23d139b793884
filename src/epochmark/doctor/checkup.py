"""All checks at the same time, their lines in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from epochmark.doctor.checks import all_checks
from epochmark.doctor.contract import Check, Line, note
from epochmark.doctor.facts import Facts
from epochmark.errors import EpochmarkError


def check_up(
    facts: Facts,
    checks: Sequence[Check] | None = None,
    ask: Callable[[Facts], Facts] | None = None,
) -> list[Line]:
    """What all checks, or these, have to say. ``ask`` adds to the facts what drivers answer."""
    chosen = all_checks() if checks is None else checks
    with ThreadPoolExecutor(len(chosen)) as pool:
        # they take about as long as a driver that does not answer; the network, at the end, longest
        beside = {
            check.name: pool.submit(_lines_of, check, facts)
            for check in reversed(chosen)
            if not check.needs_drivers
        }
        asked = facts if ask is None else ask(facts)
        waiting = [check for check in chosen if check.needs_drivers]
        beside |= {
            check.name: pool.submit(_lines_of, check, asked)
            for check in waiting
            if not check.asks_frameworks
        }
        # in this thread, which Ctrl-C interrupts
        here = {check.name: _lines_of(check, asked) for check in waiting if check.asks_frameworks}
    lines = {**here, **{name: written.result() for name, written in beside.items()}}
    return [line for check in chosen for line in lines[check.name]]


def _lines_of(check: Check, facts: Facts) -> list[Line]:
    """A check that fails itself says so: it must not keep the others from being read."""
    try:
        lines = list(check.examine(facts))
    except EpochmarkError as error:
        text, _, remedy = str(error).partition("\n")
        lines = [note(f"could not be checked: {text}", remedy or None)]
    except Exception as error:
        lines = [note(f"could not be checked ({type(error).__name__}: {error}); please report it")]
    return [msgspec.structs.replace(line, check=check.name) for line in lines]
