"""One item that fails, or one space, keeps nobody else waiting: it is set aside, said so, and tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from podium import monitoring
from podium.app import create_app
from podium.game.errors import InputFailed, Unavailable
from podium.game.ids import new_uuid7
from podium.game.inputs import Event, Tick
from podium.intake.batcher import Outcome
from podium.jobs import rounds as space_jobs
from podium.jobs import worker_loops
from podium.jobs.finals import Finals
from podium.jobs.quarantine import PAUSE_MS, SPACE, TRIES, Quarantine
from podium.jobs.reconciliation import Reconciliation
from podium.jobs.rewards import Rewards
from podium.jobs.rounds import SpaceJob
from podium.jobs.ticks import Ticks
from podium.jobs.worker_loops import run_worker
from podium.services import Services, open_services
from podium.spaces import store as spaces_store
from podium.spaces.space import Space
from podium.telemetry import set_aside
from podium.telemetry.set_aside import OUTDATED_MS
from podium.writebehind.eviction import evict
from podium.writebehind.rebuild import rebuild
from tests.backfills import backfill
from tests.conftest import EPOCH, SettableClock, seed_redis
from tests.integration.test_boards import DAY_MS, flush, get, make, places
from tests.waiting import until

GOOD, BAD = ("ann", "cid", "eve"), "bob"
USERS = ("ann", "bob", "cid", "eve")


@pytest.fixture
def space(services: Services) -> Space:
    return services.directory.production


@pytest.fixture
async def metric(http: httpx.AsyncClient) -> str:
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    return str(metric["id"])


async def post(http: httpx.AsyncClient, *users: str, value: float = 1) -> None:
    for user in users:
        answer = await http.post("/v1/metrics/words/event", json={"user": {"id": user}, "value": value})
        assert answer.status_code == 201, answer.text


async def spoil(services: Services, user: str) -> str:
    """Make a user's state in Redis unreadable; what it was."""
    key = services.directory.production.keys.user(user)
    blob = (await services.redis.raw.hget(key, "s")).decode()
    await services.redis.raw.hset(key, "s", "{")
    return str(blob)


async def listed(services: Services, space: Space) -> list[tuple[str, str, str]]:
    """What is set aside: job, kind and name."""
    found = await set_aside.read_all(services.redis, [space], services.clock())
    return sorted((one.job, one.kind, one.name) for one in found.get(space.public_id, ()))


@pytest.fixture
async def fresh(services: Services, clock: SettableClock) -> AsyncIterator[Services]:
    """A process that holds no state yet."""
    async with open_services(services.settings, clock) as fresh:
        yield fresh


def of(services: Services, kind: Any) -> Any:
    space = services.directory.production
    return kind(services.pool, services.redis, services.intake(space), services.clock)


async def test_an_unreadable_state_keeps_nobody_of_its_call_waiting(
    http: httpx.AsyncClient, services: Services, fresh: Services, clock: SettableClock, metric: str
) -> None:
    await post(http, *USERS)
    blob = await spoil(services, BAD)
    batcher = fresh.intake(fresh.directory.production).batcher
    events = [Event(new_uuid7(clock.now_ms), user, "words", 2, clock.now_ms) for user in USERS]
    results = await batcher.submit_many(events)
    assert [type(result) for result in results] == [Outcome, InputFailed, Outcome, Outcome]

    # A key that is none of ours in its place.
    key = fresh.directory.production.keys.user(BAD)
    await fresh.redis.raw.rename(key, "kept")
    await fresh.redis.raw.set(key, "x")
    async with open_services(services.settings, clock) as other:
        batcher = other.intake(other.directory.production).batcher
        results = await batcher.submit_many([Tick(user, clock.now_ms) for user in USERS])
    assert [type(result) for result in results] == [Outcome, InputFailed, Outcome, Outcome]

    await fresh.redis.raw.rename("kept", key)
    await fresh.redis.raw.hset(key, "s", blob)
    again = await fresh.intake(fresh.directory.production).batcher.submit(events[1])
    assert again.state is not None
    assert again.state.totals == {1: 3}


