"""The WebSocket endpoint ``/connection/websocket``: one connection is one reader, one writer, one timer."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import structlog

from podium.clock import Clock
from podium.game.errors import PodiumError
from podium.http.websocket import ADMIT, DIRECT
from podium.live import access, protocol
from podium.live.access import Grant, Spaces
from podium.live.channels import (
    LeaderboardChannel,
    PersonalChannel,
    PlaceOptions,
    UserChannel,
    ViewOptions,
    parse_channel,
)
from podium.live.hub import Hub, Watch
from podium.live.limits import Allowance, Door, Visit
from podium.live.protocol import (
    PING_INTERVAL_S,
    ChannelRequest,
    Close,
    CloseCode,
    Command,
    CommandError,
    ConnectRequest,
    ConnectResult,
    ErrorCode,
    RpcRequest,
    SubscribeRequest,
)
from podium.live.send_queue import Direct, Outbox, Receive, Send
from podium.live.view import Later, Timer
from podium.spaces.space import Space

PATH = "/connection/websocket"

CONNECT_S = 10.0
"""A connection that hasn't said ``connect`` by then is stale."""
PONG_S = 8.0
"""A ping that isn't answered by then says that nobody is there."""
REFRESH_MS = 25_000
"""A client begins to refresh its token within the last second, and its app may take a while to give it a new one:
a connection outlives its token by this long. So does one of Centrifugo, for which the SDKs were made."""
LINES_AT_ONCE = 16
"""Commands and pongs of a connection that are read before all others have a turn."""
CLOSE_S = 5.0
"""A client that doesn't take its last frames and the close code by then is cut off."""
SHUTDOWN_S = 2.0
"""A shutdown waits no longer for clients to take their last frames."""

PostEvent = Callable[[Space, bytes, str | None], Awaitable[bytes]]
"""Writes what an rpc carries: the space, its data as JSON, the only user it may write for (None: anyone).
Gives the JSON of the answer; raises RequestError or Unavailable."""

RPCS = ("event", "events")
"""The methods of ``rpc``."""

log = structlog.get_logger(__name__)


class LiveSocket:
    """The ASGI application. ``close_all`` must run before the server itself shuts its connections."""

    def __init__(
        self,
        hub: Hub,
        spaces: Spaces,
        clock: Clock,
        post_event: PostEvent,
        post_events: PostEvent,
        door: Door,
        later: Later | None = None,
    ) -> None:
        self.hub = hub
        self.spaces = spaces
        self.clock = clock
        self.posts = dict(zip(RPCS, (post_event, post_events), strict=True))
        self.door = door
        self.later = later
        self._tasks: dict[Connection, asyncio.Task[None] | None] = {}
        self._stopping = False
        hub.on_tick.append(self._check)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qs(scope["query_string"].decode("latin-1"))
        extensions = scope.get("extensions", {})
        space_id = query.get("space", [None])[0]
        tenant = query.get("tenant", [None])[0]
        if tenant is None and b"tenant-id" in headers:
            tenant = headers[b"tenant-id"].encode("latin-1").decode("utf-8", "replace")
        visit = self.door.enter((scope.get("client") or ("",))[0])
        origin, host = headers.get(b"origin"), headers.get(b"host")
        connection = Connection(
            self, visit, extensions.get(DIRECT), space_id, tenant, origin, host, extensions.get(ADMIT)
        )
        self._tasks[connection] = asyncio.current_task()
        self.hub.stats.sockets += 1
        try:
            if self._stopping:
                connection.close(CloseCode.SHUTDOWN, "shutdown")
            elif visit is None:
                connection.turn_away("connections of this address")
            await connection.run(receive, send)
        finally:
            if visit is not None:
                visit.leave()
            self.hub.stats.sockets -= 1
            del self._tasks[connection]

    async def close_all(self) -> None:
        """Close every connection with 3001, at most ``SHUTDOWN_S`` long."""
        self._stopping = True
        tasks = [task for task in self._tasks.values() if task is not None]
        for connection in self._tasks:
            connection.close(CloseCode.SHUTDOWN, "shutdown")
        if tasks:
            await asyncio.wait(tasks, timeout=SHUTDOWN_S)

    def _check(self) -> None:
        now_ms = self.clock()
        for connection in list(self._tasks):
            connection.check(now_ms)


