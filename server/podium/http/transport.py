"""uvicorn's HTTP protocol, with limits, with one write per answer, and with a path past ASGI for one endpoint.

uvicorn writes head and body of an answer separately, and uvloop passes each to the kernel at once: two system
calls, and often two wake-ups of the reader. Measured: 28 µs of CPU per answer with two writes, 19 µs with one.

Its parser accepts headers of any size and joins a long one in quadratic time, and uvicorn waits without end for a
request to be complete. A client without a key could block a process or fill its memory, so bytes and seconds are
bounded here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol, cast

import msgspec
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from podium.http.connections import Connections

PIECE = 16_384
"""Bytes passed to the parser at a time. A limit is exceeded by less than this before it is noticed."""
HEADERS_MAX = 128
"""Most headers of a request."""
PIPELINED_MAX = 32
"""Most requests of a connection that wait for the answer to an earlier one."""
LINGER_S = 2.0
"""After a refusal, incoming bytes are discarded for so long. Closing at once would reset the connection, and the
client would often not see the refusal."""
STALLED_S = 30.0
"""A client that reads no byte of its answer for so long is cut off."""


Headers = Iterable[tuple[bytes, bytes]]


class Respond(Protocol):
    """Sends the answer to a request; only the first call has an effect."""

    def __call__(self, status: int, headers: Headers, body: bytes) -> None:
        """Send an answer, unless the client is gone; ``headers`` must not include the length."""


class DirectEndpoint(Protocol):
    """An endpoint that can be called without ASGI, so without a scope, a task and messages.

    These cost as much CPU as everything else that an event takes in this process. Only plain requests with a short
    body are passed to ``answer_direct``: no ``Origin``, no ``Expect``, no escapes and no query in the path, no
    pipelining. All others arrive by ASGI, and must get the same answers there.
    """

    method: bytes
    before: bytes
    """The path before its variable part."""
    after: bytes
    """The path after its variable part."""

    @property
    def body_max(self) -> int:
        """The most bytes that a body may have."""

    def answer_direct(self, part: str, headers: Headers, body: bytes, respond: Respond) -> None:
        """Answer a request, now or later; never raises."""


class JoinedWrites:
    """A transport that joins all writes of one turn of the event loop, and writes them at its end."""

    __slots__ = ("_loop", "_pending", "_transport", "_watching")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._pending: list[bytes] = []
        self._watching = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Queue data for the write at the end of this turn."""
        if not self._pending:
            self._loop.call_soon(self.flush)
        self._pending.append(data)

    def write_now(self, data: bytes) -> None:
        """Write data that is complete, after what is pending."""
        if self._pending:
            self.flush()
        if not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything is written, or the client stalls; asyncio alone would wait for it without end."""
        self.flush()
        self._transport.close()
        self.watch()

    def write_eof(self) -> None:
        """Half-close the connection once everything is written."""
        self.flush()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def flush(self) -> None:
        """Write the pending data now, unless the connection is closing."""
        pending = self._pending
        if pending and not self._transport.is_closing():
            self._transport.write(b"".join(pending))
        pending.clear()

    def watch(self) -> None:
        """Abort the connection once the client has read no byte of its buffer for ``STALLED_S``."""
        waiting = self._transport.get_write_buffer_size()
        if waiting and not self._watching:
            self._watching = True
            self._loop.call_later(STALLED_S, self._check_progress, waiting)

    def _check_progress(self, waiting: int) -> None:
        self._watching = False
        if self._transport.get_write_buffer_size() >= waiting:
            self._transport.abort()
        else:
            self.watch()


ABORT = "podium.abort"
"""The key of a request's scope with a function that aborts the connection, for a client that stopped reading."""


_NOT_DIRECT = frozenset({b"origin", b"expect", b"upgrade", b"transfer-encoding"})
"""Headers of requests that are answered by ASGI."""


@lru_cache(maxsize=1_000)
def _part(before: bytes, after: bytes, url: bytes) -> str | None:
    """Return the varying part of a request's target; None where it is another path, or has escapes or a query."""
    if not url.startswith(before) or not url.endswith(after):
        return None
    part = url[len(before) : -len(after)]
    return part.decode("ascii") if _PLAIN_PART.fullmatch(part) else None


