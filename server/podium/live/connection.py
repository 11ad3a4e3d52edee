"""One WebSocket connection: a task that reads commands, a task that writes frames, and one timer."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import structlog

from podium.clock import Clock
from podium.game.errors import PodiumError
from podium.live import access, protocol
from podium.live.access import Grant, Spaces
from podium.live.base_view import Later, Timer
from podium.live.board_channel import Watch
from podium.live.channels import (
    LeaderboardChannel,
    PersonalChannel,
    PlaceOptions,
    UserChannel,
    ViewOptions,
    parse_channel,
)
from podium.live.hub import Hub
from podium.live.limits import CommandBucket, ConnectionSlot, Limits
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
from podium.live.send_queue import Direct, Receive, Send, SendQueue
from podium.spaces.space import Space

CONNECT_S = 10.0
"""A connection that has not sent ``connect`` by then is closed as stale."""
PONG_S = 8.0
"""A ping that is not answered by then means that the client is gone."""
REFRESH_MS = 25_000
"""A connection outlives its token by this long. A client begins to refresh its token within the last second, and
its app may take a while to issue a new one. Centrifugo, for which the SDKs were made, waits as long."""
YIELD_AFTER = 16
"""Commands and pongs of one connection that are read before other tasks may run."""
CLOSE_S = 5.0
"""A client that has not taken its last frames and the close code by then is cut off."""

PostEvent = Callable[[Space, bytes, str | None], Awaitable[bytes]]
"""Commit the events of an rpc and return the answer as JSON.

