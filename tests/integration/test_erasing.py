"""Users erased: nothing of them is anywhere, everybody else stays, and they may come back as somebody new."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from podium.game.ids import new_uuid7
from podium.jobs.finals import Finals
from podium.services import Services
from podium.spaces import audit, store
from podium.spaces.audit import Entry
from podium.spaces.catalog_store import editing
from podium.spaces.directory import Directory
from podium.spaces.item_kinds import BOOST
from podium.storage.postgres.pool import Pool
from podium.writebehind import erasing
from podium.writebehind.eviction import evict
from podium.writebehind.rebuild import rebuild
from tests.backfills import backfill
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, make

USER = "zoe-7f3a"
EMAIL = "zoe@secret.example"


@pytest.fixture
async def game(http: httpx.AsyncClient, clock: SettableClock, services: Services) -> None:
    """Zoe and Bob have something of everything: boards, a final run, groups, points, a streak, a key, a boost."""
    [words] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    [city] = await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    board = {"rankBy": "metric", "metricId": words["id"], "status": "active", "start": "2026-01-01"}
    daily = {"runUnit": "day", "runInterval": 1}
    await make(
        http,
        "leaderboards",
        {"name": "All", "key": "all", **board},
        {"name": "Daily", "key": "daily", **board, **daily},
        {"name": "Cities", "key": "cities", "groupBy": city["id"], **board},
    )
    await http.patch("/admin/v1/streaks/settings", json={"metrics": [{"key": "words", "threshold": 1}]})
    achievement = {"trigger": "metric", "metricId": words["id"], "metricValue": 1, "status": "active"}
    await make(http, "achievements", {"name": "First words", **achievement})
    trigger = {"type": "metric", "metricId": words["id"], "metricThreshold": 1, "points": 1, "status": "active"}
    [xp] = await make(http, "points", {"name": "XP", "key": "xp", "triggers": [trigger]})
    boost = {"name": "Sorry", "start": "2026-11-01", "multiplier": 2, "userId": USER}
    await make(http, f"points/{xp['id']}/boosts", boost)
    await make(http, "application-api-keys", {"userId": USER})
    for _ in range(2):
        for user in (USER, "bob"):
            await post(http, user, 10)
        clock.now_ms += DAY_MS
    reset = await http.post("/admin/v1/streaks/reset", json={"users": [{"id": USER}]})
    assert reset.json()["issues"] == []
    await flush(services)


async def post(http: httpx.AsyncClient, user: str, value: float) -> dict[str, Any]:
    who = {
        "id": user,
        "name": f"{user} Z.",
        "email": EMAIL if user == USER else None,
        "attributes": {"city": "Rome"},
    }
    answer = await http.post(
        "/v1/metrics/words/event",
        json={"user": who, "value": value},
        headers={"Idempotency-Key": f"key of {user} {value}"} if value < 5 else {},
    )
    assert answer.status_code == 201, answer.text
    answered: dict[str, Any] = answer.json()
    return answered


async def ranked(http: httpx.AsyncClient) -> list[str]:
    """Who stands on the leaderboard of all."""
    return [row["userId"] for row in (await http.get("/v1/leaderboards/all")).json()["rankings"]]


async def everything(services: Services) -> dict[str, str]:
    """All that both stores hold, as text, by its place."""
    found: dict[str, str] = {}
    raw = services.redis.raw
    async for key in raw.scan_iter():
        found[key.decode()] = (await raw.execute_command("DUMP", key)).decode("latin-1") if key else ""
        kind = await raw.type(key)
        if kind == b"hash":
            found[key.decode()] = str(await raw.hgetall(key))
        elif kind == b"zset":
            found[key.decode()] = str(await raw.zrange(key, 0, -1))
        elif kind == b"stream":
            found[key.decode()] = str(await raw.xrange(key))
    async with services.pool.acquire() as connection:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
        for (table,) in tables:
            rows = await connection.fetch(f"SELECT t::text FROM {table} t")
            found[table] = "\n".join(row[0] for row in rows)
    return found


HELD_OTHERWISE = {
    "achievement_completions": "erased with its counts",
    "api_keys": "an application key goes with its revocation",
    "user_words": "goes with the row of the user, by a trigger",
}
"""Tables with a column ``user_id`` that ``erase`` does not go through like the others, and why."""


async def test_every_table_with_users_is_erased(pool: Pool) -> None:
    """A new one has a place in ``_OF_USER``, or a reason here."""
    rows = await pool.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'user_id'"
        " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"
    )
    assert {row["relname"] for row in rows} == {*erasing._OF_USER, *HELD_OTHERWISE}


async def test_nothing_of_an_erased_user_stays(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, game: None
) -> None:
    undo = services.directory.production.keys.undo(USER)
    await services.redis.raw.set(undo, b"{}")  # as the console does
    before = await everything(services)
    holding = {place for place, text in before.items() if USER in text or EMAIL in text}
    tables = {"users", "events", "metric_days", "place_days", "streak_periods", "user_streaks"}
    tables |= {"point_awards", "point_days", "user_points", "achievement_completions", "api_keys", "audit_log"}
    assert tables | {"catalog_items", "catalog_versions"} <= holding
    assert undo in before

    answer = (await http.delete("/admin/v1/users", params={"ids": [USER, "nobody"]})).json()
    assert answer["deleted"] == [{"id": USER}]
    assert [(issue["id"], issue["message"]) for issue in answer["issues"]] == [
        ("nobody", "User not found: nobody")
    ]
    await flush(services)
    await post(http, "bob", 1)  # the log keeps its newest entry until there is a newer one
    await flush(services)
    after = await everything(services)
    assert {place for place, text in after.items() if USER in place + text or EMAIL in text} == set()

    assert (await http.get(f"/v1/users/{USER}")).status_code == 404
    assert await ranked(http) == ["bob"]
    [group] = (await http.get("/v1/leaderboards/cities/groups")).json()["rankings"]
    assert (group["group"], group["members"], group["value"]) == ("Rome", 1, 21)
    [achievement] = (await http.get("/v1/achievements")).json()
    assert (achievement["completions"], achievement["rarity"]) == (1, 100)
    rows = (await http.get("/admin/v1/audit-log")).json()["rows"]
    erased = next(row for row in rows if row["action"] == "erase")
    assert (erased["kind"], erased["item"][:7], erased["before"], erased["after"]) == (
        "user",
        "sha256:",
        None,
        None,
    )
    found = (await http.get("/admin/v1/audit-log", params={"item": erased["item"]})).json()["rows"]
    assert {row["action"] for row in found} == {"erase", "reset"}

    # What is rebuilt from Postgres is the same again.
    await rebuild(services.pool, services.redis, services.directory.production, services.clock, force=True)
    await services.directory.refresh()
    assert await ranked(http) == ["bob"]


async def test_an_erased_user_may_come_back_as_somebody_new(
    http: httpx.AsyncClient, services: Services, game: None
) -> None:
    await post(http, USER, 3)
    await http.delete("/admin/v1/users", params={"ids": USER})
    # Before Postgres has heard of it: the same key counts again, and nothing of what was is counted.
    answer = await post(http, USER, 3)
    assert (answer["total"], answer["idempotentReplayed"]) == (3, False)
    assert answer["leaderboards"]["all"]["previousRank"] is None
    assert answer["currentStreak"]["length"] == 1
    await flush(services)
    export = (await http.get(f"/admin/v1/users/{USER}/export")).json()
    assert [event["units"] for event in export["tables"]["events"]] == [3]
    assert [row["change"] for row in export["tables"]["metricDays"]] == [3]


async def test_a_cold_user_is_erased_too(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, game: None
) -> None:
    space = services.directory.production
    clock.now_ms += DAY_MS
    assert await evict(services.pool, services.redis, space, clock.now_ms) == 2
    answer = (await http.delete("/admin/v1/users", params={"ids": USER})).json()
    assert (answer["deleted"], answer["issues"]) == ([{"id": USER}], [])
    await flush(services)
    assert await services.redis.raw.hget(space.keys.cold, USER) is None
    assert await ranked(http) == ["bob"]
    assert (await http.get("/admin/v1/users")).json()["users"][0]["id"] == "bob"
    for bad in ("", "x" * 300, "a\x00b"):
        refused = await http.delete("/admin/v1/users", params={"ids": bad})
        assert refused.status_code == 422 or refused.json()["issues"], bad


async def test_nothing_stays_in_runs_that_are_final(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, game: None, space_id: int
) -> None:
    """Standings of all and of groups, rows that Postgres refused; the places of others stay, with a gap."""
    boards = {row["key"]: row["id"] for row in (await http.get("/admin/v1/leaderboards")).json()}
    for user, value in ((USER, 9), ("bob", 1)):
        await post(http, user, value)
    await backfill(services)
    for key in ("daily", "cities"):
        ended = await http.post(f"/admin/v1/leaderboards/{boards[key]}/runs/end")
        assert ended.status_code == 200, ended.text
    await flush(services)
    space = services.directory.production
    finals = Finals(services.pool, services.redis, services.directory, space, services.clock)
    assert await finals.round() >= 2
    async with services.pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO rejected_entries (space_id, log_id, item, user_id, record, state, error)"
            " VALUES ($1, '1-0', 0, $2, '{}', '{}', 'test')",
            space_id,
            USER,
        )
        groups = await connection.fetch("SELECT grp FROM group_standings WHERE space_id = $1", space_id)
    before = await everything(services)
    holding = {place for place, text in before.items() if USER in text}
    assert {"run_standings", "rejected_entries"} <= holding
    assert [row["grp"] for row in groups] == ["Rome"]

    gone = (await http.delete("/admin/v1/users", params={"ids": USER})).json()
    assert (gone["deleted"], gone["issues"]) == ([{"id": USER}], [])
    await flush(services)
    await post(http, "bob", 2)  # the log keeps its newest entry until there is a newer one
    await flush(services)
    after = await everything(services)
    assert {place for place, text in after.items() if USER in place + text or EMAIL in text} == set()
    for key in ("daily", "cities"):
        found = (await http.get(f"/v1/leaderboards/{key}?run=2026-11-25")).json()["rankings"]
        assert [(row["userId"], row["rank"]) for row in found] == [("bob", 2)], key


async def test_a_boost_that_another_process_just_made_goes_too(
    http: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
    game: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = services.directory
    other = Directory(services.pool, services.redis, services.settings.database_url, clock)
    await other.refresh()
    space = other.production
    [boost] = space.index.catalog.boosts
    again = msgspec.structs.replace(boost, id=new_uuid7(clock.now_ms), user_id="bob")

    async def unheard(_: object) -> None:
        """The news is still on its way."""

    with monkeypatch.context() as patch:
        patch.setattr(store, "announce", unheard)
        async with editing(other, space, next(iter(other._principals.values()))) as editor:
            editor.insert(BOOST, msgspec.structs.replace(again, key=again.id, number=editor.take_number()))
    await http.delete("/admin/v1/users", params={"ids": "bob"})
    for directory in (here, other):
        await directory.refresh()
        assert [one.user_id for one in directory.production.index.catalog.boosts] == [USER]


async def test_what_support_did_meanwhile_is_forgotten_too(
    http: httpx.AsyncClient, services: Services, game: None
) -> None:
    """An action that was under way writes what it did when the log has been cleared already."""
    space = services.directory.production
    await http.delete("/admin/v1/users", params={"ids": USER})
    async with services.pool.acquire() as connection:
        late = [Entry("freeze", "streak", USER, {"freezes": 0}), Entry("update", "event", "1", {"userId": USER})]
        await audit.write(connection, space.id, "Ana", late, "she lost hers")
    await flush(services)
    rows = (await http.get("/admin/v1/audit-log")).json()["rows"]
    assert USER not in str(rows)
    told = [(row["action"], row["before"], row["after"]) for row in rows[:3]]
    assert told == [("update", None, None), ("freeze", None, None), ("erase", None, None)]
