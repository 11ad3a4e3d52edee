"""``podium rebuild`` in the situations that it is run in: what it says, and that its bar stays whole."""

from __future__ import annotations

import sys
from typing import Any

import httpx
import pytest

from podium.cli import admin_tasks
from podium.services import Services
from podium.spaces.space import Space
from podium.storage.postgres.pool import acquired
from podium.writebehind.eviction import evict
from podium.writebehind.flusher import Flusher
from tests.conftest import SettableClock
from tests.integration.test_boards import make
from tests.integration.test_cli import podium

DAY_MS = 86_400_000


@pytest.fixture
async def environment(
    services: Services, http: httpx.AsyncClient, database_url: str, redis_url: str
) -> dict[str, str]:
    """Of a space with a metric and a leaderboard."""
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words"})
    board = {"name": "All time", "key": "all", "rankBy": "metric", "metricId": metric["id"], "status": "active"}
    await make(http, "leaderboards", board)
    return {"PODIUM_DATABASE_URL": database_url, "PODIUM_REDIS_URL": redis_url}


async def post(http: httpx.AsyncClient, user: str) -> None:
    answer = await http.post("/v1/metrics/words/event", json={"user": {"id": user}, "value": 1})
    assert answer.status_code == 201, answer.text


async def test_an_empty_space(environment: dict[str, str], services: Services) -> None:
    public_id = services.directory.production.public_id
    code, out, _ = await podium(environment, "rebuild", "--yes")
    assert (code, out) == (
        0,
        f"Space {public_id} is rebuilt, with 0 users; 0 events that Postgres did not have yet were saved first.\n",
    )


async def test_what_was_not_flushed_is_saved_first(
    environment: dict[str, str], services: Services, http: httpx.AsyncClient
) -> None:
    for user in ("ann", "bob", "cem"):
        await post(http, user)
    code, out, _ = await podium(environment, "rebuild", "--yes")
    assert code == 0
    assert "with 3 users; 3 events that Postgres did not have yet were saved first." in out
    assert "lost" not in out
    assert await services.pool.fetchval("SELECT count(*) FROM events") == 3
    code, out, _ = await podium(environment, "rebuild", "--yes")  # once more: nothing to save
    assert (code, "with 3 users; 0 events" in out) == (0, True)


async def test_nobody_is_told_that_events_will_be_lost(environment: dict[str, str]) -> None:
    code, out, _ = await podium(environment, "rebuild")  # nothing on stdin: not confirmed
    assert code == 1
    assert "refused with 503" in out
    assert "lost" not in out


async def test_entries_that_do_not_continue_are_named(
    environment: dict[str, str], services: Services, http: httpx.AsyncClient, clock: SettableClock
) -> None:
    """A Redis that lacks what Postgres has already, and went on from there."""
    space: Space = services.directory.production
    await post(http, "ann")
    await Flusher(services.pool, services.redis, space, clock).flush()
    [(flushed, _)] = await services.redis.raw.xrevrange(space.keys.log, count=1)
    await services.redis.raw.xadd(space.keys.log, {"v": 0, "t": 0, "e": b"\x90"})
    await services.redis.raw.xdel(space.keys.log, flushed)
    code, out, _ = await podium(environment, "rebuild", "--yes")
    assert code == 0
    assert "with 1 users; 0 events" in out
    assert "; 1 entries of the log did not continue what Postgres has, and are lost." in out


async def test_another_process_at_it(environment: dict[str, str], services: Services) -> None:
    space = services.directory.production
    async with acquired(services.pool) as holder, holder.transaction():
        assert await holder.fetchval("SELECT pg_try_advisory_xact_lock($1, $2)", 0x506F64, space.id)
        code, out, err = await podium(environment, "rebuild", "--yes")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == (
        f"podium: cannot rebuild space {space.public_id}: another process is rebuilding the space"
    )
    assert "Traceback" not in err


async def test_idle_users_stay_out_of_redis(
    environment: dict[str, str], services: Services, http: httpx.AsyncClient, clock: SettableClock
) -> None:
    """As after a rebuild by the worker."""
    space = services.directory.production
    await post(http, "ann")
    await Flusher(services.pool, services.redis, space, clock).flush()
    assert await evict(services.pool, services.redis, space, clock() + DAY_MS) == 1
    await services.pool.execute("UPDATE users SET newest_ms = 1, updated_ms = 1")
    code, _, _ = await podium(environment, "rebuild", "--yes")
    assert code == 0
    assert await services.redis.raw.hexists(space.keys.cold, "ann")
    assert not await services.redis.raw.exists(space.keys.user("ann"))


async def test_log_lines_do_not_break_the_bar(
    environment: dict[str, str], services: Services, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal there is a bar, and each line of the log is one of its own; elsewhere there is no bar."""
    await post(http, "ann")
    code, _, err = await podium(environment, "rebuild", "--yes")
    assert code == 0
    assert "space_rebuilt" in err
    assert all(line.startswith("{") for line in err.splitlines()), err

    real = admin_tasks.tqdm

    class OnTerminal(real):  # type: ignore[misc, valid-type] # the bar as on a terminal
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": False, "file": sys.stderr, "mininterval": 0})

    monkeypatch.setattr(admin_tasks, "tqdm", OnTerminal)
    code, _, err = await podium(environment, "rebuild", "--yes")
    assert code == 0
    lines = [line for line in err.replace("\r", "\n").splitlines() if "space_rebuilt" in line]
    assert lines
    assert all(line.strip().startswith("{") and line.strip().endswith("}") for line in lines), err
