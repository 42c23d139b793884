"""Published results of other machines: shown as such, and never ranked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from epochmark.analysis.comparing.references import Reference
from epochmark.board.storage.trust.tables import published


def put_published(connection: sa.Connection, references: Iterable[Reference]) -> int:
    """Keep these references in the place of those that are here; how many."""
    connection.execute(published.delete())
    rows = [_columns(reference) for reference in references]
    if rows:
        connection.execute(published.insert(), rows)
    return len(rows)


def published_results(connection: sa.Connection) -> list[sa.Row[Any]]:
    """All of them, by machine."""
    order = (sa.func.lower(published.c.machine), published.c.device_kind, published.c.id)
    return [*connection.execute(sa.select(published).order_by(*order))]


def count_published(connection: sa.Connection) -> int:
    """How many there are."""
    chosen = sa.select(sa.func.count()).select_from(published)
    return int(connection.execute(chosen).scalar_one())


def _columns(reference: Reference) -> dict[str, object]:
    key, source = reference.comparability, reference.source
    variant = f" ({', '.join(key.variant)})" if key.variant else ""
    return {
        "id": reference.id,
        "machine": reference.machine,
        "device": reference.device,
        "device_kind": reference.device_kind,
        "workload": key.workload,
        "way": f"{key.engine_family} {key.tuning}, {key.precision}{variant}",
        "seconds_per_epoch": reference.seconds_per_epoch,
        "low_s": reference.low_s,
        "high_s": reference.high_s,
        "doubt": reference.doubt,
        "source": source.title,
        "url": source.url,
    }
