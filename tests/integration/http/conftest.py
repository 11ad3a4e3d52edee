"""A real server with the admin API, the API document and endpoints that misbehave on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from trophy import AsyncTrophyApi
from trophy.environment import TrophyApiEnvironment

from podium.api.leaderboards import admin as leaderboards
from podium.api.metrics import admin as metrics
from podium.api.origins import admin as origins
from podium.api.realtime import app as live
from podium.api.users import attributes as users
from podium.game.errors import TooManyRequests, Unavailable
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.docs import docs_routes
from podium.http.endpoints import Endpoint
from podium.http.errors import EXCEPTION_HANDLERS
from podium.http.openapi import openapi_route
from podium.http.routes import routes
from podium.spaces.catalog_check import CatalogCheck
from podium.spaces.directory import Directory
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import RedisClient
from tests.conftest import SettableClock
from tests.serving import serving

BODY_LIMIT = 20_000


class Whoami(msgspec.Struct):
    name: str


async def _busy(_: Request) -> Response:
    raise TooManyRequests("too many", retry_after_s=7)


async def _away(_: Request) -> Response:
    raise Unavailable("Redis is away", retry_after_s=2)


async def _broken(_: Request) -> Response:
    raise ZeroDivisionError("secret detail")


async def _whoami(request: Request) -> Response:
    return answer(Whoami(principal(request).name))


async def _echo(request: Request) -> Response:
    return answer(await read(request, msgspec.json.Decoder(Whoami)))


ENDPOINTS = [
    *metrics.ENDPOINTS,
    *users.ENDPOINTS,
    *leaderboards.ENDPOINTS,
    *live.ENDPOINTS,
    *origins.ENDPOINTS,
    Endpoint("GET", "/test/busy", "Busy", "Test", "read", (200, 429), _busy),
    Endpoint("GET", "/test/away", "Away", "Test", "read", (200, 503), _away),
    Endpoint("GET", "/test/broken", "Broken", "Test", "read", (200,), _broken),
    Endpoint("GET", "/test/whoami", "Who", "Test", "", (200,), _whoami, answer=Whoami),
    Endpoint("POST", "/test/echo", "Echo", "Test", "events:write", (200,), _echo, body=Whoami, answer=Whoami),
]


ROUTES = [*routes(ENDPOINTS), openapi_route(ENDPOINTS), *docs_routes(ENDPOINTS)]


@pytest.fixture
async def base_url(
    directory: Directory, pool: Pool, redis_client: RedisClient, clock: SettableClock
) -> AsyncIterator[str]:
    """The address on which the server listens."""
    app = Starlette(
        routes=ROUTES,
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.services = SimpleNamespace(
        directory=directory,
        pool=pool,
        redis=redis_client,
        catalogs=CatalogCheck(redis_client, directory.refresh_space),
        clock=clock,
        settings=SimpleNamespace(body_limit=BODY_LIMIT, batch_limit=BODY_LIMIT),
    )
    async with serving(app, http="httptools") as url:
        yield url


@pytest.fixture
async def http(base_url: str, admin_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the admin key."""
    async with httpx.AsyncClient(base_url=base_url, headers={"X-API-KEY": admin_key}) as client:
        yield client


@pytest.fixture
async def trophy(base_url: str, admin_key: str) -> AsyncIterator[AsyncTrophyApi]:
    """The published SDK, pointed here."""
    async with httpx.AsyncClient() as client:
        yield AsyncTrophyApi(
            api_key=admin_key,
            environment=TrophyApiEnvironment(api=f"{base_url}/v1", admin=f"{base_url}/admin/v1"),
            httpx_client=client,
        )


async def make(http: httpx.AsyncClient, kind: str, *items: dict[str, Any]) -> list[dict[str, Any]]:
    """Items that must be created; their rows."""
    response = await http.post(f"/admin/v1/{kind}", json=items)
    assert response.status_code == 201, response.text
    assert response.json()["issues"] == []
    created: list[dict[str, Any]] = response.json()["created"]
    return created


@pytest.fixture
async def metric(http: httpx.AsyncClient) -> str:
    """The id of a metric."""
    [row] = await make(http, "metrics", {"name": "Words", "key": "words"})
    return str(row["id"])
