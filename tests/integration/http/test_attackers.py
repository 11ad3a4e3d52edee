"""Connections that have shown no key and send too much, too slowly, or too often: over raw sockets."""

from __future__ import annotations

import asyncio
import base64
import gc
import struct
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from podium.http import transport, websocket
from podium.http.connections import ConnectionLimits, Connections
from podium.http.transport import HEADERS_MAX, PIPELINED_MAX, JoinedProtocol
from podium.http.websocket import IDLE_FRAMES_MAX, DirectWebSocket
from tests.serving import serving
from tests.waiting import PATIENCE_S, until

HEAD = 32_768
LARGE = b"x" * 5_000_000


class App:
    """Answers once ``open``; ``/large`` with 5 MB. Sockets take what comes."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.asked: list[str] = []
        self.gone = 0
        self.taken = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.socket(receive, send)
            return
        self.asked.append(scope["path"])
        while (message := await receive()).get("more_body"):
            pass
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"data", "more_body": True})
            while message["type"] != "http.disconnect":
                message = await receive()
        if message["type"] == "http.disconnect":
            self.gone += 1
            return
        await self.open.wait()
        body = LARGE if scope["path"] == "/large" else b"ok"
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def socket(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            self.taken += 1
        self.gone += 1


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture(autouse=True)
def no_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LINGER_S", 0.05)


Serve = Callable[..., AbstractAsyncContextManager[tuple[str, Connections]]]


@pytest.fixture
def serve(app: App) -> Serve:
    """A server of ``app`` with limits: its address and its count of connections."""

    @asynccontextmanager
    async def start(**limits: Any) -> AsyncIterator[tuple[str, Connections]]:
        connections = Connections(ConnectionLimits(**{"head_bytes": HEAD, "per_address": 1_000, **limits}))
        http: Any = partial(JoinedProtocol, connections=connections)
        ws: Any = partial(DirectWebSocket, connections=connections)
        async with serving(
            app,
            http=http,
            ws=ws,
            loop="uvloop",
            ws_max_size=1_000_000,
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            timeout_keep_alive=1,
        ) as url:
            yield url, connections

    return start


class Raw:
    """A client that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Send as much as the server takes."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self) -> bytes:
        """All that comes until the server closes."""
        found = b""
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionError):
                while data := await self.reader.read(65_536):
                    found += data
        return found

    async def upgrade(self, *headers: str) -> bytes:
        """Become a WebSocket; what the server says to that."""
        key = base64.b64encode(b"0123456789abcdef").decode()
        lines = [
            "GET /connection/websocket HTTP/1.1",
            "Host: x",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            *headers,
        ]
        await self.send("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readuntil(b"\r\n\r\n")


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[Raw]:
    port = int(url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


async def is_answered(url: str) -> bool:
    """Return whether another client gets its answer."""
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        return (await client.get(url)).status_code == 200


def frame(opcode: int, data: bytes = b"", fin: bool = True) -> bytes:
    """A frame as clients send it, masked with zeros."""
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
    return bytes([0x80 * fin | opcode]) + size + b"\0\0\0\0" + data


START = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        START + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
        START + b"X: x\r\n" * 150_000 + b"\r\n",
        START + b"X: x\r\n" * (HEADERS_MAX + 1) + b"\r\n",
        b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        CHUNKED + b"1\r\nx\r\n0\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        CHUNKED + b"1;" + b"x" * 1_000_000 + b"\r\nx\r\n0\r\n\r\n",
        CHUNKED + b"1\r\nx\r\n" * 150_000 + b"0\r\n\r\n",
    ],
    ids=["one header", "small headers", "many headers", "url", "trailer", "chunk extension", "tiny chunks"],
)
async def test_a_head_and_what_else_is_no_body_are_bounded(serve: Serve, app: App, request_: bytes) -> None:
    app.open.clear()
    async with serve() as (url, connections), raw(url) as attacker:
        await attacker.send(request_)
        answer = await attacker.answer()
        assert answer.startswith(b"HTTP/1.1 431 "), answer[:100]
        app.open.set()
        assert await is_answered(url)
        await until(lambda: connections.count == 0)


