"""Waiting for a calm machine before a run, and telling why."""

from __future__ import annotations


def busy_run() -> str:
    """What becomes of a run that starts on a busy machine."""
    from epochmark.analysis.timing.beside import FOREIGN_CPUS, FOREIGN_CPUS_BESIDE

    return (
        "The run starts, but will probably be marked as disturbed: what other programs use during "
        f"it may be {FOREIGN_CPUS:g} CPU on average, {FOREIGN_CPUS_BESIDE:g} where half of the "
        "CPUs idle. Close them and run it again for a result that can be ranked."
    )


def tell_waiting(holder: str) -> None:
    """Another measurement holds the lock."""
    from epochmark.cli._console import remark

    remark(
        f"another epochmark run (process {holder}) is measuring; waiting for it to end, "
        "since two at once would disturb each other (Ctrl-C quits)"
    )


def await_calm(own_cpus: int | None = None, still_busy: str | None = None) -> None:
    """Wait a little for other busy programs to end, since ``own_cpus`` (by default all) are needed;
    then go on, having said ``still_busy``, by default what becomes of a run."""
    from epochmark.bench.watching.preflight import WAIT_S, Busy, Unwatched, wait_for_calm
    from epochmark.cli._console import printable, remark
    from epochmark.hardware.counters import open_counters

    def tell(busy: Busy) -> None:
        remark(
            f"{printable(str(busy))}. Waiting up to {WAIT_S:.0f} s for calm, since that would "
            "falsify the time (--anyway does not wait)."
        )

    seen = wait_for_calm(open_counters, tell, own_cpus)
    if isinstance(seen, Unwatched):
        remark(f"{seen}.")
    elif seen is not None:
        what = "The machine is still busy" if seen.is_worth_a_wait else printable(str(seen))
        remark(f"{what}. {still_busy or busy_run()}")


def tell_busy(own_cpus: int) -> None:
    """Look once, before a later run of several, and say who is busy. It does not wait: a pause
    that differs from run to run would let the machine cool down before some of them only."""
    from epochmark.bench.watching.preflight import Busy, look
    from epochmark.cli._console import printable, remark
    from epochmark.hardware.counters import open_counters

    seen = look(open_counters, own_cpus)
    if isinstance(seen, Busy):
        remark(f"{printable(str(seen))}. {busy_run()}")
