"""What ``epochmark run`` says on standard output: about one run, and about all of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from epochmark.cli._console import print_json, say
from epochmark.errors import EpochmarkError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from epochmark.bench.session import Measured
    from epochmark.judge.results import ResultFiles
    from epochmark.records.record import Record

PUBLISHED_ENGINE = "keras-tensorflow"
"""What the published machines were timed with ..."""
PUBLISHED_WORKLOAD = "mnist-cnn"
"""... and on."""
OVER_NATIVE = 3.5
"""About how many times as long as ``native`` it takes (docs/performance.md: 3.4 to 4.9)."""
MOST_STEPS = 3
"""Next steps that are named, so that they are read."""


def print_answer(
    measured: Measured, saved: Path | None, files: ResultFiles | None, short: bool
) -> None:
    """The answer to one run; ``short``: a line, since a table of all follows.

    What stands beside it comes first, so that the last screen is the answer and what to do next.
    """
    from epochmark.cli._charts import bar_width, print_beside
    from epochmark.report.text.answer import answer_lines, short_answer
    from epochmark.report.text.charts import lap_line

    record = measured.record
    if short:
        say(short_answer(record))
        return
    print_beside(record, files)
    say(*answer_lines(record, lap_line(record, bar_width()), brief=True))
    if saved is not None:
        say("", f"record {record.id[:8]} saved: {saved}")
    failed = record.headline.validity == "invalid"
    place = [] if failed else place_lines(_own(record, files), record)
    say("", *place)
    if saved is not None:
        say(*_steps(_next_steps(record), place))


def print_table(records: Sequence[Record], files: ResultFiles | None) -> None:
    """A row for each run, the spread of repeated ones, and what tuned gains over stock."""
    from epochmark.cli._tables import print_sections
    from epochmark.report.tables.runs import run_notes, runs_section
    from epochmark.report.tables.tuned_settings import gain_lines
    from epochmark.report.text.spread import spread_lines

    if not records:
        return
    section = runs_section(records)
    say("")
    print_sections([section])
    notes = [*run_notes(records, section), *spread_lines(records), *gain_lines(records)]
    say(*([""] if notes else []), *notes)
    place = place_lines(_own(records[-1], files), None)
    say("", *place)
    if files is not None:
        say(
            *_steps(
                [("table", "every engine's newest run"), ("report", "charts of all of them")], place
            )
        )


def _own(record: Record, files: ResultFiles | None) -> Sequence[Record]:
    """All runs of the machine that made this one."""
    from epochmark.report.subject import measured_here

    if files is None:
        return [record]
    return measured_here([run.record for run in files.load()[0]], record.machine)


def place_lines(own: Sequence[Record], record: Record | None) -> list[str]:
    """Where this machine stands among the published ones, by this run or an earlier one; otherwise
    the command that finds it out, with its cost."""
    from epochmark.analysis.comparing.references import load_references
    from epochmark.analysis.comparing.standing import newest_comparable
    from epochmark.report.text.standing import standing_text

    references = load_references()
    now = None if record is None else standing_text(record, references)
    if now is not None:
        return [now]
    earlier = newest_comparable(own, references)
    before = None if earlier is None else standing_text(earlier, references, earlier=True)
    if before is not None:
        return [before]
    if (
        record is not None
        and record.engine.name == PUBLISHED_ENGINE
        and not record.workload.variant
    ):
        return []  # it has just failed: the answer says what to do
    return _command_lines(own)


def _command_lines(own: Sequence[Record]) -> list[str]:
    """The command that finds the place out; nothing without packages for this machine."""
    from epochmark.bench.interpreters.interpreter import find_interpreter
    from epochmark.engines import get_engine
    from epochmark.environments.requirements import Platform, choose_row

    info = get_engine(PUBLISHED_ENGINE).info
    command, cost = f"epochmark run {PUBLISHED_ENGINE}", [_minutes(own)]
    try:
        if find_interpreter(info) is None:
            command = f"epochmark engines install {PUBLISHED_ENGINE} && {command}"
            row = choose_row(info, Platform.here(), None)
            cost.insert(0, f"{row.download_mb:,} MB to download")
    except EpochmarkError:
        return []
    question = "How does this machine compare with the published ones?"
    return [f"{question} Find out ({', '.join(cost)}):", f"  {command}"]


def _minutes(own: Sequence[Record]) -> str:
    """About how long that run takes, by how long the native engine took here."""
    from epochmark.records.dates import age_order

    native = [
        run
        for run in own
        if run.engine.name == "native"
        and run.workload.name == PUBLISHED_WORKLOAD
        and run.headline.steady_epoch_s is not None
    ]
    if not native:
        return "some minutes"
    newest = max(native, key=age_order)
    seconds = OVER_NATIVE * 10 * (newest.headline.steady_epoch_s or 0.0)
    minutes = max(1, math.ceil(seconds / 60))
    return f"about {minutes:,} minute{'s' if minutes != 1 else ''}"


def _next_steps(record: Record) -> list[tuple[str, str]]:
    """Commands that go on from here, and what each is for."""
    from epochmark.report.figures import other_workload

    short_id = record.id[:8]
    if record.headline.validity == "invalid":
        return [
            (f"results show {short_id}", "everything known about this run"),
            ("doctor", "what is wrong with this machine's set-up"),
        ]
    steps = [
        (f"explain {short_id}", "where the time went, and what to try"),
        ("report", "charts and all runs on one page"),
    ]
    run = record.workload
    usual = record.engine.interpreter != "foreign" and record.engine.tuning == "stock"
    if run.variant == ["quick"] and usual and record.device.requested == "cpu":
        other = "".join(f" -w {name}" for name in other_workload(run.name))
        command = f"run {record.engine.name}{other}"
        steps.insert(0, (command, f"all {run.epochs} epochs, which can be ranked"))
    return steps


def _steps(steps: Sequence[tuple[str, str]], place: Sequence[str]) -> list[str]:
    """The commands below a heading, as many as there is room for beside that for the place."""
    taken = sum(line.startswith("  epochmark") for line in place)
    steps = steps[: MOST_STEPS - taken]
    width = max(len(command) for command, _ in steps)
    heading = "Then:" if taken else "Next:"
    return [heading, *(f"  epochmark {command:<{width}}  {what}" for command, what in steps)]


def print_sweep(records: Sequence[Record], as_json: bool) -> None:
    """All runs of a sweep, by engine, device and batch size."""
    from epochmark.analysis.comparing.batch_sizes import batch_sweeps
    from epochmark.cli._tables import print_rows
    from epochmark.report.tables.batch_sweep import (
        SWEEP_COLUMNS,
        VARIANTS_NOTE,
        crossover_lines,
        crossovers_document,
        sweep_rows,
    )
    from epochmark.report.text.spread import spread_lines

    sweeps = batch_sweeps(records)
    if as_json:
        print_json({"records": records, "crossovers": crossovers_document(sweeps)})
    elif records:
        say("")
        print_rows(SWEEP_COLUMNS, sweep_rows(records))
        say("", VARIANTS_NOTE, *crossover_lines(sweeps), *spread_lines(records))
