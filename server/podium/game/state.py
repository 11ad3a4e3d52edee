"""A user's state: everything that the rules need to know about one user, as one blob
(docs/decisions/0003-tokens.md)."""

from __future__ import annotations

import msgspec

from podium.game.leaderboards.model import Standing
from podium.game.streaks.model import Streaks, Wishes
from podium.game.users.model import Profile

STATE_FORMAT = 4
"""Version of the blob's layout. Raise it when a field is added; readers give it the default in older blobs."""


class UserState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The state of one user. Items of the catalog are named by their numbers.

    - ``newest_ms``: instant of the newest event. ``newest``: that of the newest event of each metric. -
    ``seen_ms``: the newest instant that the server gave to an event. - ``totals``: totals of metrics, in whole
    units. ``points``: totals of points systems. - ``boards``: standings by the names of boards
    (game/leaderboards/ranking.py), of recent runs only; Postgres has
      all. ``older``: for each leaderboard the newest run, not final then, whose standings the state has dropped.
    - ``blocked``: leaderboards (by number) and runs (by board) from which the user is barred.
    - ``filled``: leaderboards on which the user's earlier events have been counted by a backfill.
    - ``keyed_since``: generation (storage/redis/keys.py) of the first idempotency key, -1 without one.
    - ``achieved``: completed achievements, with the seconds from the user's creation (see ``achieved_ms``).
    - ``counts``: units that count for triggers and achievements with filters by event attributes.
    - ``taken``: points that a metric's trigger has really deducted: no more than that is given back.
    - ``gained``: gains of the last local days, of metrics with ``max_per_day``.
    - ``advanced_ms``, ``advanced_day``: the instant, and the latest local day (ordinal), up to which the user was
      advanced (game/advance.py). ``due_ms``: the instant of the next timed change, 0 for never. ``first_day``: the
      local day of the user's creation.
    - ``wishes``, ``channels``: preferences for the streak, and for notifications by type.
    - ``rewarded``: for each leaderboard the last run whose reward the user was given.
    """

    profile: Profile
    format: int = STATE_FORMAT
    newest_ms: int = 0
    seen_ms: int = 0
    totals: dict[int, int] = {}
    boards: dict[str, Standing] = {}
    keyed_since: int = -1
    blocked: tuple[str, ...] = ()
    filled: tuple[int, ...] = ()
    streaks: Streaks | None = None
    points: dict[int, int] = {}
    achieved: dict[int, int] = {}
    counts: dict[int, int] = {}
    advanced_ms: int = 0
    advanced_day: int = 0
    due_ms: int = 0
    first_day: int = 0
    wishes: Wishes | None = None
    channels: dict[str, tuple[str, ...]] = {}
    rewarded: dict[int, str] = {}
    gained: dict[int, dict[int, int]] = {}
    taken: dict[int, int] = {}
    newest: dict[int, int] = {}
    older: dict[int, str] = {}

    def newest_of(self, metric: int) -> int:
        """Return the instant (ms) of the newest event of a metric, 0 without any.

        A state of an older release has only the instant of the user's newest event, which is returned then: it may
        have dropped all runs before that.
        """
        found = self.newest.get(metric)
        if found is None:
            return self.newest_ms if metric in self.totals else 0
        return found

    def achieved_ms(self, achievement: int) -> int | None:
        """Return the instant (ms) at which an achievement, by its number, was completed, or None."""
        seconds = self.achieved.get(achievement)
        return None if seconds is None else self.profile.created_ms + seconds * 1000


class StateHead(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first fields of a ``UserState``, for readers that need no others. Those that are ``Raw`` are skipped
    and decoded only if asked for."""

    profile: Profile
    format: int = STATE_FORMAT
    newest_ms: int = 0
    seen_ms: int = 0
    totals: msgspec.Raw = msgspec.Raw(b"{}")
    boards: msgspec.Raw = msgspec.Raw(b"{}")
    keyed_since: int = -1
    blocked: msgspec.Raw = msgspec.Raw(b"[]")
    filled: msgspec.Raw = msgspec.Raw(b"[]")
    raw_streaks: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def streaks(self) -> Streaks | None:
        """Return the streaks of the state.

        Raises:
            msgspec.DecodeError: They can't be read.
        """
        streaks: Streaks | None = _streaks_decoder.decode(self.raw_streaks)
        return streaks


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(UserState)
_head_decoder = msgspec.json.Decoder(StateHead)
_streaks_decoder = msgspec.json.Decoder(Streaks | None)


def encode_state(state: UserState) -> str:
    """Return a state as a blob of JSON, which people and Postgres can read."""
    return _encoder.encode(state).decode()


def decode_state(blob: str | bytes) -> UserState:
    """Return the state of a blob.

    Raises:
        msgspec.DecodeError: The blob is no state.
    """
    return _decoder.decode(blob)


def decode_head(blob: str | bytes) -> StateHead:
    """Return the first fields of a blob.

    Raises:
        msgspec.DecodeError: The blob is no state.
    """
    return _head_decoder.decode(blob)
