"""Limits of a metric, against cheating: of one event's value, and of a day."""

from __future__ import annotations

from typing import Any

import httpx

from podium.cli.importing.lines import read_lines
from podium.intake.requests import BatchItem
from tests.conftest import SettableClock
from tests.integration.test_boards import make


async def test_limits_of_a_metric(http: httpx.AsyncClient, clock: SettableClock) -> None:
    limits = {"minValue": -5, "maxValue": 10, "maxPerDay": 15}
    [row] = await make(http, "metrics", {"name": "Words", "key": "words", **limits})
    assert {key: row[key] for key in limits} == limits

    async def post(value: float, **more: Any) -> tuple[int, str]:
        answer = await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": value, **more})
        return answer.status_code, answer.json().get("error", "")

    assert await post(11) == (422, "value must not be above the metric's maxValue, 10")
    assert await post(-6) == (422, "value must not be below the metric's minValue, -5")
    assert (await post(10))[0] == 201
    assert await post(6) == (422, "the day's total would pass the metric's maxPerDay, 15")
    assert (await post(-5))[0] == 201
    assert (await post(10))[0] == 201
    assert (await post(10, timestamp="2026-11-22T12:00:00Z"))[0] == 201
    assert (await post(1))[0] == 422
    batch = [{"key": "words", "user": {"id": "bob"}, "value": value} for value in (10, 5, 1)]
    answer = (await http.post("/admin/v1/metrics/events", json=batch)).json()
    assert (answer["accepted"], [one["index"] for one in answer["refused"]]) == (2, [2])
    clock.now_ms += 86_400_000
    assert (await post(10))[0] == 201
    await http.patch("/admin/v1/metrics", json=[{"id": row["id"], "maxPerDay": None, "maxValue": None}])
    assert (await post(100))[0] == 201


async def test_a_half_counts_alike_however_it_comes(http: httpx.AsyncClient) -> None:
    await make(http, "metrics", {"name": "Points", "key": "points", "decimals": 2})
    for user, text in (("ann", "1.005"), ("bob", "-1.005"), ("cid", "0.285")):
        body = f'{{"user": {{"id": "{user}"}}, "value": {text}}}'
        answer = await http.post("/v1/metrics/points/event", content=body)
        batch = f'[{{"key": "points", "user": {{"id": "{user}-b"}}, "value": {text}}}]'
        await http.post("/admin/v1/metrics/events", content=batch)
        [(_, from_csv)] = read_lines([b"user,metric,value,timestamp", f"x,points,{text},2026".encode()])
        assert isinstance(from_csv, BatchItem)
        [(_, from_ndjson)] = read_lines([f'{{"user": "x", "metric": "points", "value": {text}}}'.encode()])
        assert isinstance(from_ndjson, BatchItem)
        of_batch = (await http.get(f"/v1/users/{user}-b/metrics/points")).json()["current"]
        assert answer.json()["total"] == of_batch == {"ann": 1.01, "bob": -1.01, "cid": 0.29}[user]
        assert from_csv.value == from_ndjson.value == float(text)
