"""Stores that are there and refuse: a changed password, no more connections, no rights, a standby."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import httpx
import pytest
from redis import exceptions as redis_errors

from podium.services import Services, open_services
from podium.settings import Settings
from podium.storage.embedded import RunningPostgres
from podium.storage.postgres import pool as postgres
from podium.storage.redis import client as redis_client_module
from podium.storage.redis.client import RedisClient
from tests.conftest import SettableClock
from tests.integration.conftest import serving_services
from tests.integration.test_monitoring import watching
from tests.urls import with_parts
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("patient_looks")

SECRET = "known to nobody"
NEEDS_POSTGRES = ("/admin/v1/audit-log", "/v1/users/bob", "/v1/users/bob/metrics/words", "/admin/v1/users?limit=1")


@pytest.fixture
async def superuser(postgres: RunningPostgres, database_url: str) -> AsyncIterator[Any]:
    """A connection that no fault of a test cuts off; to another database than the test's."""
    connection = await asyncpg.connect(postgres.url)
    role = "CREATE ROLE app LOGIN PASSWORD '" + SECRET + "'; GRANT podium TO app"
    await connection.execute(role)
    yield connection
    await connection.execute("DROP ROLE app")
    await connection.close()


@pytest.fixture
async def services(
    redis_url: str,
    redis_client: RedisClient,
    database_url: str,
    admin_key: str,
    clock: SettableClock,
    superuser: Any,
) -> AsyncIterator[Services]:
    """A process with accounts of its own in both stores, a metric, and an event of ann."""
    await redis_client.raw.execute_command("ACL", "SETUSER", "app", "on", f">{SECRET}", "~*", "&*", "+@all")

    def of_app(url: str) -> str:
        return with_parts(url, username="app", password=SECRET)

    settings = Settings(redis_url=of_app(redis_url), database_url=of_app(database_url))
    async with open_services(settings, clock) as services, serving_services(services) as url:
        async with httpx.AsyncClient(base_url=url, headers={"X-API-KEY": admin_key}) as http:
            made = await http.post("/admin/v1/metrics", json=[{"name": "Words", "key": "words"}])
            assert made.status_code == 201, made.text
            assert (await post(http)).status_code == 201
        yield services
    await redis_client.raw.execute_command("ACL", "DELUSER", "app")


async def post(http: httpx.AsyncClient) -> httpx.Response:
    return await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 1})


@asynccontextmanager
async def changed(services: Services, superuser: Any, fault: str, end: str) -> AsyncIterator[None]:
    """A Postgres that was told something, and whose connections are new; taken back in the end."""
    database = "podium_test"
    await superuser.execute(fault.format(database=database))
    await services.pool.expire_connections()
    try:
        yield
    finally:
        await superuser.execute(end.format(database=database))
        await services.pool.expire_connections()


@pytest.mark.parametrize(
    ("fault", "end", "sentence"),
    [
        (
            "ALTER ROLE app PASSWORD 'another'",
            f"ALTER ROLE app PASSWORD '{SECRET}'",
            "Postgres refuses the login of Podium",
        ),
        ("ALTER ROLE app NOLOGIN", "ALTER ROLE app LOGIN", "Postgres refuses the login of Podium"),
        (
            "ALTER ROLE app CONNECTION LIMIT 0",
            "ALTER ROLE app CONNECTION LIMIT -1",
            "Postgres takes no more connections",
        ),
        ("REVOKE podium FROM app", "GRANT podium TO app", "Postgres denies Podium a right that it needs"),
        (
            "ALTER DATABASE {database} ALLOW_CONNECTIONS false",
            "ALTER DATABASE {database} ALLOW_CONNECTIONS true",
            "Postgres is away",
        ),
    ],
)
async def test_a_postgres_that_lets_nobody_in(
    services: Services, admin_key: str, superuser: Any, fault: str, end: str, sentence: str
) -> None:
    async with (
        serving_services(services) as url,
        httpx.AsyncClient(base_url=url, headers={"X-API-KEY": admin_key}) as http,
        watching(services) as watcher,
    ):
        async with changed(services, superuser, fault, end):
            for path in NEEDS_POSTGRES[:1]:
                answer = await http.get(path)
                assert (answer.status_code, answer.json()) == (503, {"error": sentence}), path
                assert int(answer.headers["retry-after"]) >= 1
            for path in NEEDS_POSTGRES[1:]:
                assert (await http.get(path)).status_code in (200, 404, 503), path
            assert (await post(http)).status_code == 201
            ready = await watcher.get("/readyz", headers={"X-API-KEY": admin_key})
            assert (ready.status_code, ready.json()["ready"]) == (200, True)
            assert [warning for warning in ready.json()["warnings"] if "events are accepted" in warning]
            assert SECRET not in ready.text
            assert "another" not in ready.text
        assert (await http.get(NEEDS_POSTGRES[0])).status_code == 200


async def test_a_database_that_is_gone(services: Services, admin_key: str, superuser: Any) -> None:
    end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'podium_test'"
    async with (
        serving_services(services) as url,
        httpx.AsyncClient(base_url=url, headers={"X-API-KEY": admin_key}) as http,
    ):

        async def rename(before: str, after: str) -> bool:
            await superuser.execute(end_all.replace("podium_test", before))
            with suppress(asyncpg.ObjectInUseError):
                await superuser.execute(f"ALTER DATABASE {before} RENAME TO {after}")
                return True
            return False

        await superuser.execute("DROP DATABASE IF EXISTS podium_elsewhere WITH (FORCE)")
        await until(lambda: rename("podium_test", "podium_elsewhere"))
        try:
            await services.pool.expire_connections()
            answer = await http.get(NEEDS_POSTGRES[0])
            assert (answer.status_code, answer.json()) == (503, {"error": "Postgres has no database of this name"})
            assert (await post(http)).status_code == 201
        finally:
            await until(lambda: rename("podium_elsewhere", "podium_test"))
            await services.pool.expire_connections()
        assert (await http.get(NEEDS_POSTGRES[0])).status_code == 200


