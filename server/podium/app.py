"""The web process: the Starlette application, its routes and its lifespan."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from podium import settings as settings_module
from podium.api.achievements import admin as achievements_admin
from podium.api.achievements import app as achievements_api
from podium.api.audit import admin as audit_admin
from podium.api.catalog import admin as catalog_admin
from podium.api.environments import admin as environments_admin
from podium.api.keys import admin as keys_admin
from podium.api.leaderboards import admin as leaderboards_admin
from podium.api.leaderboards import analytics as leaderboards_analytics
from podium.api.leaderboards import app as leaderboards_api
from podium.api.leaderboards import lists as leaderboards_lists
from podium.api.leaderboards import moderation as leaderboards_moderation
from podium.api.metrics import admin as metrics_admin
from podium.api.metrics import app as metrics_api
from podium.api.metrics import events as metrics_events
from podium.api.metrics.events import HotPath
from podium.api.origins import admin as origins_admin
from podium.api.points import admin as points_admin
from podium.api.points import app as points_api
from podium.api.points import awards as points_awards
from podium.api.points import boosts as points_boosts
from podium.api.points import levels as points_levels
from podium.api.points import triggers as points_triggers
from podium.api.realtime import app as realtime_api
from podium.api.settings import admin as settings_admin
from podium.api.streaks import admin as streaks_admin
from podium.api.streaks import app as streaks_api
from podium.api.streaks import preferences as streaks_preferences
from podium.api.streaks import settings as streaks_settings
from podium.api.tenants import admin as tenants_admin
from podium.api.users import admin as users_admin
from podium.api.users import app as users_api
from podium.api.users import attributes as users_attributes
from podium.api.users import erase as users_erase
from podium.api.users import events as users_events
from podium.api.users import replay as users_replay
from podium.api.users import timeline as users_timeline
from podium.api.wrapped import app as wrapped_api
from podium.cache_warming import keep_warm
from podium.clock import system_clock
from podium.console.app import console_routes
from podium.console.render import compile_templates
from podium.demo import session as demo
from podium.http.cors import CrossOrigin
from podium.http.docs import docs_routes
from podium.http.endpoints import Raw
from podium.http.errors import EXCEPTION_HANDLERS
from podium.http.openapi import openapi_route
from podium.http.rate_limits import RateLimits
from podium.http.routes import routes
from podium.http.widget import Widget
from podium.intake.answers import logged_answer
from podium.live.hub import Hub
from podium.live.limits import ConnectionLimiter, Limits
from podium.live.rpc import EventRpc
from podium.live.socket import PATH as SOCKET_PATH
from podium.live.socket import LiveSocket
from podium.live.sse import LiveStreams
from podium.monitoring import monitoring_routes
from podium.services import collect_rarely, open_services
from podium.settings import Settings
from podium.telemetry import logs, metrics

log = structlog.get_logger(__name__)

ENDPOINTS = [
    *metrics_events.ENDPOINTS,
    *users_api.ENDPOINTS,
    *metrics_api.ENDPOINTS,
    *leaderboards_lists.ENDPOINTS,
    *leaderboards_api.ENDPOINTS,
    *streaks_api.ENDPOINTS,
    *streaks_preferences.ENDPOINTS,
    *points_api.ENDPOINTS,
    *achievements_api.ENDPOINTS,
    *wrapped_api.ENDPOINTS,
    *realtime_api.ENDPOINTS,
    *metrics_admin.ENDPOINTS,
    *users_attributes.ENDPOINTS,
    *users_admin.ENDPOINTS,
    *users_erase.ENDPOINTS,
    *users_replay.ENDPOINTS,
    *users_timeline.ENDPOINTS,
    *users_events.ENDPOINTS,
    *leaderboards_admin.ENDPOINTS,
    *leaderboards_moderation.ENDPOINTS,
    *leaderboards_analytics.ENDPOINTS,
    *achievements_admin.ENDPOINTS,
    *points_admin.ENDPOINTS,
    *points_triggers.ENDPOINTS,
    *points_levels.ENDPOINTS,
    *points_boosts.ENDPOINTS,
    *points_awards.ENDPOINTS,
    *streaks_settings.ENDPOINTS,
    *streaks_admin.ENDPOINTS,
    *origins_admin.ENDPOINTS,
    *settings_admin.ENDPOINTS,
    *audit_admin.ENDPOINTS,
    *environments_admin.ENDPOINTS,
    *catalog_admin.ENDPOINTS,
    *keys_admin.ENDPOINTS,
    *tenants_admin.ENDPOINTS,
]
"""All endpoints of the HTTP API, from which routes and API document are made. Frequent ones come first: routing is
a linear search."""

FOR_ALL_PAGES = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=604800",
}
"""Headers of public scripts. Their names have no version, so browsers ask again after an hour (ETag, 304), and for
a week use the old one meanwhile. Browsers load a module from another origin only with the first header."""
GAUGES_S = 1.0
"""Seconds between two updates of the metrics that only this process knows."""


def web_folder() -> Path:
    """Return the folder of pages and scripts: in an installed wheel, or beside ``server`` in a checkout."""
    inside = Path(__file__).parent / "web"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "web"


def create_app(settings: Settings) -> Starlette:
    """Return the ASGI application. Its lifespan opens the stores."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_services(settings, role="web") as services:
            hub = Hub(
                services.redis,
                services.unchecked_clock,
                services.thaw,
                logged_answer,
                services.standings,
                speculative_max=settings.live_speculative,
            )
            hub.has_newer_catalog = services.catalogs.has_newer
            hub.start()
            limiter = ConnectionLimiter(
                Limits(
                    settings.live_per_address,
                    settings.live_per_user,
                    settings.live_channels,
                    settings.live_commands,
                    settings.live_channel_bytes,
                )
            )
            rpc = EventRpc(services.intake, services.catalogs, services.clock)
            socket = LiveSocket(
                hub,
                services.directory,
                services.unchecked_clock,
                rpc.post_event,
                rpc.post_events,
                limiter,
            )
            streams = LiveStreams(hub, services.directory, services.unchecked_clock, limiter)
            app.state.services, app.state.hub = services, hub
            app.state.socket, app.state.streams = socket, streams
            app.state.stopping = asyncio.Event()
            _close_viewers_first(socket, streams, app.state.stopping, settings.shutdown_delay)
            background = [
                asyncio.create_task(_report(hub), name="gauges"),
                asyncio.create_task(keep_warm(services), name="warm"),
            ]
            # In a thread because compiling blocks; that also has anyio import its backend now, and not within the
            # first streamed answer.
            await run_in_threadpool(compile_templates)
            collect_rarely()
            log.info("web_started", port=settings.port)
            yield
            for task in background:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await socket.close_all()
            await hub.stop()
        log.info("web_stopped")

    async def live(scope: Any, receive: Any, send: Any) -> None:
        await scope["app"].state.socket(scope, receive, send)

    web = web_folder()
    mimetypes.add_type("text/javascript", ".js")
    pages: list[BaseRoute] = [
        *routes(ENDPOINTS, metrics.answered),
        WebSocketRoute(SOCKET_PATH, Raw(live)),
        *monitoring_routes(),
        *docs_routes(ENDPOINTS),
        openapi_route(ENDPOINTS),
        *console_routes(web, metrics.answered),
        Route(catalog_admin.SCHEMA_PATH, catalog_admin.get_schema),
        Route("/widget/podium-leaderboard.js", Widget(web, FOR_ALL_PAGES).answer),
        Mount("/shared", _PublicScripts(directory=web / "shared")),
        Route("/gallery", lambda _: RedirectResponse("/gallery/")),
        Mount("/gallery", StaticFiles(directory=web / "gallery", html=True)),
    ]
    if settings.demo:
        pages += [
            Route("/", lambda _: RedirectResponse("/demo/")),
            Route("/demo", lambda _: RedirectResponse("/demo/")),
            Route("/demo/session.json", demo.session),
            Mount("/demo", StaticFiles(directory=web / "demo", html=True)),
        ]
    else:
        pages.append(Route("/", lambda _: RedirectResponse("/docs")))
    app = Starlette(routes=pages, lifespan=lifespan, exception_handlers=EXCEPTION_HANDLERS)
    app.state.settings = settings
    return app


