"""Leaderboards as Server-Sent Events, for clients whose network blocks WebSockets. One response is one viewer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import cast

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from podium.clock import Clock
from podium.game.errors import (
    Forbidden,
    NotFound,
    PodiumError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unprocessable,
)
from podium.http import params
from podium.http.auth import tenant
from podium.http.errors import answer_error
from podium.http.transport import ABORT
from podium.live import access, protocol
from podium.live.access import Grant, Spaces
from podium.live.board_channel import Watch
from podium.live.channels import INTERVALS_MS, LIMITS, LeaderboardChannel, ViewOptions, parse_channel
from podium.live.hub import SLOW_TICKS, Hub
from podium.live.limits import ConnectionLimiter, ConnectionSlot
from podium.live.protocol import Close, CommandError, ErrorCode
from podium.live.view import View

HEARTBEAT_TICKS = 15
"""Seconds of silence after which a comment is sent: common proxies close a response that is silent for 60."""
RETRY_MS = (1_000, 4_000)
"""Bounds of the random reconnection delay, which spreads the clients' return after a restart."""
LIMIT_RETRY_S = 30
"""``Retry-After`` for a client with too many connections: some may have ended by then."""
QUEUE_MAX = 256 * 1024
"""Bytes that may wait for a client, as for WebSockets. Beyond this it skips publications."""

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the events back
]
_HEARTBEAT = b":\n\n"


class _SharedEvent:
    """Caches the last encoded event.

    A publication is offered to all viewers of a view one after another, so one entry is enough to encode it once.
    """

    def __init__(self) -> None:
        self._frame = ""
        self._event = b""

    def event(self, frame: str, head: str, seq: int) -> bytes:
        """Return the event for a frame of the WebSocket protocol, which begins with ``head``."""
        if frame is not self._frame:
            data = frame[len(head) : -len(protocol.PUBLICATION_TAIL)]
            self._frame, self._event = frame, _event("publication", seq, data)
        return self._event


_shared = _SharedEvent()


def _event(name: str, seq: int, data: str) -> bytes:
    return f"event: {name}\nid: {seq}\ndata: {data}\n\n".encode()


