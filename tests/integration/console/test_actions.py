"""Support's actions: forms, effects, entries of the audit log, and refusals."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx
import pytest

from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, make
from tests.integration.test_console import account, act, console, console_url, form, game, signed_in, write

__all__ = ["console", "console_url"]  # fixtures


def path_of(action: str, user: str = "ann") -> str:
    return f"/console/users/{user}/actions/{action}"


async def look(console: httpx.AsyncClient, action: str, **fields: str) -> httpx.Response:
    """The page that says what an action will do."""
    return await act(console, action, step="look", **fields)


def said(page: httpx.Response) -> str:
    """The text of a page's main part."""
    main = page.text[page.text.index("<main") :]
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", main).split()))


async def log_of(http: httpx.AsyncClient, services: Services, user: str = "ann") -> list[dict[str, Any]]:
    await flush(services)
    rows: list[dict[str, Any]] = (await http.get("/admin/v1/audit-log", params={"item": user})).json()["rows"]
    return rows


async def events(http: httpx.AsyncClient, services: Services, user: str = "ann") -> list[str]:
    """The ids of a user's events, the newest first."""
    await flush(services)
    found = (await http.get("/admin/v1/events", params={"userId": user})).json()["events"]
    return [one["id"] for one in found if one["corrects"] is None]


async def history(http: httpx.AsyncClient, services: Services, periods: int) -> list[tuple[int, bool]]:
    await flush(services)
    found = (await http.get("/v1/users/ann/streak", params={"historyPeriods": periods})).json()
    return [(one["length"], one.get("restored", False)) for one in found["streakHistory"]]


async def ids_left(http: httpx.AsyncClient, services: Services) -> set[str]:
    await flush(services)
    return {one["id"] for one in (await http.get("/admin/v1/users")).json()["users"]}


async def test_erasing_erases_the_one_that_is_named(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services
) -> None:
    await game(http)
    for user in ("a", "b", "a,b", " a "):
        await write(http, user)
    for path, user in (("a%2Cb", "a,b"), ("%20a%20", " a ")):
        assert (await act(console, "erase", path, confirm="a")).status_code == 422
        done = await act(console, "erase", path, confirm=user, reason="asked for it")
        assert done.headers["location"] == "/console/users?erased=1"
        assert user not in await ids_left(http, services)
    assert await ids_left(http, services) == {"a", "b"}
    rows = (await http.get("/admin/v1/audit-log")).json()["rows"]
    erased = [row for row in rows if row["action"] == "erase"]
    assert [row["after"] for row in erased] == [{"reason": "asked for it"}] * 2

    # The endpoint: a comma is part of an id, several are several parameters.
    await write(http, "a,b")
    answer = (await http.delete("/admin/v1/users", params={"ids": "a,b"})).json()
    assert answer["deleted"] == [{"id": "a,b"}]
    assert await ids_left(http, services) == {"a", "b"}
    answer = (await http.delete("/admin/v1/users", params={"ids": ["a", "b"]})).json()
    assert answer["deleted"] == [{"id": "a"}, {"id": "b"}]


