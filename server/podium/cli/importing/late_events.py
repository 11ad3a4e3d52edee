"""Find the events of an import that are too old to count everywhere. Pure.

The game takes a user's events in the order of time. One that is more than ``LATE_DAYS`` older than the user's
newest event moves no streak and no run of a repeating leaderboard (docs/catalog.md), so an import warns before it
sends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from podium.game.leaderboards.rules import LATE_DAYS
from podium.game.periods import MS_PER_DAY, parse_instant
from podium.intake.requests import BatchItem

_LATE_MS = LATE_DAYS * MS_PER_DAY


class NewestEvents(msgspec.Struct, frozen=True):
    """The instants (ms) of a user's newest event, and of the newest one of each metric, by key."""

    newest_ms: int
    metrics: Mapping[str, int]


class ServerHistory(msgspec.Struct):
    """The part of the server's data that decides which events are too old."""

    users: dict[str, NewestEvents] = {}
    """By user id; users without events are missing."""
    streak_metrics: frozenset[str] = frozenset()
    """Keys of the metrics whose events extend the streak."""
    points_runs: bool = False
    """True if there are repeating leaderboards by points."""


class LateEvents(msgspec.Struct):
    """Counts of new events that are too old to count everywhere."""

    by_metric: int = 0
    """Events older than the newest one of their metric: no repeating leaderboard by the metric counts them."""
    by_metric_users: set[str] = set()
    by_user: int = 0
    """Other events, older than the user's newest one: no streak, or no run by points, counts them."""
    by_user_users: set[str] = set()
    affected: set[str] = set()
    """All users with such events, including events that the server had already."""

    def add(self, user_id: str, *, by_metric: bool, known: bool) -> None:
        """Count one event. An event that the server knows already only makes its user affected."""
        self.affected.add(user_id)
        if known:
            return
        if by_metric:
            self.by_metric += 1
            self.by_metric_users.add(user_id)
        else:
            self.by_user += 1
            self.by_user_users.add(user_id)


def late_events(server: ServerHistory, items: Iterable[tuple[int, BatchItem]]) -> Iterator[tuple[BatchItem, bool]]:
    """Yield the events that are too old to count everywhere, given the order in which they are sent.

    The flag is True if an event is older than the newest one of its metric, False if only older than the user's
    newest one.
    """
    for _, item in items:
        newest = server.users.get(item.user.id)
        if newest is None or item.timestamp is None:
            continue
        at_ms = parse_instant("timestamp", item.timestamp)
        if at_ms < newest.metrics.get(item.key, 0) - _LATE_MS:
            yield item, True
        elif at_ms < newest.newest_ms - _LATE_MS and (server.points_runs or item.key in server.streak_metrics):
            yield item, False
