"""*confirmed*: three keys, from different addresses and on different days, agree on like hardware.

A result is confirmed by two others of its cell: all three are shown and valid, were sent with three
keys, from three addresses, on three days, and the slowest takes at most 10 % longer than the
fastest. Which two confirmed it is kept. Where one of these is hidden, deleted or derived again,
others are looked for, among those whose address is not forgotten yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import combinations
from typing import Any

import sqlalchemy as sa

from epochmark.board.storage.tables import results
from epochmark.board.storage.trust.tables import addresses, confirmations
from epochmark.records.dates import moment, now

AGREEMENT = 1.10
"""The slowest of the three by the fastest, at most."""
ADDRESS_DAYS = 90
"""After that many days the hash of an address is erased."""
LOOKED_THROUGH = 1000
"""The newest results of a cell among which those near a time are looked for."""
MOST_OTHERS = 100
"""Of these, among which two are looked for."""


def keep_address(connection: sa.Connection, number: int, address: str) -> None:
    """Note from where a result came, by the hash of its address."""
    values = {"number": number, "address": address, "received": now()}
    connection.execute(addresses.insert().values(**values))


def forget_addresses(connection: sa.Connection) -> int:
    """Erase hashes of addresses that are older than ``ADDRESS_DAYS``; how many."""
    oldest = moment(now()) - timedelta(days=ADDRESS_DAYS)
    text = oldest.strftime("%Y-%m-%dT%H:%M:%SZ")
    return connection.execute(addresses.delete().where(addresses.c.received < text)).rowcount


def confirm(connection: sa.Connection, number: int) -> None:
    """Look for two results that confirm this one; all three are confirmed then."""
    found = connection.execute(_candidates(results.c.number == number)).one_or_none()
    if found is None:
        return
    day = found.received[:10]
    others = [
        row
        for row in _near(connection, found)
        if row.address != found.address and row.received[:10] != day
    ]
    for pair in combinations(others, 2):
        three = (found, *pair)
        if agree(three):
            _keep(connection, three)
            return


def agree(three: Sequence[Any]) -> bool:
    """Whether three results of a cell, with ``key``, ``address``, ``received`` and
    ``steady_epoch_s``, confirm each other."""
    different = (
        {member.key for member in three},
        {member.address for member in three},
        {member.received[:10] for member in three},
    )
    times = [member.steady_epoch_s for member in three]
    return all(len(values) == len(three) for values in different) and (
        max(times) <= AGREEMENT * min(times)
    )


def reconsider(connection: sa.Connection, changed: Sequence[int]) -> None:
    """Look again at results whose state or figures changed, and at those that they confirmed."""
    touched = {*changed}
    for some in _parts(changed):
        supported = sa.select(confirmations.c.number).where(
            sa.or_(confirmations.c.first.in_(some), confirmations.c.second.in_(some))
        )
        touched |= {*connection.execute(supported).scalars()}
    for some in _parts(sorted(touched)):
        connection.execute(confirmations.delete().where(confirmations.c.number.in_(some)))
    for number in sorted(touched):
        if not _is_confirmed(connection, number):
            confirm(connection, number)


def best_confirmed(connection: sa.Connection, cell: str) -> float | None:
    """The fastest confirmed time of a cell, in seconds an epoch; None without any."""
    fastest = sa.select(sa.func.min(confirmations.c.steady_epoch_s))
    return connection.execute(fastest.where(confirmations.c.cell == cell)).scalar()


def confirming(connection: sa.Connection, number: int) -> list[str]:
    """The ids of the two results that confirm this one; none where it is not confirmed."""
    chosen = sa.select(confirmations).where(confirmations.c.number == number)
    found = connection.execute(chosen).one_or_none()
    if found is None:
        return []
    ids = sa.select(results.c.id).where(results.c.number.in_((found.first, found.second)))
    return [*connection.execute(ids.order_by(results.c.number)).scalars()]


def _near(connection: sa.Connection, found: sa.Row[Any]) -> Iterable[sa.Row[Any]]:
    """The newest results of a cell, sent with other keys, that take about as long."""
    newest = sa.select(results.c.number).where(
        results.c.cell == found.cell, results.c.state == "shown"
    )
    near = newest.order_by(results.c.number.desc()).limit(LOOKED_THROUGH).subquery("near")
    seconds = found.steady_epoch_s
    chosen = _candidates(
        results.c.number != found.number,
        results.c.key != found.key,
        results.c.steady_epoch_s.between(seconds / AGREEMENT, seconds * AGREEMENT),
    ).join(near, near.c.number == results.c.number)
    return connection.execute(chosen.order_by(near.c.number.desc()).limit(MOST_OTHERS))


def _candidates(*conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Results that may confirm others, of which these conditions hold."""
    columns = (
        results.c.number, results.c.cell, results.c.key, results.c.received,
        results.c.steady_epoch_s, addresses.c.address,
    )  # fmt: skip
    joined = results.join(addresses, addresses.c.number == results.c.number)
    return (
        sa.select(*columns)
        .select_from(joined)
        .where(
            results.c.state == "shown",
            results.c.validity == "valid",
            results.c.steady_epoch_s.is_not(None),
            results.c.key.is_not(None),
            *conditions,
        )
    )


def _keep(connection: sa.Connection, three: Sequence[Any]) -> None:
    """Note for each of the three that the other two confirm it, unless others do already."""
    for member in three:
        if not _is_confirmed(connection, member.number):
            first, second = (other.number for other in three if other is not member)
            values = {"number": member.number, "first": first, "second": second}
            values |= {"cell": member.cell, "steady_epoch_s": member.steady_epoch_s}
            connection.execute(confirmations.insert().values(**values))


def _is_confirmed(connection: sa.Connection, number: int) -> bool:
    chosen = sa.select(confirmations.c.number).where(confirmations.c.number == number)
    return connection.execute(chosen).first() is not None


def _parts(numbers: Sequence[int]) -> Iterable[Sequence[int]]:
    """As many at a time as a statement takes."""
    return (numbers[start : start + 500] for start in range(0, len(numbers), 500))
