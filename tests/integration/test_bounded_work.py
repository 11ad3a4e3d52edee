"""What an answer costs does not grow with what is stored: rows out of Postgres, bytes, and turns of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from podium.api.users import admin
from podium.app import ENDPOINTS
from podium.game.points.model import Boost
from podium.services import Services
from podium.spaces import directory, store
from podium.spaces.item_kinds import BOOST
from tests.integration.test_boards import make

SPARE_ROWS = 5
PAGED: dict[str, str] = {
    "/v1/users/{id}": "/v1/users/ann",
    "/v1/users/{id}/metrics/{key}": "/v1/users/ann/metrics/words",
    "/v1/users/{id}/metrics/{key}/event-summary": (
        "/v1/users/ann/metrics/words/event-summary?aggregation=monthly&startDate=2026-01-01&endDate=2026-02-01"
    ),
    "/v1/users/{id}/points/{key}": "/v1/users/ann/points/xp?awards=5",
    "/v1/users/{id}/streak": "/v1/users/ann/streak",
    "/v1/leaderboards/{key}": "/v1/leaderboards/top?limit=5",
    "/v1/leaderboards/{key}/around/{userId}": "/v1/leaderboards/top/around/ann?k=2",
    "/v1/points/{key}/summary": "/v1/points/xp/summary",
    "/admin/v1/users": "/admin/v1/users?limit=5",
    "/admin/v1/users/{id}/timeline": "/admin/v1/users/ann/timeline?limit=5&kinds=event,points,support",
    "/admin/v1/events": "/admin/v1/events?limit=5",
    "/admin/v1/metrics": "/admin/v1/metrics?limit=5",
    "/admin/v1/points/{systemId}/boosts": "/admin/v1/points/{system}/boosts?limit=5",
    "/admin/v1/audit-log": "/admin/v1/audit-log?limit=5",
    "/admin/v1/catalog": "/admin/v1/catalog",
}
"""Reads with a page or a period, of which ten times as much is stored later."""


@contextmanager
def rows_fetched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The rows that Postgres gives inside the block, query by query."""
    counted: list[int] = []

    def counting(method: Callable[..., Any]) -> Callable[..., Any]:
        async def fetch(self: Any, *args: Any, **named: Any) -> Any:
            found = await method(self, *args, **named)
            counted.append(len(found) if isinstance(found, list) else 1)
            return found

        return fetch

    with monkeypatch.context() as patch:
        for name in ("fetch", "fetchrow", "fetchval"):
            patch.setattr(asyncpg.Connection, name, counting(getattr(asyncpg.Connection, name)))
        yield counted


async def fill(http: httpx.AsyncClient, system: str, first: int, last: int) -> None:
    """Events of ann with as many values of an attribute, other users, boosts of these, metrics."""
    began = datetime(2026, 3, 1, tzinfo=UTC)
    for user in ("ann", "user-{}"):
        items = [
            {
                "key": "words",
                "user": {"id": user.format(n)},
                "value": 1,
                "attributes": {"lesson": f"l{n}"},
                "timestamp": (began + timedelta(hours=n)).isoformat(),
            }
            for n in range(first, last)
        ]
        assert (await http.post("/admin/v1/metrics/events", json=items)).status_code == 202
    boosts = [
        {"name": "b", "start": "2026-01-01", "multiplier": 2, "userId": f"b-{n}"} for n in range(first, last)
    ]
    for at in range(0, len(boosts), 100):
        await make(http, f"points/{system}/boosts", *boosts[at : at + 100])
    await make(http, "metrics", *({"name": "M", "key": f"m{n}"} for n in range(first, min(last, first + 50))))


