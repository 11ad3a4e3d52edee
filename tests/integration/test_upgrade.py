"""A database that an earlier release left (tests/upgrade) is migrated, Redis is rebuilt from it, and nothing of
what users were told has changed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from podium.cli.admin_tasks import migrate_and_prepare
from podium.console import accounts
from podium.services import Services
from podium.storage.embedded import RunningPostgres
from podium.storage.postgres import schema
from podium.writebehind.rebuild import rebuild
from tests.conftest import SettableClock
from tests.integration.test_boards import flush
from tests.urls import with_parts

FILES = Path(__file__).parents[1] / "upgrade"
RELEASE = "bd675bd"
SCHEMA = "0012"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """What the earlier release answered."""
    found: dict[str, Any] = json.loads((FILES / f"{RELEASE}.json").read_text())
    return found


@pytest.fixture
async def old_url(postgres: RunningPostgres) -> str:
    """The database as the earlier release left it."""
    url = with_parts(postgres.url, database="podium_upgrade")
    async with connected(postgres.url) as connection:
        await connection.execute("DROP DATABASE IF EXISTS podium_upgrade WITH (FORCE)")
        await connection.execute("CREATE DATABASE podium_upgrade TEMPLATE template0")
    async with connected(url) as connection:
        await connection.execute((FILES / f"{RELEASE}.sql").read_text())
    async with connected(url) as connection:  # the dump leaves its own search path behind
        assert await schema.found(connection) == SCHEMA
    return url


@pytest.fixture
async def database_url(old_url: str) -> str:
    """The same, migrated."""
    done: list[str] = []
    await migrate_and_prepare(old_url, done.append)
    assert [name[:4] for name in done] == [
        number for path in schema.migrations() if (number := schema.number_of(path)) > SCHEMA
    ]
    return old_url


@pytest.fixture
def admin_key(said: dict[str, Any]) -> str:
    """The key that the earlier release gave out."""
    key: str = said["admin_key"]
    return key


@pytest.fixture
def clock(said: dict[str, Any]) -> SettableClock:
    """It is the day on which the dump was made."""
    clock = SettableClock()
    clock.now_ms = int(datetime.fromisoformat(said["made_at"]).timestamp() * 1000)
    return clock


@pytest.fixture
async def upgraded(services: Services) -> Services:
    """This release on the migrated database, with a Redis that was empty."""
    space = services.directory.production
    assert space.epoch is None
    done = await rebuild(services.pool, services.redis, space, services.clock)
    assert done is not None
    assert done.users == await services.pool.fetchval("SELECT count(*) FROM users")
    await services.directory.refresh()
    assert space.epoch is not None
    return services


async def get(http: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await http.get(f"/v1/{path}", params=query)
    assert answer.status_code == 200, (path, answer.text)
    return answer.json()


@pytest.mark.usefixtures("upgraded")
async def test_an_upgraded_database_gives_the_answers_of_before(
    http: httpx.AsyncClient, said: dict[str, Any]
) -> None:
    for key, rankings in said["rankings"].items():
        assert rankings, key
        assert (await get(http, f"leaderboards/{key}", limit=100))["rankings"] == rankings, key
    for day, rankings in said["days"].items():
        assert (await get(http, "leaderboards/daily", run=day, limit=100))["rankings"] == rankings, day
    groups = (await get(http, "leaderboards/cities/groups", limit=100))["rankings"]
    assert [(row["group"], row["rank"], row["value"]) for row in groups] == [
        (row["group"], row["rank"], row["value"]) for row in said["groups"]
    ]
    for user, streak in said["streaks"].items():
        found = await get(http, f"users/{user}/streak")
        assert {field: found[field] for field in streak} == streak, user
        assert (await get(http, f"users/{user}/points/xp"))["total"] == said["points"][user]
        assert (await get(http, f"users/{user}/metrics/words"))["current"] == said["metrics"][user]
        achieved = await get(http, f"users/{user}/achievements")
        assert sorted(one["name"] for one in achieved) == said["achievements"][user]


async def test_after_an_upgrade_events_count_on_and_old_keys_count_once(
    http: httpx.AsyncClient, upgraded: Services, said: dict[str, Any]
) -> None:
    sent = said["event"]
    path, user = f"/v1/metrics/{sent['metric']}/event", sent["body"]["user"]["id"]
    repeated = await http.post(path, json=sent["body"], headers={"Idempotency-Key": sent["key"]})
    assert (repeated.status_code, repeated.json()["eventId"]) == (202, said["event_id"])

    before = said["metrics"][user]
    answer = await http.post("/v1/metrics/words/event", json={"user": {"id": user}, "value": 1_000})
    assert (answer.status_code, answer.json()["total"]) == (201, before + 1_000)
    assert answer.json()["leaderboards"]["all-time"]["rank"] == 1
    await flush(upgraded)
    query = "SELECT sum(units) FROM events WHERE user_id = $1 AND metric = (SELECT number FROM catalog_items"
    stored = await upgraded.pool.fetchval(f"{query} WHERE key = 'words')", user)
    assert stored == (before + 1_000) * 1_000


async def test_a_console_account_of_before_an_upgrade_lets_its_person_in(
    upgraded: Services, said: dict[str, Any]
) -> None:
    who = said["account"]
    account = await accounts.check(upgraded.pool, who["email"], who["password"])
    assert account is not None
    assert (account.email, account.role) == (who["email"], "support")
    assert await accounts.check(upgraded.pool, who["email"], "another one") is None
