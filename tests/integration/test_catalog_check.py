"""A refusal by an old catalog is looked at again: two processes, one of which hears of nothing by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from podium.game.errors import Forbidden, NotFound, Unprocessable
from podium.intake.answers import logged_answer
from podium.live.channels import LeaderboardChannel
from podium.live.hub import Hub
from podium.live.protocol import CommandError
from podium.live.rpc import EventRpc
from podium.services import Services, open_services
from podium.spaces import catalog_check
from podium.spaces.directory import Directory
from podium.spaces.space import Space
from tests.conftest import SettableClock
from tests.integration.conftest import serving_services
from tests.integration.test_boards import make

EVENT = {"user": {"id": "ann"}, "value": 1}


@pytest.fixture
async def deaf(
    services: Services, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Services]:
    """Another process on the same stores, which hears of no catalog by itself."""

    async def hears_nothing(_: Directory) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Directory, "watch", hears_nothing)
    async with open_services(services.settings, clock) as deaf:
        deaf.reads.ask = services.reads.ask
        yield deaf


@pytest.fixture
async def there(deaf: Services, admin_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that process."""
    async with (
        serving_services(deaf) as url,
        httpx.AsyncClient(base_url=url, headers={"X-API-KEY": admin_key}) as client,
    ):
        yield client


async def test_what_was_just_made_is_known_everywhere(
    http: httpx.AsyncClient, there: httpx.AsyncClient, deaf: Services
) -> None:
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words"})
    assert (await there.post("/v1/metrics/words/event", json=EVENT)).status_code == 201

    await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    event = {"user": {"id": "ann", "attributes": {"city": "Oslo"}}, "value": 1}
    assert (await there.post("/v1/metrics/words/event", json=event)).status_code == 201

    await make(http, "metrics", {"name": "Pages", "key": "pages"})
    batch = await there.post("/admin/v1/metrics/events", json=[{"key": "pages", **EVENT}])
    assert (batch.status_code, batch.json()["accepted"]) == (202, 1)

    await make(http, "metrics", {"name": "Books", "key": "books"})
    assert (await there.get("/v1/users/ann/metrics/books")).status_code == 200

    common = {"rankBy": "metric", "metricId": metric["id"], "start": "2026-01-01", "status": "active"}
    await make(http, "leaderboards", {**common, "name": "All", "key": "all"})
    assert (await there.get("/v1/leaderboards/all")).status_code == 200

    [system] = await make(http, "points", {"name": "XP", "key": "xp"})
    award = await there.post(
        f"/admin/v1/points/{system['id']}/awards", json=[{"userId": "ann", "amount": 5, "reason": "kind"}]
    )
    assert award.status_code in (200, 201), award.text

    await make(http, "attributes", {"name": "Team", "key": "team", "type": "user"})
    changed = await there.patch("/v1/users/ann", json={"attributes": {"team": "red"}})
    assert (changed.status_code, changed.json()["attributes"]["team"]) == (200, "red"), changed.text
    assert deaf.directory.production.index.catalog.attributes[-1].key == "team"


async def test_over_the_socket(http: httpx.AsyncClient, deaf: Services) -> None:
    space, rpc = deaf.directory.production, EventRpc(deaf.intake, deaf.catalogs, deaf.clock)
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words"})
    data = msgspec.json.encode({"key": "words", "user": "ann", "value": 1})
    assert msgspec.json.decode(await rpc.post_event(space, data, None))["total"] == 1
    await make(http, "metrics", {"name": "Pages", "key": "pages"})
    data = msgspec.json.encode([{"key": "pages", **EVENT}])
    assert msgspec.json.decode(await rpc.post_events(space, data, None))["accepted"] == 1

    common = {"rankBy": "metric", "metricId": metric["id"], "start": "2026-01-01", "status": "active"}
    await make(http, "leaderboards", {**common, "name": "All", "key": "all"})
    hub = Hub(deaf.redis, deaf.clock, deaf.thaw, logged_answer, deaf.standings)
    channel = LeaderboardChannel("all")

    async def resolved() -> Any:
        return hub.resolve(space, channel)

    with pytest.raises(CommandError):
        await hub.retry_with_newer_catalog(space, resolved)
    hub.has_newer_catalog = deaf.catalogs.has_newer
    assert (await hub.retry_with_newer_catalog(space, resolved)).config.key == "all"
    channel = LeaderboardChannel("nothing")
    with pytest.raises(CommandError):
        await hub.retry_with_newer_catalog(space, resolved)


async def test_what_nobody_knows_costs_postgres_nothing(
    there: httpx.AsyncClient, deaf: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    hget = deaf.redis.raw.hget

    async def counted(*args: str) -> Any:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        return await hget(*args)

    async def refresh(_: Space) -> None:
        raise AssertionError("Postgres was asked")

    monkeypatch.setattr(deaf.redis.raw, "hget", counted)
    monkeypatch.setattr(deaf.catalogs, "_refresh", refresh)
    answers = await asyncio.gather(*(there.post("/v1/metrics/none/event", json=EVENT) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {422}
    assert 0 < looks <= 50
    looks = 0
    space = deaf.directory.production
    assert not any(await asyncio.gather(*(deaf.catalogs.has_newer(space, 1) for _ in range(50))))
    assert looks == 2  # the first one's, and one for all who asked after it had begun


async def test_a_version_that_postgres_does_not_have_is_asked_for_once(
    deaf: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres is an older copy."""
    monkeypatch.setattr(catalog_check, "RETRY_S", 3_600)
    space = deaf.directory.production
    await deaf.redis.raw.hset(space.keys.meta, "catalog", "99")
    asked = 0

    async def refresh(_: Space) -> None:
        nonlocal asked
        asked += 1

    monkeypatch.setattr(deaf.catalogs, "_refresh", refresh)
    for _ in range(5):
        assert not await deaf.catalogs.has_newer(space, space.index.version)
    assert asked == 1


@pytest.mark.parametrize("error", [NotFound, Unprocessable, Forbidden])
async def test_a_refusal_stands_where_nothing_is_newer(deaf: Services, error: type[Exception]) -> None:
    tries = 0

    async def attempt() -> None:
        nonlocal tries
        tries += 1
        raise error("no")

    with pytest.raises(error):
        await deaf.catalogs.retried(deaf.directory.production, attempt)
    assert tries == 1