async def test_an_event_is_shown_before_it_is_put_right(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    await game(http)
    await write(http, "ann", 4)
    clock.now_ms += 1  # ids of one millisecond have no order
    await write(http, "ann", 5)
    await write(http, "bob", 100)
    newest, oldest = await events(http, services)
    [bobs] = await events(http, services, "bob")
    path = f"{path_of('event')}?event={newest}"

    assert "Choose an event" in said(await console.get(path_of("event")))
    assert "<button" not in (await console.get(path_of("event"))).text.split("<main")[1]
    page = said(await console.get(path))
    assert all(one in page for one in ("Metric <script>alert", "Value 5", "Mon 23 Nov 2026", newest))
    for other in (bobs, newest[:-4] + "0000"):
        assert (await console.get(f"{path_of('event')}?event={other}")).status_code == 404
    hidden = await form(console, path)

    async def send(**fields: str) -> httpx.Response:
        return await console.post(path_of("event"), data={**await form(console, path), **fields})

    foreign = {**hidden, "event": bobs, "what": "remove", "value": ""}
    assert (await console.post(path_of("event"), data=foreign)).status_code == 404
    assert (await http.get("/v1/users/bob/metrics/words")).json()["current"] == 100
    for fields, problem in (
        ({}, "What to do is missing"),
        ({"what": "burn"}, "What to do must be one of"),
        ({"what": "correct", "value": ""}, "New value must be a number"),
        ({"what": "correct", "value": "2.5"}, "more decimals than the metric, which counts with whole numbers"),
        ({"what": "correct", "value": "5"}, "another than the event has"),
        ({"what": "correct", "value": "٣"}, "New value must be a number"),
        ({"what": "correct", "value": "1e3"}, "New value must be a number"),
        ({"what": "remove", "value": "7"}, "New value must be empty"),
    ):
        refused = await send(**fields)
        assert (refused.status_code, problem in said(refused)) == (422, True), (fields, said(refused))

    seen = await send(what="correct", value="7", reason="typo", step="look")
    assert seen.status_code == 200
    told = said(seen)
    assert "The event's 5 becomes 7." in told
    assert "the total of 9 becomes 11." in told
    assert "XP : 9 points become 11." in told
    assert (await http.get("/v1/users/ann/metrics/words")).json()["current"] == 9  # nothing was done
    again = await send(what="correct", value="7", reason="typo", step="edit")
    assert 'value="7"' in again.text

    assert (await send(what="correct", value="7", reason="typo")).status_code == 303
    assert (await http.get("/v1/users/ann/metrics/words")).json()["current"] == 11
    await flush(services)
    page = await console.get(path)
    assert "corrected already, and counts 7 now" in said(page)
    assert "<button" not in page.text.split("<main")[1]
    refused = await console.post(path_of("event"), data={**hidden, "form": "2", "what": "remove", "value": ""})
    assert (refused.status_code, "corrected already" in said(refused)) == (422, True)

    path = f"{path_of('event')}?event={oldest}"
    assert "total of 11 becomes 7." in said(await send(what="remove", step="look"))
    assert (await send(what="remove", reason="never read")).status_code == 303
    await flush(services)
    assert "undone already" in said(await console.get(path))

    rows = await log_of(http, services)
    of = {"userId": "ann", "metric": "words"}
    assert [(row["action"], row["kind"], row["item"], row["before"], row["after"]) for row in rows] == [
        (
            "delete",
            "event",
            oldest,
            {**of, "value": 4, "total": 11},
            {**of, "value": None, "total": 7, "reason": "never read"},
        ),
        (
            "update",
            "event",
            newest,
            {**of, "value": 5, "total": 9},
            {**of, "value": 7, "total": 11, "reason": "typo"},
        ),
    ]
    timeline = (await http.get("/admin/v1/users/ann/timeline", params={"kinds": "support"})).json()["rows"]
    assert [row["what"] for row in timeline] == ["delete", "update"]


_BAD_AMOUNTS = ("9" * 30, "1_000", "٣", "1e3", "1.5", "", "0", "-1000000001", "0x10", "1,000")


async def test_points_say_what_they_make_of_totals_and_levels(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services
) -> None:
    await write_without_points(http)
    nothing = await console.get(path_of("points"))
    assert "There is no points system yet." in said(nothing)
    assert "<button" not in nothing.text.split("<main")[1]
    assert "no achievement that support could complete" in said(await console.get(path_of("achievement")))
    system = {"maxPoints": 2_000, "name": EVIL_NAME, "key": "coins"}
    levels = [{"name": "Silver", "key": "silver", "points": 100}, {"name": "Gold", "key": "gold", "points": 1_000}]
    [coins] = await make(http, "points", {**system, "levels": levels})
    fields = {"system": coins["id"], "reason": "a gift"}
    for amount in _BAD_AMOUNTS:
        refused = await act(console, "points", amount=amount, **fields)
        assert (refused.status_code, "Amount" in said(refused)) == (422, True), amount
    assert "Reason is missing" in said(await act(console, "points", system=coins["id"], amount="1", reason=" "))
    long = await act(console, "points", amount="1", system=coins["id"], reason="x" * 256)
    assert "Reason must have at most 255 characters" in said(long)

    seen = await look(console, "points", amount="1200", **fields)
    assert "<bdi>&lt;i&gt;Coins</bdi>: 0 points become 1,200." in seen.text
    assert "The level was none, and will be Gold ." in said(seen)
    assert (await http.get("/v1/users/ann/points/coins")).json()["total"] == 0
    done = await act(console, "points", amount="1200", **fields)
    assert "+1,200 points, 1,200 now." in said(await console.get(done.headers["location"]))
    seen = said(await look(console, "points", amount="-50", **fields))
    assert "1,200 points become 1,150. Level Gold stays." in seen
    assert "Only 800 of 900 points are given" in said(await look(console, "points", amount="900", **fields))
    assert "Only 1,200 of 2,000 points are taken" in said(await look(console, "points", amount="-2000", **fields))
    [row] = await log_of(http, services)
    assert row["before"] == {"pointsSystem": "coins", "total": 0}
    assert row["after"] == {"pointsSystem": "coins", "awarded": 1_200, "total": 1_200, "reason": "a gift"}


EVIL_NAME = "<i>Coins"


async def write_without_points(http: httpx.AsyncClient) -> None:
    await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    await write(http)


async def test_an_achievement_says_what_it_brings(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services
) -> None:
    xp = await game(http)
    await write(http)
    [hero] = (await http.get("/admin/v1/achievements")).json()
    trigger = {"type": "achievement", "achievementId": hero["id"], "points": 30, "status": "active"}
    await make(http, f"points/{xp['id']}/triggers", trigger)
    seen = said(await look(console, "achievement", achievement="hero"))
    assert "is completed. XP : 5 points become 35." in seen
    assert (await act(console, "achievement", achievement="hero", reason="by mail")).status_code == 303
    assert "no achievement that support could complete" in said(await console.get(path_of("achievement")))
    [row] = await log_of(http, services)
    assert row["before"] == {"key": "hero", "achievedAt": None}
    assert row["after"] == {
        "key": "hero",
        "userId": "ann",
        "achievedAt": "2026-11-23T12:00:00.000Z",
        "points": {"xp": 30},
        "reason": "by mail",
    }


async def test_a_personal_boost_is_made_and_ended(
    http: httpx.AsyncClient, console_url: str, admin_key: str, services: Services, clock: SettableClock
) -> None:
    xp = await game(http)
    await write(http)
    async with signed_in(console_url, admin_key) as console:
        assert "no boost of their own" in said(await console.get(path_of("end-boost")))
        boost = {"system": xp["id"], "name": "Sorry", "multiplier": "2", "start": "2026-11-23", "end": ""}
        for change in ({"multiplier": "nan"}, {"multiplier": "1"}, {"multiplier": "100"}, {"end": "2026-11-22"}):
            assert (await act(console, "boost", **{**boost, **change})).status_code == 422, change
        seen = said(await look(console, "boost", **{**boost, "end": "2026-11-24"}))
        assert "From Mon 23 Nov 2026 to Tue 24 Nov 2026 (2 days), what triggers award of XP is" in seen
        assert (await act(console, "boost", **boost, reason="outage")).status_code == 303
        assert (
            await act(console, "boost", **{**boost, "name": "Later", "start": "2026-12-01"})
        ).status_code == 303

    clock.now_ms += DAY_MS
    async with signed_in(console_url, admin_key) as console:
        await write(http)
        assert (await http.get("/v1/users/ann/points/xp")).json()["total"] == 15
        page = await console.get(path_of("end-boost"))
        later, now = re.findall(r'<option value="([^"]+)"', page.text)[::-1]
        assert "Sorry, ×2, from Mon 23 Nov 2026 without an end" in said(page)
        assert "its last day is Mon 23 Nov 2026" in said(await look(console, "end-boost", boost=now))
        assert "is deleted" in said(await look(console, "end-boost", boost=later))
        assert (await act(console, "end-boost", boost=xp["id"])).status_code == 422
        for one in (now, later):
            assert (await act(console, "end-boost", boost=one, reason="over")).status_code == 303
        await write(http)
        assert (await http.get("/v1/users/ann/points/xp")).json()["total"] == 20
        [left] = (await http.get("/v1/users/ann/points/xp/boosts", params={"includeFinished": "true"})).json()
        assert (left["name"], left["end"], left["status"]) == ("Sorry", "2026-11-23", "finished")
        rows = await log_of(http, services)
        assert [(row["action"], row["kind"]) for row in rows] == [
            ("delete", "points boost"),
            ("update", "points boost"),
            ("create", "points boost"),
            ("create", "points boost"),
        ]
        assert [row["after"].get("reason") for row in rows] == ["over", "over", None, "outage"]


@pytest.fixture
async def lost(http: httpx.AsyncClient, clock: SettableClock) -> None:
    """A streak of three that was lost two days ago."""
    await game(http)
    for _ in range(3):
        await write(http)
        clock.now_ms += DAY_MS
    clock.now_ms += 2 * DAY_MS


@pytest.mark.usefixtures("lost")
async def test_a_restored_streak_leaves_nothing_when_it_is_taken_back(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    before = await history(http, services, 5)
    assert before == [(2, False), (3, False), (0, False), (0, False), (0, False)]
    assert "nothing to undo" in said(await console.get(path_of("undo")))
    assert (await act(console, "restore", reason="our outage")).status_code == 303
    assert await history(http, services, 5) == [(2, False), (3, False), (0, False), (3, True), (3, False)]
    assert "restored to 3" in (await console.get("/console/users/ann")).text
    ranked = (await http.get("/v1/streaks/rankings")).json()
    assert [one["streakLength"] for one in ranked] == [3]
    clock.now_ms += 59_000
    page = said(await console.get(path_of("undo")))
    assert "The streak of 3 becomes one of 0. This can be done until 12:01:00 UTC." in page
    assert (await act(console, "undo", reason="the wrong user")).status_code == 303
    assert await history(http, services, 5) == before
    assert await services.pool.fetchval("SELECT length FROM user_streaks WHERE track = 0") == 0
    undone, restored = await log_of(http, services)
    assert (undone["before"], undone["after"]) == ({"length": 3}, {"length": 0, "reason": "the wrong user"})
    assert (restored["before"]["length"], restored["after"]["length"]) == (0, 3)
    assert restored["after"]["reason"] == "our outage"

    # A minute is a minute.
    done = await act(console, "restore")
    assert "/actions/undo" in (await console.get(done.headers["location"])).text
    clock.now_ms += 60_000
    assert "/actions/undo" not in (await console.get(done.headers["location"])).text
    page = await console.get(path_of("undo"))
    assert "the minute for it was over at 12:01:59 UTC" in said(page)
    assert "<button" not in page.text.split("<main")[1]
    assert (await act(console, "undo")).status_code == 422
    restoring = await console.get(path_of("restore"))
    assert "There is no streak to restore" in said(restoring)
    assert "<button" not in restoring.text.split("<main")[1]


@pytest.mark.usefixtures("lost")
async def test_a_notice_is_seen_by_the_session_that_it_is_for(
    http: httpx.AsyncClient, console: httpx.AsyncClient, console_url: str, admin_key: str
) -> None:
    await write(http, "bob")
    done = await act(console, "restore")
    location = done.headers["location"]
    assert 'role="status">The streak is back: 3.' in (await console.get(location)).text
    for other in (
        location.replace("ann", "bob"),
        "/console/users/ann?notice=x",
        "/console/users/ann?done=Pay%20up",
    ):
        page = await console.get(other)
        assert (page.status_code, "The streak is back" in page.text, "Pay up" in page.text) == (200, False, False)
    async with signed_in(console_url, admin_key) as somebody:
        assert "The streak is back" not in (await somebody.get(location)).text


async def test_pauses_are_seen_and_ended(
    http: httpx.AsyncClient, console_url: str, admin_key: str, services: Services, clock: SettableClock
) -> None:
    await game(http)
    await write(http)
    async with signed_in(console_url, admin_key) as console:
        assert "no pause, neither now nor to come" in said(await console.get(path_of("unpause")))
        for start, problem in (
            ("2026-11-22", "First day must not lie before today"),
            ("2026-11-25", "Last day must not lie before First day"),
        ):
            assert problem in said(await look(console, "pause", start=start, end="2026-11-24"))
        seen = said(await look(console, "pause", start="2026-11-24", end="2026-11-30"))
        assert "Paused on 7 days: Tue 24 Nov 2026 to Mon 30 Nov 2026. The streak of 1 stays." in seen
        assert "The last day to go on with it is then Tue 1 Dec 2026." in seen
        assert (await act(console, "pause", start="2026-11-24", end="2026-11-30")).status_code == 303
        assert (await act(console, "pause", start="2026-12-24", end="2026-12-24")).status_code == 303
        await flush(services)
    clock.now_ms += 4 * DAY_MS
    async with signed_in(console_url, admin_key) as console:
        page = await console.get(path_of("unpause"))
        assert "Tue 24 Nov 2026 to Mon 30 Nov 2026 (active)" in said(page)
        assert "Thu 24 Dec 2026 (to come)" in said(page)
        active, later = re.findall(r'<option value="([^"]+)"', page.text)
        seen = said(await look(console, "unpause", pause=active))
        assert "its days up to yesterday stay (Tue 24 Nov 2026 to Thu 26 Nov 2026)" in seen
        assert "The streak of 1 stays." in seen
        assert "The pause is deleted: Thu 24 Dec 2026." in said(await look(console, "unpause", pause=later))
        for one in (active, later):
            assert (await act(console, "unpause", pause=one, reason="back early")).status_code == 303
        streak = (await http.get("/v1/users/ann/streak")).json()
        assert (streak["length"], streak["pauses"], streak["expires"]) == (1, [], "2026-11-27")
        deleted, ended, *_ = await log_of(http, services)
        assert (deleted["after"], deleted["before"]["start"]) == ({"reason": "back early"}, "2026-12-24")
        assert (ended["before"]["end"], ended["after"]["end"]) == ("2026-11-30", "2026-11-26")
        rows = await services.pool.fetch("SELECT last_day::text, deleted FROM streak_pauses ORDER BY first_day")
        assert [tuple(row) for row in rows] == [("2026-11-26", False), ("2026-12-24", True)]


async def test_where_there_is_nothing_to_do_there_is_no_button(
    http: httpx.AsyncClient, console: httpx.AsyncClient
) -> None:
    await http.put("/v1/users/ann", json={"name": "Ann"})
    for action, why in (
        ("restore", "no streak to restore"),
        ("undo", "nothing to undo"),
        ("freeze", "The streak has no freezes"),
        ("reset", "no streak that could be ended"),
        ("unpause", "no pause"),
        ("points", "no points system yet"),
        ("boost", "no points system yet"),
        ("end-boost", "no boost of their own"),
        ("achievement", "no achievement"),
        ("event", "Choose an event"),
    ):
        page = await console.get(path_of(action))
        assert (page.status_code, why in said(page)) == (200, True), action
        assert "<button" not in page.text.split("<main")[1], action
        refused = await act(console, action)
        assert (refused.status_code, why in said(refused)) == (422, True), action


async def test_freezes_are_those_of_today(http: httpx.AsyncClient, console: httpx.AsyncClient) -> None:
    await game(http)
    await write(http)
    for had in range(3):
        told = "1 freeze becomes 2." if had == 1 else f"{had} freezes become {had + 1}."
        assert told in said(await console.get(path_of("freeze")))
        assert (await act(console, "freeze", reason="sorry")).status_code == 303
    assert "The user has 3 freezes, and may have no more." in said(await console.get(path_of("freeze")))


async def test_support_may_not_erase(
    http: httpx.AsyncClient, console_url: str, services: Services, console: httpx.AsyncClient
) -> None:
    await game(http)
    await write(http)
    secret = await account(services, "support", "s@example.com")
    async with signed_in(console_url, secret, "s@example.com") as support:
        sent = await form(support, path_of("freeze"), confirm="ann")
        assert (await support.post(path_of("erase"), data=sent)).status_code == 403
    assert await ids_left(http, services) == {"ann"}
