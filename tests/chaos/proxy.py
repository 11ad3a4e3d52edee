"""A TCP proxy that does what a bad network does: cuts, delays, holds and loses, in the middle of anything."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

HOST = "127.0.0.1"


class Proxy:
    """Pass connections on to a port of this machine.

    ``delay_s`` holds back what passes either way, ``stalled`` all of it. ``refusing`` ends new ones at once.
    ``deaf`` loses the answers: the other side has done what it was asked for.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.delay_s = 0.0
        self.deaf = False
        self.refusing = False
        self._stalled = False
        self._pipes: set[_Pipe] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, HOST, 0, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End all connections and listen no more."""
        if self._server is not None:
            self._server.close()
        self.cut()

    @property
    def stalled(self) -> bool:
        """Whether nothing passes now; it does so, in order, when this ends."""
        return self._stalled

    @stalled.setter
    def stalled(self, value: bool) -> None:
        self._stalled = value
        if not value:
            for pipe in list(self._pipes):
                pipe.pump()

    def cut(self) -> None:
        """End every connection, with whatever is on its way."""
        for pipe in list(self._pipes):
            pipe.abort()

    def heal(self) -> None:
        """Be an ordinary network again. Connections that have lost something end."""
        if self.deaf:
            self.cut()
        self.delay_s, self.deaf, self.refusing, self.stalled = 0.0, False, False, False

    def _accept(self) -> asyncio.Protocol:
        return _Pipe(self).client

    def opened(self, pipe: _Pipe) -> None:
        """A connection has come."""
        self._pipes.add(pipe)

    def closed(self, pipe: _Pipe) -> None:
        """A connection has ended."""
        self._pipes.discard(pipe)


class _Pipe:
    """One connection: its two ends, each of which sends to the other."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.client = _End(self, answers=False)
        self.server = _End(self, answers=True)
        self.client.other, self.server.other = self.server, self.client
        self.over = False
        self._connecting: asyncio.Task[None] | None = None

    def connect(self) -> None:
        """Reach the target, now that the client is there."""
        self.proxy.opened(self)
        if self.proxy.refusing:
            self.abort()
            return
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.server, HOST, self.proxy.target)
        except OSError:
            self.abort()

    def pump(self) -> None:
        """Send what may pass."""
        self.client.pump()
        self.server.pump()

    def abort(self) -> None:
        """End both sides at once."""
        self.over = True
        for end in (self.client, self.server):
            if end.transport is not None:
                end.transport.abort()
        self.proxy.closed(self)

    def close(self) -> None:
        """One side has ended: the other one ends when it has got everything."""
        if self.over:
            return
        self.over = True
        for end in (self.client, self.server):
            end.pump()
            if end.transport is not None:
                end.transport.close()
        self.proxy.closed(self)


class _End(asyncio.Protocol):
    """One end of a pipe. ``waiting`` holds what is to be sent to it, each with the earliest moment for that."""

    other: _End

    def __init__(self, pipe: _Pipe, *, answers: bool) -> None:
        self._pipe = pipe
        self._answers = answers
        self.transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._pipe.over:
            self.transport.abort()
        elif self._answers:
            self.pump()
        else:
            self._pipe.connect()

    def data_received(self, data: bytes) -> None:
        proxy = self._pipe.proxy
        if self._answers and proxy.deaf:
            return
        self.other.send(data, proxy.delay_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._pipe.close()

    def pause_writing(self) -> None:
        if self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other.transport is not None:
            self.other.transport.resume_reading()

    def send(self, data: bytes, delay_s: float) -> None:
        """Send after a while, in order."""
        now = asyncio.get_running_loop().time()
        after = self._waiting[-1][0] if self._waiting else now
        self._waiting.append((max(after, now + delay_s), data))
        self.pump()

    def pump(self) -> None:
        """Send what is due."""
        if self.transport is None or self._pipe.proxy.stalled:
            return
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][0] <= loop.time():
            self.transport.write(self._waiting.popleft()[1])
        if self._waiting and self._timer is None:
            self._timer = loop.call_at(self._waiting[0][0], self._due)

    def _due(self) -> None:
        self._timer = None
        self.pump()
