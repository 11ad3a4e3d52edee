"""Runs become final: nothing comes in behind, the standings equal the frozen board, and outlive it in Redis."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from podium.clock import CheckedClock
from podium.game.periods import iso
from podium.jobs.finals import Finals
from podium.services import Services
from podium.writebehind.rebuild import rebuild
from tests.backfills import backfill
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, get, make, places, score

HOUR_MS = 3_600_000
MONDAY = "2026-11-23"


@pytest.fixture
async def daily(http: httpx.AsyncClient, services: Services, clock: SettableClock) -> str:
    """A daily leaderboard of cities, three days old, on Monday at noon."""
    clock.now_ms -= 3 * DAY_MS
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words"})
    [city] = await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    board = {
        "name": "Today",
        "key": "today",
        "rankBy": "metric",
        "metricId": metric["id"],
        "start": "2026-11-01",
        "runUnit": "day",
        "runInterval": 1,
        "groupBy": city["id"],
        "aggregate": "average",
        "tieRule": "competition",
        "status": "active",
    }
    [row] = await make(http, "leaderboards", board)
    await backfill(services)
    clock.now_ms += 3 * DAY_MS
    return str(row["id"])


@pytest.fixture
def finals(services: Services) -> Finals:
    space = services.directory.production
    return Finals(services.pool, services.redis, services.directory, space, services.clock)


async def test_a_run_from_live_to_history(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, daily: str, finals: Finals
) -> None:
    for user, value, city in (("a", 5, "Oslo"), ("b", 7, "Oslo"), ("c", 5, "Rome")):
        await score(http, clock, user, value, city=city)
    live: Any = await get(http, "today", run=MONDAY)
    live_groups = await get(http, "today/groups", run=MONDAY)
    assert places(live["rankings"]) == [(1, "b", 7), (2, "a", 5), (2, "c", 5)]
    assert (live["run"]["state"], live["run"]["finalAt"]) == ("live", "2026-11-24T12:00:00.000Z")

    # Over at home, but not yet in the last zone.
    clock.now_ms += 23 * HOUR_MS
    assert await finals.round() == 0
    assert (await get(http, "today", run=MONDAY))["run"]["state"] == "provisional"

    # What was posted before the end is written first.
    clock.now_ms += 2 * HOUR_MS
    assert await finals.round() == 0
    assert (await get(http, "today", run=MONDAY))["rankings"] == live["rankings"]  # still from Redis
    await flush(services)
    assert await finals.round() == 1
    assert await finals.round() == 0

    async def check_final() -> None:
        found = await get(http, "today", run=MONDAY)
        assert (found["rankings"], found["participants"]) == (live["rankings"], 3)
        assert found["run"]["state"] == "final"
        groups = await get(http, "today/groups", run=MONDAY)
        assert (groups["rankings"], groups["groups"]) == (live_groups["rankings"], 2)
        oslo = await get(http, "today/groups/Oslo", run=MONDAY)
        assert places(oslo["rankings"]) == [(1, "b", 7), (2, "a", 5)]
        around = await get(http, "today/around/a", run=MONDAY, k=1)
        assert places(around["rankings"]) == places(live["rankings"])
        friends = (await get(http, "today/users", run=MONDAY, ids="c,a"))["rankings"]
        assert [(row["userId"], row["rank"], row["overallRank"]) for row in friends] == [("a", 1, 2), ("c", 1, 2)]
        own = (await http.get("/v1/users/c/leaderboards/today", params={"run": MONDAY})).json()
        assert (own["rank"], own["value"]) == (2, 5)
        first = await get(http, "today", run=MONDAY, limit=2)
        rest = await get(http, "today", run=MONDAY, limit=2, cursor=first["nextCursor"])
        assert places([*first["rankings"], *rest["rankings"]]) == places(live["rankings"])

    await check_final()

    # A late event, a move and a new name change nothing there any more.
    late = {"user": {"id": "a"}, "value": 90, "timestamp": "2026-11-23T12:30:00Z"}
    told = (await http.post("/v1/metrics/words/event", json=late)).json()
    assert (told["total"], told["leaderboards"]) == (95, {})
    await http.patch("/v1/users/a", json={"name": "Anna", "attributes": {"city": "Rome"}})
    await check_final()

    # Out of Redis a day later, and not back by a rebuild.
    keys = services.directory.production.keys
    clock.now_ms += DAY_MS + HOUR_MS
    await flush(services)
    await finals.round()
    assert not await services.redis.raw.keys(f"{keys.prefix}*:20261123*")
    await check_final()
    space = services.directory.production
    await rebuild(services.pool, services.redis, space, services.clock, force=True)
    assert not await services.redis.raw.keys(f"{keys.prefix}*:20261123*")
    await check_final()


async def test_a_young_leaderboard_takes_history_for_a_day(
    http: httpx.AsyncClient, clock: SettableClock, daily: str, finals: Finals, services: Services
) -> None:
    row = (await http.get(f"/admin/v1/leaderboards/{daily}")).json()
    fields = ("name", "rankBy", "metricId", "start", "runUnit", "runInterval", "status")
    await make(http, "leaderboards", {**{name: row[name] for name in fields}, "key": "second"})
    past = {"user": {"id": "a"}, "value": 9, "timestamp": "2026-11-05T10:00:00Z"}
    told = await http.post("/v1/metrics/words/event", json=past)
    assert set(told.json()["leaderboards"]) == {"today", "second"}
    await finals.round()
    told = await http.post("/v1/metrics/words/event", json={**past, "user": {"id": "b"}})
    assert set(told.json()["leaderboards"]) == {"second"}
    clock.now_ms += DAY_MS
    await flush(services)
    await finals.round()
    assert places((await get(http, "second", run="2026-11-05"))["rankings"]) == [(1, "a", 9), (2, "b", 9)]
    assert places((await get(http, "today", run="2026-11-05"))["rankings"]) == [(1, "a", 9)]


async def test_a_run_is_ended_by_hand(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, daily: str, finals: Finals
) -> None:
    await score(http, clock, "a", 5)
    ended = await http.post(f"/admin/v1/leaderboards/{daily}/runs/end")
    assert (ended.status_code, ended.json()["status"]) == (200, "active")
    ended_at = iso(clock.now_ms)
    assert await score(http, clock, "a", 3) == {}
    assert (await http.post(f"/admin/v1/leaderboards/{daily}/runs/end")).status_code == 422
    await flush(services)
    assert await finals.round() == 1
    found = await get(http, "today", run=MONDAY)
    assert (places(found["rankings"]), found["run"]["state"]) == ([(1, "a", 5)], "final")
    assert found["run"]["finalAt"] == ended_at
    clock.now_ms += DAY_MS
    assert (await get(http, "today", run=MONDAY))["run"]["finalAt"] == ended_at
    assert (await get(http, "today"))["run"]["finalAt"] == "2026-11-25T12:00:00.000Z"
    assert (await score(http, clock, "a", 4))["today"]["rank"] == 1
    unknown = await http.post(f"/admin/v1/leaderboards/{daily[:-4]}0000/runs/end")
    assert unknown.status_code == 404


async def test_a_clock_that_jumps_ahead_ends_no_run(services: Services, clock: SettableClock, daily: str) -> None:
    """Not before another clock bears it out."""
    checked = CheckedClock(clock, lambda: 0)
    checked.compare(clock.now_ms)
    space = services.directory.production
    finals = Finals(services.pool, services.redis, services.directory, space, checked)
    await finals.round()
    before = space.index.leaderboard_by_key["today"].final_until
    for _ in range(2):
        clock.now_ms += DAY_MS
        await finals.round()
        checked.compare(clock.now_ms - 2 * HOUR_MS)
    assert space.index.leaderboard_by_key["today"].final_until == before
    checked.compare(clock.now_ms)
    await finals.round()
    assert space.index.leaderboard_by_key["today"].final_until != before