async def test_what_a_page_costs_does_not_grow_with_what_is_stored(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {*PAGED} <= {one.path for one in ENDPOINTS}
    await make(http, "attributes", {"name": "L", "key": "lesson", "type": "event"})
    [metric] = await make(http, "metrics", {"name": "W", "key": "words", "decimals": 0})
    trigger = {"type": "metric", "metricId": metric["id"], "metricThreshold": 1, "points": 1, "status": "active"}
    [system] = await make(http, "points", {"name": "XP", "key": "xp", "triggers": [trigger]})
    board = {"rankBy": "metric", "metricId": metric["id"], "status": "active", "start": "2026-01-01"}
    await make(http, "leaderboards", {"name": "Top", "key": "top", **board})

    async def costs() -> dict[str, tuple[int, int]]:
        found = {}
        for name, path in PAGED.items():
            with rows_fetched(monkeypatch) as counted:
                answer = await http.get(path.format(system=system["id"]))
            assert answer.status_code == 200, answer.text
            found[name] = sum(counted), len(answer.content)
        return found

    await fill(http, system["id"], 0, 20)
    await costs()  # statements are prepared, and what is kept is known
    before = await costs()
    await fill(http, system["id"], 20, 200)
    await costs()
    after = await costs()
    for name, (rows, size) in after.items():
        assert rows <= before[name][0] + SPARE_ROWS, (name, before[name], after[name])
        if name != "/admin/v1/catalog":  # it has the metrics
            assert size <= before[name][1] * 1.5 + 500, (name, before[name], after[name])


async def test_a_catalog_that_is_known_is_not_read_again(
    http: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to show it nor to change it; by a process that has not heard of the newest version it is."""
    await make(http, "metrics", *({"name": "M", "key": f"m{n}"} for n in range(50)))
    space = services.directory.production
    with rows_fetched(monkeypatch) as counted:
        assert len((await http.get("/admin/v1/metrics?limit=100")).json()) == 50
        await make(http, "metrics", {"name": "M", "key": "another"})
    assert max(counted) < 50
    older, newest = space.index, space.index
    assert [one.key for one in newest.catalog.metrics][-1] == "another"
    space.index = type(older)(msgspec.structs.replace(older.catalog, version=older.version - 1, metrics=()))
    assert len((await http.get("/admin/v1/metrics?limit=100")).json()) == 51


async def test_a_version_that_is_kept_is_what_is_loaded(http: httpx.AsyncClient, services: Services) -> None:
    """Postgres puts it together from the items."""
    await make(http, "metrics", {"name": "M", "key": "m"}, {"name": "N", "key": "n"})
    await http.patch("/admin/v1/settings", json={"homeZone": "Asia/Tokyo"})
    space = services.directory.production
    async with services.pool.acquire() as connection:
        kept = await connection.fetch("SELECT version, catalog FROM catalog_versions ORDER BY version")
        loaded = await store.load_catalog(connection, space.id)
    assert [row["version"] for row in kept] == [*range(1, loaded.version + 1)]
    assert kept[-1]["catalog"] == msgspec.json.decode(msgspec.json.encode(loaded))
    assert kept[0]["catalog"]["metrics"] == []


async def turns_of(work: Any) -> int:
    """How often others have their turn until some work is done."""
    task = asyncio.ensure_future(work)
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    await task
    return turns


async def test_a_large_catalog_is_loaded_and_let_go_in_parts(
    http: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ITEMS_AT_ONCE", 10)
    [system] = await make(http, "points", {"name": "XP", "key": "xp"})
    boosts = [{"name": "b", "start": "2026-01-01", "multiplier": 2, "userId": f"b-{n}"} for n in range(100)]
    await make(http, f"points/{system['id']}/boosts", *boosts)
    space = services.directory.production
    yields = 0
    sleep = asyncio.sleep

    async def counted(delay: float, *args: Any) -> None:
        nonlocal yields
        yields += delay == 0
        await sleep(delay, *args)

    async with services.pool.acquire() as connection:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", counted)
            loaded = await store.load_catalog(connection, space.id)
            assert yields >= 10
            yields = 0
            newer = msgspec.structs.replace(loaded, version=loaded.version + 1)
            await directory._replace(space, newer)
            assert yields >= 9
    assert space.index.catalog is newer
    assert isinstance(BOOST.of(newer)[0], Boost)


async def test_deleting_a_points_system_with_very_many_boosts(http: httpx.AsyncClient, services: Services) -> None:
    """They are taken out at once, not one after the other: each would copy the rest."""
    [system, other] = await make(http, "points", {"name": "A", "key": "a"}, {"name": "B", "key": "b"})
    for one in (system, other):
        boosts = [{"name": "b", "start": "2026-01-01", "multiplier": 2, "userId": f"u{n}"} for n in range(30)]
        await make(http, f"points/{one['id']}/boosts", *boosts)
    answer = await http.delete("/admin/v1/points", params={"ids": system["id"]})
    assert answer.json() == {"deleted": [{"id": system["id"]}], "issues": []}
    left = BOOST.of(services.directory.production.index.catalog)
    assert [boost.system_id for boost in left] == [other["id"]] * 30
    rows = (await http.get("/admin/v1/audit-log", params={"kind": "points boost", "action": "delete"})).json()
    assert len(rows["rows"]) == 30


async def test_an_export_is_read_and_sent_in_parts(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the parts are, it is the same; and never more rows at once than a part has."""
    await make(http, "metrics", {"name": "W", "key": "words", "decimals": 0})
    began = datetime(2026, 3, 1, tzinfo=UTC)
    at = [(began + timedelta(minutes=n)).isoformat() for n in range(250)]
    items = [{"key": "words", "user": {"id": "ann"}, "value": 1, "timestamp": one} for one in at]
    assert (await http.post("/admin/v1/metrics/events", json=items)).status_code == 202
    whole = (await http.get("/admin/v1/users/ann/export")).json()
    assert len(whole["tables"]["events"]) == 250
    assert (whole["eventsComplete"], whole["cut"]) == (True, [])
    monkeypatch.setattr(admin, "ROWS_AT_ONCE", 7)
    small = (await http.get("/admin/v1/users/ann/export")).json()
    for one in (whole, small):
        del one["tables"]["auditLog"]  # it says who exported
    assert small == whole
    monkeypatch.setattr(admin, "ROWS_MAX", 40)
    cut = (await http.get("/admin/v1/users/ann/export")).json()
    assert (len(cut["tables"]["events"]), cut["eventsComplete"], cut["cut"]) == (40, False, ["events"])
    assert cut["tables"]["events"] == whole["tables"]["events"][:40]
