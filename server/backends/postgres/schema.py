"""Which schema this release needs, and which one a database has."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import asyncpg

from server.backends.postgres.pool import Connection, PoolConnection

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


@cache
def needed() -> str:
    """Return the number of this release's newest migration, like ``0014``."""
    return max(path.stem[1:5] for path in _VERSIONS.glob("m[0-9][0-9][0-9][0-9]_*.py"))


async def found(connection: Connection | PoolConnection) -> str | None:
    """Return the number of the last migration that a database has had, None where it has had none."""
    try:
        number: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    return number


def behind(number: str | None) -> str:
    """Return why this release can't work with such a database, as a sentence; empty where it can."""
    if number is None:
        return "the database has no tables of Podium yet: run `podium migrate`"
    if number < needed():
        return f"the database has schema {number} and this release needs {needed()}: run `podium migrate`"
    return ""


def ahead(number: str | None) -> str:
    """Return a warning where a newer release has migrated the database; empty where none has.

    The release before keeps working while it is replaced, and no older one is tested.
    """
    if number is None or number <= needed():
        return ""
    return (
        f"the database has schema {number}, newer than this release's {needed()}: a newer release has migrated it,"
        " so replace this one soon"
    )
