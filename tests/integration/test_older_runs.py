"""Runs that are not final and that a user's state has let go of: whatever acts on a user acts on them, too.

History is imported into daily leaderboards that are a moment old. What page, ranking of groups, Postgres and a
rebuilt Redis say is compared with a list.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from podium.game.errors import Unavailable
from podium.game.ids import new_uuid7
from podium.game.inputs import Event
from podium.intake import older_runs
from podium.services import Services, open_services
from podium.writebehind.flusher import Flusher
from podium.writebehind.rebuild import rebuild
from tests.backfills import backfill
from tests.conftest import SettableClock
from tests.integration.test_boards import flush, get, make
from tests.integration.test_set_aside import finals

TODAY = date(2026, 11, 23)
DAYS = 40
OLD, RECENT = str(TODAY - timedelta(days=30)), str(TODAY - timedelta(days=2))
KEYS = ("plain", "teams", "split", "kept")
"""Leaderboards: of all, with ranked groups, broken down by group, with groups that keep what leavers scored."""


@asynccontextmanager
async def flushing(services: Services) -> AsyncIterator[None]:
    """A worker that flushes: what asks Postgres waits for it."""
    flusher = Flusher(services.pool, services.redis, services.directory.production, services.clock)

    async def run() -> None:
        while True:
            with suppress(Unavailable):  # while Redis is being rebuilt
                await flusher.flush()
            await asyncio.sleep(0.005)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture(autouse=True)
async def worker(services: Services) -> AsyncIterator[None]:
    async with flushing(services):
        yield


@pytest.fixture
async def boards(http: httpx.AsyncClient) -> dict[str, str]:
    """The ids of the leaderboards, by key."""
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    [team] = await make(http, "attributes", {"name": "Team", "key": "team", "type": "user"})
    common = {"rankBy": "metric", "metricId": metric["id"], "status": "active", "runUnit": "day", "runInterval": 1}
    grouping: dict[str, dict[str, Any]] = {
        "plain": {},
        "teams": {"groupBy": team["id"]},
        "split": {"breakdownAttributes": [team["id"]]},
        "kept": {"groupBy": team["id"], "keepOnLeave": True},
    }
    start = str(TODAY - timedelta(days=DAYS + 5))
    rows = await make(
        http, "leaderboards", *({**common, "start": start, "name": k, "key": k, **g} for k, g in grouping.items())
    )
    return {row["key"]: row["id"] for row in rows}


async def history(http: httpx.AsyncClient, user: str, team: str | None, value: float = 5) -> None:
    """One event on each of the last days."""
    person = {"id": user, **({} if team is None else {"attributes": {"team": team}})}
    items = [
        {"key": "words", "user": person, "value": value, "timestamp": f"{TODAY - timedelta(days=days)}T01:00:00Z"}
        for days in range(DAYS, 0, -1)
    ]
    answer = await http.post("/admin/v1/metrics/events", json=items)
    assert answer.status_code == 202, answer.text


async def page(http: httpx.AsyncClient, key: str, run: str, **query: Any) -> list[tuple[str, float]]:
    return [(row["userId"], row["value"]) for row in (await get(http, key, run=run, **query))["rankings"]]


async def groups(http: httpx.AsyncClient, key: str, run: str) -> list[tuple[str, float, int]]:
    found = (await get(http, f"{key}/groups", run=run))["rankings"]
    return [(row["group"], row["value"], row["members"]) for row in found]


async def everything(http: httpx.AsyncClient, run: str) -> dict[str, Any]:
    """What all leaderboards say of a run."""
    found: dict[str, Any] = {key: sorted(await page(http, key, run)) for key in ("plain", "teams", "kept")}
    for key in ("teams", "kept"):
        found[f"groups of {key}"] = await groups(http, key, run)
    for team in ("red", "blue"):
        found[f"split {team}"] = await page(http, "split", run, userAttributes=f"team:{team}")
    return found


async def agreed(http: httpx.AsyncClient, services: Services, *runs: str) -> list[dict[str, Any]]:
    """What is said of runs, by Redis, by Postgres, and once Redis was rebuilt from it."""
    said = [await everything(http, run) for run in runs]
    space = services.directory.production
    await flush(services)
    for run, one in zip(runs, said, strict=True):
        assert await in_postgres(services, run) == one
    await rebuild(services.pool, services.redis, space, services.clock, force=True)
    await services.directory.refresh()
    assert [await everything(http, run) for run in runs] == said
    return said


async def in_postgres(services: Services, run: str) -> dict[str, Any]:
    """The same from the view ``standings``."""
    numbers = {board.key: board.number for board in services.directory.production.index.catalog.leaderboards}
    rows = await services.pool.fetch(
        "SELECT leaderboard, grp, user_id, value FROM standings WHERE run = $1", run.replace("-", "")
    )
    of: dict[tuple[int, str], list[tuple[str, float]]] = defaultdict(list)
    for row in rows:
        of[row["leaderboard"], row["grp"]].append((row["user_id"], float(row["value"])))
    found: dict[str, Any] = {key: sorted(of[numbers[key], ""]) for key in ("plain", "teams", "kept")}
    for key in ("teams", "kept"):
        sums = [
            (group, sum(value for _, value in members), len(members))
            for (number, group), members in of.items()
            if number == numbers[key] and group
        ]
        found[f"groups of {key}"] = sorted(sums, key=lambda one: (-one[1], one[0]))
    for team in ("red", "blue"):
        found[f"split {team}"] = sorted(of[numbers["split"], team], key=lambda one: (-one[1], one[0]))
    return found


def said(**scores: tuple[str, float]) -> dict[str, Any]:
    """What should be said where users are in these teams and have these scores, and nobody has moved."""
    members: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for user, (team, value) in sorted(scores.items(), key=lambda one: (-one[1][1], one[0])):
        members[team].append((user, value))
    sums = [(team, sum(value for _, value in of), len(of)) for team, of in members.items()]
    sums.sort(key=lambda one: (-one[1], one[0]))
    all_ = sorted((user, value) for user, (_, value) in scores.items())
    return {
        **dict.fromkeys(("plain", "teams", "kept"), all_),
        **dict.fromkeys(("groups of teams", "groups of kept"), sums),
        "split red": members["red"],
        "split blue": members["blue"],
    }


@pytest.fixture
async def imported(http: httpx.AsyncClient, services: Services, boards: dict[str, str]) -> dict[str, str]:
    """History of three users; the states of all have let go of the first month of it."""
    await history(http, "han", "red")
    await history(http, "ian", "red", 4)
    await history(http, "joe", "blue", 3)
    assert (await agreed(http, services, OLD))[0] == said(han=("red", 5), ian=("red", 4), joe=("blue", 3))
    return boards


async def end_runs(services: Services, clock: SettableClock) -> None:
    """Let the day pass that runs wait after an activation, and make them final."""
    await backfill(services)  # while one is under way, no run becomes final
    clock.advance(86_400_000)
    while await finals(services).round():
        await flush(services)
    await flush(services)


async def test_an_erased_user(http: httpx.AsyncClient, services: Services, imported: dict[str, str]) -> None:
    assert (await http.delete("/admin/v1/users", params={"ids": "han"})).json()["deleted"] == [{"id": "han"}]
    left = said(ian=("red", 4), joe=("blue", 3))
    assert await agreed(http, services, OLD, RECENT) == [left, left]
    space = services.directory.production
    async for key in services.redis.raw.scan_iter(f"{space.keys.prefix}b:*"):
        assert not [m for m in await services.redis.raw.zrange(key, 0, -1) if m.endswith(b"han")], key


async def test_an_erased_user_leaves_final_runs_that_redis_still_has(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, imported: dict[str, str]
) -> None:
    await end_runs(services, clock)
    space = services.directory.production
    plain = space.index.leaderboard_by_key["plain"].number
    key = space.keys.board(f"{plain}:{OLD.replace('-', '')}")
    assert len(await services.redis.raw.zrange(key, 0, -1)) == 3
    await http.delete("/admin/v1/users", params={"ids": "han"})
    assert len(await services.redis.raw.zrange(key, 0, -1)) == 2
    await flush(services)
    assert "han" not in [user for user, _ in await page(http, "plain", OLD)]


@pytest.mark.parametrize("bars", [{}, {"block": "true"}], ids=("removed", "barred"))
async def test_a_user_taken_off_a_past_run(
    http: httpx.AsyncClient, services: Services, imported: dict[str, str], bars: dict[str, str]
) -> None:
    for key in KEYS:
        path = f"/admin/v1/leaderboards/{imported[key]}/users"
        gone = await http.delete(path, params={"ids": "han", "run": OLD, **bars})
        assert gone.json()["removed"] == ["han"]
    everybody = said(han=("red", 5), ian=("red", 4), joe=("blue", 3))
    other = str(date.fromisoformat(OLD) + timedelta(days=1))
    found = await agreed(http, services, OLD, other, RECENT)
    assert found == [said(ian=("red", 4), joe=("blue", 3)), everybody, everybody]


@pytest.mark.parametrize("bars", [{}, {"block": "true"}], ids=("removed", "barred"))
async def test_a_user_taken_off_a_leaderboard(
    http: httpx.AsyncClient, services: Services, imported: dict[str, str], bars: dict[str, str]
) -> None:
    for key in KEYS:
        path = f"/admin/v1/leaderboards/{imported[key]}/users"
        assert (await http.delete(path, params={"ids": "han", **bars})).json()["removed"] == ["han"]
    left = said(ian=("red", 4), joe=("blue", 3))
    assert await agreed(http, services, OLD, RECENT) == [left, left]


async def event_of(services: Services, user: str, day: str) -> str:
    found = await services.pool.fetchval(
        "SELECT id FROM events WHERE user_id = $1 AND day = $2 AND corrects IS NULL",
        user,
        date.fromisoformat(day),
    )
    return str(found)


async def test_an_event_corrected_and_undone(
    http: httpx.AsyncClient, services: Services, imported: dict[str, str]
) -> None:
    id_ = await event_of(services, "han", OLD)
    for value in (50, 7):
        assert (await http.patch(f"/admin/v1/events/{id_}", json={"value": value})).status_code == 200
    everybody = {"ian": ("red", 4.0), "joe": ("blue", 3.0)}
    assert (await agreed(http, services, OLD))[0] == said(han=("red", 7), **everybody)
    assert (await http.delete(f"/admin/v1/events/{id_}")).status_code == 200
    [found] = await agreed(http, services, OLD)
    assert found == said(han=("red", 0), **everybody)
    assert (await http.get("/v1/users/han/metrics/words")).json()["current"] == 5 * (DAYS - 1)
    # A new one in a recent run, by a process that holds the state, counts as ever.
    assert (await agreed(http, services, RECENT))[0] == said(han=("red", 5), **everybody)


@pytest.mark.parametrize("how", ["event", "profile", "batch"])
async def test_a_user_who_moves_to_another_group(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, imported: dict[str, str], how: str
) -> None:
    person: dict[str, Any] = {"id": "han", "attributes": {"team": "blue"}}
    if how == "event":
        answer = await http.post("/v1/metrics/words/event", json={"user": person, "value": 1})
    elif how == "profile":
        answer = await http.patch("/v1/users/han", json={"attributes": {"team": "blue"}})
    else:
        answer = await http.post("/admin/v1/metrics/events", json=[{"key": "words", "user": person, "value": 1}])
    assert answer.status_code in (200, 201, 202), answer.text
    for found in await agreed(http, services, OLD, RECENT):
        wanted = said(han=("blue", 5), ian=("red", 4), joe=("blue", 3))
        # A group keeps what a leaver scored for it, and a joiner begins with nothing.
        wanted["groups of kept"] = [("red", 9, 2), ("blue", 3, 1)]
        assert found == wanted


async def test_a_user_without_a_group_who_joins_one(
    http: httpx.AsyncClient, services: Services, imported: dict[str, str]
) -> None:
    await history(http, "kim", None, 9)
    await http.patch("/v1/users/kim", json={"attributes": {"team": "blue"}})
    wanted = said(han=("red", 5), ian=("red", 4), joe=("blue", 3), kim=("blue", 9))
    wanted["groups of kept"] = [("red", 9, 2), ("blue", 3, 1)]
    assert await agreed(http, services, OLD, RECENT) == [wanted, wanted]


async def test_what_another_process_does_between_the_pieces(
    http: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
    imported: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(older_runs, "PIECE", 10)
    async with open_services(services.settings, clock) as other:
        call, left = services.redis.call, [3, 9, 15]
        calls = 0

        async def intercepted(function: str, meta: str, *args: Any) -> Any:
            nonlocal calls
            if function == "commit":
                calls += 1
                if left and calls >= left[0]:
                    left.pop(0)
                    event = Event(new_uuid7(clock.now_ms), "han", "words", 1, clock.now_ms)
                    await other.intake(other.directory.production).batcher.submit(event)
            return await call(function, meta, *args)

        monkeypatch.setattr(services.redis, "call", intercepted)
        answer = await http.patch("/v1/users/han", json={"attributes": {"team": "blue"}})
        assert answer.status_code == 200, answer.text
        assert not left
    wanted = said(han=("blue", 5), ian=("red", 4), joe=("blue", 3))
    wanted["groups of kept"] = [("red", 9, 2), ("blue", 3, 1)]
    assert await agreed(http, services, OLD, RECENT) == [wanted, wanted]


async def test_where_postgres_does_not_catch_up(
    http: httpx.AsyncClient,
    services: Services,
    imported: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is taken off by halves; but who is to be erased is erased, though Postgres refused something."""
    monkeypatch.setattr(older_runs, "PATIENCE_S", 0)
    await services.pool.execute("UPDATE users SET token = 'of an entry that was refused' WHERE id = 'han'")
    path = f"/admin/v1/leaderboards/{imported['plain']}/users"
    assert (await http.delete(path, params={"ids": "han"})).status_code == 503
    assert (await http.patch("/v1/users/han", json={"attributes": {"team": "blue"}})).status_code == 503
    everybody = said(han=("red", 5), ian=("red", 4), joe=("blue", 3))
    assert [await everything(http, run) for run in (OLD, RECENT)] == [everybody] * 2
    assert (await http.delete("/admin/v1/users", params={"ids": "han"})).status_code == 200
    left = said(ian=("red", 4), joe=("blue", 3))
    assert await agreed(http, services, OLD, RECENT) == [left, left]


async def test_of_runs_that_are_final_nothing_is_asked(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, imported: dict[str, str]
) -> None:
    await end_runs(services, clock)
    before = await page(http, "plain", OLD)
    path = f"/admin/v1/leaderboards/{imported['plain']}/users"
    assert (await http.delete(path, params={"ids": "han"})).json()["removed"] == ["han"]
    await http.patch("/v1/users/han", json={"attributes": {"team": "blue"}})
    assert await page(http, "plain", OLD) == before
    assert await groups(http, "teams", OLD) == [("red", 9, 2), ("blue", 3, 1)]
