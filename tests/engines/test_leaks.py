"""A real framework whose attention sees what it is to find, or nothing, is refused by what it
learned: a whole run of a small language, without tolerances."""

from __future__ import annotations

import pytest

from epochmark.workloads import WORKLOADS
from tests.engines.conftest import Run
from tests.engines.test_defects import codes, defective

pytestmark = pytest.mark.usefixtures("injected")


@pytest.mark.parametrize(
    ("defect", "found"),
    [
        ("none", set()),
        ("mask off by one", {"loss-below-entropy"}),
        ("no attention", {"copy-not-learned"}),
    ],
)
def test_what_was_learned_shows_a_broken_attention(
    run_engine: Run, defect: str, found: set[str]
) -> None:
    small = WORKLOADS["small-gpt"]
    measured = run_engine("defective-torch", defective(defect), workload=small, threads=1)
    record = measured.record
    assert record.failure is None, measured.stderr.decode(errors="replace")
    learned = codes(record) & {"loss-below-entropy", "copy-not-learned"}
    assert found <= learned, record.learning
    assert found or not learned, record.continuation
    assert (record.headline.validity == "invalid") == bool(found)
