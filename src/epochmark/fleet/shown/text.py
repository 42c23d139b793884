"""A fleet in words and tables, the worst first, as the terminal and the page show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from epochmark.fleet.groups import FEWEST_ALIKE, Departure
from epochmark.fleet.report import FleetReport, GroupReport
from epochmark.fleet.verdicts import JudgedNode
from epochmark.records.wording import counted
from epochmark.report.digits import range_text
from epochmark.report.figures import NONE, bare_seconds, shortened
from epochmark.report.plain_text import plain
from epochmark.report.tables.section import Section
from epochmark.report.text.comparison import verdict_text

NODES_HEADER = ("node", "verdict", "s/epoch", "vs median", "vs past", "runs", "why")
APART_HEADER = ("node", "in what", "it has", "the others have")
MOST_ROWS = 40
"""Of the terminal; the page and --json have all."""
MOST_LINES = 12
MOST_GROUPS = 20
"""A lab has a few; a file may make up thousands."""


def answer_text(report: FleetReport) -> str:
    """The first sentence: who is slow."""
    slow, suspected = report.nodes("slow"), report.nodes("suspected")
    nodes = counted(len(report.fleet.nodes), "node")
    if slow:
        are = "is" if len(slow) == 1 else "are"
        return f"{len(slow):,} of {nodes} {are} slow: {_names(slow)}."
    if suspected:
        return f"No node of {nodes} is slow for sure; suspected: {_names(suspected)}."
    judged = {*report.nodes("alike"), *report.nodes("fast")}
    if not judged:
        return f"{nodes}: none could be judged."
    return f"No node is slow: {len(judged)} of {nodes} judged."


def advice_text(report: FleetReport) -> str | None:
    """What to do next; the tool itself does nothing to a node."""
    if report.nodes("slow"):
        return (
            "What to do: look at the slow nodes with 'epochmark doctor' and 'epochmark limits', "
            "and measure them again afterwards; until then keep long jobs off them."
        )
    if report.nodes("suspected"):
        return "What to do: measure another round, three more runs on each node, before acting."
    return None


def sections_of(report: FleetReport, most: int = MOST_ROWS) -> list[Section]:
    """Who is not alike, then each group with its nodes, the worst first."""
    sections = []
    if report.departures:
        shown = report.departures[:most]
        notes = _more(len(report.departures) - len(shown), "difference")
        rows = tuple(map(departure_row, shown))
        sections.append(Section("Not alike, so not judged", APART_HEADER, rows, notes))
    sections += [_group_section(group, most) for group in shown_groups(report)]
    return sections


def shown_groups(report: FleetReport) -> list[GroupReport]:
    """Groups of more than one node, the first of very many; of single nodes it is enough that they
    are listed as alike to none. Where there is no other group, these."""
    several = [group for group in report.groups if len(group.group.members) > 1]
    return (several or list(report.groups))[:MOST_GROUPS]


def note_lines(report: FleetReport) -> list[str]:
    """What is odd, who did not answer, which runs do not count, and which files could not be
    read."""
    lines = [plain(note) for note in report.fleet.notes]
    if report.fleet.silent:
        lines.append(f"No run came from: {_names(report.fleet.silent)}.")
    lines += [
        f"{plain(some.node)}: {some.runs} of {counted(some.of, 'run')} not judged: "
        f"{plain(some.problem)}"
        for some in report.uncounted
    ]
    lines += [f"skipped {plain(trouble)}" for trouble in report.troubles]
    return lines


def shortened_lines(lines: Sequence[str]) -> list[str]:
    """As many as a screen has room for."""
    more = len(lines) - MOST_LINES
    if more <= 1:
        return list(lines)
    return [*lines[:MOST_LINES], f"and {more:,} more; --json has them all"]


def group_title(report: GroupReport) -> str:
    """What the group did, and how many nodes it has."""
    group = report.group
    nodes = counted(len(group.members), "alike node")
    return plain(f"{group.key} on {group.parts.get('device', group.device)}: {nodes}")


def group_lines(report: GroupReport) -> list[str]:
    """Sentences about the group as a whole."""
    return [*_cluster_lines(report), *_past_lines(report), *_pair_lines(report)]


def why_text(report: GroupReport, node: JudgedNode) -> str:
    """The causes of a node, else the remark on its verdict."""
    causes = "; ".join(cause.sentence for cause in report.causes.get(node.name, ()))
    if not causes and node.verdict == "slow":
        causes = "its records do not say why"
    return plain("; ".join(part for part in (node.remark, causes) if part))


def times_text(times: float | None) -> str:
    """``+8.1%``: how much longer than the others."""
    return NONE if times is None else f"{round(100 * (times - 1), 1) + 0.0:+.1f}%"


def node_header(report: GroupReport) -> tuple[str, ...]:
    """The headings of ``node_row``; without a baseline nothing is said of the past."""
    return tuple(name for name in NODES_HEADER if report.past or name != "vs past")


def node_row(report: GroupReport, node: JudgedNode) -> tuple[str, ...]:
    """Under ``node_header``."""
    past = report.past
    cells = {
        "node": shortened(plain(node.name)),
        "verdict": node.verdict,
        "s/epoch": bare_seconds(node.epoch_s),
        "vs median": times_text(node.times_as_long),
        "vs past": times_text(None if past is None else past.times_as_long.get(node.name)),
        "runs": f"{len(node.member.counting)} of {len(node.member.runs)}",
        "why": why_text(report, node),
    }
    return tuple(cells[name] for name in node_header(report))


def _group_section(report: GroupReport, most: int) -> Section:
    judged = report.findings.judged
    rows = tuple(node_row(report, node) for node in judged[:most])
    verdicts = Counter(node.verdict for node in judged[most:])
    rest = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    more = (f"and {rest}; the page and --json have them all",) if rest else ()
    notes = (*more, *group_lines(report))
    title, header = group_title(report), node_header(report)
    return Section(title, header, rows, notes, optional=("runs",))


def departure_row(node: Departure) -> tuple[str, ...]:
    """Under ``APART_HEADER``."""
    return tuple(shortened(plain(part)) for part in (node.node, node.part, node.own, node.others))


def _cluster_lines(report: GroupReport) -> Iterator[str]:
    clusters = report.clusters
    if clusters is None:
        return
    fast_s, slow_s = clusters.medians_s
    slow = _names(sorted(node.name for node in clusters.slow))
    yield (
        f"Two speeds: {counted(len(clusters.fast), 'node')} at {bare_seconds(fast_s)} s and "
        f"{len(clusters.slow)} at {bare_seconds(slow_s)} s. Look for what the "
        f"{len(clusters.slow)} have in common: {slow}."
    )


def _past_lines(report: GroupReport) -> Iterator[str]:
    past = report.past
    if past is None:
        return
    nodes = counted(len(past.times_as_long), "node")
    if past.group is None:
        yield f"Baseline: it has {nodes} of this group; six are needed to compare the group."
        return
    bounds = f"{range_text(past.group, 3)} times as long, {nodes}"
    if past.change == "slower":
        yield f"The whole group is slower than its baseline: an epoch takes {bounds}."
    elif past.change == "faster":
        yield f"The whole group is faster than its baseline: an epoch takes {bounds}."
    else:
        yield f"As a whole no clear difference from its baseline: an epoch takes {bounds}."


def _pair_lines(report: GroupReport) -> Iterator[str]:
    if len(report.group.members) == 1:
        yield "One node: there is nothing to compare it with."
    if report.pairs:
        yield f"Fewer than {FEWEST_ALIKE} alike nodes have no outliers; compared in pairs:"
        yield from (f"  {plain(verdict_text(pair))}" for pair in report.pairs)


def _names(names: Sequence[str]) -> str:
    more = len(names) - MOST_LINES
    shown = ", ".join(plain(name) for name in names[:MOST_LINES])
    return f"{shown} and {more:,} more" if more > 0 else shown


def _more(count: int, noun: str) -> tuple[str, ...]:
    return (f"and {counted(count, f'more {noun}')}; --json has them all",) if count > 0 else ()
