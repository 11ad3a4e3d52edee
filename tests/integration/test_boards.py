"""Leaderboards in full over HTTP: ties, order, operators, windows, audience, breakdowns, groups, lists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from podium.services import Services
from podium.writebehind.flusher import Flusher
from tests.conftest import SettableClock

DAY_MS = 86_400_000
NOON_MS = int(datetime.fromisoformat("2026-11-23T12:00:00+00:00").timestamp() * 1000)


@pytest.fixture
async def metric(http: httpx.AsyncClient) -> str:
    [row] = await make(http, "metrics", {"name": "Words", "key": "words"})
    return str(row["id"])


@pytest.fixture
async def attributes(http: httpx.AsyncClient) -> dict[str, str]:
    rows = await make(
        http,
        "attributes",
        *({"name": key.title(), "key": key, "type": "user"} for key in ("city", "team", "avatar")),
    )
    return {row["key"]: row["id"] for row in rows}


@pytest.fixture
def board(http: httpx.AsyncClient, metric: str) -> Any:
    async def create(key: str, **fields: Any) -> dict[str, Any]:
        common = {"name": key, "key": key, "rankBy": "metric", "metricId": metric, "status": "active"}
        [row] = await make(http, "leaderboards", {"start": "2026-01-01", **common, **fields})
        return row

    return create


@pytest.fixture
def ticking(clock: SettableClock) -> Iterator[SettableClock]:
    """Each event a millisecond after the one before."""
    clock.now_ms = NOON_MS
    return clock


async def make(http: httpx.AsyncClient, kind: str, *items: dict[str, Any]) -> list[dict[str, Any]]:
    answer = (await http.post(f"/admin/v1/{kind}", json=list(items))).json()
    assert answer["issues"] == []
    rows: list[dict[str, Any]] = answer["created"]
    return rows


async def flush(services: Services) -> None:
    flusher = Flusher(services.pool, services.redis, services.directory.production, services.clock)
    while (await flusher.flush()).more:
        pass


async def score(
    http: httpx.AsyncClient, clock: SettableClock, user: str, value: float, **attributes: str | None
) -> dict[str, Any]:
    clock.now_ms += 1
    who: dict[str, Any] = {"id": user, "name": user.title()}
    if attributes:
        who["attributes"] = attributes
    answer = await http.post("/v1/metrics/words/event", json={"user": who, "value": value})
    assert answer.status_code == 201, answer.text
    boards: dict[str, Any] = answer.json()["leaderboards"]
    return boards


async def get(http: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    answer = await http.get(f"/v1/leaderboards/{path}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def places(rankings: list[dict[str, Any]], value: str = "value") -> list[tuple[Any, ...]]:
    return [(row["rank"], row.get("userId", row.get("group")), row[value]) for row in rankings]


@pytest.mark.parametrize(
    ("tie_rule", "ranks"),
    [("ordinal", [1, 2, 3, 4, 5]), ("competition", [1, 2, 2, 2, 5]), ("dense", [1, 2, 2, 2, 3])],
)
async def test_tie_rules_agree_everywhere(
    http: httpx.AsyncClient, board: Any, ticking: SettableClock, tie_rule: str, ranks: list[int]
) -> None:
    await board("top", tieRule=tie_rule)
    for user, value in (("a", 9), ("b", 5), ("c", 5), ("e", 1)):
        await score(http, ticking, user, value)
    told = (await score(http, ticking, "d", 5))["top"]
    page = (await get(http, "top"))["rankings"]
    assert places(page) == list(zip(ranks, "abcde", [9, 5, 5, 5, 1], strict=True))
    assert (told["rank"], told["previousRank"]) == (ranks[3], None)
    later = (await get(http, "top", offset=2, limit=2))["rankings"]
    assert places(later) == places(page)[2:4]
    around = (await get(http, "top/around/d", k=1))["rankings"]
    assert places(around) == places(page)[2:5]
    own = (await http.get("/v1/users/d/leaderboards/top")).json()
    assert own["rank"] == ranks[3]
    friends = (await get(http, "top/users", ids="e,d,b,nobody"))["rankings"]
    assert [(row["userId"], row["overallRank"]) for row in friends] == [
        ("b", ranks[1]),
        ("d", ranks[3]),
        ("e", ranks[4]),
    ]
    among = {"ordinal": [1, 2, 3], "competition": [1, 1, 3], "dense": [1, 1, 2]}[tie_rule]
    assert [row["rank"] for row in friends] == among
    moved = (await score(http, ticking, "e", 4))["top"]
    assert (moved["previousRank"], moved["rank"]) == (ranks[4], {"ordinal": 5}.get(tie_rule, 2))


async def test_best_and_last_of_lap_times(http: httpx.AsyncClient, board: Any, ticking: SettableClock) -> None:
    await board("fastest", order="asc", operator="best", maxParticipants=2)
    await board("latest", order="asc", operator="last")
    for user, lap in (("a", 61.5), ("b", 60.25), ("a", 59.5), ("b", 70), ("c", 65)):
        told = await score(http, ticking, user, lap)
    assert (told["fastest"]["rank"], told["fastest"]["threshold"], told["latest"]["rank"]) == (None, 60, 2)
    assert places((await get(http, "fastest"))["rankings"], "exactValue") == [(1, "a", 59.5), (2, "b", 60.25)]
    latest = (await get(http, "latest"))["rankings"]
    assert places(latest, "exactValue") == [(1, "a", 59.5), (2, "c", 65), (3, "b", 70)]


async def test_times_of_day_and_audience(
    http: httpx.AsyncClient, board: Any, attributes: dict[str, str], ticking: SettableClock
) -> None:
    await board("night", startTime="22:00", endTime="02:00")
    await board(
        "reds",
        userAttributes=[{"attributeId": attributes["team"], "attributeValue": "red"}],
        displayAttributes=["team", "avatar"],
    )
    assert set(await score(http, ticking, "a", 1, team="blue")) == set()
    told = await score(http, ticking, "a", 2, team="red", avatar="🦊")
    assert {key: row["rank"] for key, row in told.items()} == {"reds": 1}
    [row] = (await get(http, "reds"))["rankings"]
    assert (row["value"], row["attributes"]) == (2, {"team": "red", "avatar": "🦊"})

    # Out of the audience: off the board, with the score kept for the way back.
    await http.patch("/v1/users/a", json={"attributes": {"team": None}})
    assert (await get(http, "reds"))["rankings"] == []
    await score(http, ticking, "a", 50)
    await http.patch("/v1/users/a", json={"attributes": {"team": "red"}})
    assert places((await get(http, "reds"))["rankings"]) == [(1, "a", 2)]

    ticking.now_ms = NOON_MS + 10 * 3_600_000
    assert set(await score(http, ticking, "a", 7)) == {"night", "reds"}
    assert places((await get(http, "night"))["rankings"]) == [(1, "a", 7)]


async def test_breakdowns(
    http: httpx.AsyncClient, board: Any, attributes: dict[str, str], ticking: SettableClock
) -> None:
    await board("by-city", breakdownAttributes=[attributes["city"], attributes["team"]])
    assert await score(http, ticking, "a", 3) == {}  # without a group, but the score is kept
    told = (await score(http, ticking, "a", 4, city="Köln & Bonn", team="red"))["by-city"]
    assert (told["rank"], told["breakdownAttributeValues"]) == (
        1,
        [{"key": "city", "value": "Köln & Bonn"}, {"key": "team", "value": "red"}],
    )
    await score(http, ticking, "b", 5, city="Oslo", team="red")
    group = {"userAttributes": "team:red,city:Köln & Bonn"}
    assert places((await get(http, "by-city", **group))["rankings"]) == [(1, "a", 7)]

    # The score moves along.
    await http.patch("/v1/users/a", json={"attributes": {"city": "Oslo"}})
    assert (await get(http, "by-city", **group))["rankings"] == []
    oslo = (await get(http, "by-city", userAttributes="city:Oslo,team:red"))["rankings"]
    assert places(oslo) == [(1, "a", 7), (2, "b", 5)]
    assert places((await get(http, "by-city/around/b", k=1))["rankings"]) == places(oslo)
    assert (await http.get("/v1/users/b/leaderboards/by-city")).json()["rank"] == 2

    for text in (None, "city:Oslo", "city:Oslo,team:", "city:Oslo,age:1", "Oslo,red", "city:Oslo,city:Oslo"):
        answer = await http.get("/v1/leaderboards/by-city", params={"userAttributes": text} if text else {})
        assert (answer.status_code, answer.json()["error"][:14]) == (422, "userAttributes")


@pytest.mark.parametrize(
    ("aggregate", "ranking"),
    [
        ("sum", [(1, "London", 12), (2, "Oslo", 9), (3, "Rome", 8)]),
        ("average", [(1, "Oslo", 9), (2, "Rome", 8), (3, "London", 4)]),
        ("max", [(1, "Oslo", 9), (2, "Rome", 8), (3, "London", 7)]),
        ("top", [(1, "Oslo", 9), (2, "Rome", 8), (3, "London", 5.5)]),
    ],
)
async def test_groups(
    http: httpx.AsyncClient,
    board: Any,
    attributes: dict[str, str],
    ticking: SettableClock,
    aggregate: str,
    ranking: list[tuple[int, str, float]],
) -> None:
    await board("cities", groupBy=attributes["city"], aggregate=aggregate, aggregateTop=2)
    for user, value, city in (
        ("a", 1, "London"),
        ("b", 4, "London"),
        ("c", 9, "Oslo"),
        ("d", 8, "Rome"),
        ("e", 7, "London"),
    ):
        told = (await score(http, ticking, user, value, city=city))["cities"]
    rank, _, value = ranking[[row[1] for row in ranking].index("London")]
    assert (told["group"]["group"], told["group"]["rank"], told["group"]["value"], told["group"]["members"]) == (
        "London",
        rank,
        value,
        3,
    )
    assert told["rank"] == 3  # the user's own, among all
    found = await get(http, "cities/groups")
    assert (places(found["rankings"]), found["groups"]) == (ranking, 3)
    london = await get(http, "cities/groups/London")
    assert places(london["rankings"]) == [(1, "e", 7), (2, "b", 4), (3, "a", 1)]
    assert london["group"]["rank"] == rank

    # A mover brings the score along; a group without members is gone.
    await http.patch("/v1/users/c", json={"attributes": {"city": "London"}})
    moved = {row["group"]: row for row in (await get(http, "cities/groups"))["rankings"]}
    assert set(moved) == {"London", "Rome"}
    assert (moved["London"]["members"], moved["London"]["value"]) == (
        4,
        {"sum": 21, "average": 5.25, "max": 9, "top": 8}[aggregate],
    )
    assert (await http.get("/v1/leaderboards/cities/groups/Oslo")).status_code == 404


async def test_history_of_a_group(
    http: httpx.AsyncClient, services: Services, board: Any, attributes: dict[str, str], ticking: SettableClock
) -> None:
    await board("cities", groupBy=attributes["city"], order="asc", aggregate="average", minMembers=2)
    await score(http, ticking, "a", 3, city="Oslo")
    ticking.now_ms += DAY_MS
    for user, value in (("b", 4), ("b", 1)):
        await score(http, ticking, user, value, city="Oslo")
    await flush(services)
    history = (await get(http, "cities/groups/Oslo"))["history"]
    assert history == [
        {"date": "2026-11-23", "rank": None, "value": None, "members": 1},
        {"date": "2026-11-24", "rank": 1, "value": 4, "members": 2},
    ]
    assert (await get(http, "cities/groups/Oslo", numEvents=1))["history"] == history[1:]
    assert (await get(http, "cities/groups/Oslo", numEvents=0))["history"] == []


async def test_groups_that_keep_what_leavers_scored(
    http: httpx.AsyncClient, board: Any, attributes: dict[str, str], ticking: SettableClock
) -> None:
    await board("cities", groupBy=attributes["city"], keepOnLeave=True, minMembers=2)
    await score(http, ticking, "a", 3, city="Oslo")
    assert (await get(http, "cities/groups"))["rankings"] == []
    assert (await get(http, "cities/groups/Oslo"))["group"]["rank"] is None
    await score(http, ticking, "b", 4, city="Oslo")
    await score(http, ticking, "b", 1, city="Rome")
    assert [(r["group"], r["value"], r["members"]) for r in (await get(http, "cities/groups"))["rankings"]] == [
        ("Oslo", 7, 2)
    ]
    assert places((await get(http, "cities"))["rankings"]) == [(1, "b", 5), (2, "a", 3)]


async def test_pages_follow_each_other_while_scores_move(
    http: httpx.AsyncClient, board: Any, ticking: SettableClock
) -> None:
    await board("top")
    for number in range(9):
        await score(http, ticking, f"u{number}", 100 - number)
    first = await get(http, "top", limit=3)
    await score(http, ticking, "u8", 50)  # from the last page to the first
    await score(http, ticking, "u2", -90)  # the last row of the first page, down to the end
    seen = [row["userId"] for row in first["rankings"]]
    cursor = first["nextCursor"]
    while cursor:
        page = await get(http, "top", limit=3, cursor=cursor)
        seen += [row["userId"] for row in page["rankings"]]
        cursor = page.get("nextCursor")
    assert seen == ["u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u2"]
    for query in ({"cursor": "x"}, {"cursor": first["nextCursor"], "offset": 1}):
        assert (await http.get("/v1/leaderboards/top", params=query)).status_code == 422


async def test_all_places_of_a_user(http: httpx.AsyncClient, board: Any, ticking: SettableClock) -> None:
    await board("top")
    await board("today", runUnit="day", runInterval=1)
    await board("coming", start="2026-12-24")
    await score(http, ticking, "a", 3.5)
    found = (await http.get("/v1/users/a/leaderboards")).json()
    assert [(row["key"], row["rank"], row["value"]) for row in found] == [("top", 1, 3.5), ("today", 1, 3.5)]
    assert (await http.get("/v1/users/nobody/leaderboards")).status_code == 404
    assert (await http.get("/v1/leaderboards/top/groups")).status_code == 422
