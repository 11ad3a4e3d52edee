"""After 201 or 202 every read of that user shows it, from whichever process, and of one instant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from podium.app import ENDPOINTS
from podium.console.app import PAGES
from podium.game.periods import iso
from podium.game.state import decode_state
from podium.http.as_of import HEADER
from podium.http.errors import EXCEPTION_HANDLERS
from podium.services import Services, open_services
from podium.spaces.directory import Directory
from podium.spaces.reads import Reads
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import RedisClient
from tests.conftest import SettableClock
from tests.integration.conftest import ROUTES
from tests.integration.test_boards import DAY_MS, flush, make
from tests.integration.test_console import console, console_url
from tests.serving import serving

__all__ = ["console", "console_url"]

Write = Callable[[httpx.AsyncClient, dict[str, str]], Awaitable[httpx.Response]]


@pytest.fixture
async def ids(http: httpx.AsyncClient, clock: SettableClock, services: Services) -> dict[str, str]:
    """Ann and Bob have something of everything, all of it in Postgres; the ids of what there is."""
    [words] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    board = {"rankBy": "metric", "metricId": words["id"], "status": "active", "start": "2026-01-01"}
    daily = {"runUnit": "day", "runInterval": 1}
    boards = {"name": "All", "key": "all", **board}, {"name": "Daily", "key": "daily", **board, **daily}
    all_time, _ = await make(http, "leaderboards", *boards)
    streak = {"metrics": [{"key": "words", "threshold": 1}], "freezes": {"startCount": 0, "maxCount": 3}}
    await http.patch("/admin/v1/streaks/settings", json=streak)
    await make(http, "achievements", {"name": "Hero", "trigger": "api", "key": "hero", "status": "active"})
    trigger = {"type": "metric", "metricId": words["id"], "metricThreshold": 1, "points": 1, "status": "active"}
    levels = [{"name": "Gold", "key": "gold", "points": 20}]
    [xp] = await make(http, "points", {"name": "XP", "key": "xp", "triggers": [trigger], "levels": levels})
    for _ in range(3):
        clock.now_ms += DAY_MS
        posted = await event(http)
        await event(http, "bob", 7)
    await flush(services)
    return {"board": all_time["id"], "xp": xp["id"], "event": posted.json()["eventId"]}


async def event(http: httpx.AsyncClient, user: str = "ann", value: float = 5) -> httpx.Response:
    answer = await http.post("/v1/metrics/words/event", json={"user": {"id": user}, "value": value})
    assert answer.status_code == 201, answer.text
    return answer


def reads(ids: dict[str, str]) -> dict[str, list[str]]:
    """For each endpoint that shows users: what is asked about Ann, while Bob stands still."""
    year = "2026-11-20", "2026-11-30"
    days = f"aggregation=daily&startDate={year[0]}&endDate={year[1]}"
    return {
        "/v1/users/{id}": ["/v1/users/ann"],
        "/v1/users/{id}/metrics": ["/v1/users/ann/metrics"],
        "/v1/users/{id}/metrics/{key}": ["/v1/users/ann/metrics/words"],
        "/v1/users/{id}/metrics/{key}/event-summary": [f"/v1/users/ann/metrics/words/event-summary?{days}"],
        "/v1/users/{id}/wrapped": ["/v1/users/ann/wrapped"],
        "/v1/users/{id}/points/{key}": ["/v1/users/ann/points/xp"],
        "/v1/users/{id}/points/{key}/boosts": ["/v1/users/ann/points/xp/boosts?includeFinished=true"],
        "/v1/users/{id}/points/{key}/event-summary": [f"/v1/users/ann/points/xp/event-summary?{days}"],
        "/v1/users/{id}/streak": ["/v1/users/ann/streak?historyPeriods=30"],
        "/v1/users/{id}/preferences": ["/v1/users/ann/preferences"],
        "/v1/users/{id}/leaderboards": ["/v1/users/ann/leaderboards"],
        "/v1/users/{id}/leaderboards/{key}": [f"/v1/users/ann/leaderboards/{key}" for key in ("all", "daily")],
        "/v1/users/{id}/achievements": ["/v1/users/ann/achievements?includeIncomplete=true"],
        "/v1/streaks": ["/v1/streaks?userIds=ann,bob"],
        "/v1/leaderboards/{key}": ["/v1/leaderboards/all", "/v1/leaderboards/all?userId=ann"],
        "/v1/leaderboards/{key}/around/{userId}": ["/v1/leaderboards/all/around/ann"],
        "/v1/leaderboards/{key}/users": ["/v1/leaderboards/all/users?ids=ann,bob"],
        "/admin/v1/users/{id}/export": ["/admin/v1/users/ann/export"],
        "/admin/v1/users/{id}/timeline": ["/admin/v1/users/ann/timeline"],
        "/admin/v1/events": ["/admin/v1/events?userId=ann"],
        "/admin/v1/events/{id}": [f"/admin/v1/events/{ids['event']}"],
        "/admin/v1/leaderboards/{id}/users/{userId}/events": [
            f"/admin/v1/leaderboards/{ids['board']}/users/ann/events"
        ],
        "/admin/v1/points/{systemId}/boosts/preview": [f"/admin/v1/points/{ids['xp']}/boosts/preview"],
    }


LIVE = {"/v1/leaderboards/{key}/live", "/admin/v1/audit-log", "/admin/v1/application-api-keys"}
"""Shown as it happens, or written before the answer: nothing is waited for."""


async def read(http: httpx.AsyncClient, path: str) -> tuple[int, Any]:
    """Status and body, without what the reads themselves leave behind."""
    if path.endswith("/preview"):
        answer = await http.post(path, json={"multiplier": 2, "days": 30, "userId": "ann"})
    else:
        answer = await http.get(path)
    body = answer.json()
    if "tables" in body:
        del body["tables"]["auditLog"]
    if "rows" in body:
        body["rows"] = [row for row in body["rows"] if row["what"] != "export"]
    return answer.status_code, body


async def restore(http: httpx.AsyncClient, ids: dict[str, str]) -> httpx.Response:
    await WRITES["a reset"](http, ids)
    return await http.post("/admin/v1/streaks/restore", json={"users": [{"id": "ann"}]})


WRITES: dict[str, Write] = {
    "an event": lambda http, _: event(http),
    "a batch": lambda http, _: http.post(
        "/admin/v1/metrics/events",
        json=[{"key": "words", "user": {"id": "ann", "name": f"Ann {n}"}, "value": n} for n in (1, 2)],
    ),
    "a name": lambda http, _: http.patch("/v1/users/ann", json={"name": "Ann the Great"}),
    "points by hand": lambda http, ids: http.post(
        f"/admin/v1/points/{ids['xp']}/awards", json=[{"userId": "ann", "amount": 40, "reason": "She lost hers"}]
    ),
    "an achievement": lambda http, _: http.post("/v1/achievements/hero/complete", json={"user": {"id": "ann"}}),
    "a reset": lambda http, _: http.post("/admin/v1/streaks/reset", json={"users": [{"id": "ann"}]}),
    "a restored streak": restore,
    "a freeze": lambda http, _: http.post("/admin/v1/streaks/freezes", json={"freezes": [{"userId": "ann"}]}),
    "a pause": lambda http, _: http.post(
        "/admin/v1/streaks/pauses",
        json={"pauses": [{"userId": "ann", "start": "2026-11-26", "end": "2026-11-28"}]},
    ),
    "a correction": lambda http, ids: http.patch(f"/admin/v1/events/{ids['event']}", json={"value": 30}),
    "an undone event": lambda http, ids: http.delete(f"/admin/v1/events/{ids['event']}"),
    "an erasure": lambda http, _: http.delete("/admin/v1/users", params={"ids": "ann"}),
    "a wish": lambda http, _: http.patch("/v1/users/ann/preferences", json={"streak": {"enabled": False}}),
}


def stop_flushing(services: Services) -> None:
    """There is no worker, and reads don't wait for one."""

    async def nobody(space: Space) -> None:
        pass

    services.reads.ask, services.reads.patience_s, services.reads.lists_s = nobody, 0, 0


