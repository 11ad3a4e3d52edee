"""uvicorn's HTTP protocol with limits, answers in one write, and a direct way for one endpoint.

uvicorn writes head and body of an answer one after the other, and uvloop hands each to the kernel at once: two
system calls, and often two wake-ups of the reader. Measured: 28 µs of CPU an answer with two writes, 19 µs joined.

Its parser takes headers of any size and joins a long one in quadratic time, and uvicorn waits for ever for a
request to end: a client that has shown no key could hold up a process, or its memory. So bytes and seconds are
bounded here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol, cast

import msgspec
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
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


Headers = Iterable[tuple[bytes, bytes]]


class Respond(Protocol):
    """Sends the answer to a request, once."""

    def __call__(self, status: int, headers: Headers, body: bytes) -> None:
        """Send it; ``headers`` without the length. Nothing happens where the client has gone."""


class DirectEndpoint(Protocol):
    """An endpoint whose requests need no ASGI: no scope, no task, no messages. Those cost as much as all that an
    event asks of this process besides.

    Requests are given to it that have a short body and nothing special: no ``Origin``, no ``Expect``, no escapes
    and no query in the path, nobody pipelining. All others come to it by ASGI: it answers both ways alike.
    """

    method: bytes
    before: bytes
    """The path before the one part that varies …"""
    after: bytes
    """… and after it."""

    @property
    def body_max(self) -> int:
        """Bytes that a body may have."""

    def answer_direct(self, part: str, headers: Headers, body: bytes, respond: Respond) -> None:
        """Answer a request, now or later; never raises."""


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

    def write_now(self, data: bytes) -> None:
        """Write what is whole, behind what is held."""
        if self._held:
            self.flush()
        if not self._transport.is_closing():
            self._transport.write(data)

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


_NOT_DIRECT = frozenset({b"origin", b"expect", b"upgrade", b"transfer-encoding"})
"""Headers of requests that take the way through ASGI."""


class _Refused(Exception):
    """Stops the parser; ``JoinedProtocol.send_400_response`` says why."""


class _NobodyWaits:
    """Stands for the event that wakes an ASGI application."""

    @staticmethod
    def set() -> None:
        """Wake nobody."""


class _DirectCycle:
    """A request on its way through a ``DirectEndpoint``: what uvicorn's protocol asks of its own cycles."""

    __slots__ = (
        *("_protocol", "body", "disconnected", "endpoint", "headers", "keep_alive", "more_body", "part"),
        *("response_complete", "response_started"),
    )
    message_event = _NobodyWaits

    def __init__(
        self,
        protocol: JoinedProtocol,
        endpoint: DirectEndpoint,
        part: str,
        headers: list[tuple[bytes, bytes]],
        *,
        keep_alive: bool,
    ) -> None:
        self._protocol = protocol
        self.endpoint = endpoint
        self.part = part
        self.headers = headers
        self.body = b""
        self.more_body = True
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_started = False
        self.response_complete = False

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """See ``Respond``."""
        if self.disconnected or self.response_complete:
            return
        self.response_started = self.response_complete = True
        self._protocol.write_answer(status, headers, body, close=not self.keep_alive)
        if not self.keep_alive:
            self._protocol.transport.close()
        self._protocol.on_response_complete()


class JoinedProtocol(HttpToolsProtocol):
    """For ``uvicorn.Config(http=...)``, as it is or as a ``functools.partial`` with ``connections``.

    The application may have a ``DirectEndpoint`` as its attribute ``direct``."""

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
        self._earlier: list[RequestResponseCycle | _DirectCycle] = []
        """Requests that others were sent behind, before their answers."""
        app: Any = self.app
        if isinstance(app, ProxyHeadersMiddleware):  # it changes the client's address, which no event asks for
            app = app.app
        self._direct: DirectEndpoint | None = getattr(app, "direct", None)
        self._idle_since_s = 0.0
        """When the connection fell idle (the loop's time); 0 while it is not."""

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
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
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

    def on_message_begin(self) -> None:
        """A request begins. What ASGI is told of it is put together only where ASGI answers it."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """A request's head has come."""
        if len(self.headers) > HEADERS_MAX:
            self._refusal = 431, f"A request must have at most {HEADERS_MAX} headers"
            raise _Refused
        before = self.cycle
        if (direct := self._direct_cycle(before)) is not None:
            self.cycle = cast(RequestResponseCycle, direct)
            self._unread, self._in_body = 0, True
            self._stop_waiting()
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
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

    def _direct_cycle(self, before: RequestResponseCycle | None) -> _DirectCycle | None:
        """Return the cycle of a request whose head has come, if the direct endpoint is to answer it."""
        direct, url = self._direct, self.url
        if (
            direct is None
            or not url.startswith(direct.before)
            or not url.endswith(direct.after)
            or self.parser.get_method() != direct.method
            or (before is not None and not before.response_complete)
            or self.flow.write_paused  # an answer that the client doesn't take must not be followed by others
        ):
            return None
        part = url[len(direct.before) : -len(direct.after)]
        if not part.isascii() or not part or any(mark in part for mark in b"/%?#"):
            return None
        length = -1
        for name, value in self.headers:
            if name in _NOT_DIRECT:
                return None
            if name == b"content-length":
                length = int(value) if value.isdigit() else -1
        if not 0 <= length <= direct.body_max:
            return None
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        return _DirectCycle(self, direct, part.decode("ascii"), self.headers, keep_alive=keep_alive)

    def on_body(self, body: bytes) -> None:
        """A part of a body has come. What it brings along may be as long as itself: chunks of a byte each cost
        much more than their bytes."""
        self._unread = max(0, self._unread - 2 * len(body))
        cycle: RequestResponseCycle | _DirectCycle = self.cycle
        if isinstance(cycle, _DirectCycle):
            cycle.body = cycle.body + body if cycle.body else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has come whole."""
        self._unread, self._in_body = 0, False
        self._stop_waiting()
        cycle: RequestResponseCycle | _DirectCycle = self.cycle
        if isinstance(cycle, _DirectCycle):
            cycle.more_body = False
            cycle.endpoint.answer_direct(cycle.part, cycle.headers, cycle.body, cycle.respond)
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request is answered."""
        if self._earlier and self._earlier[0].response_complete:
            del self._earlier[0]
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self._end_if_idle)

    def _end_if_idle(self) -> None:
        """Close a connection that has been idle for long. One timer does for all requests of a connection: uvicorn
        makes one for each answer and cancels it at the next request."""
        self.timeout_keep_alive_task = None
        if not self._idle_since_s or self.transport.is_closing():
            return
        left_s = self._idle_since_s + self.timeout_keep_alive - self.loop.time()
        if left_s <= 0:
            self.timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self._end_if_idle)

    def _unset_keepalive_if_required(self) -> None:
        """Note that the connection is not idle."""
        self._idle_since_s = 0.0

    def write_answer(self, status: int, headers: Headers, body: bytes, *, close: bool) -> None:
        """Write a whole answer; ``close``: and say that the connection ends with it."""
        lines = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        if close:
            lines.append(b"connection: close\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(body))
        lines.append(body)
        cast(JoinedWrites, self.transport).write_now(b"".join(lines))

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
