"""Settings, environments, the audit log and the year in review, with the published SDK."""

from __future__ import annotations

import httpx
from trophy import (
    AsyncTrophyApi,
    UpdateAdminSettingsBranding,
    UpdateAdminSettingsExperimentation,
    UpsertedUser,
)

from podium.services import Services, open_services
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, make


async def test_settings(trophy: AsyncTrophyApi, http: httpx.AsyncClient) -> None:
    before = await trophy.admin.settings.get()
    assert (before.experimentation.control_ratio, before.aggregation_period) == (0, "weekly")
    after = await trophy.admin.settings.update(
        branding=UpdateAdminSettingsBranding(app_name="Inkwell", brand_color="#00ff00"),
        experimentation=UpdateAdminSettingsExperimentation(control_ratio=30),
        aggregation_period="monthly",
    )
    assert (after.branding.app_name, after.branding.font) == ("Inkwell", before.branding.font)
    assert (await trophy.admin.settings.get()) == after
    users = [await trophy.users.create(id=f"u{i}") for i in range(60)]
    drawn = sum(user.control for user in users)
    assert 5 <= drawn <= 35
    assert [user.control for user in users] == [(await trophy.users.get(user.id)).control for user in users]

    path = "/admin/v1/settings"
    logo = {"branding": {"logo": {"url": "https://example.com/logo.png"}}}
    assert (await http.patch(path, json=logo)).json()["branding"]["logo"] == logo["branding"]["logo"]
    assert (await http.patch(path, json={"branding": {"logo": None}})).json()["branding"]["logo"] is None
    for bad, status in (
        ({"branding": {"brandColor": "green"}}, 422),
        ({"branding": {"appUrl": "javascript:alert(1)"}}, 422),
        ({"branding": {"appIcon": {"url": "x"}}}, 422),
        ({"experimentation": {"controlRatio": 101}}, 422),
        ({"aggregationPeriod": "daily"}, 422),
        ({"colour": "red"}, 400),
        ([], 400),
    ):
        answer = await http.patch(path, json=bad)
        assert (answer.status_code, list(answer.json())) == (status, ["error"]), bad


async def test_the_refusal_names_the_picture(http: httpx.AsyncClient) -> None:
    for name in ("logo", "appIcon"):
        change = {"branding": {name: {"url": "javascript:alert(1)"}}}
        said = (await http.patch("/admin/v1/settings", json=change)).json()["error"]
        assert said.startswith(f"branding.{name}.url must begin with"), said


async def test_the_home_zone(http: httpx.AsyncClient, services: Services, clock: SettableClock) -> None:
    [words] = await make(http, "metrics", {"name": "Words", "key": "words"})
    board = {"name": "Daily", "key": "daily", "rankBy": "metric", "metricId": words["id"], "status": "active"}
    await make(http, "leaderboards", {**board, "runUnit": "day", "runInterval": 1, "start": "2026-01-01"})

    async def today() -> str:
        found = (await http.get("/v1/leaderboards/daily/users", params={"ids": "ann"})).json()
        return str(found["run"]["start"])

    async with open_services(services.settings, clock) as other:
        assert (await http.get("/admin/v1/settings")).json()["homeZone"] == "UTC"
        assert await today() == "2026-11-23"
        changed = await http.patch("/admin/v1/settings", json={"homeZone": "Pacific/Kiritimati"})
        assert (changed.status_code, changed.json()["homeZone"]) == (200, "Pacific/Kiritimati")
        assert await today() == "2026-11-24"
        await other.directory.refresh()
        assert str(other.directory.production.index.home) == "Pacific/Kiritimati"
    rows = (await http.get("/admin/v1/audit-log")).json()["rows"]
    own = [row for row in rows if row["item"] == services.directory.production.public_id]
    assert [(row["action"], row["kind"], row["before"], row["after"]) for row in own] == [
        ("update", "settings", {"homeZone": "UTC"}, {"homeZone": "Pacific/Kiritimati"})
    ]
    for bad in ("Mars/Olympus", "", "UTC\u0000"):
        refused = await http.patch("/admin/v1/settings", json={"homeZone": bad})
        assert (refused.status_code, refused.json()["error"][:9]) == (422, "homeZone "), bad
    assert (await http.patch("/admin/v1/settings", json={"homeZone": None})).status_code == 400
    document = (await http.get("/admin/v1/catalog")).json()
    assert document["settings"]["homeZone"] == "Pacific/Kiritimati"
    document["settings"]["homeZone"] = "Europe/Paris"
    assert (await http.put("/admin/v1/catalog", json=document)).status_code == 200
    assert (await http.get("/admin/v1/settings")).json()["homeZone"] == "Europe/Paris"