_PLAIN_PART = re.compile(rb"[!$&-.0-;=@-~]+")


class _Refused(Exception):
    """Raised in a callback to stop the parser, which then calls ``JoinedProtocol.send_400_response``."""


class _NobodyWaits:
    """Replaces the event that wakes an ASGI application: a direct request has none."""

    @staticmethod
    def set() -> None:
        """Do nothing."""


class _DirectCycle:
    """A request for a ``DirectEndpoint``, with the attributes that uvicorn's protocol uses of its own cycles."""

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
        """Send the answer (see ``Respond``)."""
        if self.disconnected or self.response_complete:
            return
        self.response_started = self.response_complete = True
        self._protocol.write_answer(status, headers, body, close=not self.keep_alive)
        if not self.keep_alive:
            self._protocol.transport.close()
        self._protocol.on_response_complete()


class JoinedProtocol(HttpToolsProtocol):
    """A protocol class for ``uvicorn.Config(http=...)``, as it is or as a partial with ``connections``.

    The application may have a ``DirectEndpoint`` as its attribute ``direct``.
    """

    def __init__(self, *args: Any, connections: Connections | None = None, **named: Any) -> None:
        super().__init__(*args, **named)
        self._connections = connections or Connections()
        self._limits = self._connections.limits
        self._network = ""
        self._unread = 0
        """Bytes of the present request that count against ``head_bytes``; 0 between two requests."""
        self._in_body = False
        self._refusal: tuple[int, str] = 400, "Invalid HTTP request"
        self._ignores_input = False
        """True after a refusal or an upgrade: incoming bytes are not parsed."""
        self._timer: asyncio.TimerHandle | None = None
        self._earlier: list[RequestResponseCycle | _DirectCycle] = []
        """Unanswered requests behind which the client has pipelined others."""
        app: Any = self.app
        # It changes the client's address, which the direct endpoint does not use.
        if isinstance(app, ProxyHeadersMiddleware):
            app = app.app
        self._direct: DirectEndpoint | None = getattr(app, "direct", None)
        self._idle_since_s = 0.0
        """Time of the event loop at which the connection became idle; 0 while it is not idle."""

    # The connection

    def connection_made(  # type: ignore[override] # as in the class itself
        self, transport: asyncio.Transport
    ) -> None:
        """Count the connection and start the timer for its first request."""
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport)))
        network = self._connections.acquire(self.client[0] if self.client else None)
        if network is None:
            self._refuse(429, "Too many connections of this address")
            return
        self._network = network
        self._start_timer(self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the connection and end its requests."""
        self._stop_timer()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        self._release()
        # uvicorn notifies only the newest request; a stream with another request behind it would never end.
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
        """Watch a client whose buffer is full."""
        super().pause_writing()
        cast(JoinedWrites, self.transport).watch()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over with its own transport: the WebSocket protocol joins its frames by itself."""
        self._ignores_input = True
        joined = cast(JoinedWrites, self.transport)
        joined.flush()
        self.transport = joined._transport
        super().handle_websocket_upgrade()
        protocol: Any = self.transport.get_protocol()
        protocol.on_lost = self._release

    # Reading

    def data_received(self, data: bytes) -> None:
        """Parse received bytes in pieces."""
        if len(data) <= PIECE:
            if not self._ignores_input:
                self._read(data)
            return
        for start in range(0, len(data), PIECE):
            if self._ignores_input or self.transport.is_closing():
                return
            self._read(data[start : start + PIECE])

    def _read(self, piece: bytes) -> None:
        self._unread += len(piece)
        if self._unread > self._limits.head_bytes:
            self._refuse(431, f"The headers must have at most {self._limits.head_bytes:,} bytes")
            return
        super().data_received(piece)
        if self._timer is None and (self._unread or self._in_body) and not self._ignores_input:
            self._start_timer(self._limits.body_s if self._in_body else self._limits.head_s)

    def on_message_begin(self) -> None:
        """Reset the request. The ASGI scope is built later, and only for requests that need one."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Check the number of headers and of pipelined requests, and start the request."""
        if len(self.headers) > HEADERS_MAX:
            self._refusal = 431, f"A request must have at most {HEADERS_MAX} headers"
            raise _Refused
        before = self.cycle
        if (direct := self._direct_cycle(before)) is not None:
            self.cycle = cast(RequestResponseCycle, direct)
            self._unread, self._in_body = 0, True
            self._stop_timer()
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()
        scope = cast(dict[str, Any], self.scope)
        scope[ABORT] = self.transport.abort
        self._unread, self._in_body = 0, True
        self._stop_timer()
        if self.pipeline:
            if len(self.pipeline) > PIPELINED_MAX:
                self._refusal = 400, f"At most {PIPELINED_MAX} requests may wait for an answer"
                raise _Refused
            self._earlier.append(before)

    def _direct_cycle(self, before: RequestResponseCycle | None) -> _DirectCycle | None:
        """Return a cycle for the direct endpoint if it may answer the present request, else None."""
        direct = self._direct
        if (
            direct is None
            or (part := _part(direct.before, direct.after, self.url)) is None
            or self.parser.get_method() != direct.method
            or (before is not None and not before.response_complete)
            or self.flow.write_paused  # the client does not read its answers: others must not pile up behind them
        ):
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
        return _DirectCycle(self, direct, part, self.headers, keep_alive=keep_alive)

    def on_body(self, body: bytes) -> None:
        """Allow twice the body's bytes for its framing.

        Chunks of one byte each would cost far more work than their bytes, and use the allowance of the head up.
        """
        self._unread = max(0, self._unread - 2 * len(body))
        cycle: RequestResponseCycle | _DirectCycle = self.cycle
        if isinstance(cycle, _DirectCycle):
            cycle.body = cycle.body + body if cycle.body else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Reset the limits for the next request."""
        self._unread, self._in_body = 0, False
        self._stop_timer()
        cycle: RequestResponseCycle | _DirectCycle = self.cycle
        if isinstance(cycle, _DirectCycle):
            cycle.more_body = False
            cycle.endpoint.answer_direct(cycle.part, cycle.headers, cycle.body, cycle.respond)
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Forget a pipelined request that was answered."""
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
        """Close the connection if it was idle for long enough, else check again later.

        One timer serves all requests of a connection; uvicorn creates one after each answer and cancels it at the
        next request.
        """
        self.timeout_keep_alive_task = None
        if not self._idle_since_s or self.transport.is_closing():
            return
        left_s = self._idle_since_s + self.timeout_keep_alive - self.loop.time()
        if left_s <= 0:
            self.timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self._end_if_idle)

    def _unset_keepalive_if_required(self) -> None:
        """Mark the connection as not idle; uvicorn cancels its timer here."""
        self._idle_since_s = 0.0

    def write_answer(self, status: int, headers: Headers, body: bytes, *, close: bool) -> None:
        """Write a whole answer; with ``close`` its headers say that the connection ends."""
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
        """Refuse the request for which the parser stopped."""
        self._refuse(*self._refusal)

    def _refuse(self, status: int, error: str) -> None:
        """Answer with an error and close; only close where that would break up another answer."""
        if self._ignores_input or self.transport.is_closing():
            return
        self._ignores_input = True
        self._stop_timer()
        self._unset_keepalive_if_required()
        # They won't be answered, and would keep their headers in memory while the connection lingers.
        self.pipeline.clear()
        answering = self._earlier or (self.cycle is not None and not self.cycle.response_complete)
        is_own_answer = self._in_body and not self._earlier and not self.cycle.response_started
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if answering and not is_own_answer:
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

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        if seconds:
            # Two steps: after a stall of the process, timers run before the bytes that arrived meanwhile are read.
            self._timer = self.loop.call_later(seconds, self._expire_next_turn)

    def _expire_next_turn(self) -> None:
        self._timer = self.loop.call_later(0, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        if self._unread or self._in_body:
            self._refuse(408, "The request took too long to arrive")
        elif not self.transport.is_closing():
            self.transport.close()

    def _release(self) -> None:
        self._connections.release(self._network)
        self._network = ""
