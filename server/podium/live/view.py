"""The view of a board: viewers of one channel who share limit and interval, so that each frame is encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from podium.game.leaderboards.model import TieRule
from podium.live.base_view import BaseView, Later, Stats, Timer
from podium.live.shapes import AnyShown, Publication, Reset, Snapshot, Target, moved_row, shown_row
from podium.live.window import Change, Row, Window, diff, ranks

_encode = msgspec.json.Encoder().encode


class View(BaseView):
    """The first rows of a board, sent as differences.

    ``seq`` counts the frames; ``rows`` and ``participants`` are as of the last one. A change is sent in the same
    turn of the event loop, together with the others that arrived in it. The next frame follows after
    ``interval_ms`` at the earliest, and holds all changes since.
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
        super().__init__(channel, stats)
        self.seq = 0
        self._target = target
        self._shown = min(limit, target.max_rows)
        self._interval_ms = interval_ms
        self._later = later
        self._timer: Timer | None = None
        self._show(window)

    def _show(self, window: Window) -> None:
        """Take the window's rows as those that viewers have."""
        self._window = window
        self._known: Sequence[Row] = window.rows  # reaches below ``rows``: ranks of rows that move into sight
        self.rows: Sequence[Row] = window.rows[: self._shown]
        self.participants = window.participants
        self._snapshot: str | None = None
        self._reset: str | None = None
        self._entered: dict[str, int] = {}  # users who moved into sight since, with their rank before

    def drop_encoded(self) -> None:
        """Drop the encoded snapshot and reset: with 500 rows they take some 50 KB, and are of use for a moment."""
        self._snapshot = self._reset = None

    def snapshot(self) -> str:
        """Return all rows as of frame ``seq``, encoded once for everybody who subscribes before the next."""
        if self._snapshot is None:
            data = Snapshot(self.seq, self._target.config, self._target.run, self.participants, self._all_rows())
            self._snapshot = _encode(data).decode()
        return self._snapshot

    def mark_dirty(self, window: Window, changes: Sequence[Change], best: int) -> None:
        """Schedule a frame for changes that the window has taken; ``best`` is the best place they touched."""
        self._window = window
        # Most changes of a large board are below what is shown; they would yield an empty difference.
        if best > self._shown and window.participants == self.participants:
            return
        for change in changes:
            if 0 < change.after <= self._shown:
                # The first of several changes has the rank that viewers know.
                self._entered.setdefault(change.user, change.rank)
        self._schedule()

    def replace_window(self, window: Window) -> None:
        """Schedule a frame for a board that was read again."""
        self._window = window
        self._schedule()

    def roll(self, window: Window, target: Target) -> None:
        """Show another run, or the same run in another state, and send all rows at once."""
        self._target = target
        self.seq += 1
        # All rows: the difference between two boards would hardly be smaller.
        self._show(window)
        self._send_all(self._catch_up_frame())

    def stop(self) -> None:
        """Send no more frames."""
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        # A running timer is either that of this turn, or the pause after the last frame: both end in _publish.
        if self._timer is None:
            self._timer = self._later(0, self._publish)

    def _publish(self) -> None:
        self._timer = None
        frame = self._publication()
        if frame is None:  # no timer then: the next change is sent at once
            return
        if self._interval_ms:
            self._timer = self._later(self._interval_ms / 1000, self._publish)
        self._send_all(frame)

    def _publication(self) -> str | None:
        """Return the next frame, or None where nothing that is shown has changed."""
        window = self._window
        tie_rule = self._target.config.tie_rule
        old, old_ranks, known, entered = self.rows, ranks(self.rows, tie_rule), self._known, self._entered
        new = window.rows[: self._shown]
        delta = diff(old, new)
        if not delta.left and not delta.rows and window.participants == self.participants:
            self._known = window.rows
            entered.clear()
            return None
        rows, new_ranks = [], ranks(new, tie_rule)
        for position, row, previous in delta.rows:
            if previous is not None:  # it was shown before
                rank: int | None = old_ranks[previous]
            elif row.user in entered:  # it moved into sight itself; 0 is a newcomer to the board
                rank = entered[row.user] or None
            else:  # others left, and moved it up
                rank = _rank_in(known, row.user, tie_rule)
            rows.append(moved_row(self._target, position, new_ranks[position], row, rank))
        self.seq += 1
        self._show(window)
        data = Publication(self.seq, self.participants, delta.left, rows)
        return self._frame(_encode(data).decode())

    def _all_rows(self) -> list[AnyShown]:
        placed = zip(ranks(self.rows, self._target.config.tie_rule), self.rows, strict=True)
        return [shown_row(self._target, rank, row) for rank, row in placed]

    def _catch_up_frame(self) -> str:
        if self._reset is None:
            data = Reset(self.seq, True, self._target.run, self.participants, self._all_rows())
            self._reset = self._frame(_encode(data).decode())
        return self._reset


def _rank_in(known: Sequence[Row], user: str, tie_rule: TieRule) -> int | None:
    """Return the rank of a user whom the moves of others brought into sight, or None where it is not known."""
    for rank, row in zip(ranks(known, tie_rule), known, strict=True):
        if row.user == user:
            return rank
    return None
