"""Achievements over HTTP on both stores, partly through the published SDK."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from trophy import (
    AsyncTrophyApi,
    CreateAchievementRequestItem,
    UpdateAchievementRequestItem,
    UpsertedUser,
)
from trophy.errors import NotFoundError, UnprocessableEntityError

from podium.jobs.reconciliation import Reconciliation
from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import flush, make
from tests.integration.test_points import UNKNOWN, read, write


@pytest.fixture
async def metric(http: httpx.AsyncClient) -> str:
    [row] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    return str(row["id"])


@pytest.fixture
def sweeps(services: Services) -> Reconciliation:
    space = services.directory.production
    return Reconciliation(services.pool, services.redis, services.intake(space), services.clock)


async def achievement(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    [row] = await make(http, "achievements", {"status": "active", **fields})
    return row


async def test_an_event_completes_achievements(http: httpx.AsyncClient, services: Services, metric: str) -> None:
    first = await achievement(http, name="First", trigger="metric", metricId=metric, metricValue=1)
    await achievement(http, name="Book", trigger="metric", metricId=metric, metricValue=50_000)
    told = (await write(http, 10))["achievements"]
    assert [(one["name"], one["metricName"], one["achievedAt"]) for one in told] == [
        ("First", "Words", "2026-11-23T12:00:00.000Z")
    ]
    assert (await write(http, 10))["achievements"] == []
    await write(http, 0, "bob")
    await flush(services)
    listed = await read(http, "/v1/achievements")
    assert [(one["name"], one["completions"], one["rarity"]) for one in listed] == [
        ("First", 1, 50.0),
        ("Book", 0, 0),
    ]
    mine = await read(http, "/v1/users/ann/achievements")
    assert [(one["id"], one["achievedAt"]) for one in mine] == [(first["id"], "2026-11-23T12:00:00.000Z")]
    both = await read(http, "/v1/users/ann/achievements", includeIncomplete="true")
    assert [one["achievedAt"] is None for one in both] == [False, True]
    shown = await read(http, "/v1/users/ann/metrics/words")
    assert [one["name"] for one in shown["achievements"]] == ["First", "Book"]


async def test_a_call_completes_one_once(http: httpx.AsyncClient, metric: str) -> None:
    hero = await achievement(http, name="Hero", trigger="api", key="hero")
    [system] = await make(http, "points", {"name": "XP", "key": "xp"})
    trigger = {"type": "achievement", "points": 9, "achievementId": hero["id"], "status": "active"}
    await make(http, f"points/{system['id']}/triggers", trigger)
    path = "/v1/achievements/hero/complete"
    first = await http.post(path, json={"user": {"id": "new", "name": "New"}})
    assert first.status_code == 201
    assert first.json()["points"]["xp"]["added"] == 9
    again = await http.post(path, json={"user": {"id": "new"}})
    assert again.status_code == 201
    assert again.json()["completionId"] == first.json()["completionId"]
    assert (again.json()["points"], again.json()["achievement"]) == ({}, first.json()["achievement"])
    assert (await read(http, "/v1/users/new"))["name"] == "New"
    assert (await http.post("/v1/achievements/none/complete", json={"user": {"id": "a"}})).status_code == 404
    assert (await http.post(path, json={})).status_code == 400
    assert (await http.post(path, json={"user": {"id": ""}})).status_code == 422
    await achievement(http, name="First", trigger="metric", metricId=metric, metricValue=1)
    rows = (await http.get("/admin/v1/achievements")).json()
    refused = await http.post(f"/v1/achievements/{rows[1]['id']}/complete", json={"user": {"id": "a"}})
    assert (refused.status_code, "api" in refused.json()["error"]) == (422, True)
    await http.patch("/admin/v1/achievements", json=[{"id": hero["id"], "status": "locked"}])
    assert (await http.post(path, json={"user": {"id": "late"}})).status_code == 422
    assert [one["name"] for one in await read(http, "/v1/users/new/achievements")] == ["Hero"]
    assert [one["name"] for one in await read(http, "/v1/achievements")] == ["First"]


async def test_a_new_achievement_is_backdated_in_silence(
    http: httpx.AsyncClient, services: Services, metric: str, sweeps: Reconciliation
) -> None:
    [genre] = await make(http, "attributes", {"name": "Genre", "key": "genre", "type": "event"})
    await write(http, 70, "ann", attributes={"genre": "scifi"})
    await write(http, 60, "ann", attributes={"genre": "crime"})
    await write(http, 120, "bob", attributes={"genre": "scifi"})
    await write(http, 10, "eve")
    hundred = await achievement(http, name="Hundred", trigger="metric", metricId=metric, metricValue=100)
    filters = [{"attributeId": genre["id"], "attributeValue": "scifi"}]
    await achievement(
        http, name="Sci-fi", trigger="metric", metricId=metric, metricValue=100, eventAttributes=filters
    )
    # Counted before the sweep came by, and swept over afterwards: once.
    assert (await write(http, 40, "ann", attributes={"genre": "scifi"}))["achievements"] == []
    await flush(services)
    assert await sweeps.round() == 2
    await flush(services)
    assert await sweeps.round() == 0
    for user, names in (("ann", ["Hundred", "Sci-fi"]), ("bob", ["Hundred", "Sci-fi"]), ("eve", [])):
        assert [one["name"] for one in await read(http, f"/v1/users/{user}/achievements")] == names
    assert {one["completions"] for one in await read(http, "/v1/achievements")} == {2}

    # Activated later, and one that asks for less from now on.
    await http.patch("/admin/v1/achievements", json=[{"id": hundred["id"], "metricValue": 10}])
    assert await sweeps.round() == 1
    assert [one["name"] for one in await read(http, "/v1/users/eve/achievements")] == ["Hundred"]


async def test_cold_users_are_swept_too(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str, sweeps: Reconciliation
) -> None:
    await write(http, 500, "ann")
    await flush(services)
    space = services.directory.production
    state = await services.redis.raw.hget(space.keys.user("ann"), "t")
    assert (await services.redis.call("evict", space.keys.meta, space.epoch or "", "ann", state.decode()))[1] == 1
    await achievement(http, name="Hundred", trigger="metric", metricId=metric, metricValue=100)
    assert await sweeps.round() == 1
    assert [one["name"] for one in await read(http, "/v1/users/ann/achievements")] == ["Hundred"]


async def test_the_sdk_makes_and_reads_achievements(trophy: AsyncTrophyApi, metric: str) -> None:
    admin = trophy.admin.achievements
    made = await admin.create(
        request=[
            CreateAchievementRequestItem(name="Hero", trigger="api", key="hero", status="active"),
            CreateAchievementRequestItem(name="Year", trigger="anniversary", anniversary_years=1, status="active"),
            CreateAchievementRequestItem(name="Bad", trigger="streak"),
        ]
    )
    assert [(one.name, one.status) for one in made.created] == [("Hero", "active"), ("Year", "active")]
    assert [issue.message for issue in made.issues] == ["streakLength is required with the trigger streak"]
    hero, year = made.created
    whole = await admin.create(
        request=[
            CreateAchievementRequestItem(
                name="All", trigger="achievement", achievement_ids=[hero.id, year.id], status="active"
            )
        ]
    )
    [all_] = whole.created
    renamed = await admin.update(request=[UpdateAchievementRequestItem(id=hero.id, name="Superhero")])
    assert [one.name for one in renamed.updated] == ["Superhero"]
    assert (await admin.get(hero.id)).key == "hero"
    assert len(await admin.list()) == 3
    circle = await admin.update(request=[UpdateAchievementRequestItem(id=hero.id, trigger="achievement")])
    assert circle.updated == []

    done = await trophy.achievements.complete(
        "hero",
        user=UpsertedUser(id="ann", sign_up_date="2024-05-01"),  # type: ignore[arg-type]
    )
    assert (done.achievement.name, done.points) == ("Superhero", {})
    mine = await trophy.users.achievements("ann")
    assert [one.name for one in mine] == ["Superhero", "Year", "All"]
    assert [one.name for one in await trophy.achievements.all_()] == ["Superhero", "Year", "All"]
    with pytest.raises(NotFoundError):
        await trophy.achievements.complete("none", user=UpsertedUser(id="ann"))
    refused = await admin.delete(ids=[hero.id])
    assert "achievement All" in refused.issues[0].message
    assert [one.id for one in (await admin.delete(ids=[all_.id])).deleted] == [all_.id]
    with pytest.raises(UnprocessableEntityError):
        await admin.create(request=[])


_BAD_ACHIEVEMENTS_ARE_NAMED: list[Any] = [
    ({"name": "A", "trigger": "luck"}, "trigger"),
    ({"name": "", "trigger": "api", "key": "a"}, "name must not be empty"),
    ({"name": "A", "trigger": "api"}, "key is required"),
    ({"name": "A", "trigger": "api", "key": "a b"}, "key must be"),
    ({"name": "A", "trigger": "api", "key": "a", "streakLength": 1}, "streakLength can't be used"),
    ({"name": "A", "trigger": "metric", "metricId": UNKNOWN, "metricValue": 1}, "metricId names no metric"),
    ({"name": "A", "trigger": "metric", "metricId": "x", "metricValue": 1}, "metricId must be a valid UUID"),
    ({"name": "A", "trigger": "metric", "metricId": UNKNOWN, "metricValue": 0}, "metricValue"),
    (
        {"name": "A", "trigger": "achievement", "achievementIds": [UNKNOWN]},
        "achievementIds names no achievement",
    ),
    ({"name": "A", "trigger": "achievement", "achievementIds": []}, "achievementIds"),
    ({"name": "A", "trigger": "anniversary", "anniversaryYears": 0}, "anniversaryYears"),
]


async def test_bad_achievements_are_named(http: httpx.AsyncClient) -> None:
    for item, said in _BAD_ACHIEVEMENTS_ARE_NAMED:
        answer = await http.post("/admin/v1/achievements", json=[item])
        assert (answer.status_code, answer.json()["created"]) == (200, [])
        [issue] = answer.json()["issues"]
        assert said in issue["message"]
