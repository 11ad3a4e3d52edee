"""One event stream: heartbeats, a token that runs out, a client that doesn't read, the end of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from podium.live.access import Grant
from podium.live.board_channel import Watch
from podium.live.hub import SLOW_TICKS
from podium.live.sse import HEARTBEAT_TICKS, QUEUE_MAX, Stream
from podium.spaces.space import Space
from tests.waiting import until

FRAME = '{"push":{"channel":"leaderboard:x","pub":{"data":{"n":1}}}}'
EXPIRES_MS = 5_000


class Client:
    """The other end; takes nothing while ``reads`` is not set."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.reads.set()
        self.received = b""
        self.ended = False
        self.aborted = False
        self.left = 0
        self.caught_up = 0

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nobody is woken")

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        self.received += message.get("body", b"")
        self.ended = message["type"] == "http.response.body" and not message.get("more_body", False)

    def abort(self) -> None:
        self.aborted = True
        self.reads.set()

    def watch(self) -> Watch:
        def count(name: str) -> Any:
            return lambda _: setattr(self, name, getattr(self, name) + 1)

        view = SimpleNamespace(snapshot=lambda: "{}", catch_up=count("caught_up"))
        return cast(Watch, SimpleNamespace(view=view, end=count("left")))


@pytest.fixture
async def client() -> Client:
    return Client()


@pytest.fixture
async def stream(client: Client) -> AsyncIterator[Stream]:
    """Running, its snapshot received."""
    grant = Grant(cast(Space, None), user="ada", expires_ms=EXPIRES_MS)
    stream = Stream("leaderboard:x", grant, client.abort)
    stream.begin(client.watch(), lambda: 7)
    running = asyncio.create_task(stream.run(client.receive, client.send))
    await until(lambda: b"event: snapshot\nid: 7\ndata: {}\n\n" in client.received)
    yield stream
    stream.end()
    client.reads.set()
    await running
    assert client.left == 1


async def test_silence_is_broken_before_a_proxy_cuts_it_off(client: Client, stream: Stream) -> None:
    before = client.received
    for _ in range(HEARTBEAT_TICKS - 1):
        stream.tick(0)
    await asyncio.sleep(0)
    assert client.received == before
    stream.tick(0)
    await until(lambda: client.received == before + b":\n\n")
    stream.offer(FRAME)
    await until(lambda: b'event: publication\nid: 7\ndata: {"n":1}\n\n' in client.received)


async def test_it_ends_with_its_token(client: Client, stream: Stream) -> None:
    stream.tick(EXPIRES_MS - 1)
    assert not client.left
    stream.offer(FRAME)
    stream.tick(EXPIRES_MS)
    await until(lambda: client.ended)
    assert b'{"n":1}' in client.received  # what waited was sent first
    assert not client.aborted


async def test_one_who_does_not_read_is_cut_off(client: Client, stream: Stream) -> None:
    client.reads.clear()
    stream.offer(FRAME)
    await until(lambda: stream._sending)
    while stream.offer(FRAME):
        assert stream._waiting <= QUEUE_MAX + 1_000
    for _ in range(SLOW_TICKS):
        stream.tick(0)
    assert not client.aborted
    stream.tick(0)
    assert client.aborted
    assert client.left == 1


async def test_one_who_was_behind_catches_up(client: Client, stream: Stream) -> None:
    client.reads.clear()
    while stream.offer(FRAME):
        pass
    assert client.caught_up == 0
    client.reads.set()
    await until(lambda: client.caught_up == 1)
    assert stream.offer(FRAME)


@pytest.mark.parametrize("reads", [True, False])
async def test_the_server_stops(client: Client, stream: Stream, reads: bool) -> None:
    if not reads:
        client.reads.clear()
        stream.offer(FRAME)
        await until(lambda: stream._sending)
    stream.stop()
    assert client.aborted is not reads
    await until(lambda: client.ended)
