"""Which events of an import are older than what the server has, so that they will not count everywhere. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from podium.game.leaderboards.rules import LATE_DAYS
from podium.game.periods import MS_PER_DAY, parse_instant
from podium.intake.requests import BatchItem

_LATE_MS = LATE_DAYS * MS_PER_DAY


class Newest(msgspec.Struct, frozen=True):
    """The instants (ms) of a user's newest event, and of the newest one of each metric, by key."""

    newest_ms: int
    metrics: Mapping[str, int]


class Server(msgspec.Struct):
    """The server's users who have events, by id, the metrics that the streak hangs on, and whether there are
    repeating leaderboards by points."""

    users: dict[str, Newest] = {}
    streak_metrics: frozenset[str] = frozenset()
    points_runs: bool = False


class Outlook(msgspec.Struct):
    """How many new events will move no repeating leaderboard by their metric (``late``), and how many others no
    streak, or none by points (``behind``), of which users; ``affected`` are all users who may have such events,
    those that were stored before included."""

    late: int = 0
    late_users: set[str] = set()
    behind: int = 0
    behind_users: set[str] = set()
    affected: set[str] = set()


Older = tuple[BatchItem, bool]
"""An event, and whether it is older than the newest one of its metric, or only than the user's newest one."""


def older(server: Server, items: Iterable[tuple[int, BatchItem]]) -> Iterator[Older]:
    """Find the events that will not count everywhere, of an import that is sent in the order of time."""
    for _, item in items:
        newest = server.users.get(item.user.id)
        if newest is None or item.timestamp is None:
            continue
        at_ms = parse_instant("timestamp", item.timestamp)
        if at_ms < newest.metrics.get(item.key, 0) - _LATE_MS:
            yield item, True
        elif at_ms < newest.newest_ms - _LATE_MS and (server.points_runs or item.key in server.streak_metrics):
            yield item, False


def tell(outlook: Outlook, asked: Iterable[tuple[Older, bool]]) -> None:
    """Count events that will not count everywhere; those that the server has already do not count again."""
    for (item, late), known in asked:
        outlook.affected.add(item.user.id)
        if known:
            continue
        if late:
            outlook.late += 1
            outlook.late_users.add(item.user.id)
        else:
            outlook.behind += 1
            outlook.behind_users.add(item.user.id)
