"""Users taken off boards, events undone and corrected, and the events behind a score."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import flush, get, make, places, score

BOARDS = ("sum", "best", "last")


@pytest.fixture
async def boards(http: httpx.AsyncClient) -> dict[str, str]:
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words"})
    common = {"rankBy": "metric", "metricId": metric["id"], "start": "2026-11-01", "status": "active"}
    rows = await make(
        http, "leaderboards", *({**common, "name": name, "key": name, "operator": name} for name in BOARDS)
    )
    return {row["key"]: row["id"] for row in rows}


async def post(http: httpx.AsyncClient, clock: SettableClock, user: str, value: float) -> str:
    clock.now_ms += 1
    answer = await http.post("/v1/metrics/words/event", json={"user": {"id": user}, "value": value})
    return str(answer.json()["eventId"])


async def values(http: httpx.AsyncClient) -> list[Any]:
    return [places((await get(http, key))["rankings"]) for key in BOARDS]


async def test_events_are_undone_and_corrected(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, boards: dict[str, str]
) -> None:
    ids = [await post(http, clock, "a", value) for value in (5, 9, 7)]
    await post(http, clock, "b", 8)
    await flush(services)
    assert await values(http) == [
        [(1, "a", 21), (2, "b", 8)],
        [(1, "a", 9), (2, "b", 8)],
        [(1, "b", 8), (2, "a", 7)],
    ]

    undone = await http.delete(f"/admin/v1/events/{ids[1]}")
    assert (undone.status_code, undone.json()) == (200, {"id": ids[1], "users": ["a"]})
    await flush(services)
    assert await values(http) == [
        [(1, "a", 12), (2, "b", 8)],
        [(1, "b", 8), (2, "a", 7)],
        [(1, "b", 8), (2, "a", 7)],
    ]
    assert (await http.delete(f"/admin/v1/events/{ids[1]}")).status_code == 404

    corrected = await http.patch(f"/admin/v1/events/{ids[2]}", json={"value": 30})
    assert corrected.status_code == 200
    await flush(services)
    assert await values(http) == [
        [(1, "a", 35), (2, "b", 8)],
        [(1, "a", 30), (2, "b", 8)],
        [(1, "a", 30), (2, "b", 8)],
    ]
    total = (await http.get("/v1/users/a/metrics/words")).json()["current"]
    assert total == 35

    why = (await http.get(f"/admin/v1/leaderboards/{boards['sum']}/users/a/events")).json()
    assert sum(row["value"] for row in why) == 35
    assert [row["value"] for row in why if row.get("corrects") == ids[1]] == [-9]
    for path, body in ((f"{ids[0][:-4]}0000", {"value": 1}), ("x", {"value": 1}), (ids[0], {"value": "1"})):
        assert (await http.patch(f"/admin/v1/events/{path}", json=body)).status_code in (400, 404, 422)


async def test_users_are_taken_off_and_barred(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, boards: dict[str, str]
) -> None:
    await score(http, clock, "a", 5)
    path = f"/admin/v1/leaderboards/{boards['sum']}/users"
    gone = await http.delete(path, params={"ids": ["a", "nobody", "a,b"]})
    assert gone.json() == {"removed": ["a"], "unknown": ["nobody", "a,b"], "unblocked": []}
    assert (await get(http, "sum"))["rankings"] == []
    assert places((await get(http, "best"))["rankings"]) == [(1, "a", 5)]
    assert (await score(http, clock, "a", 2))["sum"]["rank"] == 1
    assert places((await get(http, "sum"))["rankings"]) == [(1, "a", 2)]

    await http.delete(path, params={"ids": "a", "block": "true"})
    assert set(await score(http, clock, "a", 9)) == {"best", "last"}
    lifted = await http.delete(path, params={"ids": "a", "block": "false"})
    assert lifted.json() == {"removed": [], "unknown": [], "unblocked": ["a"]}
    assert set(await score(http, clock, "a", 1)) == {"sum", "last"}
    await http.delete(path, params={"ids": "a", "block": "false"})
    assert places((await get(http, "sum"))["rankings"]) == [(1, "a", 1)]  # the score stays
    await flush(services)
    assert await services.pool.fetchval("SELECT count(*) FROM standings WHERE user_id = 'a'") == 3


async def test_an_event_that_is_flushed_between_two_looks_is_found(
    http: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
    boards: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Just before Redis is asked whether anything is not flushed yet, all of it is: Postgres has the event."""
    assert boards
    event = await post(http, clock, "a", 5)
    call, looks = services.redis.call, 0

    async def flushed_first(function: str, *args: Any) -> Any:
        nonlocal looks
        if function == "newest":
            looks += 1
            await flush(services)
        return await call(function, *args)

    monkeypatch.setattr(services.redis, "call", flushed_first)
    undone = await http.delete(f"/admin/v1/events/{event}")
    assert (undone.status_code, looks) == (200, 1), undone.text