@pytest.mark.parametrize(
    "request_",
    [
        START + b"X: " + b"x" * (HEAD - 1_000) + b"\r\nContent-Length: 500000\r\n\r\n" + b"x" * 500_000,
        CHUNKED + (b"14\r\n" + b"x" * 20 + b"\r\n") * 50_000 + b"0\r\nX: y\r\n\r\n",
    ],
    ids=["large", "small chunks"],
)
async def test_what_is_within_the_limits_is_answered_also_in_a_row(serve: Serve, request_: bytes) -> None:
    async with serve() as (url, _), raw(url) as client:
        await client.send(request_ * 2 + START + b"Connection: close\r\n\r\n")
        assert (await client.answer()).count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"", b""),
        (b"\r\n\r\n", b"HTTP/1.1 408 "),
        (START + b"X: x", b"HTTP/1.1 408 "),
        (START + b"Content-Length: 10\r\n\r\nx", b"HTTP/1.1 408 "),
        (CHUNKED + b"1\r\nx", b"HTTP/1.1 408 "),
        (START + b"\r\n" + START, b"HTTP/1.1 200 "),
    ],
    ids=["silence", "blank lines", "head", "body", "chunks", "second head"],
)
async def test_a_request_that_never_ends_is_given_up(
    serve: Serve, app: App, request_: bytes, answer: bytes
) -> None:
    async with serve(head_s=0.1, body_s=0.1) as (url, connections), raw(url) as attacker:
        await attacker.send(request_)
        found = await attacker.answer()
        assert found.startswith(answer) if answer else not found
        await until(lambda: connections.count == 0)
        assert await is_answered(url)


async def test_requests_in_a_pipeline_are_bounded(serve: Serve, app: App) -> None:
    app.open.clear()
    async with serve() as (url, connections), raw(url) as attacker:
        await attacker.send(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: app.asked == ["/first"])
        await attacker.send(b"GET / HTTP/1.1\r\n\r\n" * (PIPELINED_MAX + 1))
        assert await attacker.answer() == b""
        await until(lambda: connections.count == 0)
        app.open.set()
        assert await is_answered(url)
    assert app.asked == ["/first", "/"]


