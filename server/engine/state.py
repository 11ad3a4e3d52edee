"""A user's state: all that the rules need to know about one user, as one blob (design decision 3)."""

from __future__ import annotations

import msgspec

from server.features.leaderboards.model import Standing
from server.features.streaks.model import Streaks
from server.features.users.model import Profile

STATE_FORMAT = 1
"""Version of the blob's layout. Raise it when a field is added; a reader fills the new field's default."""


class UserState(msgspec.Struct, frozen=True, array_like=True):
    """One user. ``newest_ms`` is the newest event's time, ``seen_ms`` the newest time that the server gave.

    ``totals`` maps a metric's number to its total in whole units, ``boards`` a board's name
    (features/leaderboards/ranking.py) to the standing there. ``keyed_since`` is the generation
    (backends/redis/keys.py) of the first idempotency key, -1 without one. ``blocked`` names leaderboards, by
    number, and runs, by board, that the user was barred from. ``filled`` are the numbers of leaderboards that the
    user's earlier events were counted on when those were made.
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


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(UserState)


def encode_state(state: UserState) -> str:
    """The blob of a state: JSON, so that people and Postgres can read it."""
    return _encoder.encode(state).decode()


def decode_state(blob: str | bytes) -> UserState:
    """The state of a blob; ``msgspec.DecodeError`` if it is none."""
    return _decoder.decode(blob)