async def test_a_standby(services: Services, admin_key: str, superuser: Any) -> None:
    """As after a failover: who comes back to the former primary reads, and can't write."""
    async with (
        serving_services(services) as url,
        httpx.AsyncClient(base_url=url, headers={"X-API-KEY": admin_key}) as http,
    ):
        setting = "default_transaction_read_only"
        async with changed(
            services, superuser, f"ALTER ROLE app SET {setting} = on", f"ALTER ROLE app RESET {setting}"
        ):
            answer = await http.post("/admin/v1/metrics", json=[{"name": "Steps", "key": "steps"}])
            assert (answer.status_code, answer.json()) == (
                503,
                {"error": "Postgres is a standby and takes no writes"},
            )
            assert (await http.get(NEEDS_POSTGRES[0])).status_code == 200
        # The connection that refused is not used again.
        answer = await http.post("/admin/v1/metrics", json=[{"name": "Steps", "key": "steps"}])
        assert answer.status_code == 201


def test_no_error_about_the_server_is_taken_for_ours() -> None:
    """The classes of SQLSTATE that speak of connections, logins, resources, operators and the system."""
    classes = ("08", "28", "3D", "53", "57", "58")
    found = [
        kind
        for kind in vars(asyncpg.exceptions).values()
        if isinstance(kind, type) and str(getattr(kind, "sqlstate", None))[:2] in classes
    ]
    assert len(found) > 25
    assert [kind.__name__ for kind in found if not issubclass(kind, postgres.AWAY)] == []


@asynccontextmanager
async def acl(redis_client: RedisClient, fault: list[str], end: list[str]) -> AsyncIterator[None]:
    await redis_client.raw.execute_command("ACL", "SETUSER", "app", *fault)
    await redis_client.raw.execute_command("CLIENT", "KILL", "USER", "app")
    try:
        yield
    finally:
        await redis_client.raw.execute_command("ACL", "SETUSER", "app", *end)


@pytest.mark.parametrize(
    ("fault", "end", "sentence"),
    [
        (["resetpass", ">another"], ["resetpass", f">{SECRET}"], "Redis refuses the login of Podium"),
        (["-hgetall", "-fcall"], ["+@all"], "Redis denies Podium's user a right that it needs"),
    ],
)
async def test_a_redis_that_lets_nobody_in(
    services: Services,
    admin_key: str,
    redis_client: RedisClient,
    fault: list[str],
    end: list[str],
    sentence: str,
) -> None:
    async with (
        serving_services(services) as url,
        httpx.AsyncClient(base_url=url, headers={"X-API-KEY": admin_key}, timeout=60) as http,
        watching(services) as watcher,
    ):
        async with acl(redis_client, fault, end):
            answer = await post(http)
            assert (answer.status_code, answer.json()) == (503, {"error": sentence})
            assert int(answer.headers["retry-after"]) >= 1
            ready = await watcher.get("/readyz", headers={"X-API-KEY": admin_key})
            assert (ready.status_code, ready.json()["ready"]) == (503, False), ready.text
            assert ready.json()["parts"]["redis"]["detail"] == sentence
            assert SECRET not in ready.text

        async def works() -> bool:
            return (await post(http)).status_code == 201

        await until(works)


async def test_a_redis_that_is_busy_or_full_of_clients(
    services: Services, redis_client: RedisClient, redis_url: str
) -> None:
    async def says() -> str:
        try:
            await services.redis.call("load", "{x}:meta", "epoch", "ann")
        except redis_client_module.Unavailable as error:
            return str(error)
        return ""

    async def says_so(sentence: str) -> Callable[[], Any]:
        async def said() -> bool:
            return await says() == sentence

        await until(said)
        return said

    await redis_client.raw.config_set("busy-reply-threshold", 1)
    looping = RedisClient(redis_url)
    task = asyncio.create_task(looping.raw.execute_command("EVAL", "while true do end", 0))
    try:
        await says_so("Redis is busy with somebody's script")
    finally:
        await redis_client.raw.script_kill()
        await asyncio.gather(task, return_exceptions=True)
        await looping.aclose()
        await redis_client.raw.config_set("busy-reply-threshold", 5_000)
    await says_so("")
    before = (await redis_client.raw.config_get("maxclients"))["maxclients"]
    await redis_client.raw.config_set("maxclients", 1)
    await redis_client.raw.execute_command("CLIENT", "KILL", "USER", "app")
    try:
        await says_so("Redis takes no more connections")
    finally:
        await redis_client.raw.config_set("maxclients", before)
    await says_so("")


async def test_what_is_no_redis_says_so() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    client = RedisClient(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    with pytest.raises(redis_client_module.Unavailable, match="is no Redis"):
        await client.call("load", "{x}:meta", "epoch", "ann")
    await client.aclose()
    server.close()


def test_no_refusal_of_redis_is_taken_for_ours() -> None:
    """Every error code for which redis-py has a class speaks of Redis, but for those of our own calls."""
    ours = {redis_errors.ExecAbortError, redis_errors.NoScriptError, redis_errors.ClusterCrossSlotError}
    found = [
        kind
        for kind in redis_client_module._Parser.EXCEPTION_CLASSES.values()
        if isinstance(kind, type) and kind not in ours
    ]
    assert len(found) > 10
    assert [kind.__name__ for kind in found if not issubclass(kind, redis_client_module.AWAY)] == []
