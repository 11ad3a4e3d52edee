"""Brings a database to this release's schema: Alembic's order and bookkeeping, plain SQL files inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
from alembic import command, op
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK = 0x506F_6469_756D
"""Advisory lock ("Podium") that keeps two releases from migrating at once."""


async def migrate(database_url: str) -> None:
    """Run what is missing, in one transaction, one process at a time; nothing to do is no error."""

    async def connect() -> Any:
        return await asyncpg.connect(database_url)

    # The driver reads the address itself, so what it understands in one (sslmode and more) holds here, too.
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def run_sql(name: str) -> None:
    """For a migration: run the SQL file beside it, many statements at once."""
    script = (MIGRATIONS / "versions" / name).read_text()
    adapted: Any = op.get_bind().connection.dbapi_connection
    # The driver's own execute(): SQLAlchemy prepares statements, and only one can be prepared at a time.
    adapted.run_async(lambda driver: driver.execute(script))
