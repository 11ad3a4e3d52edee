"""Compare the schema that this release needs with the one of a database.

The table ``alembic_version`` has one row, the number of the last migration. Its name and columns are those of
Alembic, which the first releases used. So their databases need no change, and such a release still finds its
version while this one replaces it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import asyncpg

from podium.storage.postgres.pool import Connection, PoolConnection

MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def migrations() -> tuple[Path, ...]:
    """Return the SQL files of the migrations in their order."""
    return tuple(sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql")))


def number_of(path: Path) -> str:
    """Return the number of a migration, like ``0014``."""
    return path.name[:4]


def needed() -> str:
    """Return the number of this release's newest migration."""
    return number_of(migrations()[-1])


async def found(connection: Connection | PoolConnection) -> str | None:
    """Return the number of a database's last migration, or None if it has had none."""
    try:
        number: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    return number


def foreign(number: str | None) -> str:
    """Return a sentence if the database isn't Podium's, else an empty string."""
    if number is None or number.isdecimal():
        return ""
    return (
        "the database belongs to another application, which keeps its own version in the table alembic_version:"
        " give Podium a database of its own"
    )


def behind(number: str | None) -> str:
    """Return a sentence if this release can't use a database with that schema, else an empty string."""
    if number is None:
        return "the database has no tables of Podium yet: run `podium migrate`"
    if problem := foreign(number):
        return problem
    if number < needed():
        return f"the database has schema {number} and this release needs {needed()}: run `podium migrate`"
    return ""


def ahead(number: str | None) -> str:
    """Return a warning if a newer release has migrated the database, else an empty string.

    The previous release is tested to work on the new schema while it is replaced; older ones are not.
    """
    if number is None or number <= needed():
        return ""
    return (
        f"the database has schema {number}, newer than this release's {needed()}: a newer release has migrated it,"
        " so replace this one soon"
    )
