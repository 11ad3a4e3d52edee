"""uvicorn's WebSocket protocol, with limits, and with frames that are written without ASGI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

from podium.http.connections import Connections

PIECE = 8_192
"""Bytes parsed in one turn of the event loop. The smallest frames have 6 bytes and cost some 10 µs each, so a
whole read of uvloop, 256 KB, would block the process for half a second."""
SMALL = 512
"""Bytes below which a fragment counts as an idle frame."""
IDLE_FRAMES_MAX = 500
IDLE_FRAMES_S = 10.0
"""Idle frames (pings, pongs, small fragments) that a client may send in ``IDLE_FRAMES_S`` seconds."""
GONE_S = 15.0
"""A client that has not read its last bytes by then is cut off."""

DIRECT = "podium.direct"
"""The ASGI extension of a WebSocket scope that holds ``DirectWebSocket.write``."""
ADMIT = "podium.admit"
"""The ASGI extension of a WebSocket scope that holds ``DirectWebSocket.admit``."""


class DirectWebSocket(WebSocketsSansIOProtocol):
    """A protocol class for ``uvicorn.Config(ws=...)`` that lets the application write frames which it has encoded.

    A frame for 1,000 viewers is encoded once and passed to each transport without a task and an ASGI message.
    Compression must be off: a compressed frame depends on its connection.

    Messages must be small until the application calls ``admit``. Bytes are parsed in pieces, one per turn of the
    event loop, and not while messages wait for the application.
    """

    def __init__(self, *args: Any, connections: Connections | None = None, **named: Any) -> None:
        super().__init__(*args, **named)
        limits = (connections or Connections()).limits
        self.conn.max_message_size = min(limits.first_frame_bytes, self.config.ws_max_size)
        self.on_lost: Callable[[], None] | None = None
        """Called once when the connection has ended."""
        self._unparsed = b""
        self._parsing = False
        """True while parsing of the next piece is scheduled."""
        self._idle_frames = 0
        self._idle_since_s = 0.0

    def admit(self) -> None:
        """Accept messages as large as the setting allows from now on."""
        self.conn.max_message_size = self.config.ws_max_size

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what was not parsed, and call ``on_lost``."""
        self._unparsed = b""
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()
            self.on_lost = None

    async def run_asgi(self) -> None:
        """Run the application, and make sure that the connection ends after it."""
        await super().run_asgi()
        if not self.disconnected:
            self.loop.call_later(GONE_S, self._cut_off)

    def _cut_off(self) -> None:
        if not self.disconnected:
            self.transport.abort()

    # Reading

    def data_received(self, data: bytes) -> None:
        """Parse received bytes in pieces."""
        if not self._unparsed and len(data) <= PIECE and not self._parsing:
            self._parse(data)
            return
        self._unparsed += data
        self.transport.pause_reading()
        self._parse_next()

    async def receive(self) -> Any:
        """Return the application's next message, and go on parsing once none waits."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            if self._unparsed:
                self._parse_soon()
            else:
                self.transport.resume_reading()
        return message

    def _parse_soon(self) -> None:
        if not self._parsing:
            self._parsing = True
            self.loop.call_soon(self._parse_next)

    def _parse_next(self) -> None:
        self._parsing = False
        if self.read_paused or self.disconnected or self.transport.is_closing():
            return
        piece, self._unparsed = self._unparsed[:PIECE], self._unparsed[PIECE:]
        self._parse(piece)
        if self._unparsed:
            if not self.read_paused:
                self._parse_soon()
        elif not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _parse(self, piece: bytes) -> None:
        super().data_received(piece)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            # The HTTP parser accepted this head and the WebSocket parser does not: uvicorn would wait without end.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """Add the extensions to the scope of a valid handshake."""
        super().handle_connect(event)
        if hasattr(self, "scope"):  # only a valid handshake gets one
            extensions = cast(dict[str, Any], self.scope["extensions"])
            extensions[DIRECT] = self.write
            extensions[ADMIT] = self.admit

    def handle_ping(self) -> None:
        """Answer a ping, unless the client does not read."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set() and not self.transport.is_closing():
            self.transport.write(pong)
        self._count_idle_frame()

    def handle_pong(self, event: Frame) -> None:
        """Count a pong, which nobody asked for: pings of the live protocol are messages."""
        super().handle_pong(event)
        self._count_idle_frame()

    def handle_text(self, event: Frame) -> None:
        """Take a text message, or its first fragment."""
        self._count_fragment(event)
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Take a binary message, or its first fragment."""
        self._count_fragment(event)
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Take a further fragment of a message."""
        self._count_fragment(event)
        super().handle_cont(event)

    def _count_fragment(self, event: Frame) -> None:
        if not event.fin and len(event.data) < SMALL:
            self._count_idle_frame()

    def _count_idle_frame(self) -> None:
        now_s = self.loop.time()
        if now_s - self._idle_since_s > IDLE_FRAMES_S:
            self._idle_since_s, self._idle_frames = now_s, 0
        self._idle_frames += 1
        if self._idle_frames == IDLE_FRAMES_MAX and not self.transport.is_closing():
            try:
                self.conn.send_close(CloseCode.POLICY_VIOLATION, "too many frames")
            except InvalidState:  # it is closing already
                self.transport.close()
                return
            self.handle_parser_exception()

    def write(self, frame: bytes) -> bool:
        """Write a whole frame now; return False, without writing, where the client is behind or gone."""
        if not self.writable.is_set() or self.close_sent or not self.handshake_complete or self.disconnected:
            return False
        self.transport.write(frame)
        return True


def text_frame(text: str) -> bytes:
    """Return a WebSocket text frame, unmasked as servers send them (RFC 6455, 5.2)."""
    data = text.encode()
    size = len(data)
    if size < 126:
        head = bytes((0x81, size))
    elif size < 1 << 16:
        head = b"\x81\x7e" + size.to_bytes(2, "big")
    else:
        head = b"\x81\x7f" + size.to_bytes(8, "big")
    return head + data
