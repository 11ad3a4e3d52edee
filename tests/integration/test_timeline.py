"""What happened to a user, and events, page by page."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from server.features.users.timeline import KINDS
from server.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import flush
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
