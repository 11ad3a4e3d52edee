"""Names of channels, and the options of subscriptions. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl, quote, quote_plus, unquote

import msgspec

from podium.game.ids import KEY_MAX

LIMITS = (10, 25, 50, 100, 250, 500)
"""Rows of a view. There are few steps, so that viewers share views."""
INTERVALS_MS = (0, 50, 100, 250, 500, 1_000, 2_000, 5_000)
"""Least time between two frames of a view."""

AROUND_MAX = 50
"""Rows to either side of a user."""

STARS_MAX = 4
"""Most ``*`` in a token's pattern: each is one more search through the channel's name."""

_NAME = re.compile(
    rf"(?P<kind>leaderboard|groups):(?P<key>[A-Za-z0-9_-]{{1,{KEY_MAX}}})(?:@(?P<day>\d{{4}}-\d\d-\d\d))?"
    r"(?:\?(?P<query>[^#]+))?(?:#(?P<place>.+))?"
    r"|user#(?P<user>.+)",
    re.ASCII | re.DOTALL,
)


class LeaderboardChannel(NamedTuple):
    """A channel of a leaderboard.

    ``leaderboard:{key}`` is its current run, ``leaderboard:{key}@{day}`` the run that contains a day. With a
    suffix like ``?city=London&team=red`` it is one group of a leaderboard with a breakdown; ``query`` is the
    suffix as the client wrote it. ``groups:{key}`` is the ranking of the groups themselves.
    """

    key: str
    day: date | None = None
    query: str = ""
    groups: bool = False

    @property
    def attributes(self) -> dict[str, str]:
        """The values of the group, by attribute."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def __str__(self) -> str:
        name = f"{'groups' if self.groups else 'leaderboard'}:{self.key}"
        return name + (f"@{self.day.isoformat()}" if self.day else "") + (f"?{self.query}" if self.query else "")


class PersonalChannel(NamedTuple):
    """``{leaderboard channel}#{user}``: one user's own place.

    ``quoted`` is the id as the client percent-encoded it.
    """

    board: LeaderboardChannel
    quoted: str

    @property
    def user(self) -> str:
        """The user's id."""
        return unquote(self.quoted)

    def __str__(self) -> str:
        return f"{self.board}#{self.quoted}"


class UserChannel(NamedTuple):
    """``user#{user}``: the events of one user. ``quoted`` is the id as the client percent-encoded it."""

    quoted: str

    @property
    def user(self) -> str:
        """The user's id."""
        return unquote(self.quoted)

    def __str__(self) -> str:
        return f"user#{self.quoted}"


def is_canonical(name: LeaderboardChannel, start: date, attributes: tuple[str, ...]) -> bool:
    """Return whether this is one of the few names that clients usually make for a board.

    ``start`` is the first day of the run that it shows, ``attributes`` those of the leaderboard's breakdown. A
    board has countless names (other days of the run, other ways to encode the same values), and each open channel
    takes memory; so a name that is not canonical always counts against the quota of speculative channels.
    """
    if name.day not in (None, start):
        return False
    values = name.attributes
    usual = {key: {f"{key}={quote_(values.get(key, ''))}" for quote_ in _ENCODERS} for key in attributes}
    parts = name.query.split("&") if name.query else []
    return len(parts) == len(attributes) and all(part in usual.get(part.partition("=")[0], ()) for part in parts)


_ENCODERS: tuple[Callable[[str], str], ...] = (
    str,
    partial(quote, safe=""),
    partial(quote, safe="!'()*"),  # JavaScript's encodeURIComponent
    partial(quote, safe="/"),  # Python's quote
    partial(quote_plus, safe="*"),  # JavaScript's URLSearchParams, but for "~"
)
"""The encodings that common clients use for a value."""

AnyChannel = LeaderboardChannel | PersonalChannel | UserChannel


class PlaceOptions(msgspec.Struct, frozen=True):
    """The options of a subscription to an own place: rows to either side of the user."""

    around: Annotated[int, msgspec.Meta(ge=0, le=AROUND_MAX)] = 2


class ViewOptions(msgspec.Struct, frozen=True):
    """The options of a subscription to a board; other numbers are rounded up to the next step."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMITS[-1])] = 100
    interval: Annotated[int, msgspec.Meta(ge=0, le=INTERVALS_MS[-1])] = 50

    @property
    def rows(self) -> int:
        """Rows of the view."""
        return LIMITS[bisect_left(LIMITS, self.limit)]

    @property
    def interval_ms(self) -> int:
        """Least time between two frames, in ms."""
        return INTERVALS_MS[bisect_left(INTERVALS_MS, self.interval)]


def parse_channel(name: str) -> AnyChannel | None:
    """Parse the name of a channel; None where no channel has this form."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    kind, key, day, query, place, user = found.group("kind", "key", "day", "query", "place", "user")
    if user is not None:
        return UserChannel(user)
    try:
        board = LeaderboardChannel(key, date.fromisoformat(day) if day else None, query or "", kind == "groups")
    except ValueError:  # the 30th of February
        return None
    if board.groups and (query or place is not None):
        return None
    return board if place is None else PersonalChannel(board, place)


def allows(patterns: tuple[str, ...], channel: str) -> bool:
    """Return whether a pattern covers the channel; ``*`` stands for anything, all else for itself."""
    return any(_matches(pattern, channel) for pattern in patterns)


def _matches(pattern: str, text: str) -> bool:
    """Return whether ``text`` is covered by one pattern.

    Searches for the pieces between the stars from left to right and takes the first place of each: a later place
    leaves less room for the pieces behind it, so nothing is ever tried twice. A regular expression would try every
    combination of places, and end users write both pattern and text.
    """
    first, *middle = pattern.split("*")
    if not middle:
        return text == first
    last = middle.pop()
    end = len(text) - len(last)
    at = len(first)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
