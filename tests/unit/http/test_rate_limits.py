"""Rate limits of keys and addresses."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from podium.http.rate_limits import RateLimits
from tests.conftest import SettableClock


@pytest.fixture
def clock() -> SettableClock:
    clock = SettableClock()
    clock.now_ms = 1_000_000_000_000
    return clock


def client(clock: SettableClock, per_key: float, per_address: float) -> httpx.AsyncClient:
    app = RateLimits(PlainTextResponse("done"), per_key, per_address, clock)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app, client=("10.1.1.1", 1)), base_url="http://x")


async def statuses(http: httpx.AsyncClient, times: int, key: str = "a.b", path: str = "/v1/x") -> list[int]:
    return [(await http.get(path, headers={"X-API-KEY": key})).status_code for _ in range(times)]


async def test_a_key_has_ten_seconds_worth_at_once_and_then_its_rate(clock: SettableClock) -> None:
    async with client(clock, 2, 0) as http:
        assert await statuses(http, 21) == [200] * 20 + [429]
        assert await statuses(http, 1, "other.key") == [200]
        assert await statuses(http, 3, path="/healthz") == [200] * 3
        clock.now_ms += 1_000
        assert await statuses(http, 3) == [200, 200, 429]
        clock.now_ms -= 500_000
        assert await statuses(http, 1) == [429]
        clock.now_ms += 3_600_000
        assert await statuses(http, 21) == [200] * 20 + [429]


async def test_the_headers_say_what_is_left_and_when_to_come_back(clock: SettableClock) -> None:
    async with client(clock, 0.1, 0) as http:
        first = await http.get("/admin/v1/x", headers={"X-API-KEY": "a.b"})
        limits = {name: value for name, value in first.headers.items() if name.startswith("x-ratelimit")}
        assert limits == {
            "x-ratelimit-limit": "1",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": str(clock.now_ms // 1000 + 10),
        }
        clock.now_ms += 4_000
        refused = await http.get("/admin/v1/x", headers={"X-API-KEY": "a.b"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "6")
        assert refused.json() == {"error": "Too many requests; try again in 6 s"}
        clock.now_ms += 6_000
        assert (await http.get("/admin/v1/x", headers={"X-API-KEY": "a.b"})).status_code == 200


async def test_an_address_is_counted_whatever_its_keys(clock: SettableClock) -> None:
    async with client(clock, 0, 1) as http:
        found: list[Any] = []
        for at in range(12):
            found += await statuses(http, 1, f"key.{at}")
        assert found == [200] * 10 + [429] * 2
    async with client(clock, 1, 100) as http:
        # What the address was refused does not count for the key, and the tighter of both is told.
        answer = await http.get("/v1/x", headers={"X-API-KEY": "a.b"})
        assert answer.headers["x-ratelimit-limit"] == "10"
        assert await statuses(http, 1, "k" * 300) == [200]
