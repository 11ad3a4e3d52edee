"""Points, levels and boosts over HTTP on both stores, partly through the published SDK."""

from __future__ import annotations

from datetime import date
from typing import Any

import httpx
import pytest
from trophy import (
    AsyncTrophyApi,
    CreatePointsBoostRequestItem,
    CreatePointsLevelRequestItem,
    CreatePointsSystemRequestItem,
    CreatePointsTriggerRequestItem,
    PatchPointsBoostsRequestItem,
    PatchPointsLevelsRequestItem,
    PatchPointsTriggersRequestItem,
    UpdatePointsSystemRequestItem,
    UpsertedUser,
)
from trophy.errors import NotFoundError, UnprocessableEntityError

from podium.services import Services
from podium.writebehind.rebuild import rebuild
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, get, make, places

UNKNOWN = "0195d0d2-0000-7000-8000-000000000000"


@pytest.fixture
async def metric(http: httpx.AsyncClient) -> str:
    [row] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    return str(row["id"])


@pytest.fixture
async def xp(http: httpx.AsyncClient, metric: str) -> dict[str, Any]:
    """Ten points for every hundred words, two levels, a weekend of double points."""
    system = {
        "name": "Experience",
        "key": "xp",
        "badge": {"url": "https://example.com/xp.png"},
        "levels": [
            {"name": "Bronze", "key": "bronze", "points": 10},
            {"name": "Silver", "key": "silver", "points": 100, "description": "Shiny"},
        ],
        "triggers": [
            {"type": "metric", "points": 10, "metricId": metric, "metricThreshold": 100, "status": "active"},
            {"type": "user_creation", "points": 5, "status": "active"},
        ],
        "boosts": [{"name": "Weekend", "start": "2026-11-28", "end": "2026-11-29", "multiplier": 2}],
    }
    [row] = await make(http, "points", system)
    return row