def test_every_endpoint_that_shows_users_is_asked_here() -> None:
    asked = set(reads({"board": "", "xp": "", "event": ""}))
    assert asked | LIVE == {one.path for one in ENDPOINTS if one.shows == "user"}


@pytest.mark.parametrize("write", WRITES)
async def test_no_read_is_stale(
    http: httpx.AsyncClient, services: Services, ids: dict[str, str], write: str
) -> None:
    """While nothing is flushed, a read shows what it will show afterwards, or says that it can't yet."""
    await event(http, "bob", 0)  # the log is never empty, as on a busy server
    await flush(services)
    written = await WRITES[write](http, ids)
    assert written.status_code in (200, 201, 202), written.text
    assert not written.json().get("issues"), written.text
    stop_flushing(services)
    paths = [path for some in reads(ids).values() for path in some]
    early = {path: await read(http, path) for path in paths}
    await flush(services)
    late = {path: await read(http, path) for path in paths}
    assert [path for path in paths if late[path][0] == 503] == []
    assert [path for path in paths if early[path][0] != 503 and early[path] != late[path]] == []
    assert early["/v1/users/ann/streak?historyPeriods=30"][0] == 503
    # Those that only Redis is asked for don't wait.
    assert early["/v1/users/ann"] == late["/v1/users/ann"]


