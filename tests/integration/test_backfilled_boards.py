"""A leaderboard that is made over history counts it: its past runs fill, once, whatever is posted meanwhile."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from podium.jobs.backfill import Round
from podium.jobs.finals import Finals
from podium.services import Services
from tests.backfills import backfill, backfill_of
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, get, make, places, score

HISTORY = (
    ("2024-12-31T23:30:00Z", "a", 3),  # in Auckland it is 2025 by then
    ("2025-01-15T12:00:00Z", "a", 5),
    ("2025-02-01T00:00:00Z", "b", 4),
    ("2025-02-27T12:00:00Z", "a", 1),
    ("2026-11-20T12:00:00Z", "b", 2),
)


@pytest.fixture
async def metric(http: httpx.AsyncClient, services: Services) -> str:
    """A metric with two years of history: a in Auckland, b in Oslo."""
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words"})
    await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    zones = {"a": ("Pacific/Auckland", "Auckland"), "b": ("Europe/Oslo", "Oslo")}
    for user, (tz, city) in zones.items():
        await http.put(f"/v1/users/{user}", json={"tz": tz, "attributes": {"city": city}})
    for at, user, value in HISTORY:
        event = {"user": {"id": user}, "value": value, "timestamp": at}
        assert (await http.post("/v1/metrics/words/event", json=event)).status_code == 201
    return str(metric["id"])


@pytest.fixture
async def city(http: httpx.AsyncClient, metric: str) -> str:
    return str((await http.get("/admin/v1/attributes")).json()[0]["id"])


async def board(http: httpx.AsyncClient, metric: str, **fields: Any) -> str:
    common = {"name": "Month", "key": "month", "rankBy": "metric", "metricId": metric, "status": "active"}
    run = {"start": "2025-01-01", "runUnit": "month", "runInterval": 1}
    [row] = await make(http, "leaderboards", {**common, **run, **fields})
    return str(row["id"])


async def run(http: httpx.AsyncClient, day: str) -> list[tuple[Any, ...]]:
    return places((await get(http, "month", run=day))["rankings"])


async def test_past_runs_fill(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str
) -> None:
    await board(http, metric)
    filling = backfill_of(services)
    assert await filling.round() == Round()  # Postgres does not have all of the past yet
    await flush(services)
    assert await filling.round() == Round(users=2, counted=2)
    assert await run(http, "2025-01-31") == [(1, "a", 8)]
    assert await run(http, "2025-02-01") == [(1, "b", 4), (2, "a", 1)]
    assert await run(http, "2026-11-30") == [(1, "b", 2)]
    assert await filling.round() == Round()

    # What comes later counts on top, in a run that the state still holds and in one that it let go of.
    assert (await score(http, clock, "b", 5))["month"]["rank"] == 1
    assert await run(http, "2026-11-30") == [(1, "b", 7)]
    await flush(services)
    entries = "SELECT run, user_id, value FROM standings ORDER BY run, value DESC"
    stored = [tuple(row) for row in await services.pool.fetch(entries)]
    thousand = 1_000
    assert stored == [
        ("20250101", "a", 8 * thousand),
        ("20250201", "b", 4 * thousand),
        ("20250201", "a", 1 * thousand),
        ("20261101", "b", 7 * thousand),
    ]

    # A day later they are history.
    clock.now_ms += DAY_MS
    finals = Finals(services.pool, services.redis, services.directory, services.directory.production, clock)
    assert await finals.round() == 2
    assert await run(http, "2025-02-01") == [(1, "b", 4), (2, "a", 1)]


async def test_what_was_counted_meanwhile_counts_once(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str
) -> None:
    await board(http, metric, start="2024-12-01", runUnit=None, runInterval=None)
    await score(http, clock, "b", 10)
    await score(http, clock, "new", 1)
    assert await backfill(services) == 2
    assert await run(http, "2026-11-23") == [(1, "b", 16), (2, "a", 9), (3, "new", 1)]
    # Another worker, or this one after a crash before it was written down.
    await services.pool.execute("DELETE FROM board_fills")
    assert await backfill(services) == 0
    assert await run(http, "2026-11-23") == [(1, "b", 16), (2, "a", 9), (3, "new", 1)]


async def test_who_was_taken_off_does_not_come_back(
    http: httpx.AsyncClient, services: Services, metric: str
) -> None:
    id_ = await board(http, metric, start="2024-12-01", runUnit=None, runInterval=None)
    await http.delete(f"/admin/v1/leaderboards/{id_}/users", params={"ids": "b"})
    assert await backfill(services) == 1
    assert await run(http, "2026-11-23") == [(1, "a", 9)]


async def test_a_user_who_posts_all_the_time_is_filled_from_the_log(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str
) -> None:
    await board(http, metric, start="2024-12-01", runUnit=None, runInterval=None)
    await flush(services)
    filling = backfill_of(services)
    assert await filling._watermark.reached()
    await score(http, clock, "b", 10)  # after the catalog, and not flushed yet: Postgres is always behind
    assert (await filling.round()).counted == 2
    assert await run(http, "2026-11-23") == [(1, "b", 16), (2, "a", 9)]
    await flush(services)
    assert await run(http, "2026-11-23") == [(1, "b", 16), (2, "a", 9)]


async def test_groups_windows_and_audiences(
    http: httpx.AsyncClient, services: Services, metric: str, city: str
) -> None:
    await board(http, metric, key="groups", groupBy=city)
    await board(http, metric, key="best", operator="best", endTime="12:30")  # 13:00 in Oslo, 01:00 in Auckland
    await board(http, metric, key="oslo", userAttributes=[{"attributeId": city, "attributeValue": "Oslo"}])
    await backfill(services)
    february: Any = await get(http, "groups/groups", run="2025-02-01")
    assert places(february["rankings"]) == [(1, "Oslo", 4), (2, "Auckland", 1)]
    assert places((await get(http, "oslo", run="2025-02-01"))["rankings"]) == [(1, "b", 4)]
    assert places((await get(http, "oslo", run="2025-01-01"))["rankings"]) == []
    assert places((await get(http, "best", run="2025-02-01"))["rankings"]) == [(1, "b", 4), (2, "a", 1)]
    assert places((await get(http, "best", run="2026-11-20"))["rankings"]) == []
    await flush(services)
    states = await services.pool.fetch("SELECT id, state FROM users ORDER BY id")
    # Runs that nothing can reach any more are not kept in the states.
    assert all("20250101" not in row["state"] for row in states if row["id"] == "b")


async def test_a_board_that_is_not_active_yet_fills_when_it_is(
    http: httpx.AsyncClient, services: Services, metric: str
) -> None:
    id_ = await board(http, metric, status="inactive")
    assert await backfill(services) == 0
    changed = await http.patch("/admin/v1/leaderboards", json=[{"id": id_, "status": "active"}])
    assert changed.status_code == 200, changed.text
    assert await backfill(services) == 2
    assert await run(http, "2025-01-31") == [(1, "a", 8)]


async def test_points_and_streaks_fill_too(
    http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    [words] = await make(http, "metrics", {"name": "Words", "key": "words"})
    wanted = {"metrics": [{"key": "words", "threshold": 1}]}
    assert (await http.patch("/admin/v1/streaks/settings", json=wanted)).status_code == 200
    trigger = {"type": "metric", "metricId": words["id"], "metricThreshold": 1, "points": 10, "status": "active"}
    [system] = await make(http, "points", {"name": "XP", "key": "xp", "triggers": [trigger]})
    for user, days in (("a", 3), ("b", 2)):
        for back in range(days, 0, -1):
            at = f"2026-11-{24 - back}T08:00:00Z"
            event = {"user": {"id": user}, "value": 1, "timestamp": at}
            assert (await http.post("/v1/metrics/words/event", json=event)).status_code == 201
    await flush(services)
    common = {"status": "active", "start": "2026-11-01"}
    weekly = {"runUnit": "day", "runInterval": 7, "start": "2026-11-02"}
    points = {"rankBy": "points", "pointsSystemId": system["id"]}
    await make(
        http,
        "leaderboards",
        {**common, **points, "name": "XP", "key": "xp"},
        {**common, **points, **weekly, "name": "XP", "key": "xp-weekly"},
        {**common, "rankBy": "streak", "name": "Now", "key": "now"},
        {**common, **weekly, "rankBy": "streak", "name": "Weekly", "key": "streak-weekly"},
    )
    assert await backfill(services) == 2
    assert places((await get(http, "xp"))["rankings"]) == [(1, "a", 30), (2, "b", 20)]
    assert places((await get(http, "xp-weekly", run="2026-11-16"))["rankings"]) == [(1, "a", 20), (2, "b", 10)]
    assert places((await get(http, "xp-weekly"))["rankings"]) == [(1, "a", 10), (2, "b", 10)]
    assert places((await get(http, "now"))["rankings"]) == [(1, "a", 3), (2, "b", 2)]
    assert places((await get(http, "streak-weekly", run="2026-11-22"))["rankings"]) == [(1, "a", 2), (2, "b", 1)]
    clock.now_ms += DAY_MS
    told = (await score(http, clock, "b", 2))["xp"]
    assert (told["rank"], told["previousRank"]) == (1, 2)