async def test_a_connection_that_is_gone_leaves_nothing_behind(
    serve: Serve, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads of 30 KB that only the garbage collector frees are 200 MB before it comes."""
    made: list[weakref.ref[JoinedProtocol]] = []
    enter = JoinedProtocol.connection_made

    def noted(self: JoinedProtocol, transport: Any) -> None:
        made.append(weakref.ref(self))
        enter(self, transport)

    monkeypatch.setattr(JoinedProtocol, "connection_made", noted)
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 30_000 + b"\r\n\r\n"
    gc.disable()
    try:
        async with serve() as (url, connections):
            async with raw(url) as attacker:  # who is answered, and leaves
                await attacker.send(head)
                async with asyncio.timeout(PATIENCE_S):
                    await attacker.reader.readuntil(b"ok")
            app.open.clear()
            async with raw(url) as attacker:  # who leaves with requests that wait
                await attacker.send(head * 5)
                await until(lambda: len(app.asked) == 2)
            async with raw(url) as attacker:  # who is refused
                await attacker.send(head)
                await until(lambda: len(app.asked) == 3)
                await attacker.send(b"GET / HTTP/1.1\r\n\r\n" * (PIPELINED_MAX + 1))
                await attacker.answer()
            app.open.set()
            await until(lambda: connections.count == 0)
            assert len(made) == 3
            await until(lambda: all(one() is None for one in made))
    finally:
        gc.enable()


async def test_a_stream_with_a_request_behind_it_ends_with_its_connection(serve: Serve, app: App) -> None:
    async with serve() as (url, connections), raw(url) as attacker:
        await attacker.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: app.asked == ["/stream"])
        await attacker.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * (PIPELINED_MAX + 1))
        await until(lambda: app.gone == 1)
        assert connections.count == 0


async def test_connections_of_one_address_are_bounded(serve: Serve) -> None:
    async with serve(per_address=2) as (url, connections):
        async with raw(url) as first, raw(url), raw(url) as third:
            assert (await third.answer()).startswith(b"HTTP/1.1 429 ")
            assert b"101" in await first.upgrade()  # a socket stays counted
            assert connections.count == 2
        await until(lambda: connections.count == 0)
        assert await is_answered(url)


async def test_connections_of_a_proxy_are_not_counted(serve: Serve) -> None:
    async with serve(per_address=1, trusted_proxies="10.0.0.1, 127.0.0.0/8") as (url, _), raw(url), raw(url):
        assert await is_answered(url)


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
async def test_who_takes_no_byte_of_an_answer_is_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, close: bytes
) -> None:
    monkeypatch.setattr(transport, "STALLED_S", 0.1)
    async with serve() as (url, connections), raw(url) as attacker:
        attacker.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await attacker.send(b"GET /large HTTP/1.1\r\nHost: x\r\n" + close + b"\r\n")
        await until(lambda: connections.count == 1)
        await until(lambda: connections.count == 0)
        assert await is_answered(url)


async def test_a_handshake_that_is_refused_late_is_answered(serve: Serve) -> None:
    async with serve() as (url, connections), raw(url) as client:
        # Longer than a line of the WebSocket library, shorter than the limit of a head.
        assert (await client.upgrade("X: " + "x" * 10_000)).startswith(b"HTTP/1.1 431 ")
        await until(lambda: connections.count == 0)


@pytest.mark.parametrize(
    "frames",
    [frame(9), frame(10), frame(0, fin=False)],
    ids=["pings", "pongs", "fragments"],
)
async def test_frames_that_bring_nothing_end_a_socket(serve: Serve, app: App, frames: bytes) -> None:
    async with serve() as (url, connections), raw(url) as attacker:
        await attacker.upgrade()
        await attacker.send(frame(1, fin=False) + frames * IDLE_FRAMES_MAX)
        assert b"\x03\xf0too many frames" in await attacker.answer()
        await until(lambda: connections.count == 0)
        assert await is_answered(url)


async def test_small_frames_are_parsed_as_the_application_takes_them(serve: Serve, app: App) -> None:
    async with serve() as (url, _), raw(url) as client:
        await client.upgrade()
        await client.send(frame(1, b"x") * 20_000 + frame(8))
        await client.answer()
        assert (app.taken, app.gone) == (20_000, 1)


async def test_a_large_message_is_refused_by_its_head(serve: Serve, app: App) -> None:
    async with serve(first_frame_bytes=10_000) as (url, _):
        async with raw(url) as attacker:
            await attacker.upgrade()
            await attacker.send(frame(1, b"x" * 10_001)[:8])
            assert b"\x03\xf1" in await attacker.answer()
        async with raw(url) as attacker:
            await attacker.upgrade()
            await attacker.send(frame(1, b"x" * 6_000, fin=False) + frame(0, b"x" * 6_000)[:8])
            assert b"\x03\xf1" in await attacker.answer()
        async with raw(url) as client:
            await client.upgrade()
            await client.send(frame(1, b"x" * 10_000) + frame(8))
            await client.answer()
    assert app.taken == 1


async def test_who_takes_no_frame_is_cut_off(serve: Serve, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "GONE_S", 0.1)

    async def talk(receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": LARGE})

    monkeypatch.setattr(app, "socket", talk)
    async with serve() as (url, connections), raw(url) as attacker:
        attacker.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await attacker.send(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        await attacker.send(b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        await until(lambda: connections.count == 1)
        await until(lambda: connections.count == 0)
