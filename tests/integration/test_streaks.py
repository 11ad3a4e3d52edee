"""Streaks over HTTP on both stores: settings, events, reads, freezes, pauses, restore and reset."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from trophy import AsyncTrophyApi, StreakSettingsMetric
from trophy.admin.streaks import RestoreStreaksRequestUsersItem
from trophy.admin.streaks.freezes import CreateStreakFreezesRequestFreezesItem
from trophy.admin.streaks.pauses import CreateStreakPausesRequestPausesItem

from podium.services import Services
from podium.writebehind.rebuild import rebuild
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, make

SETTINGS = "/admin/v1/streaks/settings"


@pytest.fixture
async def streak(http: httpx.AsyncClient) -> None:
    """Two words a day."""
    await make(http, "metrics", {"name": "Words", "key": "words"}, {"name": "Chapters", "key": "chapters"})
    changed = await http.patch(SETTINGS, json={"metrics": [{"key": "words", "threshold": 2}]})
    assert changed.status_code == 200, changed.text


async def write(http: httpx.AsyncClient, user: str = "ann", value: float = 2, **event: Any) -> dict[str, Any]:
    body = {"user": {"id": user}, "value": value, **event}
    answer = await http.post("/v1/metrics/words/event", json=body)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()["currentStreak"]
    return told


async def read(http: httpx.AsyncClient, user: str = "ann", periods: int = 7) -> dict[str, Any]:
    answer = await http.get(f"/v1/users/{user}/streak", params={"historyPeriods": periods})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def days(http: httpx.AsyncClient, clock: SettableClock, *written: int) -> None:
    """Write on these days, counted from now; then it is the last of them."""
    start_ms = clock.now_ms
    for day in written:
        clock.now_ms = start_ms + day * DAY_MS
        await write(http)


@pytest.mark.usefixtures("streak")
async def test_a_streak_grows_with_events(
    http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    assert await write(http, value=1) == {
        "length": 0,
        "frequency": "daily",
        "started": None,
        "periodStart": None,
        "periodEnd": None,
        "expires": None,
        "extended": False,
    }
    assert await write(http, value=1) == {
        "length": 1,
        "frequency": "daily",
        "started": "2026-11-23",
        "periodStart": "2026-11-23",
        "periodEnd": "2026-11-23",
        "expires": "2026-11-24",
        "extended": True,
    }
    assert (await write(http))["extended"] is False
    clock.now_ms += DAY_MS
    assert (await write(http))["length"] == 2
    clock.now_ms += DAY_MS
    await flush(services)
    found = await read(http, periods=4)
    assert (found["length"], found["expires"], found["extended"]) == (2, "2026-11-25", "2026-11-24T12:00:00.000Z")
    assert [(one["periodStart"], one["length"]) for one in found["streakHistory"]] == [
        ("2026-11-22", 0),
        ("2026-11-23", 1),
        ("2026-11-24", 2),
        ("2026-11-25", 2),
    ]
    clock.now_ms += DAY_MS
    found = await read(http, periods=3)
    assert (found["length"], found["started"], found["extended"]) == (0, None, None)
    assert [one["length"] for one in found["streakHistory"]] == [2, 0, 0]


@pytest.mark.usefixtures("streak")
async def test_an_import_counts_and_so_do_batches_and_replays(
    http: httpx.AsyncClient, clock: SettableClock
) -> None:
    for day in (20, 21, 22):
        told = await write(http, timestamp=f"2026-11-{day}T10:00:00Z")
    assert (told["length"], told["expires"]) == (3, "2026-11-23")
    item = {"key": "words", "user": {"id": "ann"}, "value": 2, "idempotencyKey": "k"}
    assert (await http.post("/admin/v1/metrics/events", json=[item])).json() == {"accepted": 1}
    again = await http.post(
        "/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 2}, headers={"Idempotency-Key": "k"}
    )
    assert again.status_code == 202
    assert (again.json()["currentStreak"]["length"], again.json()["currentStreak"]["extended"]) == (4, False)
    listed = (await http.get("/v1/streaks", params={"userIds": "nobody,ann"})).json()
    assert listed == [{"userId": "ann", "streakLength": 4, "extended": "2026-11-23T12:00:00.000Z"}]


@pytest.mark.usefixtures("streak")
async def test_the_users_own_midnight_counts(http: httpx.AsyncClient, clock: SettableClock) -> None:
    await http.put("/v1/users/ann", json={"tz": "Pacific/Auckland"})  # already tomorrow
    assert (await write(http))["started"] == "2026-11-24"
    clock.now_ms += 11 * 3_600_000  # noon there
    assert (await write(http))["length"] == 1
    clock.now_ms += 12 * 3_600_000
    assert (await write(http))["length"] == 2


@pytest.mark.usefixtures("streak")
async def test_freezes_pauses_restore_and_reset(
    http: httpx.AsyncClient, trophy: AsyncTrophyApi, services: Services, clock: SettableClock
) -> None:
    freezes = {"startCount": 1, "maxCount": 2, "autoEarnInterval": 30, "autoEarnAmount": 1}
    await http.patch(SETTINGS, json={"freezes": freezes})
    await days(http, clock, 0, 1, 2)
    found = await read(http)
    assert (found["freezes"], found["maxFreezes"]) == (1, 2)
    assert (found["freezeAutoEarnInterval"], found["freezeAutoEarnAmount"]) == (30, 1)
    one = CreateStreakFreezesRequestFreezesItem(user_id="ann")
    assert (await trophy.admin.streaks.freezes.create(freezes=[one])).issues == []
    [issue] = (await trophy.admin.streaks.freezes.create(freezes=[one])).issues
    assert (issue.severity, issue.user_id, issue.message) == (
        "warning",
        "ann",
        "Would exceed maximum freeze limit",
    )
    clock.now_ms += 2 * DAY_MS
    found = await read(http)
    assert (found["length"], found["freezes"]) == (3, 1)  # yesterday was frozen

    # A week away, announced in advance.
    today = "2026-11-27"
    pause = CreateStreakPausesRequestPausesItem(user_id="ann", start=today, end="2026-12-04")
    late = CreateStreakPausesRequestPausesItem(user_id="ann", start="2026-11-26", end="2026-12-01")
    made = await trophy.admin.streaks.pauses.create(pauses=[pause, late])
    assert [(row.start, row.end, row.status) for row in made.created] == [(today, "2026-12-04", "active")]
    assert made.issues[0].index == 1
    await flush(services)
    assert [row["start"] for row in (await read(http))["pauses"]] == [today]
    clock.now_ms += 7 * DAY_MS
    assert (await read(http))["length"] == 3
    clock.now_ms += DAY_MS
    await write(http)
    await flush(services)
    found = await read(http, periods=10)
    assert [(one["length"], one["usedFreeze"], one["usedPause"]) for one in found["streakHistory"]] == [
        (3, True, False),
        *[(3, False, True)] * 8,
        (4, False, False),
    ]
    gone = await trophy.admin.streaks.pauses.delete(ids=[made.created[0].id])
    assert [row.id for row in gone.deleted] == [made.created[0].id]
    await flush(services)
    [missing] = (await trophy.admin.streaks.pauses.delete(ids=[made.created[0].id])).issues
    assert missing.severity == "error"

    # Lost, and put back.
    clock.now_ms += 9 * DAY_MS
    assert (await read(http))["length"] == 0
    named = [RestoreStreaksRequestUsersItem(id=user) for user in ("ann", "nobody")]
    back = await trophy.admin.streaks.restore(users=named)
    assert back.restored_users == ["ann"]
    assert [(one.user_id, one.severity) for one in back.issues] == [("nobody", "error")]
    assert (await read(http))["length"] == 4
    assert (await write(http))["length"] == 5
    [issue] = (await trophy.admin.streaks.restore(users=named[:1])).issues
    assert (issue.message, issue.severity) == ("No streak to restore", "warning")
    assert (await http.post("/admin/v1/streaks/reset", json={"users": [{"id": "ann"}]})).json() == {
        "resetUsers": ["ann"],
        "issues": [],
    }
    assert (await read(http))["length"] == 0

    # A rebuilt Redis knows the same.
    await flush(services)
    await rebuild(services.pool, services.redis, services.directory.production, clock, force=True)
    await services.directory.refresh()
    assert (await trophy.admin.streaks.restore(users=named[:1])).restored_users == ["ann"]
    assert (await read(http))["length"] == 5


@pytest.mark.usefixtures("streak")
async def test_settings(http: httpx.AsyncClient, trophy: AsyncTrophyApi) -> None:
    found = await trophy.admin.streaks.settings.get()
    assert (found.frequency, found.evaluation_mode, found.days_off, found.freezes) == ("daily", "OR", [], None)
    assert found.metrics == [StreakSettingsMetric(key="words", threshold=2)]
    changed = await trophy.admin.streaks.settings.update(
        frequency="weekly",
        evaluation_mode="AND",
        metrics=[
            StreakSettingsMetric(key="words", threshold=1),
            StreakSettingsMetric(key="chapters", threshold=1),
        ],
    )
    assert (changed.frequency, len(changed.metrics)) == ("weekly", 2)
    assert (await write(http))["length"] == 0
    body = {"user": {"id": "ann"}, "value": 1}
    told = (await http.post("/v1/metrics/chapters/event", json=body)).json()["currentStreak"]
    assert (told["length"], told["frequency"], told["expires"]) == (1, "weekly", "2026-12-06")
    metric = (await http.get("/admin/v1/metrics")).json()[0]["id"]
    refused = (await http.delete("/admin/v1/metrics", params={"ids": metric})).json()
    assert "used by the streak" in refused["issues"][0]["message"]


_WHAT_IS_REFUSED_CHANGES_NOTHING: list[Any] = [
    ({"frequency": "hourly"}, 422, "frequency"),
    ({"metrics": [{"key": "none", "threshold": 1}]}, 422, "metrics[0].key"),
    ({"metrics": [{"key": "words", "threshold": 0}]}, 422, "threshold"),
    ({"metrics": [{"key": "words", "threshold": 1}] * 2}, 422, "metrics"),
    ({"daysOff": [7]}, 422, "daysOff"),
    ({"daysOff": [0, 1, 2, 3, 4, 5, 6]}, 422, "daysOff"),
    ({"frequency": "weekly", "daysOff": [0]}, 422, "daysOff"),
    ({"freezes": {"startCount": 3, "maxCount": 2}}, 422, "freezes.maxCount"),
    ({"freezes": {"startCount": 0, "maxCount": 101}}, 422, "maxCount"),
    ({"freezes": {"startCount": 0, "maxCount": 2, "autoEarnInterval": 3}}, 422, "autoEarn"),
    ({"customizationEnabled": 1}, 400, "customizationEnabled"),
    ({"colour": "red"}, 400, "colour"),
    ([], 400, ""),
]


@pytest.mark.usefixtures("streak")
async def test_what_is_refused_changes_nothing(http: httpx.AsyncClient) -> None:
    for change, status, named in _WHAT_IS_REFUSED_CHANGES_NOTHING:
        before = (await http.get(SETTINGS)).json()
        refused = await http.patch(SETTINGS, json=change)
        assert (refused.status_code, list(refused.json())) == (status, ["error"])
        assert named in refused.json()["error"]
        assert (await http.get(SETTINGS)).json() == before


async def test_without_settings_nobody_has_a_streak(http: httpx.AsyncClient) -> None:
    await make(http, "metrics", {"name": "Words", "key": "words"})
    assert (await write(http))["length"] == 0
    assert (await read(http))["length"] == 0
    assert (await http.get("/v1/users/nobody/streak")).status_code == 404
    for query in ({"historyPeriods": 0}, {"historyPeriods": 401}):
        assert (await http.get("/v1/users/ann/streak", params=query)).status_code == 422
    for path, body in (
        ("restore", {"users": []}),
        ("freezes", {"freezes": [{"userId": "a"}] * 101}),
        ("pauses", {"pauses": [{"userId": "a", "start": "2026-11-24"}]}),
        ("reset", [1]),
    ):
        assert (await http.post(f"/admin/v1/streaks/{path}", json=body)).status_code in (400, 422)
    bad = {"userId": "ann", "start": "2026-11-30", "end": "2026-11-29"}
    assert (
        "end"
        in (await http.post("/admin/v1/streaks/pauses", json={"pauses": [bad]})).json()["issues"][0]["message"]
    )


async def test_a_pause_has_its_limits(http: httpx.AsyncClient) -> None:
    await http.put("/v1/users/ann", json={})
    pauses = [
        {"userId": "ann", "start": "2026-12-01", "end": end} for end in ("2036-12-01", "2040-01-01", "9999-12-31")
    ]
    answer = await http.post("/admin/v1/streaks/pauses", json={"pauses": pauses})
    assert answer.status_code == 201
    assert len(answer.json()["created"]) == 1
    assert [(one["index"], one["userId"]) for one in answer.json()["issues"]] == [(1, "ann"), (2, "ann")]