async def test_a_read_waits_for_the_flush_that_it_asks_for(
    http: httpx.AsyncClient, services: Services, ids: dict[str, str]
) -> None:
    for path in [path for some in reads(ids).values() for path in some]:
        await event(http)
        shown = await read(http, path)
        assert shown[0] == 200, (path, shown)
        await flush(services)
        assert shown == await read(http, path), path


async def test_a_read_that_waits_in_vain_is_503(
    http: httpx.AsyncClient, services: Services, ids: dict[str, str]
) -> None:
    await event(http)
    stop_flushing(services)
    answer = await http.get("/v1/users/ann/points/xp")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    # Bob has nothing on its way, so nothing is waited for, whatever others post.
    assert (await http.get("/v1/users/bob/points/xp")).json()["total"] == 21
    assert (await http.get("/v1/users/nobody/points/xp")).status_code == 404


async def test_an_event_that_was_just_posted_is_found_by_its_id(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, ids: dict[str, str]
) -> None:
    clock.now_ms += 1  # ids rise with time
    posted = (await event(http)).json()["eventId"]
    assert (await http.get(f"/admin/v1/events/{posted}")).json()["value"] == 5
    clock.now_ms += 1
    posted = (await event(http)).json()["eventId"]
    assert (await http.get("/admin/v1/events")).json()["events"][0]["id"] == posted
    posted = (await event(http)).json()["eventId"]
    stop_flushing(services)
    assert (await http.get(f"/admin/v1/events/{posted}")).status_code == 503


async def test_the_console_shows_what_was_posted(
    http: httpx.AsyncClient, services: Services, ids: dict[str, str], console: httpx.AsyncClient
) -> None:
    await http.patch("/v1/users/ann", json={"name": "Ann the Great"})
    assert "Ann the Great" in (await console.get("/console/users")).text
    await event(http, value=987_000)
    page = (await console.get("/console/users/ann")).text
    assert "987,000" in page.split("Timeline")[-1]
    await event(http, value=654_000)
    assert "654000" in (await console.get("/console/users/ann/debug", params={"board": "all"})).text
    await event(http, value=321_000)
    assert "321000" in (await console.get("/console/users/ann/export.json")).text
    await event(http)
    stop_flushing(services)
    # A form to act on a user shows what Redis holds; all other pages about one show what Postgres holds, too.
    about = [page.path for page in PAGES if page.path.startswith("/console/users/{id}") and page.method == "GET"]
    paths = [path.replace("{id}", "ann") for path in about if "{action}" not in path]
    assert len(paths) == 3
    for path in paths:
        assert (await console.get(path)).status_code == 503, path


@pytest.fixture
async def elsewhere(services: Services, admin_key: str, clock: SettableClock) -> AsyncIterator[httpx.AsyncClient]:
    """Another web process on the same stores."""
    async with open_services(services.settings, clock) as other:
        other.reads.ask, other.reads.patience_s = services.reads.ask, services.reads.patience_s
        app = Starlette(routes=ROUTES, exception_handlers=EXCEPTION_HANDLERS)
        app.state.services = other
        async with (
            serving(app, http="httptools") as url,
            httpx.AsyncClient(base_url=url, headers={"X-API-KEY": admin_key}) as client,
        ):
            yield client


