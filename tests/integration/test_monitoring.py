"""Who may see how a server is, and how often its stores are asked for that; events of one user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

from podium import monitoring
from podium.app import create_app
from podium.game.errors import TooManyRequests
from podium.live.rpc import EventRpc
from podium.services import Services
from podium.telemetry.health import Readiness
from tests.conftest import SettableClock
from tests.integration.test_boards import make


@asynccontextmanager
async def watching(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a web process without a key."""
    app = create_app(services.settings)
    app.state.services = services
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        yield client


async def test_details_are_for_the_operator(services: Services, http: httpx.AsyncClient, admin_key: str) -> None:
    [application] = await make(http, "application-api-keys", {"userId": "ann"})
    services.settings = msgspec.structs.replace(services.settings, metrics_token="of the operator")
    let_in: list[dict[str, str]] = [{"X-API-KEY": admin_key}, {"Authorization": "Bearer of the operator"}]
    kept_out: list[dict[str, str]] = [
        {},
        {"X-API-KEY": application["key"]},
        {"X-API-KEY": "wrong"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "of the operator"},
        {"Authorization": "Bearer "},
    ]
    async with watching(services) as client:
        for headers in let_in:
            assert "podium_sockets" in (await client.get("/metrics", headers=headers)).text
            assert set((await client.get("/readyz", headers=headers)).json()) == {"ready", "parts", "warnings"}
        for headers in kept_out:
            refused = await client.get("/metrics", headers=headers)
            assert (refused.status_code, set(refused.json())) == (401, {"error"}), headers
            ready = await client.get("/readyz", headers=headers)
            assert (ready.status_code, ready.json()) == (200, {"ready": True}), headers
        services.settings = msgspec.structs.replace(services.settings, metrics_token="")
        assert (await client.get("/metrics", headers={"Authorization": "Bearer "})).status_code == 401


async def test_the_stores_are_asked_once_for_all_who_look(
    services: Services, admin_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    found = Readiness(True, {})

    async def asked(*_: Any, **__: Any) -> Readiness:
        calls.append("readyz")
        return found

    async def measured(*_: Any) -> list[Any]:
        calls.append("metrics")
        return []

    monkeypatch.setattr(monitoring, "KEPT_S", 3_600)
    monkeypatch.setattr(monitoring, "UNREADY_KEPT_S", 0)
    monkeypatch.setattr(monitoring, "readiness", asked)
    monkeypatch.setattr(monitoring, "_measure", measured)
    async with watching(services) as client:
        for _ in range(20):
            await client.get("/metrics", headers={"X-API-KEY": admin_key})
            await client.get("/readyz")
        assert sorted(calls) == ["metrics", "readyz"]
    calls.clear()
    found = Readiness(False, {})
    async with watching(services) as client:
        for _ in range(3):
            assert (await client.get("/readyz")).status_code == 503
        assert calls == ["readyz"] * 3


@pytest.fixture
def rate(request: pytest.FixtureRequest, services: Services) -> None:
    """At most twenty events of a user at once, two a second."""
    services.settings = msgspec.structs.replace(services.settings, rate_limit_user=2)


async def test_events_of_one_user_are_limited_by_every_way(
    rate: None, services: Services, http: httpx.AsyncClient, clock: SettableClock
) -> None:
    async def post(user: str) -> httpx.Response:
        return await http.post("/v1/metrics/words/event", json={"user": {"id": user}, "value": 1})

    async def batch(*users: str) -> httpx.Response:
        items = [{"key": "words", "user": {"id": user}, "value": 1} for user in users]
        return await http.post("/admin/v1/metrics/events", json=items)

    await make(http, "metrics", {"name": "Words", "key": "words"})
    space = services.directory.production
    assert [(await post("ann")).status_code for _ in range(19)] == [201] * 19
    assert (await batch("ann", "bob")).status_code == 202
    refused = await post("ann")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert "one user" in refused.json()["error"]
    refused = await batch("bob", "ann", "ann", "ann")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    event = b'{"key": "words", "user": {"id": "ann"}, "value": 1}'
    rpc = EventRpc(services.intake, services.catalogs, services.clock)
    for post_rpc, data in ((rpc.post_event, event), (rpc.post_events, b"[" + event + b"]")):
        with pytest.raises(TooManyRequests):
            await post_rpc(space, data, "ann")
    # Nothing of what was refused was stored or counted, for nobody.
    assert (await http.get("/v1/users/bob/metrics/words")).json()["current"] == 1
    assert [(await post("bob")).status_code for _ in range(20)] == [201] * 19 + [429]
    clock.advance(1_000)
    assert [(await post("ann")).status_code for _ in range(3)] == [201, 201, 429]
    assert (await http.get("/v1/users/ann/metrics/words")).json()["current"] == 22


async def test_a_batch_of_one_user_fits_once_the_user_was_quiet(
    rate: None, http: httpx.AsyncClient, clock: SettableClock
) -> None:
    await make(http, "metrics", {"name": "Words", "key": "words"})
    items = [{"key": "words", "user": {"id": "ann"}, "value": 1}] * 40
    assert (await http.post("/admin/v1/metrics/events", json=items)).status_code == 202
    clock.advance(10_000)  # pays what it owes
    refused = await http.post("/admin/v1/metrics/events", json=items)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    clock.advance(10_000)
    assert (await http.post("/admin/v1/metrics/events", json=items)).status_code == 202
