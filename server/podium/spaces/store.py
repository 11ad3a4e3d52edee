"""Queries of spaces, keys and catalogs. Connections must decode ``jsonb`` (``storage.postgres.pool.prepare``)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec

from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.spaces import audit
from podium.spaces.item_kinds import KINDS
from podium.spaces.space import Space
from podium.storage.postgres.pool import Connection, PoolConnection

ENVIRONMENTS_MAX = 20
"""Most environments of an installation. Each costs every process some work at all times."""
ENVIRONMENT_PATTERN = "^[a-z][a-z0-9-]{0,39}$"
APPLICATION_KEY = "application key"
"""The name of all application keys. The user is in a column of its own, by which erasing the user finds the
key."""

CHANNEL = "podium_changes"
"""Postgres NOTIFY channel for changes of any space, key or catalog."""

_PUBLIC_ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_PUBLIC_ID_LENGTH = 12
_KEY_PREFIX_LENGTH = 8
_SECRET_BYTES = 32


ITEMS_AT_ONCE = 1_000
"""Catalog items that are decoded before other tasks have their turn: about 3 ms."""
_decoders = {kind.name: msgspec.json.Decoder(kind.type) for kind in KINDS}


class SpaceRow(NamedTuple):
    """A row of ``spaces``."""

    id: int
    public_id: str
    environment: str
    tenant: str
    realtime_secret: str
    allowed_origins: tuple[str, ...]
    catalog_version: int
    archived: bool
    epoch: str | None
    log_id: str | None


class KeyRow(NamedTuple):
    """A key that is not revoked. ``hash`` is the SHA-256 of the whole key."""

    id: str
    space_id: int
    name: str
    hash: bytes
    capabilities: frozenset[str]
    user: str | None


class NewEnvironment(NamedTuple):
    """A new environment: the id of its space, and its first admin key."""

    space_id: int
    key: str


class NewKey(NamedTuple):
    """A new key. ``key`` can't be read again later."""

    id: str
    key: str
    prefix: str


async def create_space(
    connection: Connection | PoolConnection,
    *,
    environment: str = "production",
    tenant: str = "default",
    now_ms: int,
) -> int:
    """Create a space with an empty catalog, in one transaction, and return its id.

    Raises:
        asyncpg.UniqueViolationError: There is a space of this environment and tenant.
    """
    public_id = "".join(secrets.choice(_PUBLIC_ID_LETTERS) for _ in range(_PUBLIC_ID_LENGTH))
    async with connection.transaction():
        space_id: int = await connection.fetchval(
            """
            INSERT INTO spaces (public_id, environment, tenant, realtime_secret, created_at)
            VALUES ($1, $2, $3, $4, to_timestamp($5 / 1000.0)) RETURNING id
            """,
            public_id,
            environment,
            tenant,
            secrets.token_urlsafe(_SECRET_BYTES),
            float(now_ms),
        )
        await insert_version(connection, space_id)
        await announce(connection)
    return space_id


async def create_environment(
    connection: Connection | PoolConnection, name: str, actor: str, now_ms: int
) -> NewEnvironment:
    """Create an environment with an empty catalog and its first admin key, in one transaction.

    Both are recorded in the audit log of the new space.

    Raises:
        Unprocessable: The name is taken, or there are too many environments.
    """
    async with connection.transaction():
        await connection.execute("LOCK TABLE spaces IN SHARE ROW EXCLUSIVE MODE")
        names = {row.environment for row in await load_spaces(connection)}
        if name in names:
            raise Unprocessable("key already in use by another environment")
        if len(names) >= ENVIRONMENTS_MAX:
            raise Unprocessable(f"There can be at most {ENVIRONMENTS_MAX} environments")
        space_id = await create_space(connection, environment=name, now_ms=now_ms)
        key_name = f"first key of {name}"
        key = await create_key(connection, space_id, key_name)
        entries = [
            audit.Entry("create", "environment", name, None, {"key": name}),
            audit.Entry("create", "key", key_prefix(key), None, {"name": key_name, "capabilities": ["admin"]}),
        ]
        await audit.write(connection, space_id, actor, entries)
    return NewEnvironment(space_id, key)


def key_prefix(key: str) -> str:
    """Return the part of a key before the dot, by which people refer to the key."""
    return key.partition(".")[0]


async def create_key(
    connection: Connection | PoolConnection,
    space_id: int,
    name: str,
    capabilities: Iterable[str] = ("admin",),
) -> str:
    """Create a key of the space and return it. It can't be read again later."""
    prefix = secrets.token_hex(_KEY_PREFIX_LENGTH // 2)
    key = f"{prefix}.{secrets.token_urlsafe(_SECRET_BYTES)}"
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO api_keys (id, space_id, name, prefix, hash, capabilities)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            uuid4(),
            space_id,
            name,
            prefix,
            key_hash(key),
            list(capabilities),
        )
        await announce(connection)
    return key


