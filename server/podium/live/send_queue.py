"""The frames that wait to be written to one WebSocket, and the task that writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from podium.http.websocket import text_frame
from podium.live.protocol import CloseCode

QUEUE_MAX = 256 * 1024
"""Characters that may wait for a client. Beyond this it skips publications, and its commands are not read."""

Direct = Callable[[bytes], bool]
"""Write a WebSocket frame without ASGI; return False where that is not possible now (http/websocket.py)."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _SharedFrame:
    """Caches the last encoded frame.

    A publication is offered to all viewers of a view one after another, so one entry is enough to encode it once.
    """

    def __init__(self) -> None:
        self._text = ""
        self._frame = b""

    def frame(self, text: str) -> bytes:
        """Return the WebSocket frame of a text."""
        if text is not self._text:  # identity: comparing 50 KB for each viewer would cost more than it saves
            self._text, self._frame = text, text_frame(text)
        return self._frame


_shared = _SharedFrame()


class SendQueue:
    """Frames in the order in which they are sent, bounded by ``QUEUE_MAX`` characters.

    ``room`` is set while the queue is below its bound. ``catch_up`` is called once a client that skipped
    publications has taken everything that was queued.
    """

    def __init__(self, direct: Direct | None, catch_up: Callable[[], None]) -> None:
        self.room = asyncio.Event()
        self.room.set()
        self._direct = direct
        self._catch_up = catch_up
        self._frames: list[str] = []
        self._waiting = 0  # characters in the queue and in the frame being sent
        self._idle: asyncio.Future[None] | None = None  # the writer waits for it while the queue is empty
        self._behind = False
        self._closing: tuple[CloseCode, str] | None = None

    def offer(self, frame: str) -> bool:
        """Queue a publication; return False, and skip it, where too much waits."""
        if self._waiting > QUEUE_MAX:
            self._behind = True
            return False
        # With an empty queue and an idle writer the order is kept: the shared frame may be written directly.
        idle = self._idle is not None and not self._idle.done()
        if not (idle and self._direct is not None and not self._frames and self._direct(_shared.frame(frame))):
            self.push(frame)
        return True

    def push(self, frame: str) -> None:
        """Queue an answer, or any other frame that must not be skipped."""
        self._frames.append(frame)
        self._waiting += len(frame)
        if self._waiting > QUEUE_MAX:
            self.room.clear()
        self._wake()

    def close(self, code: CloseCode, reason: str, *, drop: bool) -> None:
        """Close the WebSocket after what is queued; with ``drop`` at once."""
        self._closing = code, reason
        if drop:
            self._frames.clear()
        self._wake()
        self.room.set()  # the reader may be waiting for room, and must see the end

    async def run(self, send: Send) -> None:
        """Write frames until the close frame was sent, or the client is gone."""
        try:
            while True:
                if self._frames:
                    frames, self._frames = self._frames, []
                    text = frames[0] if len(frames) == 1 else "\n".join(frames)
                    await send({"type": "websocket.send", "text": text})
                    self._waiting = sum(map(len, self._frames))
                    if self._waiting <= QUEUE_MAX:
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
        except OSError:  # ASGI's signal that the client is gone; the reader gets a disconnect message
            return

    def _wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
