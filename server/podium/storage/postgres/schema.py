"""The schema that this release needs, and the one that a database has.

The table ``alembic_version`` holds one row, the number of the last migration. Its name and shape are Alembic's,
which applied the migrations of the first releases: their databases need no change, and such a release still finds
its version while this one replaces it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import asyncpg

from podium.storage.postgres.pool import Connection, PoolConnection

MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def migrations() -> tuple[Path, ...]:
    """Return the SQL files of the migrations, in the order in which they are applied."""
    return tuple(sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql")))


def number_of(path: Path) -> str:
    """Return the number of a migration, like ``0014``."""
    return path.name[:4]


def needed() -> str:
    """Return the number of this release's newest migration."""
    return number_of(migrations()[-1])


async def found(connection: Connection | PoolConnection) -> str | None:
    """Return the number of the last migration that a database has had, None where it has had none."""
    try:
        number: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    return number


def foreign(number: str | None) -> str:
    """Return why a database isn't Podium's, as a sentence; empty where it may be."""
    if number is None or number.isdecimal():
        return ""
    return (
        "the database is that of another application, which keeps its own version in the table alembic_version:"
        " give Podium one of its own"
    )


def behind(number: str | None) -> str:
    """Return why this release can't work with such a database, as a sentence; empty where it can."""
    if number is None:
        return "the database has no tables of Podium yet: run `podium migrate`"
    if problem := foreign(number):
        return problem
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
