"""The ASGI application of the WebSocket endpoint ``/connection/websocket``."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs

from podium.clock import Clock
from podium.http.websocket import ADMIT, DIRECT
from podium.live.access import Spaces
from podium.live.base_view import Later
from podium.live.connection import Connection, Context, Handshake, PostEvent
from podium.live.hub import Hub
from podium.live.limits import ConnectionLimiter
from podium.live.protocol import CloseCode
from podium.live.send_queue import Receive, Send

PATH = "/connection/websocket"

SHUTDOWN_S = 2.0
"""Longest time that a shutdown waits for clients to take their last frames."""

RPCS = ("event", "events")
"""The methods of the command ``rpc``."""


class LiveSocket:
    """Accept WebSocket connections and serve each with a ``Connection``.

    ``close_all`` must be called before uvicorn shuts down, which would close the connections with 1012.
    """

    def __init__(
        self,
        hub: Hub,
        spaces: Spaces,
        clock: Clock,
        post_event: PostEvent,
        post_events: PostEvent,
        limiter: ConnectionLimiter,
        later: Later | None = None,
    ) -> None:
        """``later`` replaces ``loop.call_later`` in tests."""
        rpcs = dict(zip(RPCS, (post_event, post_events), strict=True))
        self._context = Context(hub, spaces, clock, rpcs, limiter.limits, later)
        self._limiter = limiter
        self._tasks: dict[Connection, asyncio.Task[None] | None] = {}
        self._stopping = False
        hub.on_tick.append(self._check_grants)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection until it ends."""
        slot = self._limiter.acquire((scope.get("client") or ("",))[0])
        extensions = scope.get("extensions", {})
        connection = Connection(
            self._context, slot, _handshake(scope), extensions.get(DIRECT), extensions.get(ADMIT)
        )
        self._tasks[connection] = asyncio.current_task()
        stats = self._context.hub.stats
        stats.sockets += 1
        try:
            # Both are accepted first and closed then: browsers hide the reason of a refused handshake.
            if self._stopping:
                connection.close(CloseCode.SHUTDOWN, "shutdown")
            elif slot is None:
                connection.close_over_limit("connections of this address")
            await connection.run(receive, send)
        finally:
            if slot is not None:
                slot.release()
            stats.sockets -= 1
            del self._tasks[connection]

    async def close_all(self) -> None:
        """Close every connection with 3001; return after at most ``SHUTDOWN_S``."""
        self._stopping = True
        tasks = [task for task in self._tasks.values() if task is not None]
        for connection in self._tasks:
            connection.close(CloseCode.SHUTDOWN, "shutdown")
        if tasks:
            await asyncio.wait(tasks, timeout=SHUTDOWN_S)

    def _check_grants(self) -> None:
        now_ms = self._context.clock()
        for connection in list(self._tasks):
            connection.check_grant(now_ms)


def _handshake(scope: MutableMapping[str, Any]) -> Handshake:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qs(scope["query_string"].decode("latin-1"))
    tenant = query.get("tenant", [None])[0]
    if tenant is None and b"tenant-id" in headers:
        tenant = headers[b"tenant-id"].encode("latin-1").decode("utf-8", "replace")
    return Handshake(query.get("space", [None])[0], tenant, headers.get(b"origin"), headers.get(b"host"))