class Stream:
    """One client. Implements ``Viewer`` for the hub."""

    def __init__(self, channel: str, grant: Grant, abort: Callable[[], None] | None) -> None:
        self.grant = grant
        self._head = protocol.publication_head(channel)
        self._expires_ms = grant.expires_ms
        self._abort = abort
        self._queue: list[bytes] = []
        self._waiting = 0  # bytes in the queue and in the body being sent
        self._wake = asyncio.Event()
        self._watch: Watch | None = None
        self._seq: Callable[[], int] = int
        self._behind = False
        self._ended = False
        self._sending = False
        self._ticks = 0  # since the last send began, or ended

    def begin(self, watch: Watch, seq: Callable[[], int]) -> None:
        """Queue the snapshot of a new subscription; ``seq`` returns the number of its latest frame."""
        self._watch, self._seq = watch, seq
        retry_ms = random.randint(*RETRY_MS)  # noqa: S311  # no secret
        self._push(f"retry: {retry_ms}\n\n".encode() + _event("snapshot", seq(), watch.view.snapshot()))

    def offer(self, frame: str) -> bool:
        """Queue a publication; return False, and skip it, where too much waits."""
        if self._waiting > QUEUE_MAX:
            self._behind = True
            return False
        self._push(_shared.event(frame, self._head, self._seq()))
        return True

    def unsubscribed(self, channel: str, reason: str) -> None:  # noqa: ARG002 - Viewer's signature
        """End the response because the hub ended the subscription; the client reconnects for the new state."""
        self.end()

    def close_slow(self) -> None:
        """Cut off a client that doesn't read: it would not see a proper end."""
        self._queue.clear()
        self.end()
        if self._abort is not None:
            self._abort()

    def end(self) -> None:
        """End the response after what is queued."""
        self._end_watch()
        self._ended = True
        self._wake.set()

    def stop(self) -> None:
        """End because the server stops; a client that blocks a send is cut off, as it would block the stop too."""
        if self._sending:
            self.close_slow()
        else:
            self.end()

    def tick(self, now_ms: int) -> None:
        """Check what depends on time; called once a second."""
        self._ticks += 1
        # A stream can't refresh its token: the client reconnects with a new one.
        if self._expires_ms is not None and self._expires_ms <= now_ms:
            self.end()
        if self._sending and self._ticks > SLOW_TICKS:
            self.close_slow()
        elif not self._sending and not self._ended and self._ticks >= HEARTBEAT_TICKS:
            self._push(_HEARTBEAT)

    async def run(self, receive: Receive, send: Send) -> None:
        """Send until either side ends the response."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        # Nothing is received but the disconnect, which would not end a wait for the next event.
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            while not self._ended or self._queue:
                if self._queue:
                    body = b"".join(self._queue)
                    self._queue.clear()
                    await self._send(send, body)
                else:
                    self._wake.clear()
                    await self._wake.wait()
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._end_watch()
            gone.cancel()
            await asyncio.wait({gone})

    async def _send(self, send: Send, body: bytes) -> None:
        self._sending, self._ticks = True, 0
        await send({"type": "http.response.body", "body": body, "more_body": True})
        self._sending, self._ticks = False, 0
        self._waiting = sum(map(len, self._queue))
        # Only once everything was taken: the frame that replaces the skipped ones may be large.
        if self._behind and not self._queue and self._watch is not None:
            self._behind = False
            self._watch.view.catch_up(self)

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._queue.clear()
        self.end()

    def _push(self, event: bytes) -> None:
        self._queue.append(event)
        self._waiting += len(event)
        self._wake.set()

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.end(self)
            self._watch = None


class LiveStreams:
    """The ASGI application of ``GET /v1/leaderboards/{key}/live``.

    ``close_all`` must be called before the server stops: it waits for responses to end.
    """

    def __init__(self, hub: Hub, spaces: Spaces, clock: Clock, limiter: ConnectionLimiter) -> None:
        self._hub = hub
        self._limiter = limiter
        self._spaces = spaces
        self._clock = clock
        self._streams: set[Stream] = set()
        self._stopping = False
        hub.on_tick.append(self._tick)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        slot = self._limiter.acquire((scope.get("client") or ("",))[0])
        try:
            stream = await self._open(Request(scope), slot)
        except Exception as error:  # noqa: BLE001 - answer_error logs what is not expected
            if slot is not None:
                slot.release()
            await answer_error(_http_error(error), scope["method"], scope["path"])(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            stream.end()  # no event may follow, and the client's connection is free only after the end
        self._streams.add(stream)
        self._hub.stats.sockets += 1
        try:
            await stream.run(receive, send)
        finally:
            if slot is not None:
                slot.release()
            self._hub.stats.sockets -= 1
            self._streams.discard(stream)

    def close_all(self) -> None:
        """End every stream; cut off clients that don't read."""
        self._stopping = True
        for stream in list(self._streams):
            stream.stop()

    async def _open(self, request: Request, slot: ConnectionSlot | None) -> Stream:
        if self._stopping:
            raise Unavailable("the server is shutting down")
        if slot is None:
            raise self._over_limit("this address")
        options = ViewOptions(
            params.integer(request, "limit", 100, 1, LIMITS[-1]),
            params.integer(request, "interval", 50, 0, INTERVALS_MS[-1]),
        )
        channel = LeaderboardChannel(request.path_params["key"], params.day(request, "run"))
        if parse_channel(str(channel)) != channel:
            raise NotFound("Leaderboard not found")
        grant = self._grant(request)
        if not access.origin_allowed(grant.space, request.headers.get("origin"), request.headers.get("host")):
            raise Forbidden("Origin is not on the space's list")
        await self._hub.retry_with_newer_catalog(grant.space, lambda: self._check_rights(grant, channel))
        if grant.is_server:
            slot.exempt()
        elif grant.user is not None and not slot.assign_user(grant.space.public_id, grant.user):
            raise self._over_limit("this user")
        stream = Stream(str(channel), grant, request.scope.get(ABORT))
        watch = await self._hub.watch(grant.space, channel, options.rows, options.interval_ms, stream, grant.quota)
        view = cast(View, watch.view)  # as the channel is a leaderboard's
        stream.begin(watch, lambda: view.seq)
        return stream

    async def _check_rights(self, grant: Grant, channel: LeaderboardChannel) -> None:
        if not grant.may_watch(str(channel), self._hub.resolve(grant.space, channel).config.public):
            raise Forbidden("This leaderboard is not public: a key or a token is needed that may watch it")

    def _grant(self, request: Request) -> Grant:
        token = request.headers.get("x-api-key", "")
        if not token:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme and scheme.lower() != "bearer":
                raise Unauthorized('Authorization must have the form "Bearer <token>"')
        if not token:
            token = request.query_params.get("token", "")
            if token and access.is_key(token):  # URLs end up in logs, where a key must not be
                raise Unauthorized("token must be a realtime token")
        if token and access.is_key(token):
            return access.authorize_key(self._spaces, token, tenant(request))
        return access.authorize(self._spaces, token, request.query_params.get("space"), self._clock())

    def _over_limit(self, whose: str) -> TooManyRequests:
        self._hub.stats.refused += 1
        return TooManyRequests(f"Too many connections of {whose}", retry_after_s=LIMIT_RETRY_S)

    def _tick(self) -> None:
        now_ms = self._clock()
        for stream in list(self._streams):
            if stream.grant.revocation(self._spaces) is not None:
                stream.end()  # the client reconnects, and the answer tells it why it may not
            stream.tick(now_ms)


def _http_error(error: Exception) -> Exception:
    """Translate an error of the WebSocket protocol to HTTP; others are returned unchanged."""
    if isinstance(error, Close):
        if error.reason == access.ARCHIVED:
            return Forbidden("The tenant is archived")
        return Unauthorized("The key or token is not valid")
    if not isinstance(error, CommandError):
        return error
    answers: dict[ErrorCode, Callable[[str], PodiumError]] = {
        ErrorCode.TOKEN_EXPIRED: Unauthorized,
        ErrorCode.UNKNOWN_CHANNEL: NotFound,
        ErrorCode.BAD_REQUEST: Unprocessable,
        ErrorCode.LIMIT_EXCEEDED: TooManyRequests,
    }
    return answers.get(error.code, Unavailable)(str(error))
