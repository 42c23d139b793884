"""Answers about runs: which of two is faster, and where the time of one went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from epochmark.analysis.comparing.comparison import Side, side_of_record, side_of_reference
from epochmark.analysis.comparing.comparison import compare as compare_sides
from epochmark.analysis.comparing.references import load_references
from epochmark.analysis.timing.intervals import Interval
from epochmark.api.naming import is_file, newest_comparable_run, newest_run, run_called
from epochmark.api.reading import known_limits, warn_skipped
from epochmark.engines import engine_names
from epochmark.judge.results import ResultFiles
from epochmark.records.record import Record
from epochmark.report.text.comparison import comparison_lines, verdict_text
from epochmark.workloads import DEFAULT_WORKLOAD

if TYPE_CHECKING:
    from epochmark.analysis.comparing.comparison import Verdict
    from epochmark.report.explanations import Question


@dataclass(frozen=True)
class Compared:
    """Two runs compared; ``str()`` is what ``epochmark compare`` prints.

    ``ratio`` says how many times as fast ``faster`` is as ``slower``: ``median``, ``low`` and
    ``high``. It is None where the two are not comparable, for the ``reasons`` given.
    ``differences`` are what else differs and may be the cause.
    """

    verdict: Verdict
    sentence: str
    faster: str
    slower: str
    ratio: Interval | None
    reasons: tuple[str, ...]
    differences: tuple[str, ...]
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Reason:
    """One sentence of an explanation: by which rule, to which question, and the figures that it
    rests on, whose names end in their unit. ``advice`` is what to try."""

    rule: str
    question: Question
    sentence: str
    figures: Mapping[str, float | str]
    advice: str | None


@dataclass(frozen=True)
class Explained:
    """A run explained; ``str()`` is what ``epochmark explain`` prints. ``advice`` is what to try,
    each once."""

    record: Record
    reasons: tuple[Reason, ...]
    advice: tuple[str, ...]
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


def compare(
    a: str | Path | Record,
    b: str | Path | Record,
    *,
    bundles: Iterable[str | Path] = (),
    workload: str = DEFAULT_WORKLOAD,
) -> Compared:
    """How many times as fast is ``a`` as ``b``, with an interval, or why no one can say.

    Each is a record, the path of a file with one, an engine (its newest valid run of ``workload``),
    the beginning of a record's id, also of one in ``bundles``, or the id of a published machine.
    Raises ``EpochmarkError`` when there is no such run.
    """
    files = [*bundles]
    found = compare_sides(*(side_called(side, files, workload) for side in (a, b)))
    return Compared(
        verdict=found.verdict,
        sentence=verdict_text(found),
        faster=found.faster.name,
        slower=found.slower.name,
        ratio=found.ratio,
        reasons=found.reasons,
        differences=found.differences,
        text="\n".join(comparison_lines(found)),
    )


def side_called(named: str | Path | Record, bundles: Iterable[str | Path], workload: str) -> Side:
    """What is meant by one of the two."""
    if isinstance(named, str):
        for reference in load_references():
            if reference.id == named:
                return side_of_reference(reference)
    if isinstance(named, str) and named in engine_names():
        record = newest_comparable_run(named, workload)
    else:
        record = run_called(named, bundles)
    if not isinstance(named, Record) and is_file(named):
        return side_of_record(record, Path(named).stem)
    return side_of_record(record, f"{record.engine.name} ({record.id[:8]})")


def explain(run: str | Path | Record | None = None, *, workload: str | None = None) -> Explained:
    """Where the time of a run went, what held it back, and what to try.

    ``run`` is a record, the path of a file with one, an engine (its newest run here), or the
    beginning of a record's id; by default the newest run of all. With a ``workload``, the newest of
    that. Raises ``EpochmarkError`` when
    there is no such run.
    """
    from epochmark.report.explanations import explain as explain_run
    from epochmark.report.explanations import gather
    from epochmark.report.text.explanation import advice_of, explanation_lines

    files = ResultFiles.of_user()
    stored, unreadable = files.load()
    records = [run.record for run in stored]
    if run is None:
        warn_skipped(unreadable)
    theirs = [record for record in records if workload in (None, record.workload.name)]
    record = newest_run(theirs) if run is None else run_called(run, workload=workload)
    found = explain_run(gather(record, [*records, record], known_limits(files.folder)))
    reasons = (
        Reason(
            rule=explanation.rule.name,
            question=explanation.rule.question,
            sentence=explanation.sentence.sentence,
            figures=explanation.sentence.figures,
            advice=explanation.sentence.advice,
        )
        for explanation in found
    )
    text = "\n".join(explanation_lines(record, found))
    return Explained(record, tuple(reasons), tuple(advice_of(found)), text)
