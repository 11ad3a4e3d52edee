"""The browser origins that may call a space: their form, and the only writer of the list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from podium.game.errors import Unprocessable
from podium.spaces import audit, store
from podium.spaces.audit import Entry
from podium.storage.postgres.pool import Connection, PoolConnection

ORIGINS_MAX = 100
"""Most origins of a space. Every request of a page is compared with all of them."""

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])"
    r"(:(?P<port>[1-9]\d{0,4}))?",
    re.ASCII,
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}

Change = Callable[[tuple[str, ...]], Iterable[str]]


def check_origins(field: str, origins: Iterable[str]) -> tuple[str, ...]:
    """Return origins in the form that browsers send, sorted and without duplicates.

    Raises:
        Unprocessable: One is malformed, or there are too many. The message names ``field``.
    """
    found = sorted({_normal(f"{field}[{index}]", origin) for index, origin in enumerate(origins)})
    if len(found) > ORIGINS_MAX:
        raise Unprocessable(f"{field} must hold at most {ORIGINS_MAX} origins")
    return tuple(found)


def _normal(field: str, origin: str) -> str:
    parts = _ORIGIN.fullmatch(origin.lower())
    if parts is None or int(parts["port"] or 0) > 65_535:
        raise Unprocessable(f"{field} must be like https://app.example.com or http://localhost:3000")
    port = parts["port"]
    default = port is None or port == _DEFAULT_PORTS[parts["scheme"]]
    return f"{parts['scheme']}://{parts['host']}" + ("" if default else f":{port}")


async def change_origins(
    connection: Connection | PoolConnection, space_id: int, actor: str, change: Change
) -> tuple[str, ...]:
    """Replace a space's origins by ``change(origins)``, with an audit row, and return the new list.

    One transaction. Every process is notified when it commits.

    Raises:
        Unprocessable: As ``check_origins``; nothing was changed.
    """
    async with connection.transaction():
        [row] = await connection.fetch(
            "SELECT public_id, allowed_origins FROM spaces WHERE id = $1 FOR UPDATE", space_id
        )
        before = tuple(row["allowed_origins"])
        after = check_origins("origins", change(before))
        if after != before:
            await connection.execute("UPDATE spaces SET allowed_origins = $2 WHERE id = $1", space_id, list(after))
            entry = Entry("update", "origins", row["public_id"], list(before), list(after))
            await audit.write(connection, space_id, actor, [entry])
            await store.announce(connection)
    return after
