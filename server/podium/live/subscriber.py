"""One Redis pub/sub connection for the process, which reconnects and subscribes again by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from podium.game.errors import Unavailable
from podium.storage.redis.client import AWAY, RedisClient

CONFIRM_S = 5.0
"""Longest wait for Redis to confirm a subscription."""
SILENCE_S = 5.0
"""A connection without a message for so long is pinged; after as long again it counts as lost."""
RETRY_S = 0.2
"""Pause before reconnecting: short enough to hide a killed connection, while a restart of Redis takes longer."""

log = structlog.get_logger(__name__)


class Listener:
    """Calls ``on_message(channel, data)`` for each message, and ``on_lost()`` when some may have been missed."""

    def __init__(
        self, redis: RedisClient, on_message: Callable[[str, bytes], None], on_lost: Callable[[], None]
    ) -> None:
        self._redis = redis
        self._on_message = on_message
        self._on_lost = on_lost
        self._pubsub: PubSub | None = None
        self._confirmed: dict[str, asyncio.Future[None]] = {}
        self._wanted = asyncio.Event()

    async def subscribe(self, channel: str) -> None:
        """Subscribe, and return once Redis has confirmed it.

        Raises:
            Unavailable: Redis did not confirm within ``CONFIRM_S``.
        """
        confirmed = self._confirmed.get(channel)
        if confirmed is None:
            confirmed = self._confirmed[channel] = asyncio.get_running_loop().create_future()
            self._wanted.set()
            await self._request("subscribe", channel)
        try:
            async with asyncio.timeout(CONFIRM_S):
                await asyncio.shield(confirmed)  # others may wait for the same confirmation
        except TimeoutError:
            raise Unavailable("Redis is away") from None

    async def unsubscribe(self, channel: str) -> None:
        """Unsubscribe; waiting subscribers of the channel are cancelled."""
        confirmed = self._confirmed.pop(channel, None)
        if confirmed is not None:
            confirmed.cancel()
            await self._request("unsubscribe", channel)

    async def run(self) -> None:
        """Receive messages until cancelled."""
        failing = False
        while True:
            while not self._confirmed:
                self._wanted.clear()
                await self._wanted.wait()
            try:
                async with self._redis.raw.pubsub() as pubsub:
                    await self._listen(pubsub)
            except (RedisError, OSError) as error:
                if self._pubsub is not None or not failing:
                    log.warning("live_listener_lost", error=str(error))
                failing = self._pubsub is None
            except Exception:  # a bug must not end the subscription of the whole process
                log.exception("live_listener_failed")
            finally:
                self._pubsub = None
            for channel, confirmed in self._confirmed.items():
                if confirmed.done():
                    self._confirmed[channel] = asyncio.get_running_loop().create_future()
            self._on_lost()
            await asyncio.sleep(RETRY_S)

    async def _listen(self, pubsub: PubSub) -> None:
        first = list(self._confirmed)
        await pubsub.subscribe(*first)
        self._pubsub = pubsub
        # Channels that were added during the await above: _request did nothing for them without self._pubsub.
        if late := self._confirmed.keys() - set(first):
            await pubsub.subscribe(*late)
        tested = False
        while True:
            message = await pubsub.get_message(timeout=SILENCE_S)
            if message is None:
                if tested:
                    raise RedisConnectionError("no answer to a ping")
                await pubsub.ping()
                tested = True
                continue
            tested = False
            if message["type"] == "message":
                try:
                    self._on_message(message["channel"].decode(), message["data"])
                except Exception:  # one bad message must not stop those of other channels
                    log.exception("live_message_failed")
            elif message["type"] == "subscribe":
                confirmed = self._confirmed.get(message["channel"].decode())
                if confirmed is not None and not confirmed.done():
                    confirmed.set_result(None)

    async def _request(self, verb: str, channel: str) -> None:
        if self._pubsub is None:
            return  # the next connection subscribes to everything in _confirmed
        try:
            await getattr(self._pubsub, verb)(channel)
        except (*AWAY, RuntimeError):
            # run() meets the same error and reconnects. If it is reconnecting already, both would read from the
            # connection, which asyncio refuses with a RuntimeError.
            return