Takes the space, the data as JSON, and the only user that it may write for (None: any user). Raises
``RequestError`` or ``Unavailable``.
"""

log = structlog.get_logger(__name__)


class Context(NamedTuple):
    """The parts of the server that every connection uses. ``rpcs`` are by method of the command ``rpc``."""

    hub: Hub
    spaces: Spaces
    clock: Clock
    rpcs: Mapping[str, PostEvent]
    limits: Limits
    later: Later | None = None


class Handshake(NamedTuple):
    """The parts of the HTTP request that opened the connection; None where it has none."""

    space_id: str | None
    tenant: str | None
    origin: str | None
    host: str | None


class Connection:
    """One client. Implements ``Viewer`` for the hub."""

    def __init__(
        self,
        context: Context,
        slot: ConnectionSlot | None,
        handshake: Handshake,
        direct: Direct | None,
        admit_large: Callable[[], None] | None = None,
    ) -> None:
        """``slot`` is None where the address has too many connections.

        ``admit_large`` raises the limit on the size of messages. It is called once the client has shown that it
        may write events; nobody else needs large messages.
        """
        self._context = context
        self._slot = slot
        self._handshake = handshake
        self._admit_large = admit_large
        self._later = context.later or asyncio.get_running_loop().call_later
        limits = context.limits
        self._session = protocol.Session(limits.channels, limits.channel_bytes)
        self._bucket = CommandBucket(limits.commands, context.clock())
        self._grant: Grant | None = None
        self._watches: dict[str, Watch] = {}
        self._queue = SendQueue(direct, self._catch_up)
        self.offer = self._queue.offer
        self._answering = False
        self._since_yield = 0
        self._closing = False
        self._cut_off = False
        self._main: asyncio.Task[Any] | None = None
        # One timer serves three waits, one after another: for connect, for the next ping or its pong, for the
        # close.
        self._timer: Timer = self._later(CONNECT_S, lambda: self.close(CloseCode.STALE, "no connect"))
        self._awaits_pong = False

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve the connection until either side closes it."""
        self._main = asyncio.current_task()
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        writer = asyncio.create_task(self._queue.run(send))
        try:
            try:
                await self._read(receive)
            except Close as close:
                self.close(close.code, close.reason)
            if self._closing:  # let the writer send what is queued, and the close frame; CLOSE_S bounds it
                await writer
        except asyncio.CancelledError:
            # _cut cancels this task to end it; any other cancellation is the server's and must be passed on.
            if not self._cut_off or self._main is None:
                raise
            self._main.uncancel()
        finally:
            self._end_watches()
            self._timer.cancel()
            writer.cancel()
            await asyncio.wait({writer})

    # Called by the hub and the server

    def unsubscribed(self, channel: str, reason: str) -> None:
        """Tell the client that the hub ended a subscription; it subscribes again."""
        del self._watches[channel]
        self._session.unsubscribe(channel)
        self._queue.push(protocol.unsubscribe_push(channel, protocol.Unsubscribed.INSUFFICIENT, reason))

    def close_slow(self) -> None:
        """Close with 3008: the client has not read for long."""
        self.close(CloseCode.SLOW, "slow")

    def close(self, code: CloseCode, reason: str) -> None:
        """Close after what is queued was sent; a slow client's queue is dropped instead. Idempotent."""
        if self._closing:
            return
        self._closing = True
        self._timer.cancel()
        self._timer = self._later(CLOSE_S, self._cut)
        self._end_watches()
        self._queue.close(code, reason, drop=code is CloseCode.SLOW)

    def close_over_limit(self, limit: str) -> None:
        """Close with 3504; ``limit`` says what there is too much of."""
        self._context.hub.stats.refused += 1
        self.close(CloseCode.CONNECTION_LIMIT, f"too many {limit}")

    def check_grant(self, now_ms: int) -> None:
        """Close if the token has expired and was not refreshed, the key was revoked or the tenant is archived."""
        grant = self._grant
        if grant is None:
            return
        if grant.expires_ms is not None and grant.expires_ms + REFRESH_MS <= now_ms:
            self.close(CloseCode.EXPIRED, "connection expired")
        elif (reason := grant.revocation(self._context.spaces)) is not None:
            self.close(CloseCode.INVALID_TOKEN, reason)

    # Reading

    async def _read(self, receive: Receive) -> None:
        while not self._closing:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            empty = True
            for command in self._session.commands(message.get("text") or message.get("bytes") or ""):
                empty = False
                if self._closing:
                    return
                if command is None:
                    self._take_command(None)
                    self._on_pong()
                elif self._take_command(command):
                    await self._answer(command)
                # Backpressure: a client that does not take its answers gets no more of them.
                await self._queue.room.wait()
                await self._yield()
            if empty:
                self._take_command(None)
                await self._yield()

    async def _yield(self) -> None:
        """Let other tasks run now and then: ``receive`` returns a buffered message without suspending."""
        self._since_yield += 1
        if self._since_yield >= YIELD_AFTER:
            self._since_yield = 0
            await asyncio.sleep(0)

    def _take_command(self, command: Command | None) -> bool:
        """Count a command against the rate limit; return whether to execute it.

        None stands for a pong or an empty frame, which cost as much and are never answered. Raises ``Close`` for a
        client that goes on after many refusals.
        """
        if self._grant is not None and self._grant.is_server:
            return True
        allowed = self._bucket.take(self._context.clock())
        if allowed is None:
            self._context.hub.stats.refused += 1
            raise Close(CloseCode.TOO_MANY_REQUESTS, "too many requests")
        if not allowed and command is not None:
            self._queue.push(protocol.error_reply(command.id, CommandError(ErrorCode.TOO_MANY_REQUESTS)))
        return allowed

    async def _answer(self, command: Command) -> None:
        self._answering = True
        try:
            await self._handle(command)
        except Close:
            raise
        except CommandError as error:
            self._queue.push(protocol.error_reply(command.id, error))
        except PodiumError as error:
            self._queue.push(protocol.error_reply(command.id, protocol.command_error(error)))
        except Exception:  # a failed command must not end the connection
            log.exception("socket_command_failed", method=command.method)
            self._queue.push(protocol.error_reply(command.id, CommandError(ErrorCode.INTERNAL)))
        finally:
            self._answering = False

    async def _handle(self, command: Command) -> None:
        if command.method == "connect":
            self._connect(command)
            return
        grant = self._grant
        if grant is None:
            raise AssertionError("the session lets nothing pass before connect")
        # check_grant runs once a second; a revoked key must not read or write until then either.
        if (reason := grant.revocation(self._context.spaces)) is not None:
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
                self._queue.push(protocol.reply(command.id, command.method))
            case "rpc":
                await self._rpc(command, grant)
            case "ping":
                self._queue.push(protocol.reply(command.id, command.method))
            case "refresh":
                self._refresh(command, grant)
            case _:
                protocol.refuse_unsupported(command)

    def _connect(self, command: Command) -> None:
        token = protocol.body(command, ConnectRequest).token
        space_id, tenant, origin, host = self._handshake
        grant = access.authorize(self._context.spaces, token, space_id, self._context.clock(), tenant)
        if not access.origin_allowed(grant.space, origin, host):
            raise Close(CloseCode.FORCED, "origin not allowed")
        if self._slot is not None:
            if grant.is_server:
                self._slot.exempt()
            elif grant.user is not None and not self._slot.assign_user(grant.space.public_id, grant.user):
                self.close_over_limit("connections of this user")
                return
        self._session.connected = True
        self._timer.cancel()
        # Anywhere within the interval, so that connections made together don't ping together.
        self._timer = self._later(PING_INTERVAL_S * random.random(), self._ping)  # noqa: S311  # no secret
        self._set_grant(command, grant)

    def _refresh(self, command: Command, old: Grant) -> None:
        if old.expires_ms is None:
            raise CommandError(ErrorCode.NOT_AVAILABLE, "only a user's token can be refreshed")
        token = protocol.body(command, ConnectRequest).token
        grant = access.authorize(self._context.spaces, token, None, self._context.clock())
        if (grant.user, grant.space) != (old.user, old.space):
            # Its subscriptions were allowed to the first user.
            raise Close(CloseCode.INVALID_TOKEN, "the token is another user's")
        self._set_grant(command, grant)
        for channel, watch in list(self._watches.items()):
            if not grant.may_watch(channel, watch.public()):
                watch.end(self)
                self.unsubscribed(channel, "the new token does not allow it")

    def _set_grant(self, command: Command, grant: Grant) -> None:
        self._grant = grant
        if self._admit_large is not None and (grant.writes or grant.is_server):
            self._admit_large()
            self._admit_large = None
        ttl_s = 0
        if grant.expires_ms is not None:
            ttl_s = max(1, (grant.expires_ms - self._context.clock()) // 1000)
        first = command.method == "connect"
        result = ConnectResult(
            client=str(uuid.uuid4()) if first else "",
            version=protocol.VERSION,
            ping=PING_INTERVAL_S if first else 0,
            pong=first,
            expires=ttl_s > 0,
            ttl=ttl_s,
        )
        self._queue.push(protocol.reply(command.id, command.method, result))

    async def _subscribe(self, command: Command, grant: Grant) -> None:
        request = protocol.body(command, SubscribeRequest)
        name = request.channel
        self._session.subscribe(name)  # before the await: a second command for the same channel must fail
        try:
            watch = await self._context.hub.retry_with_newer_catalog(
                grant.space, lambda: self._watch(request, grant)
            )
        except BaseException:  # a cancelled attempt must not keep the name taken either
            self._session.unsubscribe(name)
            raise
        # Without an await in between, so that no publication precedes the snapshot.
        self._watches[name] = watch
        self._queue.push(protocol.subscribe_reply(command.id, watch.view.snapshot()))
        if self._closing:  # closed while this subscription was being made
            self._end_watches()

    async def _watch(self, request: SubscribeRequest, grant: Grant) -> Watch:
        hub, space, name = self._context.hub, grant.space, request.channel
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
                return await hub.watch_place(space, channel, place.around, self, grant.quota)
            case UserChannel():
                return await hub.watch_user(space, channel, self)

    async def _rpc(self, command: Command, grant: Grant) -> None:
        request = protocol.body(command, RpcRequest)
        post = self._context.rpcs.get(request.method)
        if post is None:
            raise CommandError(ErrorCode.METHOD_NOT_FOUND)
        if not grant.writes:
            raise CommandError(ErrorCode.PERMISSION_DENIED)
        data = bytes(request.data)
        if not data:
            raise CommandError(ErrorCode.BAD_REQUEST, "data is missing")
        answer = await post(grant.space, data, grant.user)
        self._queue.push(protocol.rpc_reply(command.id, answer.decode()))

    def _end_watches(self) -> None:
        for watch in self._watches.values():
            watch.end(self)
        self._watches.clear()

    def _catch_up(self) -> None:
        for watch in self._watches.values():
            watch.view.catch_up(self)

    # Timers

    def _ping(self) -> None:
        self._awaits_pong = True
        self._queue.push(protocol.PING)
        self._timer = self._later(PONG_S, self._no_pong)

    def _on_pong(self) -> None:
        if self._awaits_pong:
            self._awaits_pong = False
            self._timer.cancel()
            self._timer = self._later(PING_INTERVAL_S, self._ping)

    def _no_pong(self) -> None:
        if self._answering:  # the pong may wait behind a command that is still being answered
            self._timer = self._later(PONG_S, self._no_pong)
        else:
            self.close(CloseCode.NO_PONG, "no pong")

    def _cut(self) -> None:
        self._cut_off = True
        if self._main is not None:
            self._main.cancel()
