"""What time alone brings, through the scheduler on both stores: each exactly once, late or twice though it
comes."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from podium.game.errors import StaleEpoch
from podium.intake.answers import logged_answer
from podium.jobs.finals import Finals
from podium.jobs.reconciliation import Reconciliation
from podium.jobs.rewards import Rewards
from podium.jobs.ticks import Ticks
from podium.services import Services, open_services
from podium.storage.redis import wire
from podium.writebehind.rebuild import rebuild
from tests.backfills import backfill
from tests.conftest import EPOCH, SettableClock
from tests.integration.test_boards import DAY_MS, flush, get, make, places
from tests.integration.test_points import read, write


@pytest.fixture
def ticks(services: Services) -> Ticks:
    space = services.directory.production
    return Ticks(services.pool, services.redis, services.intake(space), services.clock)


@pytest.fixture
async def words(http: httpx.AsyncClient) -> str:
    """A word a day, with one freeze."""
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    wanted = {
        "metrics": [{"key": "words", "threshold": 1}],
        "freezes": {"startCount": 1, "maxCount": 2},
        "customizationEnabled": True,
    }
    assert (await http.patch("/admin/v1/streaks/settings", json=wanted)).status_code == 200
    return str(metric["id"])


async def facts(services: Services, user: str = "ann") -> list[tuple[str, int]]:
    """What happened to a user, as Postgres has it."""
    await flush(services)
    async with services.pool.acquire() as connection:
        rows = await connection.fetch(
            "SELECT kind, amount FROM user_facts WHERE user_id = $1 ORDER BY at_ms", user
        )
    return [(row["kind"], row["amount"]) for row in rows]


async def due(services: Services) -> dict[str, float]:
    space = services.directory.production
    found = await services.redis.raw.zrange(space.keys.due, 0, -1, withscores=True)
    return {user.decode(): at_ms for user, at_ms in found}


async def published(services: Services, user: str) -> list[dict[str, Any]]:
    """What the channel of a user was told of by the newest commit."""
    space = services.directory.production
    [(_, fields)] = await services.redis.raw.xrevrange(space.keys.log, count=1)
    answers = [logged_answer(space, item) for item in wire.decode_entry(fields) if item.user == user]
    return [msgspec.json.decode(answer) for answer in answers if answer]


@pytest.mark.usefixtures("words")
async def test_a_freeze_then_a_loss(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, ticks: Ticks
) -> None:
    streak_board = {"name": "S", "rankBy": "streak", "status": "active", "start": "2026-01-01"}
    await make(
        http,
        "leaderboards",
        {**streak_board, "key": "now"},
        {**streak_board, "key": "month", "runUnit": "month", "runInterval": 1},
    )
    for _ in range(3):
        told = await write(http, 1)
        await write(http, 1, "bob")
        clock.now_ms += DAY_MS
    assert told["leaderboards"]["now"]["rank"] == 1
    await write(http, 1, "bob")
    assert places((await get(http, "now"))["rankings"]) == [(1, "bob", 4), (2, "ann", 3)]
    assert await ticks.round() == 0
    clock.now_ms += DAY_MS  # noon of the day after the missed one
    assert await ticks.round() == 1  # not Bob: today is his to use
    assert await ticks.round() == 0
    [told] = await published(services, "ann")
    assert (told["currentStreak"]["length"], told["currentStreak"]["freezes"]) == (3, 0)
    assert (told["points"], told["achievements"], told["boosts"]) == ({}, [], [])
    assert await facts(services) == [("freeze_used", 1)]
    assert (await read(http, "/v1/users/ann/streak"))["freezes"] == 0
    clock.now_ms += DAY_MS
    assert await ticks.round() == 2
    assert await facts(services) == [("freeze_used", 1), ("streak_lost", 3)]
    assert places((await get(http, "now"))["rankings"]) == [(1, "bob", 4)]
    assert places((await get(http, "month"))["rankings"]) == [(1, "bob", 4), (2, "ann", 3)]
    ranked = (await http.get("/v1/streaks/rankings")).json()
    assert ranked == [{"userId": "bob", "name": "Bob", "streakLength": 4}]
    ranked = (await http.get("/v1/streaks/rankings", params={"type": "longest", "limit": 1})).json()
    assert [row["userId"] for row in ranked] == ["bob"]
    assert (await http.get("/v1/streaks/rankings", params={"limit": 0})).status_code == 422


@pytest.mark.usefixtures("words")
async def test_two_workers_after_two_days_and_a_new_day_first(
    http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    [system] = await make(http, "points", {"name": "C", "key": "coins"})
    gift = {"type": "time", "points": 1, "timeUnit": "days", "timeInterval": 1, "status": "active"}
    await make(http, f"points/{system['id']}/triggers", gift)
    users = [f"u{i}" for i in range(20)]
    for user in users:
        await write(http, 1, user)
    clock.now_ms += 3 * DAY_MS  # the worker was down
    told = await write(http, 1, "u0")  # and this one was quicker
    assert (told["currentStreak"]["length"], told["points"]) == (1, {})
    space = services.directory.production
    workers = [Ticks(services.pool, services.redis, services.intake(space), services.clock) for _ in range(2)]
    counted = await asyncio.gather(*(worker.round() for worker in workers))
    assert sum(counted) == 19
    assert set(await due(services)) == set(users)
    for user in users:
        assert await facts(services, user) == [("freeze_used", 1), ("streak_lost", 1)]
        assert (await read(http, f"/v1/users/{user}/points/coins"))["total"] == 3
    async with services.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM point_awards") == 60
    before = await due(services)
    await services.redis.raw.flushall()
    await rebuild(services.pool, services.redis, space, clock)
    assert await due(services) == before


@pytest.mark.usefixtures("words")
async def test_cold_users_are_due_too(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, ticks: Ticks
) -> None:
    await write(http, 1)
    await flush(services)
    space = services.directory.production
    token = (await services.redis.raw.hget(space.keys.user("ann"), "t")).decode()
    assert (await services.redis.call("evict", space.keys.meta, space.epoch or "", "ann", token))[1] == 1
    clock.now_ms += 3 * DAY_MS
    assert await ticks.round() == 1
    assert await facts(services) == [("freeze_used", 1), ("streak_lost", 1)]


async def test_a_tick_of_somebody_who_is_gone(services: Services, ticks: Ticks) -> None:
    space = services.directory.production
    await services.redis.raw.zadd(space.keys.due, {"ghost": 1})
    assert await ticks.round() == 1
    assert await due(services) == {}


@pytest.mark.usefixtures("words")
async def test_new_rules_are_brought_to_everybody(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, ticks: Ticks
) -> None:
    space = services.directory.production
    sweeps = Reconciliation(services.pool, services.redis, services.intake(space), services.clock)
    await http.put("/v1/users/idle", json={"tz": "Asia/Tokyo"})
    await flush(services)
    assert await sweeps.round() == 0
    [system] = await make(http, "points", {"name": "C", "key": "coins"})
    gift = {"type": "time", "points": 4, "timeUnit": "hours", "timeInterval": 1, "status": "active"}
    await make(http, f"points/{system['id']}/triggers", gift)
    assert await sweeps.round() == 1
    clock.now_ms += DAY_MS // 8
    assert await ticks.round() == 1
    assert (await read(http, "/v1/users/idle/points/coins"))["total"] == 12
    boost = {"name": "Sorry", "start": "2026-11-25", "end": "2026-11-25", "multiplier": 2, "userId": "idle"}
    boost_all = {"name": "All", "start": "2026-11-25", "end": "2026-11-25", "multiplier": 2}
    await make(http, f"points/{system['id']}/boosts", boost, boost_all)
    await flush(services)
    await sweeps.round()
    clock.now_ms += 4 * DAY_MS
    await ticks.round()
    [told] = await published(services, "idle")
    assert [(one["name"], one["status"]) for one in told["boosts"]] == [("Sorry", "finished")] * 2
    assert [kind for kind, _ in await facts(services, "idle")] == ["boost_started", "boost_finished"]
    async with services.pool.acquire() as connection:
        rows = await connection.fetch("SELECT finished FROM boost_changes ORDER BY at_ms")
    assert [row["finished"] for row in rows] == [False, True]
    await ticks.round()


@pytest.mark.usefixtures("words")
async def test_preferences(http: httpx.AsyncClient, clock: SettableClock) -> None:
    await write(http, 1)
    path = "/v1/users/ann/preferences"
    assert await read(http, path) == {"notifications": {}, "streak": {"enabled": True}}
    wanted = {
        "streak": {"evaluationMode": "AND", "metrics": [{"key": "words", "threshold": 5}], "daysOff": [0, 6]},
        "notifications": {"recap": ["email"], "streak_reminder": []},
    }
    changed = await http.patch(path, json=wanted)
    assert changed.status_code == 200, changed.text
    assert changed.json() == {**wanted, "streak": {"enabled": True, **wanted["streak"]}}
    changed = await http.patch(path, json={"notifications": {"recap": None, "reactivation": ["push"]}})
    assert changed.json()["notifications"] == {"reactivation": ["push"], "streak_reminder": []}
    clock.now_ms += DAY_MS
    assert (await write(http, 4))["currentStreak"]["extended"] is False
    assert (await write(http, 1))["currentStreak"]["length"] == 2
    assert (await http.patch(path, json={"streak": {"enabled": False}})).status_code == 200
    assert (await write(http, 9))["currentStreak"]["length"] == 0
    await http.patch("/admin/v1/streaks/settings", json={"customizationEnabled": False})
    assert (await http.patch(path, json={"streak": {"daysOff": []}})).status_code == 403
    assert (await http.patch(path, json={"streak": {"enabled": True}})).status_code == 200


_BAD_PREFERENCES: list[Any] = [
    ({"streak": {"metrics": [{"key": "none", "threshold": 1}]}}, 422),
    ({"streak": {"metrics": [{"key": "words", "threshold": 0}]}}, 422),
    ({"streak": {"daysOff": [0, 1, 2, 3, 4, 5, 6]}}, 422),
    ({"streak": {"mood": "good"}}, 400),
    ({"notifications": {"recap": ["pigeon"]}}, 422),
    ([], 400),
]


@pytest.mark.usefixtures("words")
async def test_bad_preferences(http: httpx.AsyncClient) -> None:
    for change, status in _BAD_PREFERENCES:
        await write(http, 1)
        answer = await http.patch("/v1/users/ann/preferences", json=change)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
        assert (await http.get("/v1/users/nobody/preferences")).status_code == 404


async def test_a_final_run_is_rewarded_once(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, words: str
) -> None:
    await make(http, "points", {"name": "C", "key": "coins"})
    await make(http, "achievements", {"name": "Champion", "trigger": "api", "key": "champion", "status": "active"})
    board = {
        "name": "Today",
        "key": "today",
        "rankBy": "metric",
        "metricId": words,
        "runUnit": "day",
        "runInterval": 1,
        "status": "active",
        "tieRule": "competition",
        "rewards": [
            {"fromRank": 1, "toRank": 1, "achievementKey": "champion", "freezes": 1},
            {"fromRank": 1, "toRank": 2, "points": {"systemKey": "coins", "amount": 100}},
        ],
    }
    [row] = await make(http, "leaderboards", board)
    assert row["rewards"] == [
        {"fromRank": 1, "toRank": 1, "achievementKey": "champion", "freezes": 1},
        {"fromRank": 1, "toRank": 2, "points": {"systemKey": "coins", "amount": 100}},
    ]
    for user, value in (("a", 9), ("b", 7), ("c", 7), ("d", 1)):
        await write(http, value, user)
    space = services.directory.production
    await backfill(services)
    clock.now_ms += 2 * DAY_MS
    finals = Finals(services.pool, services.redis, services.directory, space, services.clock)
    rewards = Rewards(services.pool, services.redis, services.intake(space), services.clock)
    assert await finals.round() == 1
    assert await rewards.round() == 3
    assert await rewards.round() == 0
    async with services.pool.acquire() as connection:  # as if it had crashed before it wrote that down
        await connection.execute("UPDATE final_runs SET rewarded_at = NULL")
    assert await rewards.round() == 3
    await flush(services)
    for user, total in (("a", 100), ("b", 100), ("c", 100), ("d", 0)):
        found = await read(http, f"/v1/users/{user}/points/coins")
        assert (found["total"], len(found["awards"])) == (total, 1 if total else 0)
    assert found["awards"] == []
    award = (await read(http, "/v1/users/a/points/coins"))["awards"][0]
    assert (award["trigger"]["type"], award["trigger"]["id"]) == ("leaderboard", row["id"])
    assert [one["name"] for one in await read(http, "/v1/users/a/achievements")] == ["Champion"]
    assert (await read(http, "/v1/users/b/achievements")) == []


@pytest.mark.usefixtures("words")
async def test_a_worker_that_slept_through_a_rebuild_throws_nobody_who_is_due_away(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, ticks: Ticks
) -> None:
    """It holds the epoch from before: nobody is unknown because of that, and each tick is brought."""
    for user in ("ann", "bob", "cid"):
        await write(http, 1, user=user)
    await flush(services)
    async with open_services(services.settings, clock) as awake:
        space = awake.directory.production
        assert await rebuild(awake.pool, awake.redis, space, clock, force=True) is not None
    asleep = services.directory.production
    asleep.epoch = EPOCH
    services.intake(asleep).batcher._states.clear()
    before = await due(services)
    assert len(before) == 3
    clock.advance(3 * DAY_MS)
    assert await ticks.round() > 0
    assert asleep.epoch == space.epoch != EPOCH
    for user in before:
        assert await facts(services, user) == [("freeze_used", 1), ("streak_lost", 1)]


@pytest.mark.usefixtures("words")
async def test_whoever_is_there_stays_due(http: httpx.AsyncClient, services: Services, ticks: Ticks) -> None:
    """Whatever a job concluded: Redis looks itself, under the epoch that the job names."""
    await write(http, 1)
    space = services.directory.production
    before = await due(services)
    await ticks._fenced("undue", "ann")
    space.epoch = "former"
    await services.redis.raw.zadd(space.keys.due, {"gone": 1})
    with pytest.raises(StaleEpoch):
        await ticks._fenced("undue", "gone")
    with pytest.raises(StaleEpoch):
        await ticks._move("ann", services.clock() + 10 * DAY_MS, 0)
    assert await due(services) == {**before, "gone": 1}
    space.epoch = EPOCH
    await ticks._fenced("undue", "gone")
    assert await due(services) == before
