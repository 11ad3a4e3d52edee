"""``/healthz``, ``/readyz`` and ``/metrics``. The details of the last two need a token or an admin key."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import orjson
from prometheus_client.metrics_core import Metric
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from podium.clock import stopwatch_s
from podium.game.errors import PodiumError, Unauthorized
from podium.services import Services
from podium.spaces.space import NO_TENANT
from podium.telemetry import metrics
from podium.telemetry.health import Part, Readiness, readiness
from podium.telemetry.store_metrics import measure

T = TypeVar("T")

KEPT_S = 1.0
"""Seconds for which a result is reused, however many clients ask."""
UNREADY_KEPT_S = 0.1
"""The same while the server is not ready, as deployments wait for it to become ready."""


class Recent(Generic[T]):
    """Caches the last result of a call, for ``kept_s(result)`` seconds. Concurrent callers share one call."""

    def __init__(self, compute: Callable[[], Awaitable[T]], kept_s: Callable[[T], float]) -> None:
        self._compute = compute
        self._kept_s = kept_s
        self._task: asyncio.Task[T] | None = None
        self._until_s = 0.0

    async def get(self) -> T:
        """Return the result; raise what the call raises, which is not cached."""
        task = self._task
        if task is None or (task.done() and stopwatch_s() >= self._until_s):
            self._until_s = 0.0
            task = self._task = asyncio.create_task(self._call(), name="recent")
        return await asyncio.shield(task)

    async def _call(self) -> T:
        found = await self._compute()
        self._until_s = stopwatch_s() + self._kept_s(found)
        return found


def monitoring_routes() -> list[BaseRoute]:
    """Return the routes of the three endpoints."""
    checks: dict[str, Recent[Readiness]] = {}
    scrapes: dict[str, Recent[list[Metric]]] = {}

    async def readyz(request: Request) -> Response:
        services: Services = request.app.state.services
        if _is_stopping(request):
            stops = Part("missing", "the process is stopping: it still answers, but must get no new clients")
            found = Readiness(False, {"process": stops})
        else:
            found = await checks.setdefault("", Recent(lambda: _ask(services), _kept_s)).get()
        body: dict[str, object] = {"ready": found.ready}
        if _problem(request) is None:
            parts = {name: {"status": part.status, "detail": part.detail} for name, part in found.parts.items()}
            body |= {"parts": parts, "warnings": found.warnings}
        return Response(orjson.dumps(body), status_code=200 if found.ready else 503, media_type="application/json")

    async def scrape(request: Request) -> Response:
        if (problem := _problem(request)) is not None:
            raise problem
        services: Services = request.app.state.services
        found = await scrapes.setdefault("", Recent(lambda: _measure(services), lambda _: KEPT_S)).get()
        body, content_type = metrics.exposition(found)
        return Response(body, headers={"content-type": content_type})

    return [Route("/healthz", _healthz), Route("/readyz", readyz), Route("/metrics", scrape)]


async def _healthz(_: Request) -> Response:
    """Answer 200: the process is alive. Nothing else is checked."""
    return Response(b'{"status":"ok"}', media_type="application/json")


def _problem(request: Request) -> PodiumError | None:
    """Return the error for a request without the metrics token or an admin key, None for one with it."""
    services: Services = request.app.state.services
    token, header = services.settings.metrics_token, request.headers.get("authorization", "")
    if token and hmac.compare_digest(header.encode(), f"Bearer {token}".encode()):
        return None
    try:
        who = services.directory.authenticate(request.headers.get("x-api-key"))
    except PodiumError as error:
        return error
    if who.user is not None or who.space.tenant != NO_TENANT or "admin" not in who.capabilities:
        return Unauthorized("The token PODIUM_METRICS_TOKEN or an admin key is required")
    return None


def _is_stopping(request: Request) -> bool:
    """Return whether the process is stopping. A server inside a test has no such state."""
    stopping: asyncio.Event | None = getattr(request.app.state, "stopping", None)
    return stopping is not None and stopping.is_set()


def _kept_s(found: Readiness) -> float:
    return KEPT_S if found.ready else UNREADY_KEPT_S


async def _ask(services: Services) -> Readiness:
    spaces = list(services.directory.spaces.values())
    return await readiness(
        services.redis, services.pool, spaces, services.unchecked_clock(), has_time=services.has_time
    )


async def _measure(services: Services) -> list[Metric]:
    spaces = list(services.directory.spaces.values())
    return await measure(services.redis, services.pool, spaces, services.unchecked_clock())
