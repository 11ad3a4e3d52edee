"""A start with stores that don't fit: one sentence, exit code 1, no secret; and one that waits for a store."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from redis import exceptions

from podium.cli.start_checks import check_stores
from podium.game.errors import StartError
from podium.settings import Settings
from podium.storage.postgres.pool import Pool
from podium.storage.postgres.schema import needed
from podium.storage.redis.client import RedisClient
from tests.integration.test_cli import podium
from tests.urls import with_parts

SECRET = "known-to-nobody"
OF_POSTGRES = (
    ("keys", "list"),
    ("keys", "create", "--name", "x"),
    ("origins",),
    ("users", "list"),
    ("environments", "list"),
    ("environments", "create", "staging"),
)
OF_BOTH = (("web",), ("worker",), ("check",), ("rebuild", "--yes"), ("rejected", "list"), ("rejected", "resend"))


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    return {"PODIUM_DATABASE_URL": database_url, "PODIUM_REDIS_URL": redis_url}


async def refused(environment: dict[str, str], *command: str) -> str:
    """Run a command that must end with 1 and one sentence; the sentence."""
    code, out, err = await podium(environment, *command)
    assert (code, out) == (1, ""), (command, err)
    assert err.startswith("podium: "), (command, err)
    assert err.count("\n") == 1, (command, err)
    assert SECRET not in err
    return err


@pytest.mark.usefixtures("space_id")
async def test_a_wrong_password_or_database(environment: dict[str, str], database_url: str) -> None:
    for parts, words in (
        ({"password": SECRET}, "PODIUM_DATABASE_URL: Postgres refuses the login"),
        ({"username": "nobody", "password": SECRET}, "PODIUM_DATABASE_URL: Postgres refuses the login"),
        ({"database": "elsewhere"}, "PODIUM_DATABASE_URL: Postgres has no database of this name"),
    ):
        wrong = environment | {"PODIUM_DATABASE_URL": with_parts(database_url, **parts)}
        for command in (("migrate",), *OF_POSTGRES, *OF_BOTH):
            assert words in await refused(wrong, *command)
    wrong = environment | {"PODIUM_DATABASE_URL": f"postgresql://podium:{SECRET}@localhost:{SECRET}/podium"}
    for command in (("migrate",), *OF_POSTGRES[:1], *OF_BOTH[:3]):
        assert "PODIUM_DATABASE_URL is not usable as an address" in await refused(wrong, *command)


@pytest.mark.usefixtures("space_id")
async def test_a_postgres_that_is_away_ends_what_needs_it_now(
    environment: dict[str, str], database_url: str
) -> None:
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        away = environment | {"PODIUM_DATABASE_URL": with_parts(database_url, port=nobody.getsockname()[1])}
        for command in (("migrate",), *OF_POSTGRES, *OF_BOTH[2:]):
            assert "PODIUM_DATABASE_URL: Postgres is away" in await refused(away, *command)
        settings = Settings(redis_url=away["PODIUM_REDIS_URL"], database_url=away["PODIUM_DATABASE_URL"])
        [warning] = await check_stores(settings, tolerate_outage=True)
        assert "Postgres is away" in warning


@contextlib.asynccontextmanager
async def web_server() -> AsyncIterator[int]:
    """A server of another kind: its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.usefixtures("space_id")
async def test_a_redis_that_is_none_or_refuses(environment: dict[str, str], redis_client: RedisClient) -> None:
    url = environment["PODIUM_REDIS_URL"]
    await redis_client.raw.execute_command("ACL", "SETUSER", "less", "on", f">{SECRET}", "~*", "+@all", "-fcall")
    try:
        async with web_server() as port:
            for wrong, words in (
                (f"redis://127.0.0.1:{port}", "is no Redis"),
                (with_parts(url, username="nobody", password=SECRET), "Redis refuses the login of Podium"),
                (with_parts(url, username="less", password=SECRET), "Redis denies Podium's user a right"),
                (with_parts(url, database="99"), "PODIUM_REDIS_URL: "),
                (f"redis://:{SECRET}@localhost:{SECRET}", "PODIUM_REDIS_URL is not usable as an address"),
            ):
                for command in OF_BOTH:
                    assert words in await refused(environment | {"PODIUM_REDIS_URL": wrong}, *command)
    finally:
        await redis_client.raw.execute_command("ACL", "DELUSER", "less")


@pytest.mark.usefixtures("space_id")
async def test_an_older_schema_stops_all_but_the_migration(environment: dict[str, str], pool: Pool) -> None:
    for older in (f"{int(needed()) - 1:04}", None):
        if older is None:
            await pool.execute("DROP TABLE alembic_version")
        else:
            await pool.execute("UPDATE alembic_version SET version_num = $1", older)
        for command in (*OF_POSTGRES, *OF_BOTH):
            assert "run `podium migrate`" in await refused(environment, *command)


@pytest.mark.usefixtures("space_id")
async def test_a_newer_schema_warns_and_is_not_migrated_back(environment: dict[str, str], pool: Pool) -> None:
    await pool.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "newer than this release" in await refused(environment, "migrate")
    code, out, err = await podium(environment, "check")
    assert (code, err) == (0, "")
    assert "Warning: the database has schema 9999" in out
    assert (await podium(environment, "keys", "list"))[0] == 0


@pytest.mark.usefixtures("space_id")
async def test_a_migration_without_the_right_to_make_tables(environment: dict[str, str], pool: Pool) -> None:
    await pool.execute(f"CREATE ROLE migrator LOGIN PASSWORD '{SECRET}'")
    try:
        await pool.execute("DROP TABLE alembic_version")
        url = with_parts(environment["PODIUM_DATABASE_URL"], username="migrator", password=SECRET)
        assert "denie" in await refused(environment | {"PODIUM_DATABASE_URL": url}, "migrate")
    finally:
        await pool.execute("DROP ROLE migrator")


@pytest.mark.usefixtures("space_id")
async def test_a_fitting_pair_passes(environment: dict[str, str]) -> None:
    assert await podium(environment, "check") == (0, "Podium can work with these stores.\n", "")


async def test_a_host_without_an_address(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a name server says is simulated: tests ask none."""
    settings = Settings(redis_url="redis://misspelt:6379", database_url=database_url)

    async def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def connect(*_: Any, **__: Any) -> Any:
        try:
            await unknown()
        except OSError as error:
            raise exceptions.ConnectionError("Error -2 connecting to misspelt:6379.") from error

    monkeypatch.setattr("redis.asyncio.connection.Connection.connect", connect)
    with pytest.raises(StartError, match="PODIUM_REDIS_URL: the host misspelt has no address"):
        await check_stores(settings, tolerate_outage=True)
    monkeypatch.setattr(asyncpg, "connect", unknown)
    with pytest.raises(StartError, match="PODIUM_DATABASE_URL: the host .* has no address"):
        await check_stores(settings, tolerate_outage=True)
