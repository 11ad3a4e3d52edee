"""uvicorn's HTTP protocol with limits, and answers in one write.

uvicorn writes head and body of an answer one after the other, and uvloop hands each to the kernel at once: two
system calls, and often two wake-ups of the reader. Measured: 28 µs of CPU an answer with two writes, 19 µs joined.

Its parser takes headers of any size and joins a long one in quadratic time, and uvicorn waits for ever for a
request to end: a client that has shown no key could hold up a process, or its memory. So bytes and seconds are
bounded here.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from podium.http.connections import Connections

PIECE = 16_384
"""Bytes given to the parser at a time: what a limit lets through too much is less than that."""
HEADERS_MAX = 128
"""Headers of a request."""
PIPELINED_MAX = 32
"""Requests of a connection that wait for the answer to an earlier one."""
LINGER_S = 2.0
"""After a refusal what still comes is thrown away for so long: closing at once would reset the connection, and the
client would often lose the refusal."""
STALLED_S = 30.0
"""A client that takes no byte of its answer for so long is cut off."""


class JoinedWrites:
    """A transport that writes what was given during one turn of the loop at its end, in one piece."""

    __slots__ = ("_held", "_loop", "_transport", "_watching")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held: list[bytes] = []
        self._watching = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write with the rest of this turn."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)

    def close(self) -> None:
        """Close when everything is written. asyncio would wait for a client that takes nothing without end."""
        self.flush()
        self._transport.close()
        self.watch()

    def write_eof(self) -> None:
        """End our side when everything is written."""
        self.flush()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def flush(self) -> None:
        """Write now what is held, unless the connection is gone."""
        held = self._held
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))
        held.clear()

    def watch(self) -> None:
        """Cut the connection off once its client has taken no byte for ``STALLED_S`` while some wait for it."""
        waiting = self._transport.get_write_buffer_size()
        if waiting and not self._watching:
            self._watching = True
            self._loop.call_later(STALLED_S, self._look, waiting)

    def _look(self, waiting: int) -> None:
        self._watching = False
        if self._transport.get_write_buffer_size() >= waiting:
            self._transport.abort()
        else:
            self.watch()


ABORT = "podium.abort"
"""Of a request's scope: cuts the connection off, for a client that takes nothing any more."""


class _Refused(Exception):
    """Stops the parser; ``JoinedProtocol.send_400_response`` says why."""


