"""The audit log: who changed what, when, and what it was before and after."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from podium.storage.postgres.pool import Connection, PoolConnection

OF_USER = """(item = $2 AND kind IN ('user', 'streak', 'points', 'standing')
    OR coalesce(after ->> 'userId', before ->> 'userId') = $2)"""
"""SQL: an entry is about the user ``$2``. Along the indexes ``audit_log_item`` and ``audit_log_user``."""
_FORGET = f"""
UPDATE audit_log SET item = CASE item WHEN $2 THEN $3 ELSE item END, before = NULL, after = NULL
WHERE space_id = $1 AND {OF_USER}
"""  # noqa: S608 # our own words


class Entry(NamedTuple):
    """One change. ``item`` is what was changed: the id of an item, of a user; ``before`` and ``after`` are JSON
    values, None where there was nothing. They name in ``userId`` whose the item is, where it is one user's."""

    action: str
    kind: str
    item: str
    before: Any = None
    after: Any = None


async def write(
    connection: Connection | PoolConnection,
    space_id: int,
    actor: str,
    entries: Iterable[Entry],
    reason: str = "",
) -> None:
    """Add entries to the log of a space; a reason stands in ``after``."""
    if reason:
        entries = [one._replace(after={**(one.after or {}), "reason": reason}) for one in entries]
    await connection.executemany(
        "INSERT INTO audit_log (space_id, actor, action, kind, item, before, after)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [(space_id, actor, *entry) for entry in entries],
    )


async def forget(connection: Connection | PoolConnection, space_id: int, user: str) -> bool:
    """Leave of the entries about a user who did what and when, and ``erased_name``; whether there were any."""
    status: str = await connection.execute(_FORGET, space_id, user, erased_name(user))
    return not status.endswith(" 0")


def erased_name(user: str) -> str:
    """What the log calls a user who was erased: whoever knows the id can find the entry, nobody else learns it."""
    return "sha256:" + sha256(user.encode()).hexdigest()
