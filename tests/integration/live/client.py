"""A live server for tests, and a raw client that keeps boards by the words of the protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, cast

import jwt
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from podium.clock import Clock
from podium.game.errors import Unauthorized
from podium.game.records import LogItem
from podium.http.connections import ConnectionLimits, Connections
from podium.http.endpoints import Raw
from podium.http.transport import JoinedProtocol
from podium.http.websocket import DirectWebSocket
from podium.intake.answers import logged_answer
from podium.live.hub import Hub
from podium.live.limits import ConnectionLimiter, Limits
from podium.live.socket import PATH, LiveSocket
from podium.live.sse import LiveStreams
from podium.live.window import Row
from podium.spaces.space import Principal, Space
from podium.storage.redis.client import RedisClient
from tests.waiting import PATIENCE_S, until

ADMIN_KEY = "test.admin"
FRAME_MAX = 1_000_000
"""Bytes of the largest frame that the server takes."""


class Call:
    """A call that is to come when the test says so."""

    def __init__(self, timers: Timers, delay_s: float, callback: Callable[[], None]) -> None:
        self.timers, self.delay_s, self.callback = timers, delay_s, callback

    def cancel(self) -> None:
        with suppress(ValueError):
            self.timers.calls.remove(self)


class Timers:
    """Stands for ``loop.call_later``: only the test lets time pass; what has no delay comes by itself."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, delay_s: float, callback: Callable[[], None]) -> Call:
        call = Call(self, delay_s, callback)
        self.calls.append(call)
        if not delay_s:
            asyncio.get_running_loop().call_soon(self._come, call)
        return call

    def _come(self, call: Call) -> None:
        if call in self.calls:
            self.calls.remove(call)
            call.callback()

    def fire(self, at_most_s: float) -> int:
        """Let the calls with a delay up to this come; how many those were."""
        due = [call for call in self.calls if call.delay_s <= at_most_s]
        for call in due:
            self._come(call)
        return len(due)


