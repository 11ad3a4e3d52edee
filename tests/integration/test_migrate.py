"""Migrations on a real Postgres: from nothing, from every earlier release, two at once, and one that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from podium.cli.admin_tasks import migrate_and_prepare
from podium.game.errors import StartError
from podium.storage.embedded import RunningPostgres
from podium.storage.postgres import schema
from podium.storage.postgres.migrate import migrate
from podium.storage.postgres.pool import Connection
from tests.integration.test_cli import podium
from tests.urls import with_parts

NAMES = [path.stem for path in schema.migrations()]
ALEMBIC = """
    CREATE TABLE alembic_version (
        version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
    )
"""
"""As Alembic 1.18 makes it."""


class Database:
    """An empty database: its address, and a connection to it."""

    def __init__(self, url: str, connection: Connection) -> None:
        self.url = url
        self.connection = connection

    async def shape(self) -> list[str]:
        """Everything that migrations make: columns, indexes, constraints, functions, triggers, comments."""
        rows = await self.connection.fetch(
            """
            SELECT format('%s.%s %s %s %s', c.oid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
                          a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0
                AND NOT a.attisdropped
            UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace
            UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT description FROM pg_description WHERE objoid IN
                (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
            """
        )
        return sorted(row[0] for row in rows)

    async def begin_with(self, count: int) -> None:
        """Make it what Alembic made it with the first ``count`` migrations."""
        await self.connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await self.connection.execute(ALEMBIC)
        for path in schema.migrations()[:count]:
            await self.connection.execute(path.read_text())
        if count:
            number = schema.migrations()[count - 1].name[:4]
            await self.connection.execute("INSERT INTO alembic_version VALUES ($1)", number)

    async def has(self, table: str) -> bool:
        """Whether there is such a table."""
        return await self.connection.fetchval("SELECT to_regclass($1) IS NOT NULL", table)  # type: ignore[no-any-return]


@pytest.fixture
async def empty(postgres: RunningPostgres) -> AsyncIterator[Database]:
    admin = await asyncpg.connect(postgres.url)
    await admin.execute("DROP DATABASE IF EXISTS podium_migrate WITH (FORCE)")
    await admin.execute("CREATE DATABASE podium_migrate")
    url = with_parts(postgres.url, database="podium_migrate")
    connection = await asyncpg.connect(url)
    yield Database(url, connection)
    await connection.close()
    await admin.execute("DROP DATABASE podium_migrate WITH (FORCE)")
    await admin.close()


@pytest.fixture
def more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for migrations of the test's own, which stand in for the release's."""
    monkeypatch.setattr(schema, "migrations", lambda: tuple(sorted(tmp_path.iterdir())))
    return tmp_path


def test_numbers_rise_by_one() -> None:
    """Two that were made at the same time would have one number, and only one of them would be applied."""
    assert [name[:4] for name in NAMES] == [f"{n:04}" for n in range(1, len(NAMES) + 1)]
    assert [path.name for path in sorted(schema.MIGRATIONS.iterdir())] == [f"{name}.sql" for name in NAMES]


async def test_from_nothing_and_then_nothing(empty: Database) -> None:
    applied: list[str] = []
    await migrate(empty.url, applied.append)
    assert applied == NAMES
    assert await schema.found(empty.connection) == schema.needed()
    shape = await empty.shape()
    await migrate(empty.url, applied.append)
    assert applied == NAMES
    assert await empty.shape() == shape


async def test_from_every_earlier_release(empty: Database) -> None:
    await migrate(empty.url)
    whole = await empty.shape()
    for count in range(len(NAMES) + 1):
        await empty.begin_with(count)
        applied: list[str] = []
        await migrate(empty.url, applied.append)
        assert applied == NAMES[count:]
        assert await empty.shape() == whole, count
        assert await empty.connection.fetch("SELECT * FROM alembic_version") == [(schema.needed(),)], count


async def test_several_at_once_apply_each_migration_once(empty: Database) -> None:
    applied: list[str] = []
    await asyncio.gather(*(migrate(empty.url, applied.append) for _ in range(4)))
    assert applied == NAMES


async def test_several_at_once_where_transactions_keep_what_they_saw(empty: Database) -> None:
    await empty.connection.execute(
        "ALTER DATABASE podium_migrate SET default_transaction_isolation = 'repeatable read'"
    )
    applied: list[str] = []
    await asyncio.gather(*(migrate(empty.url, applied.append) for _ in range(4)))
    assert applied == NAMES


async def test_of_a_migration_that_fails_nothing_stays(empty: Database, more: Path) -> None:
    (more / "0001_first.sql").write_text("CREATE TABLE first (id int)")
    (more / "0002_second.sql").write_text("CREATE TABLE second (id int); INSERT INTO second VALUES ('x')")
    (more / "0003_third.sql").write_text("CREATE TABLE third (id int)")
    with pytest.raises(StartError, match="0002_second failed .*invalid input syntax.* has schema 0001"):
        await migrate(empty.url)
    assert [await empty.has(table) for table in ("first", "second", "third")] == [True, False, False]
    assert await schema.found(empty.connection) == "0001"
    (more / "0002_second.sql").write_text("CREATE TABLE second (id int)")
    applied: list[str] = []
    await migrate(empty.url, applied.append)
    assert applied == ["0002_second", "0003_third"]


async def test_who_may_make_no_tables_may_find_nothing_missing(empty: Database) -> None:
    await migrate(empty.url)
    await empty.connection.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    await empty.connection.execute("GRANT SELECT ON alembic_version TO reader")
    try:
        done: list[str] = []
        await migrate(with_parts(empty.url, username="reader", password="reader"), done.append)
        assert done == []
    finally:
        await empty.connection.execute("DROP OWNED BY reader; DROP ROLE reader")


async def test_the_command_says_what_it_applies(empty: Database, redis_url: str) -> None:
    await empty.begin_with(12)
    environment = {"PODIUM_DATABASE_URL": empty.url, "PODIUM_REDIS_URL": redis_url}
    code, out, err = await podium(environment, "migrate")
    assert (code, err) == (0, "")
    *lines, last = out.splitlines()
    assert lines == [f"Applying {name}" for name in NAMES[12:]]
    assert last.startswith("The database is ready, with one production space.")
    assert await podium(environment, "migrate") == (0, "The database is ready.\n", "")


async def test_another_applications_database_is_left_alone(empty: Database) -> None:
    await empty.connection.execute(ALEMBIC)
    await empty.connection.execute("INSERT INTO alembic_version VALUES ('ae1027a6acf')")
    with pytest.raises(StartError, match="another application"):
        await migrate_and_prepare(empty.url)
    assert "another application" in schema.behind(await schema.found(empty.connection))
    assert not await empty.has("spaces")
