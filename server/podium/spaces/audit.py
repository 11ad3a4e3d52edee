"""The audit log: each change with its actor, time, and the values before and after."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from podium.storage.postgres.pool import Connection, PoolConnection

OF_USER = """(item = $2 AND kind IN ('user', 'streak', 'points', 'standing')
    OR coalesce(after ->> 'userId', before ->> 'userId') = $2)"""
"""SQL condition: an entry is about the user ``$2``. It uses the indexes ``audit_log_item`` and
``audit_log_user``."""
_FORGET = f"""
UPDATE audit_log SET item = CASE item WHEN $2 THEN $3 ELSE item END, before = NULL, after = NULL
WHERE space_id = $1 AND {OF_USER}
"""  # noqa: S608 # our own words


class Entry(NamedTuple):
    """One change. ``item`` is the id of the changed item or user. ``before`` and ``after`` are JSON values, None
    where there was nothing. For an item of one user they have the user's id in ``userId``."""

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
    """Add entries to the log of a space. A reason is stored in ``after``."""
    if reason:
        entries = [one._replace(after={**(one.after or {}), "reason": reason}) for one in entries]
    await connection.executemany(
        "INSERT INTO audit_log (space_id, actor, action, kind, item, before, after)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [(space_id, actor, *entry) for entry in entries],
    )


async def forget(connection: Connection | PoolConnection, space_id: int, user: str) -> bool:
    """Erase a user from the log: entries keep actor, action and time. Return whether there were any.

    The user's id is replaced by ``erased_name``, and the values before and after are deleted.
    """
    status: str = await connection.execute(_FORGET, space_id, user, erased_name(user))
    return not status.endswith(" 0")


def erased_name(user: str) -> str:
    """Return the name of an erased user in the log: a hash, by which only those who know the id find the entry."""
    return "sha256:" + sha256(user.encode()).hexdigest()
