"""What happened to a user, and events, page by page."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from podium.api.users.timeline import KINDS
from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush
from tests.integration.test_console import game, write


async def pages(http: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """The rows of all pages of ann's timeline."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await http.get("/admin/v1/users/ann/timeline", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["rows"]
        if "nextCursor" not in page:
            return found
        query["cursor"] = page["nextCursor"]


async def test_events_and_timelines_are_paged(
    http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    await game(http)
    for value in range(1, 8):
        clock.now_ms += 1_000
        await write(http, value=value)
    await write(http, "bob")
    await flush(services)
    seen, cursor = [], None
    while True:
        query = {"userId": "ann", "limit": 3, **({"cursor": cursor} if cursor else {})}
        page = (await http.get("/admin/v1/events", params=query)).json()
        seen += [row["value"] for row in page["events"]]
        cursor = page.get("nextCursor")
        if cursor is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert len((await http.get("/admin/v1/events", params={"from": "2026-11-23"})).json()["events"]) == 8
    assert (await http.get("/admin/v1/events", params={"to": "2026-11-22"})).json()["events"] == []
    kinds = (await http.get("/admin/v1/users/ann/timeline", params={"kinds": "event", "limit": 2})).json()
    assert [row["amount"] for row in kinds["rows"]] == [7, 6]
    older = {"kinds": "event", "limit": 2, "cursor": kinds["nextCursor"]}
    assert [
        row["amount"] for row in (await http.get("/admin/v1/users/ann/timeline", params=older)).json()["rows"]
    ] == [5, 4]
    for path, query in (
        ("/admin/v1/events", {"userId": ""}),
        ("/admin/v1/events", {"metricId": "x"}),
        ("/admin/v1/events", {"cursor": "x"}),
        ("/admin/v1/events", {"from": "2026-02-30"}),
        ("/admin/v1/users/ann/timeline", {"kinds": "x"}),
        ("/admin/v1/users/ann/timeline", {"cursor": "1795435200000"}),
        ("/admin/v1/users/ann/timeline", {"cursor": "-1-2"}),
    ):
        assert (await http.get(path, params=query)).status_code in (400, 422), (path, query)


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_rows_of_one_millisecond_are_shown_once_each(
    limit: int, http: httpx.AsyncClient, services: Services
) -> None:
    await game(http)
    for value in range(1, 8):  # the clock stands still
        await write(http, value=value)
    await flush(services)
    rows = await pages(http, kinds="event", limit=limit)
    assert sorted(row["amount"] for row in rows) == [1, 2, 3, 4, 5, 6, 7]
    assert len({row["id"] for row in rows}) == 7
    everything = await pages(http, limit=limit)
    assert everything == (await http.get("/admin/v1/users/ann/timeline")).json()["rows"]


async def test_what_support_did_is_there(http: httpx.AsyncClient, services: Services) -> None:
    await game(http)
    await write(http, value=1)
    await http.post("/admin/v1/streaks/reset", json={"users": [{"id": "ann"}]})
    await flush(services)
    [row] = await pages(http, kinds="support")
    assert row["what"] == "reset"
    assert row["subject"].startswith("test (")


@pytest.mark.parametrize("kind", KINDS)
async def test_of_one_kind(kind: str, http: httpx.AsyncClient, services: Services) -> None:
    await game(http)
    await write(http, value=150)
    await http.post("/admin/v1/streaks/reset", json={"users": [{"id": "ann"}]})
    await flush(services)
    assert {row["kind"] for row in await pages(http, kinds=kind)} <= {kind}


async def test_a_streak_of_imported_days(http: httpx.AsyncClient, services: Services) -> None:
    await game(http)
    days = [f"2026-11-{day:02}T09:00:00.000Z" for day in (10, 11, 12, 20, 23)]
    events = [{"key": "words", "user": {"id": "ann"}, "value": 5, "timestamp": day} for day in days]
    assert (await http.post("/admin/v1/metrics/events", json=events)).status_code == 202
    await flush(services)
    assert [(row["at"], row["what"], row["amount"]) for row in await pages(http, kinds="streak")] == [
        (days[4], "streak_extended", 1),
        ("2026-11-22T00:00:00.000Z", "streak_lost", 1),
        (days[3], "streak_extended", 1),
        ("2026-11-14T00:00:00.000Z", "streak_lost", 3),
        (days[2], "streak_extended", 3),
        (days[1], "streak_extended", 2),
        (days[0], "streak_extended", 1),
    ]
    everything = (await http.get("/admin/v1/users/ann/timeline")).json()["rows"]
    assert {row["kind"] for row in everything} > {"event", "streak"}
    for limit in (1, 2, 3, 5):
        assert await pages(http, limit=limit) == everything


async def test_a_streak_that_ended_in_time_is_lost_once(
    http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    await game(http)
    for days in (0, 1, 4):
        clock.advance(days * DAY_MS)
        await write(http)
        if not days:
            given = await http.post("/admin/v1/streaks/freezes", json={"freezes": [{"userId": "ann"}]})
            assert given.status_code == 200, given.text
    await flush(services)
    rows = await pages(http, kinds="streak")
    assert [(row["at"][:10], row["what"], row["amount"]) for row in rows] == [
        ("2026-11-28", "streak_extended", 1),
        ("2026-11-27", "streak_lost", 2),
        ("2026-11-26", "freeze_used", 1),
        ("2026-11-24", "streak_extended", 2),
        ("2026-11-23", "streak_extended", 1),
    ]
    assert [row["what"] for row in rows if row.get("total") is not None] == ["freeze_used"]
    for limit in (1, 2):
        assert await pages(http, kinds="streak", limit=limit) == rows
    # Ended by support: at this moment, and still once when the day is over.
    ended = await http.post("/admin/v1/streaks/reset", json={"users": [{"id": "ann"}]})
    assert ended.status_code == 200, ended.text
    await flush(services)
    for days in (0, 2):
        clock.advance(days * DAY_MS)
        lost = [row["at"][:13] for row in await pages(http, kinds="streak") if row["what"] == "streak_lost"]
        assert lost == ["2026-11-28T12", "2026-11-27T00"]


async def test_what_is_called_like_a_user_is_not_in_the_timeline(http: httpx.AsyncClient) -> None:
    await http.put("/v1/users/staging", json={})
    assert (await http.post("/admin/v1/environments", json={"key": "staging"})).status_code == 201
    assert (await http.get("/admin/v1/users/staging/timeline")).json() == {"rows": []}
