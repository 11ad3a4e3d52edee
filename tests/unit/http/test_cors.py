from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import Unauthorized
from podium.http.answers import answer
from podium.http.cors import CrossOrigin
from podium.spaces.space import Principal, Space

GAME, SHOP, EVIL = "https://game.example", "https://shop.example:8443", "https://evil.example"
EVENT = "/v1/metrics/words/event"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "x-api-key, content-type, idempotency-key",
}


def space(id_: int, origins: tuple[str, ...]) -> Space:
    return Space(id_, f"space-{id_}", "production", "default", "s" * 32, origins, CatalogIndex(Catalog(1)))


SPACES = {"game.key": space(1, (GAME,)), "shop.key": space(2, (SHOP,)), "none.key": space(3, ())}


def authenticate(key: str | None) -> Principal:
    if key not in SPACES:
        raise Unauthorized("no")
    return Principal(SPACES[key], "k", "n", frozenset())


async def _inner(scope: Scope, receive: Receive, send: Send) -> None:
    await answer("made", 201)(scope, receive, send)


@pytest.fixture
def client() -> httpx.AsyncClient:
    known: Any = SimpleNamespace(spaces={s.public_id: s for s in SPACES.values()}, authenticate=authenticate)
    transport = httpx.ASGITransport(CrossOrigin(_inner, lambda: known))
    return httpx.AsyncClient(transport=transport, base_url="http://podium")


@pytest.mark.parametrize(
    ("path", "origin", "allowed"),
    [
        (EVENT, GAME, GAME),
        (EVENT, SHOP, SHOP),
        (EVENT, EVIL, None),
        (EVENT, "null", None),
        ("/v1/leaderboards/daily", EVIL, None),
    ],
)
async def test_preflights(client: httpx.AsyncClient, path: str, origin: str, allowed: str | None) -> None:
    response = await client.options(path, headers={"Origin": origin, **PREFLIGHT})
    assert response.status_code == (200 if allowed else 400)
    assert response.headers.get("access-control-allow-origin") == allowed
    if not allowed:
        assert "Disallowed CORS origin" in response.json()["error"]
        assert response.headers["vary"].startswith("Origin")
    else:
        assert "POST" in response.headers["access-control-allow-methods"]
        assert response.headers["access-control-allow-headers"] == PREFLIGHT["Access-Control-Request-Headers"]


@pytest.mark.parametrize(
    ("key", "origin", "allowed"),
    [
        ("game.key", GAME, GAME),
        ("game.key", SHOP, None),
        ("none.key", GAME, None),
        ("bad.key", GAME, GAME),
        ("bad.key", EVIL, None),
    ],
)
async def test_answers_follow_the_space_of_the_key(
    client: httpx.AsyncClient, key: str, origin: str, allowed: str | None
) -> None:
    response = await client.post(EVENT, headers={"Origin": origin, "X-API-KEY": key})
    assert response.status_code == 201
    assert response.headers.get("access-control-allow-origin") == allowed
    assert response.headers.get("vary") == ("Origin" if allowed or key == "bad.key" else None)


async def test_streams_are_open_and_the_admin_api_is_closed_to_pages(client: httpx.AsyncClient) -> None:
    stream = await client.get("/v1/leaderboards/daily/live", headers={"Origin": EVIL})
    assert stream.headers["access-control-allow-origin"] == "*"
    admin = await client.get("/admin/v1/metrics", headers={"Origin": GAME, "X-API-KEY": "game.key"})
    assert "access-control-allow-origin" not in admin.headers
    nobody = await client.get("/v1/leaderboards", headers={"X-API-KEY": "game.key"})
    assert "vary" not in nobody.headers
