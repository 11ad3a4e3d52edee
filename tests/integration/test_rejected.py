"""What Postgres refused is seen, and written after all once what was wrong is mended."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from podium.services import Services
from podium.telemetry.health import readiness
from podium.writebehind.rejected import resend
from tests.conftest import SettableClock
from tests.integration.test_boards import flush, make
from tests.integration.test_cli import podium

REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE 'no such value' USING ERRCODE = 'data_exception'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW
    WHEN (NEW.user_id LIKE 'bad-%') EXECUTE FUNCTION refuse();
"""
"""For a while, events of some users are refused."""
TABLES = {
    "events": "id, units, at_ms, idempotency_key, day",
    "idempotency_keys": "key, event_id",
    "metric_days": "metric, day, change",
    "standings": "leaderboard, run, grp, value",
    "users": "name, newest_ms, token",
    "point_days": "day, change",
    "user_points": "system, total",
    "user_streaks": "track, length, longest",
    "streak_periods": "track, period, length",
}


@pytest.fixture
async def game(http: httpx.AsyncClient) -> None:
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    [city] = await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    board = {"rankBy": "metric", "metricId": metric["id"], "status": "active", "start": "2026-11-01"}
    await make(
        http,
        "leaderboards",
        {"name": "All", "key": "all", **board, "groupBy": city["id"]},
        {"name": "Daily", "key": "daily", **board, "runUnit": "day", "runInterval": 1},
    )
    trigger = {"type": "metric", "metricId": metric["id"], "metricThreshold": 2, "points": 3, "status": "active"}
    await make(http, "points", {"name": "XP", "key": "xp", "triggers": [trigger]})
    await http.patch("/admin/v1/streaks/settings", json={"metrics": [{"key": "words", "threshold": 1}]})


async def post(http: httpx.AsyncClient, user: str, value: int, key: str) -> None:
    answer = await http.post(
        "/v1/metrics/words/event",
        json={"user": {"id": user, "name": user.title(), "attributes": {"city": "Zürich"}}, "value": value},
        headers={"Idempotency-Key": key},
    )
    assert answer.status_code == 201


async def stored(services: Services, user: str) -> dict[str, list[tuple[Any, ...]]]:
    """A user's rows without ids, which differ."""
    found = {}
    for table, columns in TABLES.items():
        who = "id" if table == "users" else "user_id"
        rows = await services.pool.fetch(
            f"SELECT {columns} FROM {table} WHERE {who} = $1 ORDER BY 1, 2",  # the tests' own
            user,
        )
        differing = {"id", "event_id", "token", "name"}
        kept = [[value for key, value in row.items() if key not in differing] for row in rows]
        found[table] = sorted(map(tuple, kept))
    return found


@pytest.mark.usefixtures("game")
async def test_what_was_refused_is_seen_and_resent(
    http: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
    redis_url: str,
    database_url: str,
) -> None:
    space = services.directory.production
    await services.pool.execute(REFUSING)
    for step in range(3):
        for user in ("bad-ann", "good-bob"):
            await post(http, user, step + 1, f"k{step}")
            clock.now_ms += 60_000
        if step != 1:
            await flush(services)
    await post(http, "good-cid", 2, "k")
    await flush(services)
    assert await services.pool.fetchval("SELECT count(*) FROM rejected_entries") == 3
    assert await services.pool.fetchval("SELECT count(*) FROM events WHERE user_id = 'bad-ann'") == 0

    health = await readiness(services.redis, services.pool, [space], clock.now_ms)
    assert health.ready
    assert [one for one in health.warnings if one.startswith(f"3 accepted items of space {space.public_id} can't")]

    environment = {"PODIUM_DATABASE_URL": database_url, "PODIUM_REDIS_URL": redis_url, "PODIUM_LOG_LEVEL": "error"}
    code, out, _ = await podium(environment, "rejected", "list")
    listed = [json.loads(line) for line in out.splitlines()]
    assert (code, [one["user_id"] for one in listed]) == (0, ["bad-ann"] * 3)
    assert all("no such value" in one["error"] for one in listed)
    code, out, _ = await podium(environment, "rejected", "resend")
    assert (code, out.splitlines()[-1]) == (1, "0 items were written, 3 are still refused.")

    await services.pool.execute("DROP FUNCTION refuse CASCADE")
    code, out, _ = await podium(environment, "rejected", "resend", "--space", space.public_id)
    assert (code, out) == (0, "3 items were written, 0 are still refused.\n")
    ann, bob = await stored(services, "bad-ann"), await stored(services, "good-bob")
    assert len(ann["events"]) == 3
    for table, rows in bob.items():
        # Bob's instants are a minute later; all else is alike.
        assert [[v for v in row if not _is_instant(v)] for row in ann[table]] == [
            [v for v in row if not _is_instant(v)] for row in rows
        ], table
    assert (await readiness(services.redis, services.pool, [space], clock.now_ms)).warnings == (
        *(one for one in health.warnings if "accepted items" not in one),
    )
    state = await services.redis.raw.hmget(space.keys.user("bad-ann"), ["t", "s"])
    row = await services.pool.fetchrow("SELECT token, state FROM users WHERE id = 'bad-ann'")
    assert row is not None
    assert [row["token"].encode(), row["state"].encode()] == state


@pytest.mark.usefixtures("game")
async def test_two_who_resend_at_once_write_each_item_once(http: httpx.AsyncClient, services: Services) -> None:
    await services.pool.execute(REFUSING)
    for step in range(6):
        await post(http, f"bad-{step % 2}", 1, f"k{step}")
        await flush(services)
    await services.pool.execute("DROP FUNCTION refuse CASCADE")
    space = services.directory.production

    async def all_() -> int:
        done = 0
        async for _, problem in resend(services.pool, services.redis, space):
            done += not problem
        return done

    assert sum(await asyncio.gather(all_(), all_(), all_())) == 6
    assert await services.pool.fetchval("SELECT count(*) FROM events") == 6
    assert await services.pool.fetchval("SELECT sum(change)::int FROM metric_days") == 6


def _is_instant(value: Any) -> bool:
    return isinstance(value, int) and value > 10**11
