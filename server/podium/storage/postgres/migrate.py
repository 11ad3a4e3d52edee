"""Migrate a database to this release's schema: numbered SQL files, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from podium.game.errors import StartError
from podium.storage.postgres import schema
from podium.storage.postgres.pool import Connection

_LOCK = 0x506F_6469_756D
"""Advisory lock ("Podium"): one process migrates at a time."""

_CREATE_TABLE = "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)"


async def migrate(database_url: str, report: Callable[[str], None] = lambda _: None) -> None:
    """Apply the migrations that a database lacks, in order. If none is missing, do nothing.

    ``report`` gets the name of each migration, like ``0013_rebuilds``, before it runs.

    Raises:
        StartError: A migration failed and was rolled back. Earlier ones stay applied.
        asyncpg.PostgresError: Postgres refuses the lock, or the table of the version.
        OSError: The connection was lost.
    """
    # No prepared statements, so that it works through a pooling proxy, which lends a connection for one
    # transaction.
    connection: Connection = await asyncpg.connect(database_url, statement_cache_size=0)
    try:
        while await _apply_next(connection, report):
            pass
    finally:
        await connection.close()


async def _apply_next(connection: Connection, report: Callable[[str], None]) -> bool:
    """Apply the first missing migration and store its number, in one transaction. Return False if none is missing.

    The version is read under the lock, since another process may have migrated while this one waited.
    """
    # At higher isolation levels the transaction would still see the version from before it waited for the lock.
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        # Not CREATE IF NOT EXISTS, which needs the right to create tables even if the table exists.
        if await connection.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
            await connection.execute(_CREATE_TABLE)
        found = await schema.found(connection)
        missing = [path for path in schema.migrations() if found is None or schema.number_of(path) > found]
        if not missing:
            return False
        path = missing[0]
        report(path.stem)
        try:
            # Without arguments the driver uses the simple query protocol, which allows several statements.
            await connection.execute(path.read_text(encoding="utf-8"))
        except asyncpg.PostgresError as error:
            raise StartError(
                f"the migration {path.stem} failed ({error}) and was rolled back; the database has schema"
                f" {found or 'none'}"
            ) from error
        await connection.execute("DELETE FROM alembic_version")
        await connection.execute("INSERT INTO alembic_version (version_num) VALUES ($1)", schema.number_of(path))
        return True
