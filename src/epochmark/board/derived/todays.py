"""A record as today's rules see it, whatever it says of itself."""

from __future__ import annotations

import msgspec

from epochmark.analysis.timing.headline import headline_of, observed_precision
from epochmark.judge.validity import judge
from epochmark.records.record import Record


def by_todays_rules(record: Record) -> Record:
    """The record with the observed precision, the findings and the headline that follow from its
    raw data. Its sender writes which version judged it, so that is no reason to believe any of
    them. Its digest stays as it is."""
    precision = msgspec.structs.replace(record.precision, observed=observed_precision(record))
    record = msgspec.structs.replace(record, precision=precision)
    record = msgspec.structs.replace(record, findings=judge(record))
    return msgspec.structs.replace(record, headline=headline_of(record))
