"""Brings a database to this release's schema: numbered SQL files, each in a transaction of its own."""

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
    """Apply the migrations that a database has not had, in order; where none is missing, do nothing.

    ``report`` gets the name of each, like ``0013_rebuilds``, before it runs.

    Raises:
        StartError: A migration failed. It left nothing behind; those before it stay applied.
        asyncpg.PostgresError: Postgres refuses what every migration needs: its lock and the table of the version.
        OSError: The connection is lost.
    """
    # Without prepared statements, a proxy that lends connections for one transaction may stand in between.
    connection: Connection = await asyncpg.connect(database_url, statement_cache_size=0)
    try:
        while await _apply_next(connection, report):
            pass
    finally:
        await connection.close()


async def _apply_next(connection: Connection, report: Callable[[str], None]) -> bool:
    """Apply the first migration that is missing, in one transaction with its number; False where none is.

    Which one that is, is read under the lock: another process may have applied it while this one waited.
    """
    # At other levels the transaction would go on seeing what was there when it began to wait.
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        # Asked for, not CREATE IF NOT EXISTS: that needs the right to create tables even where nothing is missing.
        if await connection.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
            await connection.execute(_CREATE_TABLE)
        found = await schema.found(connection)
        missing = [path for path in schema.migrations() if found is None or schema.number_of(path) > found]
        if not missing:
            return False
        path = missing[0]
        report(path.stem)
        try:
            # Without arguments the driver sends the text as it stands, however many statements it has.
            await connection.execute(path.read_text(encoding="utf-8"))
        except asyncpg.PostgresError as error:
            raise StartError(
                f"the migration {path.stem} failed ({error}); nothing of it was kept, and the database has schema"
                f" {found or 'none'}"
            ) from error
        await connection.execute("DELETE FROM alembic_version")
        await connection.execute("INSERT INTO alembic_version (version_num) VALUES ($1)", schema.number_of(path))
        return True