class JoinedProtocol(HttpToolsProtocol):
    """For ``uvicorn.Config(http=...)``, as it is or as a ``functools.partial`` with ``connections``."""

    def __init__(self, *args: Any, connections: Connections | None = None, **named: Any) -> None:
        super().__init__(*args, **named)
        self._connections = connections or Connections()
        self._limits = self._connections.limits
        self._place = ""
        self._unread = 0
        """Bytes of the request being read, without its body; 0 between two requests."""
        self._in_body = False
        self._refusal: tuple[int, str] = 400, "Invalid HTTP request"
        self._deaf = False
        """Refused or upgraded: nothing that comes is read."""
        self._timer: asyncio.TimerHandle | None = None
        self._earlier: list[RequestResponseCycle] = []
        """Requests that others were sent behind, before their answers."""

    # The connection

    def connection_made(  # type: ignore[override] # as in the class itself
        self, transport: asyncio.Transport
    ) -> None:
        """A client has connected."""
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport)))
        place = self._connections.enter(self.client[0] if self.client else None)
        if place is None:
            self._refuse(429, "Too many connections of this address")
            return
        self._place = place
        self._wait(self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._stop_waiting()
        self._leave()
        # uvicorn tells only the newest request; a stream with another request behind it would stay for ever.
        for cycle in self._earlier:
            cycle.disconnected = True
            cycle.message_event.set()
        self._earlier.clear()
        super().connection_lost(exc)
        # They lead back here, so that only the garbage collector would free them, and with them up to 64 KB of
        # headers each. It comes seldom (app.py).
        self.pipeline.clear()
        self.cycle = None  # type: ignore[assignment] # as before the first request

    def pause_writing(self) -> None:
        """The client is behind."""
        super().pause_writing()
        cast(JoinedWrites, self.transport).watch()

    def handle_websocket_upgrade(self) -> None:
        """A socket joins its frames by itself, and writes to the transport directly."""
        self._deaf = True
        joined = cast(JoinedWrites, self.transport)
        joined.flush()
        self.transport = joined._transport
        super().handle_websocket_upgrade()
        protocol: Any = self.transport.get_protocol()
        protocol.on_lost = self._leave

    # Reading

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if len(data) <= PIECE:
            if not self._deaf:
                self._read(data)
            return
        for start in range(0, len(data), PIECE):
            if self._deaf or self.transport.is_closing():
                return
            self._read(data[start : start + PIECE])

    def _read(self, piece: bytes) -> None:
        self._unread += len(piece)
        if self._unread > self._limits.head_bytes:
            self._refuse(431, f"The headers must have at most {self._limits.head_bytes:,} bytes")
            return
        super().data_received(piece)
        if self._timer is None and (self._unread or self._in_body) and not self._deaf:
            self._wait(self._limits.body_s if self._in_body else self._limits.head_s)

    def on_headers_complete(self) -> None:
        """A request's head has come."""
        if len(self.headers) > HEADERS_MAX:
            self._refusal = 431, f"A request must have at most {HEADERS_MAX} headers"
            raise _Refused
        before = self.cycle
        super().on_headers_complete()
        scope = cast(dict[str, Any], self.scope)
        scope[ABORT] = self.transport.abort
        self._unread, self._in_body = 0, True
        self._stop_waiting()
        if self.pipeline:
            if len(self.pipeline) > PIPELINED_MAX:
                self._refusal = 400, f"At most {PIPELINED_MAX} requests may wait for an answer"
                raise _Refused
            self._earlier.append(before)

    def on_body(self, body: bytes) -> None:
        """A part of a body has come. What it brings along may be as long as itself: chunks of a byte each cost
        much more than their bytes."""
        self._unread = max(0, self._unread - 2 * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has come whole."""
        self._unread, self._in_body = 0, False
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request is answered."""
        if self._earlier and self._earlier[0].response_complete:
            del self._earlier[0]
        super().on_response_complete()

    # Refusing

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the reason is ours
        """The parser stopped."""
        self._refuse(*self._refusal)

    def _refuse(self, status: int, error: str) -> None:
        """Answer, unless another answer would be torn apart, and close."""
        if self._deaf or self.transport.is_closing():
            return
        self._deaf = True
        self._stop_waiting()
        self._unset_keepalive_if_required()
        # They are answered no more, and their heads would be kept while the connection lingers.
        self.pipeline.clear()
        answering = self._earlier or (self.cycle is not None and not self.cycle.response_complete)
        own = self._in_body and not self._earlier and not self.cycle.response_started
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if answering and not own:
            self.transport.close()
            return
        body = msgspec.json.encode({"error": error})
        lines = [
            STATUS_LINE[status],
            *(b"%b: %b\r\n" % header for header in self.server_state.default_headers),
            b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body),
            b"retry-after: 30\r\n" if status == 429 else b"",
            b"connection: close\r\n\r\n",
            body,
        ]
        self.transport.write(b"".join(lines))
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        if seconds:
            # Twice: after a stall of this process timers come first, and what has arrived meanwhile is read next.
            self._timer = self.loop.call_later(seconds, self._wait_again)

    def _wait_again(self) -> None:
        self._timer = self.loop.call_later(0, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._unread or self._in_body:
            self._refuse(408, "The request took too long to arrive")
        elif not self.transport.is_closing():
            self.transport.close()

    def _leave(self) -> None:
        self._connections.leave(self._place)
        self._place = ""
