"""What ``explain`` says where something is unknown, or the run cannot be trusted."""

from __future__ import annotations

import pytest

from epochmark.records.findings import MEANING, FindingCode
from epochmark.report.explanations import explain, gather
from epochmark.report.text.explanation import explanation_lines
from tests.report.explained import limits, steady
from tests.report.samples import failed, machine
from tests.report.test_explanations import replace, said


def test_what_is_not_known_comes_with_the_command_that_finds_out() -> None:
    record = steady(engine="torch")
    lines = "\n".join(explanation_lines(record, explain(gather(record))))
    assert "run 'epochmark limits' on it" in lines
    assert "run 'epochmark limits torch'" in lines
    known = limits(record, product=400, convolution=400)
    assert not {"no-limits", "no-engine-limits"} & set(said(record, known))
    other = limits(record, product=400, versions={"torch": "0.1"})
    found = said(record, other)
    assert "were measured with other versions" in found["no-engine-limits"]
    assert "slow-product" not in said(record, replace(other, engines=[]))


def test_limits_of_another_machine_are_none() -> None:
    record = steady()
    elsewhere = replace(limits(record), machine=machine("Another"))
    assert "no-limits" in said(record, elsewhere)
    assert "below-peak" not in said(record, elsewhere)


@pytest.mark.parametrize("code", list(FindingCode))
def test_what_limits_trust_comes_first_and_a_wrong_time_is_not_explained(
    code: FindingCode,
) -> None:
    record = steady(findings=[code])
    found = explain(gather(record, (), limits(record)))
    assert found[0].rule.name == "findings"
    assert found[0].sentence.advice == f"{code.value}: {MEANING[code].remedy}"
    needed = {explanation.rule.needs for explanation in found}
    validity = MEANING[code].validity
    assert ("time" in needed) is (validity in ("partial", "valid"))
    assert ("figure" in needed) is (validity != "invalid")
    doubted = found[1].rule.name == "time-unexplained"
    assert doubted is (validity in ("disturbed", "invalid"))


def test_of_a_disturbed_run_what_rests_on_its_own_clocks_is_said() -> None:
    record = steady(20.0, startup_s=15.0, findings=[FindingCode.FOREIGN_LOAD])
    found = said(record, limits(record, product=60.0))
    assert "this machine may be faster" in found["time-unexplained"]
    assert {"whole-time", "start-up", "slow-product"} <= set(found)
    assert not {"below-peak", "memory", "idle-cores", "step-arithmetic"} & set(found)


@pytest.mark.parametrize(
    ("engine", "foreign_cpus", "cpus", "speaks"),
    [
        ("torch", 1.0, 2, True),
        ("torch", 0.5, 2, False),
        ("native", 1.0, 2, False),
        ("torch", 1.0, 8, False),  # there is room for all
    ],
)
def test_torch_beside_a_whole_busy_cpu_loses_so_much_for_a_reason(
    engine: str, foreign_cpus: float, cpus: int, speaks: bool
) -> None:
    record = steady(engine=engine, findings=[FindingCode.FOREIGN_LOAD], busy_cpus=1.0)
    assert record.calm is not None
    count = len(record.calm.end_s)
    sample_s = record.calm.end_s[-1] / count
    calm = replace(
        record.calm,
        cpus=cpus,
        foreign_cpu_s=[foreign_cpus * sample_s] * count,
        idle_cpu_s=[(cpus - 1.0 - foreign_cpus) * sample_s] * count,
    )
    record = replace(record, calm=calm)
    found = said(record)
    assert ("spinning-threads" in found) is speaks
    if speaks:
        assert "Other programs used 1.0 CPUs during the run" in found["spinning-threads"]


def test_a_partial_run_may_be_disturbed_as_well() -> None:
    record = steady(findings=[FindingCode.FOREIGN_LOAD, FindingCode.STEPS_LIMITED])
    assert record.headline.validity == "partial"
    assert list(said(record))[:2] == ["findings", "time-unexplained"]
    lines = "\n".join(explanation_lines(record, explain(gather(record))))
    assert "Other programs used the processor during the run (foreign-load" in lines
    assert "): that makes a run disturbed." in lines
    assert "The run is" not in lines


def test_a_run_that_failed_is_explained_by_its_finding_only() -> None:
    assert list(said(failed(1))) == ["findings", "time-unexplained"]
