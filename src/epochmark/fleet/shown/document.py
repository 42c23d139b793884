"""A fleet as one JSON document: every node of every group, with the figures behind its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from epochmark.fleet.clusters import Clusters
from epochmark.fleet.past import Past
from epochmark.fleet.report import FleetReport, GroupReport
from epochmark.fleet.shown.text import advice_text, answer_text
from epochmark.fleet.verdicts import Findings, JudgedNode
from epochmark.report.text.comparison import verdict_text


def document_of(report: FleetReport) -> dict[str, Any]:
    """What ``epochmark fleet report --json`` prints (docs/fleet.md)."""
    return {
        "sentence": answer_text(report),
        "advice": advice_text(report),
        "slow": report.nodes("slow"),
        "suspected": report.nodes("suspected"),
        "fast": report.nodes("fast"),
        "not_judged": report.nodes("not judged"),
        "groups": [_group(node) for node in report.groups],
        "not_alike": report.departures,
        "runs_not_judged": report.uncounted,
        "silent": report.fleet.silent,
        "notes": report.fleet.notes,
        "skipped": report.troubles,
    }


def _group(report: GroupReport) -> dict[str, Any]:
    group = report.group
    return {
        **group.key._asdict(),
        "device": group.device,
        "alike_in": dict(group.parts),
        "rounds": _levels(report.findings),
        "nodes": [_node(report, node) for node in report.findings.judged],
        "two_speeds": None if report.clusters is None else _clusters(report.clusters),
        "baseline": None if report.past is None else _past(report.past),
        "pairs": [verdict_text(pair) for pair in report.pairs],
    }


def _levels(findings: Findings) -> Sequence[dict[str, float] | None]:
    return [
        None if level is None else {"median_s": level.median_s, "spread_s": level.spread_s}
        for level in findings.levels
    ]


def _node(report: GroupReport, node: JudgedNode) -> dict[str, Any]:
    past = report.past
    return {
        "node": node.name,
        "machine_ids": sorted(node.member.node.ids),
        "verdict": node.verdict,
        "remark": node.remark or None,
        "steady_epoch_s": node.epoch_s,
        "rounds_s": [each.epoch_s for each in node.rounds],
        "times_as_long": node.times_as_long,
        "times_as_long_as_before": None if past is None else past.times_as_long.get(node.name),
        "runs": [run.id for run in node.member.runs],
        "valid_runs": len(node.member.counting),
        "causes": [
            {"rule": cause.rule, "sentence": cause.sentence, "figures": cause.figures}
            for cause in report.causes.get(node.name, ())
        ],
    }


def _clusters(clusters: Clusters) -> dict[str, Any]:
    fast_s, slow_s = clusters.medians_s
    return {
        "fast_s": fast_s,
        "slow_s": slow_s,
        "fast": [node.name for node in clusters.fast],
        "slow": [node.name for node in clusters.slow],
    }


def _past(past: Past) -> dict[str, Any]:
    return {"change": past.change, "times_as_long": past.group, "nodes": len(past.times_as_long)}
