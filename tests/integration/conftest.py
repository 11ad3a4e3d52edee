"""A real server with all endpoints over both stores, in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from trophy import AsyncTrophyApi
from trophy.environment import TrophyApiEnvironment

from podium.api.metrics.events import HotPath
from podium.app import ENDPOINTS
from podium.http.cors import CrossOrigin
from podium.http.errors import EXCEPTION_HANDLERS
from podium.http.routes import routes
from podium.http.stale_cache import StaleWhileRevalidateCache
from podium.http.transport import JoinedProtocol
from podium.services import Services, open_services
from podium.settings import Settings
from podium.spaces.space import Space
from podium.telemetry import health
from podium.writebehind.flusher import Flusher
from tests.conftest import SettableClock
from tests.serving import serving
from tests.waiting import PATIENCE_S

ROUTES = routes(ENDPOINTS)
"""Made once: its hundred patterns take 15 ms."""


@pytest.fixture
async def services(
    redis_url: str, database_url: str, admin_key: str, clock: SettableClock
) -> AsyncIterator[Services]:
    settings = Settings(redis_url=redis_url, database_url=database_url)
    async with open_services(settings, clock) as services:
        services.cache = StaleWhileRevalidateCache(
            costly_s=60
        )  # a slow moment of the machine is not a large space

        async def flush(space: Space) -> None:
            await Flusher(services.pool, services.redis, space, clock).flush()

        services.reads.ask = flush  # there is no worker
        services.reads.patience_s = services.reads.lists_s = PATIENCE_S
        yield services


@pytest.fixture
async def base_url(services: Services) -> AsyncIterator[str]:
    """Where the server listens."""
    async with serving_services(services) as url:
        yield url


@pytest.fixture
def patient_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness waits for stores as long as a busy machine may need."""
    monkeypatch.setattr(health, "LOOK_S", PATIENCE_S)


@asynccontextmanager
async def serving_services(services: Services) -> AsyncIterator[str]:
    """A server with all endpoints over these services: where it listens."""
    app = Starlette(routes=ROUTES, exception_handlers=EXCEPTION_HANDLERS)
    app.state.services = services
    hot = HotPath(app)
    async with serving(CrossOrigin(hot, lambda: services.directory, hot.direct), http=JoinedProtocol) as url:
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
            max_retries=0,
        )