async def test_environments_and_the_audit_log(trophy: AsyncTrophyApi, http: httpx.AsyncClient) -> None:
    assert [(one.key, one.priority) for one in await trophy.admin.environments.list()] == [("production", 1)]
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words"})
    await http.patch("/admin/v1/metrics", json=[{"id": metric["id"], "name": "Letters"}])
    await http.request("DELETE", f"/admin/v1/metrics?ids={metric['id']}")
    page = (await http.get("/admin/v1/audit-log", params={"limit": 2})).json()
    assert [(row["action"], row["kind"]) for row in page["rows"]] == [("delete", "metric"), ("update", "metric")]
    assert (page["rows"][1]["before"]["name"], page["rows"][1]["after"]["name"]) == ("Words", "Letters")
    assert page["rows"][0]["actor"].startswith("test (")
    rest = (await http.get("/admin/v1/audit-log", params={"cursor": page["nextCursor"]})).json()
    assert [row["action"] for row in rest["rows"]] == ["create"]
    assert "nextCursor" not in rest
    assert (await http.get("/admin/v1/audit-log", params={"limit": 101})).status_code == 422


async def test_a_year_in_review(
    trophy: AsyncTrophyApi, http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    [words] = await make(http, "metrics", {"name": "Words", "key": "words", "units": "words", "decimals": 0})
    await make(http, "attributes", {"name": "Genre", "key": "genre", "type": "event"})
    trigger = {"type": "metric", "metricId": words["id"], "metricThreshold": 10, "points": 1, "status": "active"}
    await make(http, "points", {"name": "XP", "key": "xp", "triggers": [trigger]})
    goal = {"trigger": "metric", "metricId": words["id"], "metricValue": 100, "status": "active"}
    await make(http, "achievements", {"name": "Hundred", **goal})
    await make(
        http,
        "leaderboards",
        {"name": "All", "key": "all", "rankBy": "metric", "metricId": words["id"], "status": "active"},
    )
    await http.patch("/admin/v1/streaks/settings", json={"metrics": [{"key": "words", "threshold": 1}]})
    idle = await trophy.users.wrapped((await trophy.users.create(id="idle")).id)
    assert (idle.activity.days_active, idle.activity.entire_year.metrics) == (0, {})
    assert idle.activity.entire_year.longest_streak.length == 0

    user = UpsertedUser(id="ann", name="Ann", tz="Asia/Tokyo")
    for value, genre in ((60, "crime"), (50, "scifi"), (5, "scifi")):
        await trophy.metrics.event("words", user=user, value=value, attributes={"genre": genre})
        if genre == "scifi":
            clock.now_ms += DAY_MS
    await flush(services)
    found = await trophy.users.wrapped("ann")
    year = found.activity.entire_year
    assert (found.activity.days_active, found.activity.weeks_active, found.activity.months_active) == (2, 1, 1)
    assert (found.activity.most_active_day.date, found.activity.most_active_month.month) == ("2026-11-23", 10)
    assert found.activity.most_active_week.start == "2026-11-23"
    metric = year.metrics["words"]
    assert (metric.units, metric.current_total, metric.change_this_period) == ("words", 115, 115)
    assert {key: one.change_this_period for key, one in metric.by_attribute["genre"].items()} == {
        "crime": 60,
        "scifi": 55,
    }
    assert found.activity.most_active_day.metrics["words"].change_this_period == 110
    assert year.points["xp"].current_total == 11
    assert [one.name for one in year.achievements] == ["Hundred"]
    assert (year.leaderboards["all"].rank, year.longest_streak.length) == (1, 2)
    assert year.longest_streak.started == "2026-11-23"
    for path, status in (
        ("/v1/users/nobody/wrapped", 404),
        ("/v1/users/ann/wrapped?year=2027", 422),
        ("/v1/users/ann/wrapped?year=last", 400),
    ):
        assert (await http.get(path)).status_code == status
    assert (await trophy.users.wrapped("ann", year=2025)).activity.days_active == 0
