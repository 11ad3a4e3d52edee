"""What waits to be written to one WebSocket, and the task that writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from podium.http.websocket import text_frame
from podium.live.protocol import CloseCode

OUTBOX_MAX = 256 * 1024
"""Characters that may wait for a client. Past them it skips frames, and its commands are not read."""

Direct = Callable[[bytes], bool]
"""Writes a WebSocket frame past ASGI; False where that isn't possible now (http/websocket.py)."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _SharedFrame:
    """A frame on the wire, encoded once for all who get it one after another."""

    def __init__(self) -> None:
        self._text = ""
        self._frame = b""

    def frame(self, text: str) -> bytes:
        """The WebSocket frame of a text."""
        if text is not self._text:
            self._text, self._frame = text, text_frame(text)
        return self._frame


_shared = _SharedFrame()


class Outbox:
    """``room`` is set while more may be answered; ``catch_up`` is called once a client that skipped frames has
    taken all that waited for it."""

    def __init__(self, direct: Direct | None, catch_up: Callable[[], None]) -> None:
        self.room = asyncio.Event()
        self.room.set()
        self._direct = direct
        self._catch_up = catch_up
        self._frames: list[str] = []
        self._waiting = 0  # characters in the outbox and in the frame being sent
        self._idle: asyncio.Future[None] | None = None  # what the writer waits for
        self._behind = False
        self._closing: tuple[CloseCode, str] | None = None

    def offer(self, frame: str) -> bool:
        """Queue a publication; False where too much waits."""
        if self._waiting > OUTBOX_MAX:
            self._behind = True
            return False
        # Nothing waits and the writer is idle: the frame may go at once, as others got it.
        idle = self._idle is not None and not self._idle.done()
        if not (idle and self._direct is not None and not self._frames and self._direct(_shared.frame(frame))):
            self.push(frame)
        return True

    def push(self, frame: str) -> None:
        """Queue an answer, or any other frame that may not be skipped."""
        self._frames.append(frame)
        self._waiting += len(frame)
        if self._waiting > OUTBOX_MAX:
            self.room.clear()
        self._wake()

    def close(self, code: CloseCode, reason: str, *, drop: bool) -> None:
        """Say goodbye after what waits, or at once."""
        self._closing = code, reason
        if drop:
            self._frames.clear()
        self._wake()
        self.room.set()

    async def run(self, send: Send) -> None:
        """Write until the goodbye is said."""
        try:
            while True:
                if self._frames:
                    frames, self._frames = self._frames, []
                    text = frames[0] if len(frames) == 1 else "\n".join(frames)
                    await send({"type": "websocket.send", "text": text})
                    self._waiting = sum(map(len, self._frames))
                    if self._waiting <= OUTBOX_MAX:
                        self.room.set()
                    if self._behind and not self._frames:
                        self._behind = False
                        self._catch_up()
                elif self._closing is not None:
                    code, reason = self._closing
                    await send({"type": "websocket.close", "code": int(code), "reason": reason})
                    return
                else:
                    self._idle = asyncio.get_running_loop().create_future()
                    await self._idle
        except OSError:  # ASGI: the client is gone; the reader hears of it too
            return

    def _wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
