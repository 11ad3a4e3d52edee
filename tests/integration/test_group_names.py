"""Groups by the names that people write: their order, and how long they may be."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from podium.game import catalog
from podium.game.leaderboards import ranking, rules
from podium.game.leaderboards.ranking import GROUP_MAX, group_name
from podium.jobs.finals import Finals
from podium.services import Services
from podium.writebehind.rebuild import is_outdated, rebuild
from tests.backfills import backfill
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, get, make

NAMES = [
    "Aachen",
    "Zürich",
    "Ämål",
    "Zug",
    "日本",
    "1860",
    "100%",
    "New York",
    "New%20York",
    "😀",
    "\uffff",
    "a:",
    " b&c ",
]
"""Each stands elsewhere among the percent-encoded ones; the last but three is beyond UTF-16's first plane."""


@pytest.fixture
async def metric(http: httpx.AsyncClient) -> str:
    [row] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    return str(row["id"])


@pytest.fixture
async def city(http: httpx.AsyncClient) -> str:
    [row] = await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    return str(row["id"])


async def create(http: httpx.AsyncClient, key: str, metric: str, **fields: Any) -> None:
    board = {"name": key, "key": key, "rankBy": "metric", "metricId": metric, "status": "active"}
    await make(http, "leaderboards", {**board, "start": "2026-11-01", **fields})


async def post(http: httpx.AsyncClient, user: str, **attributes: str) -> httpx.Response:
    who = {"id": user, "attributes": attributes}
    return await http.post("/v1/metrics/words/event", json={"user": who, "value": 5})


@pytest.mark.parametrize("tie", ["ordinal", "competition", "dense"])
async def test_groups_of_equal_value_stand_in_order_of_their_names(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str, city: str, tie: str
) -> None:
    clock.now_ms -= 2 * DAY_MS
    await create(http, "cities", metric, groupBy=city, end="2026-11-23", tieRule=tie)
    clock.now_ms += 2 * DAY_MS
    for i, name in enumerate(NAMES):
        told = (await post(http, f"u{i}", city=name)).json()["leaderboards"]["cities"]["group"]
        rank = 1 if tie != "ordinal" else sorted(NAMES[: i + 1]).index(name) + 1
        assert (told["group"], told["rank"]) == (name, rank)
    wanted = [(i if tie == "ordinal" else 1, name) for i, name in enumerate(sorted(NAMES), 1)]

    async def check() -> None:
        rows = [
            row
            for offset in range(0, len(NAMES), 4)
            for row in (await get(http, "cities/groups", limit=4, offset=offset))["rankings"]
        ]
        assert [(row["rank"], row["group"]) for row in rows] == wanted
        for rank, name in wanted:
            path = f"cities/groups/{group_name((name,))}"
            found = (await get(http, path, numEvents=0))["group"]
            assert (found["group"], found["rank"]) == (name, rank)

    await check()
    await flush(services)
    space = services.directory.production
    await rebuild(services.pool, services.redis, space, clock, force=True)
    await check()
    await services.directory.refresh()
    await backfill(services)
    clock.now_ms += 3 * DAY_MS
    await Finals(services.pool, services.redis, services.directory, space, clock).round()
    assert await services.pool.fetchval("SELECT count(*) FROM group_standings") == len(NAMES)
    await check()


async def test_a_redis_of_an_earlier_release_is_laid_out_anew(services: Services, clock: SettableClock) -> None:
    space = services.directory.production
    assert not await is_outdated(services.redis, space)
    await services.redis.raw.hdel(space.keys.meta, "layout")
    assert await is_outdated(services.redis, space)
    assert await rebuild(services.pool, services.redis, space, clock) is not None
    assert not await is_outdated(services.redis, space)
    assert await rebuild(services.pool, services.redis, space, clock) is None


