"""A server goes away and comes back: SDK clients return by themselves, and have the board as it is then."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import centrifuge
import msgspec
import pytest

from tests.acceptance.js_sdk import Sdk
from tests.acceptance.processes import Dev, dev, end, free_port, place
from tests.acceptance.stack import Stack, post
from tests.acceptance.test_live_sdk import Listening, watch
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("own")

CLOSED_FOR_SHUTDOWN = 3001


class Server:
    """A ``podium dev`` that can be stopped and started again on its port."""

    def __init__(self, exits: ExitStack) -> None:
        self.data, self.port = exits.enter_context(place()), free_port()
        self._exits = exits
        self._dev: Dev
        self.start()

    def start(self) -> None:
        self._dev = self._exits.enter_context(dev(self.data, self.port, "--no-demo"))
        self.stack = Stack(**msgspec.structs.asdict(self._dev.wait()))

    def stop(self) -> None:
        assert end(self._dev.process, signal.SIGINT) == 0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for the tests of this file; each makes a board of its own."""
    with ExitStack() as exits:
        yield Server(exits)


@pytest.mark.asyncio(loop_scope="session")
async def test_javascript_sdk_comes_back(server: Server, sdk: Sdk) -> None:
    stack = server.stack
    board = await stack.board()
    channel = f"leaderboard:{board.key}"
    async with sdk(stack.url) as client:
        async with stack.http() as http:
            await post(http, board.metric, "ann", 3)
        await client.connect(stack.socket_url, await stack.token("ann"), await stack.token("ann"))
        await client.subscribe(channel, limit=10)
        await client.hear("subscribed", channel=channel)
        await asyncio.to_thread(server.stop)
        await client.hear("connecting", code=CLOSED_FOR_SHUTDOWN)
        await asyncio.to_thread(server.start)
        async with server.stack.http() as http:
            await post(http, board.metric, "ben", 5)
        await until(lambda: client.board(channel) == (2, [("ben", 5), ("ann", 3)]))
        assert len(client.told("subscribed", channel=channel)) == 2
        assert client.told("disconnected") == []


async def test_python_sdk_comes_back(server: Server) -> None:
    stack = server.stack
    board = await stack.board()
    listening = Listening()
    client = centrifuge.Client(
        stack.socket_url,
        token=await stack.token("ann"),
        events=listening,
        min_reconnect_delay=0.05,
        max_reconnect_delay=0.5,
        proxy=None,
    )
    await client.connect()
    await client.ready()
    async with stack.http() as http:
        await post(http, board.metric, "ann", 3)
    watching = await watch(client, f"leaderboard:{board.key}", limit=10)
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    async with server.stack.http() as http:
        await post(http, board.metric, "ben", 5)
    await until(lambda: watching.board == (2, [(1, "ben", 5), (2, "ann", 3)]))
    assert (watching.snapshots, listening.ended) == (2, None)
    await client.disconnect()
    await until(lambda: len(asyncio.all_tasks()) == 1)