async def create_application_key(
    connection: Connection | PoolConnection, space_id: int, user: str, capabilities: Iterable[str]
) -> NewKey:
    """Create a key that acts for one user only."""
    prefix = "app_" + secrets.token_hex(_KEY_PREFIX_LENGTH // 2)
    key, id_ = f"{prefix}.{secrets.token_urlsafe(_SECRET_BYTES)}", uuid4()
    await connection.execute(
        "INSERT INTO api_keys (id, space_id, name, prefix, hash, capabilities, user_id)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        id_,
        space_id,
        APPLICATION_KEY,
        prefix,
        key_hash(key),
        list(capabilities),
        user,
    )
    await announce(connection)
    return NewKey(str(id_), key, prefix)


async def revoke_application_key(
    connection: Connection | PoolConnection, space_id: int, id_: str
) -> dict[str, object] | None:
    """Revoke an application key. Return its value for the audit log, or None if there is no such valid key."""
    row = await connection.fetchrow(
        "UPDATE api_keys SET revoked_at = now() WHERE space_id = $1 AND id = $2 AND user_id IS NOT NULL"
        " AND revoked_at IS NULL RETURNING user_id, prefix, capabilities",
        space_id,
        id_,
    )
    await announce(connection)
    if row is None:
        return None
    return {"userId": row["user_id"], "prefix": row["prefix"], "capabilities": row["capabilities"]}


@lru_cache(maxsize=1_024)
def key_hash(key: str) -> bytes:
    """Return the hash by which a key is stored. Cached, since a process sees the same few keys all the time."""
    return sha256(key.encode("utf-8", "replace")).digest()


async def announce(connection: Connection | PoolConnection) -> None:
    """Notify every process, once the transaction commits, that something changed."""
    await connection.execute("SELECT pg_notify($1, '')", CHANNEL)


async def load_spaces(connection: Connection | PoolConnection) -> list[SpaceRow]:
    """Return all spaces, the oldest first."""
    rows = await connection.fetch(
        "SELECT id, public_id, environment, tenant, realtime_secret, allowed_origins, catalog_version,"
        " archived, p.epoch, p.log_id FROM spaces LEFT JOIN log_positions p ON p.space_id = id ORDER BY id"
    )
    return [SpaceRow(**{**row, "allowed_origins": tuple(row["allowed_origins"])}) for row in rows]


async def keys_version(connection: Connection | PoolConnection) -> tuple[int, int]:
    """Return a value that changes with every change of any key."""
    [row] = await connection.fetch(
        "SELECT count(*), coalesce(sum(hashtextextended(k::text, 0)), 0) FROM api_keys k"
    )
    return row[0], int(row[1])


async def load_keys(connection: Connection | PoolConnection) -> list[KeyRow]:
    """Return the keys of all spaces that are not revoked."""
    rows = await connection.fetch(
        "SELECT id, space_id, name, hash, capabilities, user_id FROM api_keys WHERE revoked_at IS NULL"
    )
    return [
        KeyRow(str(id_), space, name, hash_, frozenset(may), user) for id_, space, name, hash_, may, user in rows
    ]


async def note_uses(connection: Connection | PoolConnection, used_ms: dict[str, int]) -> None:
    """Store the instants (ms) of the last uses of keys, by id."""
    await connection.execute(
        """
        INSERT INTO key_uses (key_id, used_at)
        SELECT k.id, to_timestamp(r.ms / 1000.0) FROM unnest($1::uuid[], $2::bigint[]) AS r (id, ms)
        JOIN api_keys k USING (id)
        ON CONFLICT (key_id) DO UPDATE SET used_at = greatest(key_uses.used_at, excluded.used_at)
        """,
        list(used_ms),
        list(used_ms.values()),
    )


async def load_catalog(connection: Connection | PoolConnection, space_id: int) -> Catalog:
    """Return the newest catalog of the space. One statement reads it, so that version and items belong
    together."""
    rows = await connection.fetch(
        """
        SELECT s.catalog_version, s.home_zone, i.kind, i.body::text
        FROM spaces s LEFT JOIN catalog_items i ON i.space_id = s.id AND i.archived_at IS NULL
        WHERE s.id = $1 ORDER BY i.number
        """,
        space_id,
    )

    items: dict[str, list[Any]] = {kind.name: [] for kind in KINDS}
    for at, (_, _, kind, body) in enumerate(rows, 1):
        if kind in items:
            items[kind].append(_decoders[kind].decode(body))
        if at % ITEMS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return Catalog(
        version=rows[0]["catalog_version"],
        home_zone=rows[0]["home_zone"],
        **{kind.field: tuple(items[kind.name]) for kind in KINDS},
    )


async def newest_catalog(connection: Connection | PoolConnection, space: Space) -> Catalog:
    """Return the newest catalog of the space. It is read only if Postgres has another version than this
    process."""
    [row] = await connection.fetch("SELECT catalog_version, home_zone FROM spaces WHERE id = $1", space.id)
    held = space.index.catalog
    return held if tuple(row) == (held.version, held.home_zone) else await load_catalog(connection, space.id)


async def insert_version(connection: Connection | PoolConnection, space_id: int) -> None:
    """Store the present catalog as a version. Postgres assembles it, since it may have 100,000 items."""
    await connection.execute(
        """
        INSERT INTO catalog_versions (space_id, version, catalog)
        SELECT s.id, s.catalog_version,
               jsonb_build_object('version', s.catalog_version, 'homeZone', s.home_zone) || fields.of_kinds
        FROM spaces s, (
            SELECT jsonb_object_agg(field, items) AS of_kinds FROM (
                SELECT k.field, coalesce(jsonb_agg(i.body ORDER BY i.number) FILTER (WHERE i.id IS NOT NULL), '[]')
                    AS items
                FROM unnest($2::text[], $3::text[]) AS k (kind, field) LEFT JOIN catalog_items i
                    ON i.space_id = $1 AND i.kind = k.kind AND i.archived_at IS NULL
                GROUP BY k.field
            ) AS of_kind
        ) AS fields
        WHERE s.id = $1
        """,
        space_id,
        [kind.name for kind in KINDS],
        [kind.field for kind in KINDS],
    )