async def write(http: httpx.AsyncClient, value: float, user: str = "ann", **event: Any) -> dict[str, Any]:
    body = {"user": {"id": user, "name": user.title()}, "value": value, **event}
    answer = await http.post("/v1/metrics/words/event", json=body)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def read(http: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_event_tells_all_about_points(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, xp: dict[str, Any], metric: str
) -> None:
    assert [level["key"] for level in xp["levels"]] == ["bronze", "silver"]
    told = (await write(http, 250))["points"]["xp"]
    assert (told["total"], told["added"], told["level"]["key"]) == (25, 25, "bronze")
    assert [(one["awarded"], one["total"], one["trigger"]["type"]) for one in told["awards"]] == [
        (5, 5, "user_creation"),
        (20, 25, "metric"),
    ]
    assert told["awards"][1]["trigger"]["metricName"] == "Words"
    assert "boosts" not in told["awards"][0]
    assert (await write(http, 10))["points"] == {}

    clock.now_ms += 5 * DAY_MS  # Saturday
    told = (await write(http, 40))["points"]["xp"]
    assert (told["total"], told["added"]) == (45, 20)
    assert "level" not in told
    [award] = told["awards"]
    assert [(boost["name"], boost["status"], boost["multiplier"]) for boost in award["boosts"]] == [
        ("Weekend", "active", 2.0)
    ]
    await flush(services)
    found = await read(http, "/v1/users/ann/points/xp")
    assert (found["total"], found["level"]["key"], found["badgeUrl"]) == (
        45,
        "bronze",
        "https://example.com/xp.png",
    )
    assert found["awards"][0]["id"] == award["id"]
    assert [one["awarded"] for one in found["awards"]] == [20, 20, 5]
    buckets = await read(
        http,
        "/v1/users/ann/points/xp/event-summary",
        aggregation="daily",
        startDate="2026-11-22",
        endDate="2026-11-28",
    )
    assert [(one["change"], one["total"]) for one in buckets] == [
        *((0, 0), (25, 25)),
        *[(0, 25)] * 4,
        (20, 45),
    ]


async def test_a_replay_and_batches_and_an_undo(
    http: httpx.AsyncClient, services: Services, xp: dict[str, Any]
) -> None:
    item = {"key": "words", "user": {"id": "ann"}, "value": 200, "idempotencyKey": "k"}
    batch = await http.post("/admin/v1/metrics/events", json=[item, item])
    assert batch.json() == {"accepted": 2, "replayed": 1}
    again = await http.post(
        "/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 200}, headers={"Idempotency-Key": "k"}
    )
    assert (again.status_code, again.json()["points"]) == (202, {})
    event = await write(http, 300)
    assert event["points"]["xp"]["total"] == 55
    await flush(services)
    assert (await http.delete(f"/admin/v1/events/{event['eventId']}")).status_code == 200
    await flush(services)
    found = await read(http, "/v1/users/ann/points/xp")
    assert (found["total"], [one["awarded"] for one in found["awards"]]) == (25, [-30, 30, 20, 5])


async def test_out_of_points_refuses_the_event(http: httpx.AsyncClient, xp: dict[str, Any]) -> None:
    [hints] = await make(http, "metrics", {"name": "Hints", "key": "hints"})
    trigger = {"type": "metric", "points": -50, "metricId": hints["id"], "metricThreshold": 1}
    await make(http, f"points/{xp['id']}/triggers", {**trigger, "status": "active", "blockIfOutOfPoints": True})
    await write(http, 100)
    refused = await http.post("/v1/metrics/hints/event", json={"user": {"id": "ann"}, "value": 1})
    assert (refused.status_code, refused.json()) == (
        422,
        {"error": "Out of points: Experience would fall below 0"},
    )
    item = {"key": "hints", "user": {"id": "ann"}, "value": 1}
    batch = await http.post("/admin/v1/metrics/events", json=[{**item, "key": "words", "value": 1}, item])
    assert batch.json() == {
        "accepted": 1,
        "refused": [{"index": 1, "error": "Out of points: Experience would fall below 0"}],
    }
    assert (await read(http, "/v1/users/ann/metrics/hints"))["current"] == 0


async def test_summaries(http: httpx.AsyncClient, services: Services, xp: dict[str, Any]) -> None:
    empty = await read(http, "/v1/points/xp/summary")
    assert [(one["from"], one["to"], one["users"]) for one in empty][:3] == [(0, 0, 0), (1, 1, 0), (2, 2, 0)]
    for user, words in (("a", 0), ("b", 900), ("c", 1_200), ("d", 9_400)):
        await write(http, words, user)
    await flush(services)
    found = await read(http, "/v1/points/xp/summary")
    assert len(found) == 11
    assert {(one["from"], one["to"]): one["users"] for one in found if one["users"]} == {
        (1, 100): 2,
        (101, 200): 1,
        (901, 1_000): 1,
    }
    levels = await read(http, "/v1/points/xp/level-summary")
    assert [(one["level"]["key"], one["users"]) for one in levels] == [("bronze", 1), ("silver", 2)]
    await make(http, "points", {"name": "Bare", "key": "bare"})
    assert (await http.get("/v1/points/bare/level-summary")).status_code == 422


async def test_leaderboards_by_points(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, xp: dict[str, Any]
) -> None:
    board = {
        "name": "XP",
        "rankBy": "points",
        "pointsSystemId": xp["id"],
        "status": "active",
        "start": "2026-01-01",
    }
    await write(http, 500, "early")
    await flush(services)
    await make(
        http,
        "leaderboards",
        {**board, "key": "all"},
        {**board, "key": "today", "runUnit": "day", "runInterval": 1},
    )
    assert (await write(http, 10, "ann"))["leaderboards"]["all"]["rank"] == 1
    told = (await write(http, 900, "bob"))["leaderboards"]
    assert (told["all"]["rank"], told["all"]["pointsSystemKey"], told["today"]["rank"]) == (1, "xp", 1)
    clock.now_ms += DAY_MS
    event = await write(http, 500, "ann")
    assert (event["leaderboards"]["all"]["rank"], event["leaderboards"]["today"]["rank"]) == (2, 1)
    assert places((await get(http, "all"))["rankings"]) == [(1, "bob", 95), (2, "ann", 55)]
    assert places((await get(http, "today"))["rankings"]) == [(1, "ann", 50)]
    await flush(services)
    await http.delete(f"/admin/v1/events/{event['eventId']}")
    assert places((await get(http, "all"))["rankings"]) == [(1, "bob", 95), (2, "ann", 5)]
    before = await get(http, "all")
    await flush(services)
    space = services.directory.production
    await services.redis.raw.flushall()
    await rebuild(services.pool, services.redis, space, clock)
    assert (await get(http, "all"))["rankings"] == before["rankings"]


async def test_a_preview_of_a_boost(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, xp: dict[str, Any]
) -> None:
    await write(http, 300, "ann")
    await write(http, 100, "bob")
    await flush(services)
    clock.now_ms += DAY_MS
    path = f"/admin/v1/points/{xp['id']}/boosts/preview"
    found = (await http.post(path, json={"multiplier": 1.5, "days": 3})).json()
    assert found == {
        "from": "2026-11-21",
        "to": "2026-11-23",
        "users": 2,
        "awards": 4,
        "awarded": 50,
        "added": 24,  # 2 + 15 + 2 + 5: each award rounded down by itself
    }
    found = (await http.post(path, json={"multiplier": 2, "userId": "bob", "weekdays": [1]})).json()
    assert (found["users"], found["added"]) == (1, 15)
    assert (await http.post(path, json={"multiplier": 1})).status_code == 422
    assert (await http.post(path.replace(xp["id"], UNKNOWN), json={"multiplier": 2})).status_code == 404


async def test_the_sdk_makes_and_reads_points(trophy: AsyncTrophyApi, metric: str) -> None:
    admin = trophy.admin.points
    made = await admin.systems.create(
        request=[
            CreatePointsSystemRequestItem(
                name="Coins",
                key="coins",
                max_points=500,
                levels=[CreatePointsLevelRequestItem(name="Rich", key="rich", points=100)],
                triggers=[
                    CreatePointsTriggerRequestItem(
                        type="metric", points=7, metric_id=metric, metric_threshold=1, status="active"
                    )
                ],
            ),
            CreatePointsSystemRequestItem(name="", key="nameless"),
        ]
    )
    [system] = made.created
    assert (system.key, system.max_points, [issue.index for issue in made.issues]) == ("coins", 500, [1])
    [trigger] = system.triggers or []
    updated = await admin.systems.update(request=[UpdatePointsSystemRequestItem(id=system.id, name="Gold coins")])
    assert [one.name for one in updated.updated] == ["Gold coins"]
    assert [one.id for one in await admin.systems.list()] == [system.id]
    assert (await admin.systems.get(system.id)).name == "Gold coins"

    levels = await admin.levels.create(
        system.id, request=[CreatePointsLevelRequestItem(name="Poor", key="poor", points=0)]
    )
    [level] = levels.created
    await admin.levels.update(system.id, request=[PatchPointsLevelsRequestItem(id=level.id, name="Modest")])
    assert [one.name for one in await admin.levels.list(system.id)] == ["Rich", "Modest"]
    assert (await admin.levels.get(system.id, level.id)).points == 0

    boosts = await admin.boosts.create(
        system.id,
        request=[
            CreatePointsBoostRequestItem(name="Sorry", start="2026-11-23", multiplier=3, user_id="ann"),
            CreatePointsBoostRequestItem(name="All", start="2026-12-23", multiplier=1.5),
            CreatePointsBoostRequestItem(name="Nothing", start="2026-12-23", multiplier=1),
        ],
    )
    assert [(one.name, one.status, one.user_id) for one in boosts.created] == [
        ("Sorry", "active", "ann"),
        ("All", "scheduled", None),
    ]
    assert [issue.index for issue in boosts.issues] == [2]
    patched = await admin.boosts.update(
        system.id, request=[PatchPointsBoostsRequestItem(id=boosts.created[1].id, end="2026-12-24")]
    )
    assert [one.end for one in patched.updated] == ["2026-12-24"]
    assert (await admin.boosts.get(system.id, boosts.created[0].id)).name == "Sorry"
    assert [one.name for one in await admin.boosts.list(system.id)] == ["Sorry", "All"]

    event = await trophy.metrics.event(key="words", user=UpsertedUser(id="ann"), value=2)
    assert event.points["coins"].added == 42
    assert [boost.name for boost in event.points["coins"].awards[0].boosts or []] == ["Sorry"]
    shown = await trophy.points.system("coins")
    assert [one.metric_threshold for one in shown.triggers] == [1]
    assert [one.name for one in await trophy.points.boosts("coins")] == ["All"]
    assert [one.key for one in await trophy.points.levels("coins")] == ["poor", "rich"]
    points = await trophy.users.points("ann", "coins")
    assert (points.total, points.level.key if points.level else None) == (42, "poor")
    assert [one.name for one in await trophy.users.points_boosts("ann", "coins")] == ["Sorry"]
    assert len(await trophy.points.summary("coins")) == 11
    assert [one.level.key for one in await trophy.points.level_summary("coins")] == ["poor", "rich"]

    off = await admin.triggers.update(
        system.id, request=[PatchPointsTriggersRequestItem(id=trigger.id, status="inactive")]
    )
    assert [one.status for one in off.updated] == ["inactive"]
    assert (await trophy.metrics.event(key="words", user=UpsertedUser(id="ann"), value=2)).points == {}
    more = await admin.triggers.create(
        system.id,
        request=[CreatePointsTriggerRequestItem(type="time", points=1, time_unit="days", time_interval=1)],
    )
    assert (await admin.triggers.get(system.id, more.created[0].id)).time_interval == 1
    assert len(await admin.triggers.list(system.id)) == 2
    for kind, id_ in (("triggers", trigger.id), ("levels", level.id), ("boosts", boosts.created[0].id)):
        gone = await getattr(admin, kind).delete(system.id, ids=[id_])
        assert [one.id for one in gone.deleted] == [id_]
    assert [one.id for one in (await admin.systems.delete(ids=[system.id])).deleted] == [system.id]
    with pytest.raises(NotFoundError):
        await trophy.points.system("coins")
    with pytest.raises(NotFoundError):
        await admin.triggers.list(system.id)
    with pytest.raises(UnprocessableEntityError):
        await admin.systems.create(request=[])


_BAD_PARTS_ARE_NAMED: list[Any] = [
    ("triggers", {"type": "metric", "points": 0}, "points must not be 0"),
    ("triggers", {"type": "metric", "points": 1}, "metricId is required"),
    (
        "triggers",
        {"type": "metric", "points": 1, "metricId": UNKNOWN, "metricThreshold": 1},
        "names no metric",
    ),
    ("triggers", {"type": "streak", "points": 1, "streakLength": 0}, "streakLength"),
    (
        "triggers",
        {"type": "streak", "points": 1, "streakLength": 1, "timeUnit": "days"},
        "timeUnit can't be used",
    ),
    ("triggers", {"type": "achievement", "points": 1, "achievementId": UNKNOWN}, "names no achievement"),
    ("triggers", {"type": "time", "points": 1, "timeUnit": "weeks", "timeInterval": 1}, "timeUnit"),
    ("triggers", {"type": "luck", "points": 1}, "type"),
    ("levels", {"name": "L", "key": "bronze", "points": 1}, "Key already in use"),
    ("levels", {"name": "L", "key": "l", "points": 10}, "points must differ from those of the level bronze"),
    ("levels", {"name": "L", "key": "l", "points": -1}, "points"),
    ("levels", {"name": "L", "key": "l", "points": 1, "badge": {"url": "javascript:x"}}, "badge.url"),
    ("boosts", {"name": "B", "start": "2026-01-02", "end": "2026-01-01", "multiplier": 2}, "end must not lie"),
    ("boosts", {"name": "B", "start": "2026-01-02", "multiplier": 100}, "multiplier"),
    ("boosts", {"name": "B", "start": "soon", "multiplier": 2}, "start"),
    (
        "boosts",
        {"name": "B", "start": "2026-01-02", "multiplier": 2, "endTime": "10:00"},
        "endTime needs an end",
    ),
    ("boosts", {"name": "B", "start": "2026-01-02", "multiplier": 2, "weekdays": [7]}, "weekdays"),
    (
        "boosts",
        {
            "name": "B",
            "start": "2026-01-02",
            "multiplier": 2,
            "userId": "ann",
            "userAttributes": [{"attributeId": UNKNOWN, "attributeValue": "x"}],
        },
        "userAttributes",
    ),
]


async def test_bad_parts_are_named(http: httpx.AsyncClient, xp: dict[str, Any]) -> None:
    for part, item, said in _BAD_PARTS_ARE_NAMED:
        answer = await http.post(f"/admin/v1/points/{xp['id']}/{part}", json=[item])
        assert (answer.status_code, answer.json()["created"]) == (200, [])
        [issue] = answer.json()["issues"]
        assert said in issue["message"]


async def test_what_is_used_stays(http: httpx.AsyncClient, xp: dict[str, Any], metric: str) -> None:
    gone = (await http.request("DELETE", f"/admin/v1/metrics?ids={metric}")).json()
    assert "points trigger" in gone["issues"][0]["message"]
    board = {"name": "XP", "key": "xp", "rankBy": "points", "pointsSystemId": xp["id"]}
    await make(http, "leaderboards", board)
    gone = (await http.request("DELETE", f"/admin/v1/points?ids={xp['id']}")).json()
    assert "leaderboard xp" in gone["issues"][0]["message"]
    assert date.fromisoformat((await read(http, "/v1/points/xp/boosts"))[0]["start"]) == date(2026, 11, 28)


_BAD_REQUESTS: list[Any] = [
    ("/v1/points/none", 404),
    ("/v1/points/xp/summary?userAttributes=nope:1", 422),
    ("/v1/points/xp/boosts?includeFinished=yes", 400),
    ("/v1/users/nobody/points/xp", 404),
    ("/v1/users/nobody/points/xp?awards=0", 422),
    ("/v1/users/nobody/points/none/boosts", 404),
    ("/v1/users/ann/points/xp/event-summary?aggregation=hourly&startDate=2026-01-01&endDate=2026-01-02", 422),
]


async def test_bad_requests(http: httpx.AsyncClient, xp: dict[str, Any]) -> None:
    for path, status in _BAD_REQUESTS:
        answer = await http.get(path)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
