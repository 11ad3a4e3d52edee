"""The part that all views share: viewers of one channel, to whom each frame is sent and who may fall behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from podium.live import protocol


class Viewer(Protocol):
    """One subscriber: a connection with a bounded send queue."""

    def offer(self, frame: str) -> bool:
        """Queue a frame; return False, and skip it, where the queue is over its bound."""

    def unsubscribed(self, channel: str, reason: str) -> None:
        """Learn that the hub ended the subscription; the client should subscribe again."""

    def close_slow(self) -> None:
        """Close the connection: the viewer stayed behind too long."""


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call."""


Later = Callable[[float, Callable[[], None]], Timer]
"""Call back after so many seconds: ``loop.call_later``, or a test's own."""


@dataclass(slots=True)
class Stats:
    """Counts of one process."""

    sockets: int = 0
    """Connections that are open now."""
    frames_sent: int = 0
    """Publications handed to viewers; one that goes to ten viewers counts as ten."""
    refused: int = 0
    """Connections that a limit refused or ended."""


class BaseView(ABC):
    """The viewers of one channel.

    A viewer whose queue is full skips frames and is put into ``behind``. It gets nothing more until the connection
    calls ``catch_up``; then one frame replaces all that it skipped. So a slow client costs bounded memory and
    delays nobody else.
    """

    def __init__(self, channel: str, stats: Stats) -> None:
        self.viewers: dict[Viewer, None] = {}  # a dict keeps the order in which they came, a set would not
        self.behind: set[Viewer] = set()
        self._head = protocol.publication_head(channel)
        self._stats = stats

    @abstractmethod
    def snapshot(self) -> str:
        """Return the present state as JSON: the result of ``subscribe``."""

    @abstractmethod
    def _catch_up_frame(self) -> str:
        """Return the frame that replaces all that a viewer has skipped."""

    def catch_up(self, viewer: Viewer) -> None:
        """Bring a viewer whose queue is empty again up to date, if it skipped frames."""
        if viewer in self.behind:
            self.behind.discard(viewer)
            self._send(viewer, self._catch_up_frame())

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer."""
        self.viewers.pop(viewer, None)
        self.behind.discard(viewer)

    def _frame(self, data: str) -> str:
        return self._head + data + protocol.PUBLICATION_TAIL

    def _send_all(self, frame: str) -> None:
        for viewer in self.viewers:
            if viewer not in self.behind:
                self._send(viewer, frame)

    def _send(self, viewer: Viewer, frame: str) -> None:
        if viewer.offer(frame):
            self._stats.frames_sent += 1
        else:
            self.behind.add(viewer)