class Posts:
    """Stands for the intake: notes what the socket hands on; raises ``error`` if there is one."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any, str | None]] = []
        self.error: Exception | None = None

    async def event(self, space: Space, data: bytes, only_user: str | None) -> bytes:
        return self._note("event", space, data, only_user)

    async def events(self, space: Space, data: bytes, only_user: str | None) -> bytes:
        return self._note("events", space, data, only_user)

    def _note(self, method: str, space: Space, data: bytes, only_user: str | None) -> bytes:
        self.calls.append((method, space.public_id, json.loads(data), only_user))
        if self.error is not None:
            raise self.error
        return b'{"rank":1}'


class OneSpace:
    """Knows one space and the keys in ``users``, by whom they act for."""

    def __init__(self, space: Space) -> None:
        self.users: dict[str, str | None] = {ADMIN_KEY: None}
        self.production = space
        self.spaces = {space.public_id: space}

    def authenticate(self, key: str | None) -> Principal:
        if key not in self.users:
            raise Unauthorized("unknown key")
        return Principal(self.production, f"id of {key}", "test", frozenset({"admin"}), self.users[key])

    def enter(self, key: str | None, tenant: str | None) -> Principal:
        """``tenant`` says nothing: there is none."""
        return self.authenticate(key)

    def knows_key(self, id_: str) -> bool:
        return any(id_ == f"id of {key}" for key in self.users)


async def _nobody_is_cold(_: Space, users: list[str]) -> None:
    raise AssertionError(users)


class Live:
    """A hub and an endpoint behind a real server. Time passes as ``timers``, ``clock`` and ``hub.tick`` say."""

    def __init__(
        self,
        redis: RedisClient,
        space: Space,
        clock: Clock,
        hub_later: Timers | None,
        limits: Limits | None = None,
        proxies: str = "",
        connections: ConnectionLimits | None = None,
        speculative_max: int = 0,
    ) -> None:
        self.connections = Connections(connections or ConnectionLimits())
        self.space = space
        self.posts = Posts()
        self.thawing = _nobody_is_cold
        self.timers = Timers()
        self.hub = Hub(redis, clock, self.thaw, self.describe, self.standings, hub_later, speculative_max)
        self.proxies = proxies
        limiter = ConnectionLimiter(limits or Limits())
        self.spaces = spaces = OneSpace(space)
        self.sockets = LiveSocket(
            self.hub, spaces, clock, self.posts.event, self.posts.events, limiter, self.timers
        )
        self.streams = LiveStreams(self.hub, spaces, clock, limiter)
        self.url = ""

    async def thaw(self, space: Space, users: list[str]) -> None:
        """Bring back cold users."""
        await self.thawing(space, users)

    async def standings(self, _: Space, __: str, ___: int) -> tuple[int, list[Row]]:
        """No run is final."""
        return 0, []

    def describe(self, space: Space, item: LogItem) -> bytes | None:
        """Return the answer to the event of an item, as a web process does."""
        return logged_answer(space, item)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Live]:
        streams = Route("/v1/leaderboards/{key}/live", Raw(self.streams))
        app = Starlette(routes=[WebSocketRoute(PATH, self.sockets), streams])
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            lifespan="off",
            log_config=None,
            http=cast(type[asyncio.Protocol], partial(JoinedProtocol, connections=self.connections)),
            ws=cast(type[asyncio.Protocol], partial(DirectWebSocket, connections=self.connections)),
            ws_max_size=FRAME_MAX,
            proxy_headers=bool(self.proxies),
            forwarded_allow_ips=self.proxies,
            ws_ping_interval=None,
            ws_per_message_deflate=False,
        )
        server = uvicorn.Server(config)
        self.hub.start()
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}{PATH}"
        try:
            yield self
        finally:
            self.streams.close_all()
            await self.sockets.close_all()
            server.should_exit = True
            await serving
            await self.hub.stop()

    @asynccontextmanager
    async def client(self, query: str = "", **options: Any) -> AsyncIterator[RawClient]:
        # One who has not read everything does not see the server's last word either: it waits no longer for that.
        options = {"close_timeout": 1, **options}
        async with websockets.connect(self.url + query, compression=None, **options) as socket:
            yield RawClient(socket)

    def token(self, user: str, expires_ms: int, **claims: Any) -> str:
        everything = {"sub": user, "aud": self.space.public_id, "exp": expires_ms / 1000, **claims}
        return jwt.encode(everything, self.space.realtime_secret, algorithm="HS256")


class RawClient:
    """Speaks the protocol by hand. ``pushes`` are those not yet taken, ``boards`` what they add up to."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.pushes: list[dict[str, Any]] = []
        self.boards: dict[str, dict[str, Any]] = {}
        self.frames: list[dict[str, Any]] = []
        self.pings = 0
        self._last_id = 0
        self._replies: dict[int, dict[str, Any]] = {}

    async def send(self, text: str) -> None:
        await self.socket.send(text)

    async def call(self, method: str, /, **body: Any) -> dict[str, Any]:
        """The reply to a command."""
        self._last_id += 1
        id_ = self._last_id
        await self.send(json.dumps({"id": id_, method: body}))
        async with asyncio.timeout(PATIENCE_S):
            while id_ not in self._replies:
                await self.read()
        return self._replies.pop(id_)

    async def connect(self, token: str = "") -> dict[str, Any]:
        return await self.call("connect", **({"token": token} if token else {}))

    async def subscribe(self, channel: str, **data: Any) -> dict[str, Any]:
        """The snapshot."""
        reply = await self.call("subscribe", channel=channel, data=data)
        assert "error" not in reply, reply
        snapshot: dict[str, Any] = reply["subscribe"]["data"]
        self.boards[channel] = snapshot
        return snapshot

    async def read(self) -> None:
        """Take one message."""
        text = await self.socket.recv()
        assert isinstance(text, str)
        for line in text.split("\n"):
            message = json.loads(line)
            if "id" in message:
                self._replies[message["id"]] = message
            elif "push" in message:
                self._take(message["push"])
            else:
                assert message == {}
                self.pings += 1

    async def read_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await self.read()

    async def closed(self) -> int:
        """The code that the server closes with."""
        with suppress(websockets.ConnectionClosed):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await self.read()
        code = self.socket.close_code
        assert code is not None
        return code

    def users(self, channel: str) -> list[str]:
        return [row["userId"] for row in self.boards[channel]["rows"]]

    def values(self, channel: str) -> dict[str, float]:
        return {row["userId"]: row["value"] for row in self.boards[channel]["rows"]}

    def standings(self, channel: str) -> list[tuple[str, str | None, float]]:
        return [(row["userId"], row["name"], row["value"]) for row in self.boards[channel]["rows"]]

    def _take(self, push: dict[str, Any]) -> None:
        if "pub" not in push or "#" in push["channel"]:
            self.pushes.append(push)
            return
        board, data = self.boards[push["channel"]], push["pub"]["data"]
        self.frames.append(data)
        if data.get("reset"):
            board.update(rows=data["rows"], run=data["run"])
        else:
            assert data["seq"] == board["seq"] + 1
            gone = {*data["left"], *(_who(row) for row in data["rows"])}
            board["rows"] = [row for row in board["rows"] if _who(row) not in gone]
            for row in data["rows"]:
                board["rows"].insert(row["position"], row)
        board.update(seq=data["seq"], participants=data["participants"])


def _who(row: dict[str, Any]) -> str:
    """The user of a row, or the group."""
    return str(row["group"] if "group" in row else row["userId"])
