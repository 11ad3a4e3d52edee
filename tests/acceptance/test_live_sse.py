"""The live board as Server-Sent Events, read as ``curl -N`` would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.acceptance.stack import Stack
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.xdist_group("stack")


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Name and data of each event."""
    name = ""
    async for line in response.aiter_lines():
        field, _, text = line.partition(": ")
        if field == "event":
            name = text
        elif field == "data":
            yield name, json.loads(text)


async def test_snapshot_then_publications(stack: Stack) -> None:
    board = await stack.board(public=True)
    async with stack.http() as http, httpx.AsyncClient(base_url=stack.url, timeout=PATIENCE_S) as anybody:
        await http.post(f"/v1/metrics/{board.metric}/event", json={"user": {"id": "ann"}, "value": 5})
        async with anybody.stream("GET", f"/v1/leaderboards/{board.key}/live?limit=10&interval=0") as response:
            assert response.status_code == 200
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert response.headers["cache-control"] == "no-store"
            heard = events(response)
            async with asyncio.timeout(PATIENCE_S):
                name, data = await anext(heard)
                assert (name, data["leaderboard"]["key"], data["participants"]) == ("snapshot", board.key, 1)
                assert [(row["userId"], row["value"]) for row in data["rows"]] == [("ann", 5.0)]
                await http.post(f"/v1/metrics/{board.metric}/event", json={"user": {"id": "bob"}, "value": 7})
                name, told = await anext(heard)
            assert (name, told["seq"], told["participants"]) == ("publication", data["seq"] + 1, 2)
            assert [(row["position"], row["userId"]) for row in told["rows"]] == [(0, "bob")]


async def test_a_board_that_is_not_public_needs_a_key_or_a_token(stack: Stack) -> None:
    board = await stack.board()
    path = f"/v1/leaderboards/{board.key}/live"
    token = await stack.token("ann")
    async with httpx.AsyncClient(base_url=stack.url, timeout=PATIENCE_S) as http:
        for good in (
            {"headers": {"X-API-KEY": stack.admin_key}},
            {"headers": {"Authorization": f"Bearer {token}"}},
            {"params": {"token": token}},
        ):
            async with http.stream("GET", path, **good) as response:
                assert response.status_code == 200
                async with asyncio.timeout(PATIENCE_S):
                    assert (await anext(events(response)))[0] == "snapshot"
        narrow = await stack.token("ann", channels=["leaderboard:other"])
        for status, bad in (
            (403, {}),
            (401, {"headers": {"X-API-KEY": "no.key"}}),
            (401, {"params": {"token": await stack.token("ann", secret="x" * 32)}}),
            (401, {"params": {"token": await stack.token("ann", valid_s=-1)}}),
            (403, {"params": {"token": narrow}}),
        ):
            response = await http.get(path, **bad)
            assert (response.status_code, list(response.json())) == (status, ["error"])


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=0", 422), ("limit=ten", 400), ("interval=9999", 422), ("run=2026-02-30", 422), ("space=none", 422)],
)
async def test_bad_queries_name_the_field(stack: Stack, query: str, status: int) -> None:
    async with httpx.AsyncClient(base_url=stack.url, timeout=PATIENCE_S) as http:
        board = await stack.board(public=True)
        response = await http.get(f"/v1/leaderboards/{board.key}/live?{query}")
        assert response.status_code == status
        assert query.partition("=")[0] in response.json()["error"]


async def test_an_unknown_board_is_not_found(stack: Stack) -> None:
    async with stack.http() as http:
        assert (await http.get("/v1/leaderboards/none/live")).status_code == 404