async def test_a_mistake_of_ours_keeps_nobody_of_its_call_waiting(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from podium.intake import lane as module

    apply = module.apply

    def mistaken(index: Any, state: Any, input_: Any, generation: int) -> Any:
        if input_.user == BAD:
            raise ZeroDivisionError
        return apply(index, state, input_, generation)

    monkeypatch.setattr(module, "apply", mistaken)
    events = [Event(new_uuid7(clock.now_ms), user, "words", 2, clock.now_ms) for user in USERS]
    results = await services.intake(services.directory.production).batcher.submit_many(events)
    assert [type(result) for result in results] == [Outcome, InputFailed, Outcome, Outcome]


async def test_a_cold_user_whom_postgres_does_not_have_is_given_up(
    http: httpx.AsyncClient, services: Services, fresh: Services, clock: SettableClock, metric: str
) -> None:
    space = fresh.directory.production
    await fresh.redis.raw.hset(space.keys.cold, "ghost", "a token of nobody")
    events = [Event(new_uuid7(clock.now_ms), user, "words", 2, clock.now_ms) for user in ("ann", "ghost", "cid")]
    results = await fresh.intake(space).batcher.submit_many(events)
    assert [type(result) for result in results] == [Outcome, InputFailed, Outcome]


async def test_ticks(
    http: httpx.AsyncClient, services: Services, fresh: Services, clock: SettableClock, space: Space, metric: str
) -> None:
    wanted = {"metrics": [{"key": "words", "threshold": 1}]}
    await http.patch("/admin/v1/streaks/settings", json=wanted)
    await post(http, *USERS)
    await flush(services)
    blob = await spoil(services, BAD)
    clock.advance(3 * DAY_MS)
    ticks = of(fresh, Ticks)
    due = space.keys.due
    for tried in range(TRIES):
        assert await ticks.round() > 0
        assert [user.decode() for user in await fresh.redis.raw.zrange(due, 0, -1)] == [BAD]
        assert await listed(fresh, space) == ([("ticks", "user", BAD)] if tried == TRIES - 1 else [])
    assert await ticks.round() == 0

    # Mended, and tried again after the pause, by whichever worker.
    await fresh.redis.raw.hset(space.keys.user(BAD), "s", blob)
    clock.advance(PAUSE_MS)
    async with open_services(services.settings, clock) as other:
        assert await of(other, Ticks).round() == 1
    assert await fresh.redis.raw.zcard(due) == 0
    assert await listed(fresh, space) == []
    await flush(services)
    lost = "SELECT user_id FROM user_facts WHERE kind = 'streak_lost' ORDER BY user_id"
    assert [row["user_id"] for row in await services.pool.fetch(lost)] == list(USERS)


async def test_a_user_who_stays_due_though_ticked_is_put_right(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, space: Space, metric: str
) -> None:
    await http.patch("/admin/v1/streaks/settings", json={"metrics": [{"key": "words", "threshold": 1}]})
    await post(http, "ann")
    await flush(services)
    [(_, at_ms)] = await services.redis.raw.zrange(space.keys.due, 0, -1, withscores=True)
    await services.redis.raw.zadd(space.keys.due, {"ann": clock.now_ms - 1})
    assert await of(services, Ticks).round() == 2
    assert await services.redis.raw.zscore(space.keys.due, "ann") == at_ms


async def test_sweeps(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, space: Space, metric: str
) -> None:
    await post(http, *USERS)
    await flush(services)
    await services.pool.execute("UPDATE users SET state = '{' WHERE id = 'bob'")
    wanted = {"name": "A word", "trigger": "metric", "metricId": metric, "metricValue": 1, "status": "active"}
    await make(http, "achievements", wanted)
    sweeps = of(services, Reconciliation)
    await flush(services)
    assert await sweeps.round() == len(GOOD)
    for _ in range(TRIES - 1):
        assert await sweeps.round() == 0
    assert await listed(services, space) == [("sweeps", "user", BAD)]

    # What Redis has is what Postgres had.
    blob = await services.redis.raw.hget(space.keys.user(BAD), "s")
    await services.pool.execute("UPDATE users SET state = $1 WHERE id = 'bob'", blob.decode())
    assert await sweeps.round() == 0
    clock.advance(PAUSE_MS)
    await flush(services)
    again = of(services, Reconciliation)  # another worker
    await again.round()
    assert await listed(services, space) == []
    await flush(services)
    done = "SELECT user_id FROM achievement_completions ORDER BY user_id"
    assert [row["user_id"] for row in await services.pool.fetch(done)] == list(USERS)


@pytest.fixture
async def ended(http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str) -> list[str]:
    """Two daily leaderboards with a reward, both with two runs that are over."""
    await make(http, "points", {"name": "XP", "key": "xp"})
    reward = {"fromRank": 1, "toRank": 9, "points": {"systemKey": "xp", "amount": 5}}
    common = {
        "rankBy": "metric",
        "metricId": metric,
        "start": "2026-11-22",
        "end": "2026-11-24",
        "rewards": [reward],
    }
    repeating = {"status": "active", "runUnit": "day", "runInterval": 1}
    keys = ["one", "two"]
    await make(http, "leaderboards", *({**common, **repeating, "name": key, "key": key} for key in keys))
    await post(http, *USERS)
    clock.advance(DAY_MS)
    await post(http, *USERS)
    await backfill(services)
    clock.advance(4 * DAY_MS)
    return keys


def finals(services: Services) -> Finals:
    space = services.directory.production
    return Finals(services.pool, services.redis, services.directory, space, services.clock)


async def final(services: Services) -> list[tuple[int, str]]:
    rows = await services.pool.fetch("SELECT leaderboard, run FROM final_runs ORDER BY 1, 2")
    return [tuple(row) for row in rows]


async def test_finals(
    services: Services, clock: SettableClock, space: Space, ended: list[str], http: httpx.AsyncClient
) -> None:
    one = space.index.leaderboard_by_key["one"].number
    # A run of no day, and one whose rows stand there already.
    entry = "INSERT INTO board_entries (space_id, leaderboard, run, grp, user_id, value, reached_ms, rank)"
    await services.pool.execute(f"{entry} VALUES ($1, $2, '2026xxyy', '', 'bob', 1, 1, 1)", space.id, one)
    await services.pool.execute(
        "INSERT INTO run_standings (space_id, leaderboard, run, grp, place, rank, user_id, value, reached_ms,"
        " attributes) VALUES ($1, $2, '20261123', '', 1, 1, 'bob', 1, 1, '{}')",
        space.id,
        one,
    )
    job = finals(services)
    await job.round()
    await flush(services)
    written = await job.round()
    good = [(one, "20261124"), (one + 1, "20261123"), (one + 1, "20261124")]
    assert await final(services) == good
    assert written in (0, 3)  # the first round may have done it already
    for _ in range(TRIES):
        await job.round()
    assert await listed(services, space) == [
        ("finals", "run", f"{one}:20261123"),
        ("finals", "run", f"{one}:2026xxyy"),
    ]
    await services.pool.execute("DELETE FROM run_standings WHERE run = '20261123' AND leaderboard = $1", one)
    await services.pool.execute("DELETE FROM board_entries WHERE run = '2026xxyy'")
    await job.round()
    assert await final(services) == good
    clock.advance(PAUSE_MS)
    await job.round()
    assert await final(services) == [(one, "20261123"), *good]
    assert len((await get(http, "one", run="2026-11-23"))["rankings"]) == len(USERS)


async def test_rewards(
    http: httpx.AsyncClient,
    services: Services,
    fresh: Services,
    clock: SettableClock,
    space: Space,
    ended: list[str],
) -> None:
    job = finals(services)
    await job.round()
    await flush(services)
    await job.round()
    assert len(await final(services)) == 4
    blob = await spoil(services, BAD)
    await fresh.directory.refresh()
    rewards = of(fresh, Rewards)
    for _ in range(TRIES):
        await rewards.round()
    await flush(services)
    given = "SELECT user_id, count(*) FROM point_awards GROUP BY 1 ORDER BY 1"
    assert [tuple(row) for row in await services.pool.fetch(given)] == [(user, 4) for user in GOOD]
    assert {job for job, _, _ in await listed(fresh, space)} == {"rewards"}

    await fresh.redis.raw.hset(space.keys.user(BAD), "s", blob)
    clock.advance(PAUSE_MS)
    await rewards.round()
    await flush(services)
    # The earlier run before the later one, each once.
    assert [tuple(row) for row in await services.pool.fetch(given)] == [(user, 4) for user in USERS]
    assert await services.pool.fetchval("SELECT count(*) FROM final_runs WHERE rewarded_at IS NULL") == 0
    assert await listed(fresh, space) == []


async def test_eviction(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, space: Space, metric: str
) -> None:
    await post(http, *USERS)
    await flush(services)
    await services.redis.raw.rename(space.keys.user(BAD), "kept")
    await services.redis.raw.set(space.keys.user(BAD), "x")
    await evict(services.pool, services.redis, space, clock.now_ms + 1)
    assert {user.decode() for user in await services.redis.raw.hkeys(space.keys.cold)} == set(GOOD)
    await services.pool.execute("UPDATE users SET state = '{' WHERE id = 'ann'")
    await services.thaw(space, ["ann", "cid", "eve"])
    assert [user.decode() for user in await services.redis.raw.hkeys(space.keys.cold)] == ["ann"]


async def test_a_rebuild(
    http: httpx.AsyncClient, services: Services, fresh: Services, clock: SettableClock, space: Space, metric: str
) -> None:
    await post(http, *USERS)
    await flush(services)
    await services.pool.execute("UPDATE users SET state = '{' WHERE id = 'bob'")
    await rebuild(services.pool, services.redis, space, clock, force=True)
    await fresh.directory.refresh()
    events = [Event(new_uuid7(clock.now_ms), user, "words", 2, clock.now_ms) for user in USERS]
    results = await fresh.intake(fresh.directory.production).batcher.submit_many(events)
    assert [type(result) for result in results] == [Outcome, InputFailed, Outcome, Outcome]


@pytest.fixture
async def three(services: Services) -> list[Space]:
    """Three spaces that are alive."""
    for name in ("staging", "test"):
        async with services.pool.acquire() as connection:
            id_ = await spaces_store.create_space(connection, now_ms=services.clock(), environment=name)
            public_id = await connection.fetchval("SELECT public_id FROM spaces WHERE id = $1", id_)
        log_id = await seed_redis(services.redis, public_id)
        await services.pool.execute("INSERT INTO log_positions VALUES ($1, $2, $3)", id_, EPOCH, log_id)
    await services.directory.refresh()
    spaces = list(services.directory.spaces.values())
    assert len(spaces) == 3
    return spaces


async def test_a_space_that_fails_keeps_no_other_waiting(
    services: Services, clock: SettableClock, three: list[Space]
) -> None:
    done: list[str] = []
    bad = three[1]
    broken, away = True, False

    def open_(space: Space) -> Any:
        async def visit() -> None:
            if space is bad and away:
                raise Unavailable("Postgres is away")
            if space is bad and broken:
                raise ZeroDivisionError
            done.append(space.environment)

        return visit

    job = SpaceJob("ticks", services.directory, services.redis, clock, open_, 1)
    good = [one.environment for one in three if one is not bad]
    for _ in range(TRIES):
        await job.round()
    assert done == good * TRIES
    assert await listed(services, bad) == [("ticks", SPACE, "")]
    broken = False
    done.clear()
    await job.round()
    assert done == good  # not before the pause is over
    clock.advance(PAUSE_MS)
    await job.round()
    assert sorted(done) == sorted([*good, *good, bad.environment])
    assert await listed(services, bad) == []

    # A store that is away is nobody's fault: however often, nothing is set aside.
    away = True
    for _ in range(TRIES + 1):
        await job.round()
    assert await listed(services, bad) == []
    away = False
    done.clear()
    await job.round()
    assert len(done) == 3


async def test_what_changed_is_tried_at_once(services: Services, clock: SettableClock, space: Space) -> None:
    quarantine = Quarantine(services.redis, space, clock, "ticks")
    for _ in range(TRIES):
        await quarantine.failed("run", "3:20261123", ZeroDivisionError(), "1")
    assert quarantine.holds("run", "3:20261123", "1")
    assert not quarantine.holds("run", "3:20261123", "2")


async def test_a_space_that_takes_long_keeps_no_other_waiting(
    services: Services, clock: SettableClock, three: list[Space], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_jobs, "VISIT_S", 0.01)
    done: list[str] = []
    go_on = asyncio.Event()

    def open_(space: Space) -> Any:
        async def visit() -> None:
            if space is three[0]:
                await go_on.wait()
            done.append(space.environment)

        return visit

    job = SpaceJob("filling", services.directory, services.redis, clock, open_, 0.001)
    running = asyncio.create_task(job.run(services.clock_agrees))
    try:
        await until(lambda: len(done) >= 6)
        assert three[0].environment not in done
        go_on.set()
        await until(lambda: three[0].environment in done)
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_readyz_and_metrics_say_what_is_set_aside(
    services: Services, admin_key: str, clock: SettableClock, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "KEPT_S", 0.0)
    quarantine = Quarantine(services.redis, space, clock, "ticks")
    for user in ("ann", "bob"):
        for _ in range(TRIES):
            await quarantine.failed("user", user, ZeroDivisionError("of ann"))
    finals_ = Quarantine(services.redis, space, clock, "finals")
    for _ in range(TRIES):
        await finals_.failed("run", "3:20261123", ZeroDivisionError())
    app: Starlette = create_app(services.settings)
    app.state.services = services
    key = {"X-API-KEY": admin_key}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", headers=key) as client:
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        warned = [one for one in ready.json()["warnings"] if "failed and will be tried" in one]
        assert ["run 3:20261123" in warned[0], "2 users" in warned[1]] == [True, True]
        assert "ann" not in ready.text
        assert 'podium_set_aside{job="ticks"} 2.0' in (await client.get("/metrics")).text
        clock.advance(PAUSE_MS + OUTDATED_MS)  # no worker has tried it again: it is gone, or there is none
        assert "will be tried" not in (await client.get("/readyz")).text
        assert 'podium_set_aside{job="ticks"} 0.0' in (await client.get("/metrics")).text


async def test_the_worker_serves_the_others_while_one_space_is_broken(
    http: httpx.AsyncClient,
    services: Services,
    three: list[Space],
    metric: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, staging, test = three
    # Of one space the key of its log, of another one that of its epoch is none of ours.
    await services.redis.raw.delete(staging.keys.log)
    await services.redis.raw.set(staging.keys.log, "x")
    await services.redis.raw.delete(test.keys.meta)
    await services.redis.raw.set(test.keys.meta, "x")
    await services.directory.refresh()
    assert [one.epoch is None for one in three] == [False, False, True]
    # Each pause is one that the test waits for; so is the drawing of each traceback.
    for pause in ("BACKFILL_S", "RECONCILIATION_S", "NEW_SPACES_S"):
        monkeypatch.setattr(worker_loops, pause, 0.05)
    services.settings = msgspec.structs.replace(services.settings, flush_interval=0.01)
    with capture_logs():
        await serve_the_others(http, services, staging, metric)


async def serve_the_others(http: httpx.AsyncClient, services: Services, staging: Space, metric: str) -> None:
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(services, stop, {}))
    try:
        await post(http, *USERS)

        async def flushed() -> bool:
            return await services.pool.fetchval("SELECT count(*) FROM events") == len(USERS)

        await until(flushed)

        async def told() -> bool:
            return ("flush", SPACE, "") in await listed(services, staging)

        await until(told)
        [board] = await make(
            http,
            "leaderboards",
            {
                "name": "A",
                "key": "a",
                "rankBy": "metric",
                "metricId": metric,
                "start": "2026-11-01",
                "status": "active",
            },
        )

        async def filled() -> bool:
            return len((await get(http, board["key"]))["rankings"]) == len(USERS)

        await until(filled)
        assert places((await get(http, "a"))["rankings"])[0] == (1, "ann", 1)
    finally:
        stop.set()
        await worker
