"""Queries of tenants, which are rows of ``spaces`` with a name."""

from __future__ import annotations

from typing import NamedTuple
from uuid import uuid4

import asyncpg

from podium.game.errors import Unprocessable
from podium.spaces import store
from podium.spaces.space import NO_TENANT
from podium.storage.postgres.pool import PoolConnection


class TenantRow(NamedTuple):
    """A tenant. Instants in ms."""

    id: str
    customer_id: str
    name: str
    archived: bool
    created_ms: int
    updated_ms: int


_ROW = (
    "tenant_id::text, tenant, tenant_name, archived, (extract(epoch FROM created_at) * 1000)::bigint,"
    " (extract(epoch FROM updated_at) * 1000)::bigint"
)


async def list_tenants(connection: PoolConnection, environment: str, limit: int, skip: int) -> list[TenantRow]:
    """Return the tenants of an environment in the order of creation."""
    rows = await connection.fetch(
        f"SELECT {_ROW} FROM spaces WHERE environment = $1 AND tenant_id IS NOT NULL"  # noqa: S608 # our own words
        " ORDER BY id LIMIT $2 OFFSET $3",
        environment,
        limit,
        skip,
    )
    return [TenantRow(*row) for row in rows]


async def get_tenant(
    connection: PoolConnection, environment: str, id_: str, *, for_update: bool = False
) -> TenantRow | None:
    """Return the tenant with that id, or None. ``for_update`` locks its row until the transaction ends."""
    row = await connection.fetchrow(
        f"SELECT {_ROW} FROM spaces WHERE environment = $1 AND tenant_id = $2"  # noqa: S608 # our own words
        + (" FOR UPDATE" if for_update else ""),
        environment,
        id_,
    )
    return TenantRow(*row) if row is not None else None


async def create_tenant(
    connection: PoolConnection, environment: str, customer_id: str, name: str, now_ms: int
) -> TenantRow:
    """Create a tenant with a space of its own.

    Raises:
        Unprocessable: The customer id is reserved, or in use by another tenant.
    """
    if customer_id == NO_TENANT:
        raise Unprocessable(f"customerId must not be {NO_TENANT}")
    id_ = str(uuid4())
    try:
        async with connection.transaction():
            space_id = await store.create_space(
                connection, environment=environment, tenant=customer_id, now_ms=now_ms
            )
            await connection.execute(
                "UPDATE spaces SET tenant_id = $2, tenant_name = $3, updated_at = created_at WHERE id = $1",
                space_id,
                id_,
                name,
            )
    except asyncpg.UniqueViolationError:
        raise Unprocessable("customerId already in use by another tenant") from None
    found = await get_tenant(connection, environment, id_)
    if found is None:
        raise AssertionError("a tenant that was just made is there")
    return found


async def change_tenant(
    connection: PoolConnection, environment: str, id_: str, name: str | None, archived: bool | None, now_ms: int
) -> TenantRow | None:
    """Rename, archive or restore a tenant, and return it, or None if there is none. None leaves a field as it
    is."""
    await connection.execute(
        "UPDATE spaces SET tenant_name = coalesce($3, tenant_name), archived = coalesce($4, archived),"
        " updated_at = to_timestamp($5::bigint / 1000.0) WHERE environment = $1 AND tenant_id = $2",
        environment,
        id_,
        name,
        archived,
        now_ms,
    )
    await store.announce(connection)
    return await get_tenant(connection, environment, id_)
