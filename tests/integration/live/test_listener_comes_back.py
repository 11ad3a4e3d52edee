"""A subscription that meets the listener while it connects again is made by that connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.live import subscriber
from podium.live.subscriber import Listener
from podium.storage.redis.client import RedisClient
from tests.waiting import PATIENCE_S, until


async def test_two_readers_of_one_connection(redis_client: RedisClient, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[str, bytes]] = []
    listener = Listener(redis_client, lambda channel, data: heard.append((channel, data)), lambda: None)
    monkeypatch.setattr(subscriber, "CONFIRM_S", PATIENCE_S)  # it is a busy machine that answers late
    listening = asyncio.create_task(listener.run())
    try:
        await listener.subscribe("one")
        pubsub: Any = listener._pubsub

        async def taken(*_: object) -> None:
            # As redis-py's connection says while its reader connects again.
            raise RuntimeError("read() called while another coroutine is already waiting for incoming data")

        monkeypatch.setattr(pubsub, "subscribe", taken)
        subscribing = asyncio.create_task(listener.subscribe("two"))
        await until(lambda: "two" in listener._confirmed)
        await redis_client.raw.client_kill_filter(_type="pubsub")
        await subscribing
        await redis_client.raw.publish("two", "hello")
        await until(lambda: heard == [("two", b"hello")])
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