async def test_an_answer_is_of_one_instant_while_events_pour_in(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, services: Services, ids: dict[str, str]
) -> None:
    """Parts that say the same agree: of points, of the streak, of a leaderboard, of the year."""
    over = asyncio.Event()

    async def post() -> None:
        for _ in range(60):
            await event(http, value=1)
        over.set()

    async def keep_flushing() -> None:
        while not over.is_set():
            await flush(services)
            await asyncio.sleep(0)

    posting, flushing = asyncio.create_task(post()), asyncio.create_task(keep_flushing())
    seen = []
    while not over.is_set():
        points = (await elsewhere.get("/v1/users/ann/points/xp")).json()
        assert points["total"] == points["awards"][0]["total"]
        place = (await elsewhere.get("/v1/users/ann/leaderboards/all")).json()
        assert place["value"] == place["history"][-1]["value"]
        export = (await elsewhere.get("/admin/v1/users/ann/export")).json()
        total = sum(one["units"] for one in export["tables"]["events"])
        assert total == sum(one["change"] for one in export["tables"]["metricDays"])
        assert list(decode_state(json.dumps(export["state"])).totals.values()) == [total]
        seen.append(total)
    await asyncio.gather(posting, flushing)
    assert seen == sorted(seen)


async def test_a_read_that_is_overtaken_shows_an_instant_of_its_own(
    http: httpx.AsyncClient, services: Services, ids: dict[str, str]
) -> None:
    """While the read waits, Postgres reaches what it waits for, and Redis is ahead once more."""
    flushed = services.reads.ask

    async def overtaken(space: Space) -> None:
        await flushed(space)
        await event(http)

    services.reads.ask = overtaken
    await event(http)
    found = (await http.get("/v1/users/ann/points/xp")).json()
    assert found["total"] == 20
    assert len(found["awards"]) == 4


async def test_what_postgres_refused_does_not_hold_reads_up(
    http: httpx.AsyncClient, services: Services, ids: dict[str, str]
) -> None:
    async with services.pool.acquire() as connection:
        await connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '22000'; END $$;"
            " CREATE TRIGGER refuse BEFORE INSERT ON point_awards FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    await event(http)
    answer = await http.get("/v1/users/ann/points/xp")
    assert (answer.status_code, answer.json()["total"]) == (200, 20)  # as the state says, which was acknowledged
    assert await services.pool.fetchval("SELECT count(*) FROM rejected_entries") == 1


async def test_a_cold_user_is_read_without_waiting(
    http: httpx.AsyncClient, services: Services, ids: dict[str, str]
) -> None:
    space = services.directory.production
    token = await services.redis.raw.hget(space.keys.user("ann"), "t")
    assert (await services.redis.call("evict", space.keys.meta, space.epoch or "", "ann", token))[1] == 1
    await event(http, "bob")
    stop_flushing(services)
    assert (await http.get("/v1/users/ann/points/xp")).json()["total"] == 15
    assert (await http.get("/v1/users/ann")).status_code == 200
    assert await services.redis.raw.hexists(space.keys.cold, "ann")


async def test_a_boost_of_a_users_own_is_read_by_a_process_that_has_not_heard_of_it(
    http: httpx.AsyncClient,
    services: Services,
    directory: Directory,
    pool: Pool,
    redis_client: RedisClient,
    ids: dict[str, str],
) -> None:
    await directory.refresh()
    space = directory.production
    boost = {"name": "Sorry", "start": "2026-11-01", "multiplier": 2, "userId": "ann"}
    await make(http, f"points/{ids['xp']}/boosts", boost)
    assert "ann" not in space.index.points.personal
    await Reads(pool, redis_client, directory.refresh_space).state(space, "ann")
    assert "ann" in space.index.points.personal


async def test_a_summary_of_a_space_says_what_is_in_it(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, ids: dict[str, str]
) -> None:
    clock.now_ms = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)  # the log's ids are of the real time
    for path in ("/v1/points/xp/summary", "/v1/achievements", "/v1/streaks/rankings", "/admin/v1/events"):
        assert (await http.get(path)).headers[HEADER] == iso(clock.now_ms), path
    await event(http)
    stop_flushing(services)
    entry, *_ = (await services.redis.raw.xrevrange(services.directory.production.keys.log, count=1))[0]
    for path in ("/v1/points/xp/summary", "/v1/achievements", "/v1/streaks/rankings", "/admin/v1/users"):
        assert (await http.get(path)).headers[HEADER] == iso(int(entry.split(b"-")[0])), path
    assert HEADER not in (await http.get("/v1/users/bob")).headers
