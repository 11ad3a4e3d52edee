"""A user's state: all that the rules need to know about one user, as one blob (docs/decisions/0003-tokens.md)."""

from __future__ import annotations

import msgspec

from podium.game.leaderboards.model import Standing
from podium.game.streaks.model import Streaks, Wishes
from podium.game.users.model import Profile

STATE_FORMAT = 4
"""Version of the blob's layout. Raise it when a field is added; a reader fills the new field's default."""


class UserState(msgspec.Struct, frozen=True, array_like=True):
    """One user. ``newest_ms`` is the newest event's time, ``seen_ms`` the newest time that the server gave.

    ``totals`` maps a metric's number to its total in whole units, ``boards`` a board's name
    (features/leaderboards/ranking.py) to the standing there. ``keyed_since`` is the generation
    (backends/redis/keys.py) of the first idempotency key, -1 without one. ``blocked`` names leaderboards, by
    number, and runs, by board, that the user was barred from. ``filled`` are the numbers of leaderboards that the
    user's earlier events were counted on when those were made.

    ``points`` maps a points system's number to the total, ``achieved`` an achievement's to when it was completed,
    in seconds since the user was created (``achieved_ms``); ``counts`` holds the units that count for a trigger
    or an achievement, by its number, where event attributes decide. Time has been carried through
    (game/advance.py) up to ``carried_ms`` and ``carried_day`` (ordinal of the latest local day; ``first_day``
    is that of the user's creation), and next brings something at ``due_ms``, 0 for never. ``wishes`` and
    ``channels`` are the user's preferences: of the streak, and of notifications by type. ``rewarded`` maps a
    leaderboard's number to the last run whose reward the user was given. ``gained`` has, for metrics with a most
    for a day, by number, what was gained on the last local days. ``taken`` is what a metric's trigger that takes
    points really took, by its number: no more is given back. ``newest`` is the time (ms) of the newest event of
    each metric, by number. ``older`` maps a leaderboard's number to the newest run, not final then, whose
    standings the state has let go of (``boards`` has the recent runs only; Postgres has all).
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
    carried_ms: int = 0
    carried_day: int = 0
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
        """Return the instant (ms) of the newest event of a metric, 0 without any. A state of an older release
        knows the user's newest event only: it may have let go of all runs before that."""
        found = self.newest.get(metric)
        if found is None:
            return self.newest_ms if metric in self.totals else 0
        return found

    def achieved_ms(self, achievement: int) -> int | None:
        """The instant at which an achievement, by its number, was completed; None if it was not."""
        seconds = self.achieved.get(achievement)
        return None if seconds is None else self.profile.created_ms + seconds * 1000


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(UserState)


def encode_state(state: UserState) -> str:
    """The blob of a state: JSON, so that people and Postgres can read it."""
    return _encoder.encode(state).decode()


def decode_state(blob: str | bytes) -> UserState:
    """The state of a blob; ``msgspec.DecodeError`` if it is none."""
    return _decoder.decode(blob)