def app_from_environment() -> CrossOrigin:
    """Return the whole application, for uvicorn's processes, which inherit only the environment."""
    settings = settings_module.load(os.environ)
    logs.configure(settings.log_level, settings.log_format)
    app = create_app(settings)
    hot = HotPath(app)
    if settings.rate_limit_key or settings.rate_limit_address:
        limited = RateLimits(hot, settings.rate_limit_key, settings.rate_limit_address, system_clock)
        return CrossOrigin(limited, lambda: app.state.services.directory)
    return CrossOrigin(hot, lambda: app.state.services.directory, direct=hot.direct)


def _close_viewers_first(
    socket: LiveSocket, streams: LiveStreams, stopping: asyncio.Event, delay_s: float
) -> None:
    """At SIGTERM and SIGINT, end streams and close sockets with 3001 before the server closes them with 1012.

    ``stopping`` is set first. After SIGTERM nothing is closed for ``delay_s`` seconds, unless SIGINT comes.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # signals can be handled in the main thread only; tests run servers in others
    loop = asyncio.get_running_loop()
    under_way: set[asyncio.Task[None]] = set()
    hurry = asyncio.Event()

    async def close_viewers(number: int, then: Callable[[int, Any], Any]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await hurry.wait()
        streams.close_all()
        await socket.close_all()
        then(number, None)

    def on_signal(number: int, then: Callable[[int, Any], Any]) -> None:
        if number == signal.SIGINT:
            hurry.set()
        # A second SIGTERM is ignored: with several processes each gets one from the process group and one from the
        # supervisor.
        if not stopping.is_set() or number == signal.SIGINT:
            stopping.set()
            under_way.add(loop.create_task(close_viewers(number, then)))

    for number in (signal.SIGTERM, signal.SIGINT):
        servers_own = signal.getsignal(number)
        if callable(servers_own):
            loop.add_signal_handler(number, on_signal, number, servers_own)


class _PublicScripts(StaticFiles):
    """Scripts that pages of other origins may load."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the file, or 304, with the headers for every origin."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(FOR_ALL_PAGES)
        return response


async def _report(hub: Hub) -> None:
    frames = refused = 0
    while True:
        metrics.SOCKETS.set(hub.stats.sockets)
        metrics.FRAMES.inc(hub.stats.frames_sent - frames)
        metrics.LIVE_REFUSED.inc(hub.stats.refused - refused)
        frames, refused = hub.stats.frames_sent, hub.stats.refused
        await asyncio.sleep(GAUGES_S)
