"""Real stores for tests: one embedded Valkey and Postgres per test process, a fresh database per test."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator

import asyncpg
import hypothesis
import msgspec
import pytest
import redis
from httpx._transports import default as transports

from podium.spaces import store
from podium.spaces.directory import Directory
from podium.spaces.space import Space
from podium.storage.embedded import (
    DataFolder,
    RunningPostgres,
    RunningValkey,
    start_postgres,
    start_valkey,
    temporary_folder,
)
from podium.storage.postgres.migrate import migrate
from podium.storage.postgres.pool import Pool, open_pool
from podium.storage.redis.client import RedisClient
from podium.storage.redis.keys import LAYOUT, Keys
from tests.places import roomy
from tests.urls import with_parts
from tests.waiting import until

TEMPLATE = "podium_template"
EPOCH = "epoch-1"
START_MS = 1_795_435_200_000
"""2026-11-23T12:00:00Z."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--fuzz``: the large profiles of schemathesis and Hypothesis. ``--chaos-seed``: other faults."""
    parser.addoption("--fuzz", action="store_true", help="many more made-up requests and histories")
    parser.addoption("--chaos-seed", type=int, default=1, help="what the faults of tests/chaos follow from")


def pytest_configure(config: pytest.Config) -> None:
    """Histories that Hypothesis makes up: a hundred for each test, with ``--fuzz`` two thousand."""
    config.addinivalue_line("markers", "fuzz: one more of many histories, only with --fuzz")
    hypothesis.settings.register_profile(
        "podium", deadline=None, max_examples=2_000 if config.option.fuzz else 100
    )
    hypothesis.settings.load_profile("podium")
    # Each client would read all certificates of the machine, for 45 ms; no test speaks TLS.
    transports.create_ssl_context = functools.cache(transports.create_ssl_context)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that are marked ``fuzz``, but with ``--fuzz``."""
    if config.option.fuzz:
        return
    left_out = [item for item in items if item.get_closest_marker("fuzz") is not None]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.get_closest_marker("fuzz") is None]


class SettableClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.now_ms += ms


@pytest.fixture(scope="session")
def data_folder() -> Iterator[DataFolder]:
    """The data folder of this test process."""
    with temporary_folder(roomy()) as folder:
        yield folder


@pytest.fixture(scope="session")
def valkey(data_folder: DataFolder) -> Iterator[RunningValkey]:
    """A Valkey for this test process, shared by its tests."""
    with start_valkey(data_folder, fsync="no") as server:
        yield server


@pytest.fixture(scope="session")
def debian_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the oldest Redis that Podium supports, as Debian packages it."""
    program = shutil.which("redis-server")
    if program is None:
        assert not os.environ.get("CI"), "install the package redis-server: in CI Redis must be tested"
        pytest.skip("install the package redis-server to test on Redis besides Valkey")
    socket_path = tmp_path_factory.mktemp("redis") / "s"
    url = f"unix://{socket_path}"
    options = ["--port", "0", "--unixsocket", str(socket_path), "--save", "", "--loglevel", "warning"]
    with subprocess.Popen([program, *options], cwd=socket_path.parent, stdout=subprocess.DEVNULL) as server:
        asyncio.run(until(lambda: _answers(url)))
        yield url
        server.terminate()


@pytest.fixture(scope="session")
def postgres(data_folder: DataFolder) -> Iterator[RunningPostgres]:
    """A Postgres for this test process, with a migrated template database."""
    settings = {
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "shared_buffers": "32MB",
    }
    with start_postgres(data_folder, settings=settings) as server:
        asyncio.run(_execute(server.url, f"CREATE DATABASE {TEMPLATE}"))
        asyncio.run(migrate(_database(server.url, TEMPLATE)))
        yield server


@pytest.fixture
def redis_url(valkey: RunningValkey) -> str:
    """An empty Valkey (its functions stay loaded)."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey.url


@pytest.fixture
async def database_url(postgres: RunningPostgres) -> str:
    """A migrated database without any space, until the next test that wants one."""
    # FILE_COPY takes half the time of the default, as nothing is synced here.
    await _execute(
        postgres.url,
        "DROP DATABASE IF EXISTS podium_test WITH (FORCE)",
        f"CREATE DATABASE podium_test TEMPLATE {TEMPLATE} STRATEGY FILE_COPY",
    )
    return _database(postgres.url, "podium_test")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """Connections to the test's database."""
    pool = await open_pool(database_url)
    yield pool
    await pool.close()


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[RedisClient]:
    """A client of the test's Valkey."""
    client = RedisClient(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def clock() -> SettableClock:
    """The test's time: ``clock.now_ms``, ``clock.advance(ms)``."""
    return SettableClock()


@pytest.fixture
async def space_id(pool: Pool, redis_client: RedisClient, clock: SettableClock) -> int:
    """A production space with an empty catalog; Redis holds its epoch, Postgres the position of its log."""
    async with pool.acquire() as connection:
        id_ = await store.create_space(connection, now_ms=clock.now_ms)
        public_id = await connection.fetchval("SELECT public_id FROM spaces WHERE id = $1", id_)
        log_id = await seed_redis(redis_client, public_id)
        await connection.execute(
            "INSERT INTO log_positions (space_id, epoch, log_id) VALUES ($1, $2, $3)", id_, EPOCH, log_id
        )
    return id_


@pytest.fixture
async def admin_key(pool: Pool, space_id: int) -> str:
    """A key of the space that may do everything."""
    async with pool.acquire() as connection:
        return await store.create_key(connection, space_id, "test")


@pytest.fixture
async def directory(
    pool: Pool, redis_client: RedisClient, database_url: str, clock: SettableClock, admin_key: str
) -> Directory:
    """A directory that knows the test's space; nothing watches."""
    directory = Directory(pool, redis_client, database_url, clock)
    await directory.refresh()
    return directory


@pytest.fixture
def space(directory: Directory) -> Space:
    """The test's space."""
    return directory.production


async def seed_redis(client: RedisClient, public_id: str, *, epoch: str = EPOCH, version: int = 1) -> str:
    """Give a space its epoch and the first entry of its log, as a rebuild does; the entry's id."""
    keys = Keys(public_id)
    await client.raw.hset(keys.meta, mapping={"epoch": epoch, "catalog": version, "layout": LAYOUT})
    log_id: bytes = await client.raw.xadd(keys.log, {"v": 0, "t": 0, "e": msgspec.msgpack.encode([])})
    assert await client.call("confirm", keys.meta, epoch, log_id, "1") == [0, b""]
    return log_id.decode()


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _database(url: str, name: str) -> str:
    return with_parts(url, database=name)
