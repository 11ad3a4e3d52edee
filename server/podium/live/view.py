"""A view: the viewers of one channel who share limit and interval, and the frames that all of them get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from podium.game.leaderboards.model import TieRule
from podium.live import protocol
from podium.live.shapes import AnyShown, Publication, Reset, Snapshot, Target, moved_row, shown_row
from podium.live.window import Change, Row, Window, diff, ranks


class Viewer(Protocol):
    """Someone who watches: a connection with a bounded outbox."""

    def offer(self, frame: str) -> bool:
        """Queue a frame; False, and it is not queued, where the outbox is over its bound."""

    def unsubscribed(self, channel: str, reason: str) -> None:
        """The subscription has ended; the client should subscribe again."""

    def close_slow(self) -> None:
        """The viewer stayed behind too long."""


class Watched(Protocol):
    """What a subscription watches: a view, an own place, a user's events."""

    viewers: dict[Viewer, None]
    behind: set[Viewer]
    """Viewers who skipped frames."""

    def snapshot(self) -> str:
        """What answers the subscription, as JSON."""

    def catch_up(self, viewer: Viewer) -> None:
        """The viewer has room again: gets what replaces the frames that it skipped."""


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Let it not come."""


Later = Callable[[float, Callable[[], None]], Timer]
"""Calls back after so many seconds: ``loop.call_later``, or a test's own."""


@dataclass(slots=True)
class Stats:
    """Counts of one process."""

    sockets: int = 0
    """Connections that are open now."""
    frames_sent: int = 0
    """Publications handed to viewers, each viewer counted."""
    refused: int = 0
    """Connections that a limit refused or ended."""


_encode = msgspec.json.Encoder().encode


class View:
    """One view. ``seq`` counts its frames; ``rows`` and ``participants`` are as of the last one.

    The first change goes out in the turn of the event loop in which it arrived, together with what arrived
    with it; later ones at most every ``interval_ms``.
    """

    def __init__(
        self,
        channel: str,
        target: Target,
        limit: int,
        interval_ms: int,
        window: Window,
        later: Later,
        stats: Stats,
    ) -> None:
        self.seq = 0
        self.viewers: dict[Viewer, None] = {}
        self.behind: set[Viewer] = set()
        """Viewers who skipped frames and are owed a reset."""
        self._head = protocol.publication_head(channel)
        self._target = target
        self._shown = min(limit, target.most)
        self._interval_ms = interval_ms
        self._later = later
        self._stats = stats
        self._timer: Timer | None = None
        self._show(window)

    def _show(self, window: Window) -> None:
        self._window = window
        self._known: Sequence[Row] = window.rows
        self.rows: Sequence[Row] = window.rows[: self._shown]
        self.participants = window.participants
        self._snapshot: str | None = None
        self._reset: str | None = None
        self._came: dict[str, int] = {}

    def leave(self, viewer: Viewer) -> None:
        """The viewer watches no longer."""
        self.viewers.pop(viewer, None)
        self.behind.discard(viewer)

    def drop_encoded(self) -> None:
        """Forget what is encoded for those who ask at nearly one time: with 500 rows some 50 KB a view."""
        self._snapshot = self._reset = None

    def snapshot(self) -> str:
        """The state as of frame ``seq``, encoded once for all who ask before the next."""
        if self._snapshot is None:
            data = Snapshot(self.seq, self._target.config, self._target.run, self.participants, self._all_rows())
            self._snapshot = _encode(data).decode()
        return self._snapshot

    def catch_up(self, viewer: Viewer) -> None:
        """The viewer has room again: gets all rows as of frame ``seq`` if it skipped any."""
        if viewer in self.behind:
            self.behind.discard(viewer)
            self._send(viewer, self._reset_frame())

    def changed(self, window: Window, changes: Sequence[Change], best: int) -> None:
        """The board changed; ``best`` is the best place touched."""
        self._window = window
        if best > self._shown and window.participants == self.participants:
            return
        for change in changes:
            if 0 < change.after <= self._shown:
                self._came.setdefault(change.user, change.rank)
        self._schedule()

    def reread(self, window: Window) -> None:
        """The board was read again."""
        self._window = window
        self._schedule()

    def roll(self, window: Window, target: Target) -> None:
        """The channel shows another run, or the run has another state: everyone gets all rows at once."""
        self._target = target
        self.seq += 1
        self._show(window)
        self._send_all(self._reset_frame())

    def stop(self) -> None:
        """Send nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = self._later(0, self._publish)

    def _publish(self) -> None:
        self._timer = None
        frame = self._publication()
        if frame is None:
            return
        if self._interval_ms:
            self._timer = self._later(self._interval_ms / 1000, self._publish)
        self._send_all(frame)

    def _send_all(self, frame: str) -> None:
        for viewer in self.viewers:
            if viewer not in self.behind:
                self._send(viewer, frame)

    def _send(self, viewer: Viewer, frame: str) -> None:
        if viewer.offer(frame):
            self._stats.frames_sent += 1
        else:
            self.behind.add(viewer)

    def _publication(self) -> str | None:
        """The next frame; None where nothing that is shown has changed."""
        window = self._window
        tie_rule = self._target.config.tie_rule
        old, old_ranks, known, came = self.rows, ranks(self.rows, tie_rule), self._known, self._came
        new = window.rows[: self._shown]
        delta = diff(old, new)
        if not delta.left and not delta.rows and window.participants == self.participants:
            self._known = window.rows
            came.clear()
            return None
        rows, new_ranks = [], ranks(new, tie_rule)
        for position, row, previous in delta.rows:
            if previous is not None:
                rank: int | None = old_ranks[previous]
            elif row.user in came:
                rank = came[row.user] or None
            else:
                rank = _rank_in(known, row.user, tie_rule)
            rows.append(moved_row(self._target, position, new_ranks[position], row, rank))
        self.seq += 1
        self._show(window)
        return self._frame(Publication(self.seq, self.participants, delta.left, rows))

    def _all_rows(self) -> list[AnyShown]:
        placed = zip(ranks(self.rows, self._target.config.tie_rule), self.rows, strict=True)
        return [shown_row(self._target, rank, row) for rank, row in placed]

    def _reset_frame(self) -> str:
        if self._reset is None:
            self._reset = self._frame(Reset(self.seq, True, self._target.run, self.participants, self._all_rows()))
        return self._reset

    def _frame(self, data: Publication | Reset) -> str:
        return self._head + _encode(data).decode() + protocol.PUBLICATION_TAIL


def _rank_in(known: Sequence[Row], user: str, tie_rule: TieRule) -> int | None:
    """The rank of one whom others moved into sight from just below; None if that is not known."""
    for rank, row in zip(ranks(known, tie_rule), known, strict=True):
        if row.user == user:
            return rank
    return None
