"""The Redis client: many calls at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.game.errors import Unavailable
from podium.storage.redis import client
from podium.storage.redis.client import CONNECTIONS, LIBRARY, SOURCE, RedisClient
from tests.waiting import PATIENCE_S


async def test_calls_wait_for_a_connection(redis_client: RedisClient) -> None:
    others = {client["id"] for client in await redis_client.raw.client_list()}  # and our own first one
    calls = 4 * CONNECTIONS
    assert await asyncio.gather(*(redis_client.raw.incr("calls") for _ in range(calls)))
    assert int(await redis_client.raw.get("calls")) == calls
    opened = {client["id"] for client in await redis_client.raw.client_list()} - others
    assert 0 < len(opened) < CONNECTIONS


async def test_a_socket_that_was_closed_a_moment_ago_is_redis_being_away(redis_client: RedisClient) -> None:
    """uvloop then raises a RuntimeError from the transport."""
    pool = redis_client.raw.connection_pool
    connection = await pool.get_connection()

    def closed(_: Any) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    connection._writer.writelines = closed
    await pool.release(connection)
    with pytest.raises(Unavailable):
        await redis_client.call("load", "{x}:meta", "epoch", "ann")
    assert await redis_client.raw.ping()


async def test_a_library_with_another_text_is_left_alone_and_never_called(
    redis_client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await redis_client.load_functions()
    await redis_client.load_functions()  # a second process does the same
    other = SOURCE.replace(LIBRARY, f"{LIBRARY}_next").replace(
        "return {EPOCH, epoch or ''}", "return {EPOCH, 'next'}"
    )
    monkeypatch.setattr(client, "LIBRARY", f"{LIBRARY}_next")
    monkeypatch.setattr(client, "SOURCE", other)
    assert await redis_client.call("load", "{x}:meta", "epoch", "ann") == [1, b"next"]
    monkeypatch.undo()
    assert await redis_client.call("load", "{x}:meta", "epoch", "ann") == [1, b""]


async def test_a_task_that_is_told_to_stop_stops(redis_client: RedisClient) -> None:
    """However the cancellation meets a command on its way; each try would have been lost by even odds."""

    async def work() -> None:
        while True:
            await redis_client.raw.ping()

    for turns in range(60):
        task = asyncio.create_task(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
        assert done == {task}