@pytest.mark.parametrize("kind", ["groupBy", "breakdownAttributes"])
async def test_a_group_that_is_too_long_is_refused_by_name(
    http: httpx.AsyncClient, services: Services, metric: str, city: str, kind: str
) -> None:
    await create(http, "cities", metric, **{kind: [city] if kind == "breakdownAttributes" else city})
    longest, too_long = "日" * (GROUP_MAX // 9), "日" * (GROUP_MAX // 9 + 1)
    refusal = "attributes.city must have at most 1,500 bytes, percent-encoded: a leaderboard groups by it"
    answer = await post(http, "ann", city=too_long)
    assert (answer.status_code, answer.json()) == (422, {"error": refusal})
    answer = await http.post("/v1/users", json={"id": "ann", "attributes": {"city": too_long}})
    assert (answer.status_code, answer.json()) == (422, {"error": refusal})
    item = {"key": "words", "user": {"id": "ann", "attributes": {"city": too_long}}, "value": 1}
    answer = await http.post("/admin/v1/metrics/events", json=[item])
    assert (answer.status_code, answer.json()) == (422, {"error": f"[0]: {refusal}"})
    assert (await post(http, "\U0010ffff" * 255, city=longest)).status_code == 201
    await flush(services)
    assert await services.pool.fetchval("SELECT count(*) FROM rejected_entries") == 0
    assert await services.pool.fetchval("SELECT max(grp) FROM standings") == group_name((longest,))


async def test_several_attributes_share_the_length_of_a_group(
    http: httpx.AsyncClient, services: Services, metric: str, city: str
) -> None:
    [team] = await make(http, "attributes", {"name": "Team", "key": "team", "type": "user"})
    await create(http, "cities", metric, breakdownAttributes=[city, team["id"]])
    most = (GROUP_MAX - 1) // 2
    answer = await post(http, "ann", team="x" * (most + 1))
    assert answer.json()["error"].startswith("attributes.team must have at most 749 bytes")
    assert (await post(http, "ann", team="x" * most, city="y" * most)).status_code == 201
    await flush(services)
    assert await services.pool.fetchval("SELECT max(length(grp)) FROM standings") == 2 * most + 1


async def test_whoever_stands_in_a_group_that_is_too_long_takes_the_score_out_of_it(
    http: httpx.AsyncClient, services: Services, metric: str, city: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before there was a limit, Postgres refused every event of such a user."""
    with monkeypatch.context() as patch:
        for module in (ranking, rules, catalog):
            patch.setattr(module, "GROUP_MAX", 10_000)
        await create(http, "broken-down", metric, breakdownAttributes=[city])
        await create(http, "grouped", metric, groupBy=city)
        value = "".join(chr(0x4E00 + i * 7) for i in range(1_000))  # compresses badly
        assert (await post(http, "ann", city=value)).status_code == 201
    await flush(services)
    assert await services.pool.fetchval("SELECT count(*) FROM rejected_entries") == 1
    answer = await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 2})
    assert (answer.status_code, answer.json()["total"]) == (201, 7)
    assert answer.json()["leaderboards"]["grouped"]["rank"] == 1
    await flush(services)
    assert await services.pool.fetchval("SELECT count(*) FROM rejected_entries") == 1
    assert (await get(http, "grouped/groups"))["rankings"] == []
    await rebuild(services.pool, services.redis, services.directory.production, services.clock, force=True)
    assert (await http.patch("/v1/users/ann", json={"attributes": {"city": "Zug"}})).status_code == 200
    assert [row["value"] for row in (await get(http, "broken-down", userAttributes="city:Zug"))["rankings"]] == [7]
    assert [row["value"] for row in (await get(http, "grouped/groups"))["rankings"]] == [7]
    assert [row["value"] for row in (await get(http, "grouped"))["rankings"]] == [7]


async def test_a_value_from_before_the_leaderboard_loses_nothing(
    http: httpx.AsyncClient, services: Services, metric: str, city: str
) -> None:
    value = "".join(chr(0x4E00 + i * 7) for i in range(1_000))  # compresses badly
    assert (await post(http, "ann", city=value)).status_code == 201
    await create(http, "broken-down", metric, breakdownAttributes=[city])
    await create(http, "grouped", metric, groupBy=city)
    for _ in range(2):
        answer = await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 5})
        assert answer.status_code == 201
        assert "broken-down" not in answer.json()["leaderboards"]
        assert answer.json()["leaderboards"]["grouped"]["rank"] == 1
    assert (await get(http, "grouped/groups"))["rankings"] == []
    own = (await http.get("/v1/users/ann/leaderboards")).json()
    assert "broken-down" not in str(own)
    # The score comes along into the first group that there can be.
    assert (await http.patch("/v1/users/ann", json={"attributes": {"city": "Zug"}})).status_code == 200
    assert [row["value"] for row in (await get(http, "broken-down", userAttributes="city:Zug"))["rankings"]] == [
        10
    ]
    assert [row["value"] for row in (await get(http, "grouped/groups"))["rankings"]] == [10]
    await flush(services)
    assert await services.pool.fetchval("SELECT count(*) FROM rejected_entries") == 0
    assert await services.pool.fetchval("SELECT count(*) FROM events") == 3
