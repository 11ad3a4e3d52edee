"""Imported history, metric after metric: nothing of it is late because of another metric."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from podium.services import Services
from tests.backfills import backfill
from tests.integration.test_boards import flush, get, make
from tests.integration.test_older_runs import flushing

TODAY = date(2026, 11, 23)
DAYS = range(40, 0, -1)


@pytest.fixture(autouse=True)
async def worker(services: Services) -> AsyncIterator[None]:
    async with flushing(services):
        yield


def day(days: int) -> str:
    return str(TODAY - timedelta(days=days))


async def metrics(http: httpx.AsyncClient) -> dict[str, str]:
    rows = await make(http, "metrics", *({"name": key, "key": key, "decimals": 0} for key in ("words", "pages")))
    return {row["key"]: row["id"] for row in rows}


async def leaderboard(http: httpx.AsyncClient, key: str, **fields: Any) -> None:
    common = {"status": "active", "start": day(60), "runUnit": "day", "runInterval": 1}
    await make(http, "leaderboards", {"name": key, "key": key, **common, **fields})


async def post(http: httpx.AsyncClient, metric: str, days: int, value: float = 1) -> None:
    item = {"key": metric, "user": {"id": "ann"}, "value": value, "timestamp": f"{day(days)}T01:00:00Z"}
    answer = await http.post("/admin/v1/metrics/events", json=[item])
    assert answer.status_code == 202, answer.text


async def values(http: httpx.AsyncClient, key: str) -> list[float]:
    """The user's score in each run, oldest first; 0 for none."""
    found = []
    for days in DAYS:
        rows = (await get(http, key, run=day(days)))["rankings"]
        found.append(sum(row["value"] for row in rows))
    return found


async def test_the_second_metrics_history_counts_like_the_first_ones(
    http: httpx.AsyncClient, services: Services
) -> None:
    ids = await metrics(http)
    for key, id_ in ids.items():
        await leaderboard(http, key, rankBy="metric", metricId=id_)
    await backfill(services)
    for key in ids:
        for days in DAYS:
            await post(http, key, days, days)
    assert await values(http, "words") == await values(http, "pages") == list(DAYS)
    # A leaderboard that is made later counts the same.
    await flush(services)
    await leaderboard(http, "later", rankBy="metric", metricId=ids["pages"])
    await backfill(services)
    assert await values(http, "later") == list(DAYS)
    # Why a score is what it is.
    [board] = [one for one in (await http.get("/admin/v1/leaderboards")).json() if one["key"] == "pages"]
    answer = await http.get(f"/admin/v1/leaderboards/{board['id']}/users/ann/events", params={"run": day(30)})
    assert [one["value"] for one in answer.json()] == [30]


async def test_an_event_behind_the_newest_takes_no_points_off_runs_when_it_is_undone(
    http: httpx.AsyncClient, services: Services
) -> None:
    ids = await metrics(http)
    triggers = [
        {"type": "metric", "points": 10, "metricId": id_, "metricThreshold": 1, "status": "active"}
        for id_ in ids.values()
    ]
    [system] = await make(http, "points", {"name": "XP", "key": "xp", "triggers": triggers})
    await leaderboard(http, "xp", rankBy="points", pointsSystemId=system["id"])
    await backfill(services)
    for metric, days in (("words", 30), ("words", 1), ("pages", 30)):
        await post(http, metric, days)
    await flush(services)
    assert [value for value in await values(http, "xp") if value] == [10, 10]
    events = (await http.get("/admin/v1/events", params={"userId": "ann", "metricId": ids["pages"]})).json()
    [event] = events["events"]
    assert event["late"] is False
    answer = await http.delete(f"/admin/v1/events/{event['id']}")
    assert answer.status_code == 200, answer.text
    assert [value for value in await values(http, "xp") if value] == [10, 10]
    assert (await http.get("/v1/users/ann/points/xp")).json()["total"] == 20


async def test_a_batch_says_how_many_of_its_events_were_stored_before(http: httpx.AsyncClient) -> None:
    await metrics(http)
    item = {"key": "words", "user": {"id": "ann"}, "value": 1, "idempotencyKey": "k"}
    for size, answer in ((3, {"accepted": 3, "replayed": 2}), (1, {"accepted": 1, "replayed": 1})):
        found = await http.post("/admin/v1/metrics/events", json=[item] * size)
        assert (found.status_code, found.json()) == (202, answer)
    found = await http.post("/admin/v1/metrics/events", json=[{**item, "idempotencyKey": "other"}])
    assert found.json() == {"accepted": 1}