class Connection:
    """One client."""

    def __init__(
        self,
        server: LiveSocket,
        visit: Visit | None,
        direct: Direct | None,
        space_id: str | None,
        tenant: str | None,
        origin: str | None,
        host: str | None,
        admit: Callable[[], None] | None = None,
    ) -> None:
        """``admit`` lets large messages in: only those who may write events send any."""
        self._server = server
        self._admit_large = admit
        self._visit = visit
        self._space_id = space_id
        self._tenant = tenant
        self._origin = origin
        self._host = host
        self._later = server.later or asyncio.get_running_loop().call_later
        limits = server.door.limits
        self._session = protocol.Session(limits.channels, limits.channel_bytes)
        self._allowance = Allowance(limits.commands, server.clock())
        self._grant: Grant | None = None
        self._watches: dict[str, Watch] = {}
        self._outbox = Outbox(direct, self._catch_up)
        self.offer = self._outbox.offer
        self._busy = False
        self._without_pause = 0
        self._closing: tuple[CloseCode, str] | None = None
        self._cut_off = False
        self._main: asyncio.Task[Any] | None = None
        self._timer: Timer = self._later(CONNECT_S, lambda: self.close(CloseCode.STALE, "no connect"))
        self._awaits_pong = False

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve until either side closes."""
        self._main = asyncio.current_task()
        await receive()
        await send({"type": "websocket.accept"})
        writer = asyncio.create_task(self._outbox.run(send))
        try:
            try:
                await self._read(receive)
            except Close as close:
                self.close(close.code, close.reason)
            if self._closing is not None:
                await writer
        except asyncio.CancelledError:
            if not self._cut_off or self._main is None:
                raise
            self._main.uncancel()
        finally:
            self._leave()
            self._timer.cancel()
            writer.cancel()
            await asyncio.wait({writer})

    # What the hub and the server call

    def unsubscribed(self, channel: str, reason: str) -> None:
        """The hub ended a subscription; the client subscribes again."""
        del self._watches[channel]
        self._session.unsubscribe(channel)
        self._outbox.push(protocol.unsubscribe_push(channel, protocol.Unsubscribed.INSUFFICIENT, reason))

    def close_slow(self) -> None:
        """The hub gave up on a viewer who doesn't read."""
        self.close(CloseCode.SLOW, "slow")

    def close(self, code: CloseCode, reason: str) -> None:
        """Say goodbye: what waits is sent first, except to one who is slow."""
        if self._closing is not None:
            return
        self._closing = code, reason
        self._timer.cancel()
        self._timer = self._later(CLOSE_S, self._cut)
        self._leave()
        self._outbox.close(code, reason, drop=code is CloseCode.SLOW)

    def turn_away(self, limit: str) -> None:
        """Close because a limit is reached; ``limit`` says which."""
        self._server.hub.stats.refused += 1
        self.close(CloseCode.CONNECTION_LIMIT, f"too many {limit}")

    def check(self, now_ms: int) -> None:
        """Close if the token has run out and was not refreshed, the key was revoked or the tenant is archived."""
        grant = self._grant
        if grant is None:
            return
        if grant.expires_ms is not None and grant.expires_ms + REFRESH_MS <= now_ms:
            self.close(CloseCode.EXPIRED, "connection expired")
        elif (reason := grant.lapsed(self._server.spaces)) is not None:
            self.close(CloseCode.INVALID_TOKEN, reason)

    # Reading

    async def _read(self, receive: Receive) -> None:
        while self._closing is None:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            empty = True
            for command in self._session.commands(message.get("text") or message.get("bytes") or ""):
                empty = False
                if self._closing is not None:
                    return
                if command is None:
                    self._may_send(None)
                    self._pong()
                elif self._may_send(command):
                    await self._answer(command)
                await self._outbox.room.wait()
                await self._yield()
            if empty:
                self._may_send(None)
                await self._yield()

    async def _yield(self) -> None:
        """Let others have their turn now and then: a message that is here already is read without waiting."""
        self._without_pause += 1
        if self._without_pause >= LINES_AT_ONCE:
            self._without_pause = 0
            await asyncio.sleep(0)

    def _may_send(self, command: Command | None) -> bool:
        """Count a command, or a pong or an empty frame (None); ``Close`` for far too many."""
        if self._grant is not None and self._grant.is_server:
            return True
        may = self._allowance.take(self._server.clock())
        if may is None:
            self._server.hub.stats.refused += 1
            raise Close(CloseCode.TOO_MANY_REQUESTS, "too many requests")
        if not may and command is not None:
            self._outbox.push(protocol.error_reply(command.id, CommandError(ErrorCode.TOO_MANY_REQUESTS)))
        return may

    async def _answer(self, command: Command) -> None:
        self._busy = True
        try:
            await self._handle(command)
        except Close:
            raise
        except CommandError as error:
            self._outbox.push(protocol.error_reply(command.id, error))
        except PodiumError as error:
            self._outbox.push(protocol.error_reply(command.id, protocol.command_error(error)))
        except Exception:  # one command's fault must not end the connection
            log.exception("socket_command_failed", method=command.method)
            self._outbox.push(protocol.error_reply(command.id, CommandError(ErrorCode.INTERNAL)))
        finally:
            self._busy = False

    async def _handle(self, command: Command) -> None:
        if command.method == "connect":
            self._connect(command)
            return
        grant = self._grant
        if grant is None:
            raise AssertionError("the session lets nothing pass before connect")
        # The next tick may be a second away: until then nothing is read or written either.
        if (reason := grant.lapsed(self._server.spaces)) is not None:
            raise Close(CloseCode.INVALID_TOKEN, reason)
        match command.method:
            case "subscribe":
                await self._subscribe(command, grant)
            case "unsubscribe":
                channel = protocol.body(command, ChannelRequest).channel
                self._session.check_name(channel)
                self._session.unsubscribe(channel)
                watch = self._watches.pop(channel, None)
                if watch is not None:
                    watch.end(self)
                self._outbox.push(protocol.reply(command.id, command.method))
            case "rpc":
                await self._rpc(command, grant)
            case "ping":
                self._outbox.push(protocol.reply(command.id, command.method))
            case "refresh":
                self._refresh(command, grant)
            case _:
                protocol.refuse_unsupported(command)

    def _connect(self, command: Command) -> None:
        token = protocol.body(command, ConnectRequest).token
        grant = access.grant(self._server.spaces, token, self._space_id, self._server.clock(), self._tenant)
        if not access.origin_allowed(grant.space, self._origin, self._host):
            raise Close(CloseCode.FORCED, "origin not allowed")
        if self._visit is not None:
            if grant.is_server:
                self._visit.is_server()
            elif grant.user is not None and not self._visit.is_user(grant.space.public_id, grant.user):
                self.turn_away("connections of this user")
                return
        self._session.connected = True
        self._timer.cancel()
        # Anywhere within the interval, so that connections made together don't ping together.
        self._timer = self._later(PING_INTERVAL_S * random.random(), self._ping)  # noqa: S311  # no secret
        self._admit(command, grant)

    def _refresh(self, command: Command, old: Grant) -> None:
        if old.expires_ms is None:
            raise CommandError(ErrorCode.NOT_AVAILABLE, "only a user's token can be refreshed")
        token = protocol.body(command, ConnectRequest).token
        grant = access.grant(self._server.spaces, token, None, self._server.clock())
        if (grant.user, grant.space) != (old.user, old.space):
            raise Close(CloseCode.INVALID_TOKEN, "the token is another user's")
        self._admit(command, grant)
        for channel, watch in list(self._watches.items()):
            if not grant.may_watch(channel, watch.public()):
                watch.end(self)
                self.unsubscribed(channel, "the new token does not allow it")

    def _admit(self, command: Command, grant: Grant) -> None:
        self._grant = grant
        if self._admit_large is not None and (grant.writes or grant.is_server):
            self._admit_large()
            self._admit_large = None
        ttl_s = 0
        if grant.expires_ms is not None:
            ttl_s = max(1, (grant.expires_ms - self._server.clock()) // 1000)
        first = command.method == "connect"
        result = ConnectResult(
            client=str(uuid.uuid4()) if first else "",
            version=protocol.VERSION,
            ping=PING_INTERVAL_S if first else 0,
            pong=first,
            expires=ttl_s > 0,
            ttl=ttl_s,
        )
        self._outbox.push(protocol.reply(command.id, command.method, result))

    async def _subscribe(self, command: Command, grant: Grant) -> None:
        request = protocol.body(command, SubscribeRequest)
        name = request.channel
        self._session.subscribe(name)
        try:
            watch = await self._server.hub.retried(grant.space, lambda: self._watch(request, grant))
        except BaseException:
            self._session.unsubscribe(name)
            raise
        self._watches[name] = watch
        self._outbox.push(protocol.subscribe_reply(command.id, watch.view.snapshot()))
        if self._closing is not None:
            self._leave()

    async def _watch(self, request: SubscribeRequest, grant: Grant) -> Watch:
        hub, space, name = self._server.hub, grant.space, request.channel
        channel = parse_channel(name)
        match channel:
            case LeaderboardChannel():
                may = grant.may_watch(name, hub.resolve(space, channel).config.public)
            case PersonalChannel() | UserChannel():
                may = grant.may_watch_user(name, channel.user)
            case _:
                raise CommandError(ErrorCode.UNKNOWN_CHANNEL)
        if not may:
            raise CommandError(ErrorCode.PERMISSION_DENIED)
        match channel:
            case LeaderboardChannel():
                options = protocol.decode(request.data, ViewOptions)
                return await hub.watch(space, channel, options.rows, options.interval_ms, self, grant.quota)
            case PersonalChannel():
                place = protocol.decode(request.data, PlaceOptions)
                return await hub.follow(space, channel, place.around, self, grant.quota)
            case UserChannel():
                return await hub.watch_user(space, channel, self)

    async def _rpc(self, command: Command, grant: Grant) -> None:
        request = protocol.body(command, RpcRequest)
        post = self._server.posts.get(request.method)
        if post is None:
            raise CommandError(ErrorCode.METHOD_NOT_FOUND)
        if not grant.writes:
            raise CommandError(ErrorCode.PERMISSION_DENIED)
        data = bytes(request.data)
        if not data:
            raise CommandError(ErrorCode.BAD_REQUEST, "data is missing")
        answer = await post(grant.space, data, grant.user)
        self._outbox.push(protocol.rpc_reply(command.id, answer.decode()))

    def _leave(self) -> None:
        for watch in self._watches.values():
            watch.end(self)
        self._watches.clear()

    def _catch_up(self) -> None:
        for watch in self._watches.values():
            watch.view.catch_up(self)

    # Time

    def _ping(self) -> None:
        self._awaits_pong = True
        self._outbox.push(protocol.PING)
        self._timer = self._later(PONG_S, self._no_pong)

    def _pong(self) -> None:
        if self._awaits_pong:
            self._awaits_pong = False
            self._timer.cancel()
            self._timer = self._later(PING_INTERVAL_S, self._ping)

    def _no_pong(self) -> None:
        if self._busy:  # a pong may wait behind a command that we are still answering
            self._timer = self._later(PONG_S, self._no_pong)
        else:
            self.close(CloseCode.NO_PONG, "no pong")

    def _cut(self) -> None:
        self._cut_off = True
        if self._main is not None:
            self._main.cancel()
