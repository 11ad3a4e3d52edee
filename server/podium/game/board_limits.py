"""Limit the boards that one event may move: Redis serves nobody else while it moves them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.leaderboards.model import Leaderboard

MOVES_MAX = 100
"""Most boards that one event may move. Redis takes 2 ms for a call of so many, 18 µs each."""


def check_moves(before: Catalog, after: Catalog) -> None:
    """Check that a new catalog doesn't let an event move too many boards.

    A catalog that had too many ``before`` may stay as it is, since its users' events must count.

    Raises:
        Unprocessable: Events of a metric would move more boards than ``MOVES_MAX``, and than before.
    """
    over = moves_over(after)
    if not over:
        return
    known = moves_over(before)
    for key, moves in over.items():
        if moves > known.get(key, MOVES_MAX):
            raise Unprocessable(
                f"one event of the metric {key} would move {moves:,} boards: {MOVES_MAX} is the most, of the"
                " active leaderboards by it, by streak and by points that it may bring; with groupBy one is two"
            )


def moves_over(catalog: Catalog) -> dict[str, int]:
    """Return the number of boards that one event moves on the busiest day, by key of metrics that exceed
    ``MOVES_MAX``."""
    boards: dict[str, list[Leaderboard]] = defaultdict(list)
    weights: Counter[str] = Counter()
    for board in catalog.leaderboards:
        if board.status == "active":
            boards[board.source_id].append(board)
            weights[board.source_id] += _weight(board)
    if weights.total() <= MOVES_MAX:
        return {}
    found = {}
    for key, sources in _sources(catalog):
        if sum(weights[source] for source in sources) > MOVES_MAX:
            moves = _busiest(board for source in sources for board in boards[source])
            if moves > MOVES_MAX:
                found[key] = moves
    return found


def _weight(board: Leaderboard) -> int:
    """Return the number of boards that a score on a leaderboard moves."""
    return 1 if board.group_by is None else 2


def _sources(catalog: Catalog) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric's key, with the sources of leaderboards (``Leaderboard.source_id``) that its events
    move."""
    extending = {wanted.metric_id for settings in catalog.streaks for wanted in settings.metrics}
    systems: dict[str, set[str]] = defaultdict(set)
    for trigger in catalog.triggers:
        if trigger.status == "active":
            # Triggers by achievement, time or the user's creation may fire at an event of any metric.
            by = trigger.metric_id if trigger.type == "metric" else trigger.type
            systems[by or ""].add(trigger.system_id)
    always = systems["achievement"] | systems["time"] | systems["user_creation"]
    for metric in catalog.metrics:
        sources = {metric.id} | always | systems[metric.id]
        if metric.id in extending:
            sources |= {""} | systems["streak"]
        yield metric.key, sources


def _busiest(boards: Iterable[Leaderboard]) -> int:
    """Return the greatest number of boards that are moved on one day."""
    changes: Counter[date] = Counter()
    for board in boards:
        first = board.start
        if board.final_until is not None:
            first = max(first, board.final_until + timedelta(days=1))
        if board.end is not None and board.end < first:
            continue
        changes[first] += _weight(board)
        if board.end is not None and board.end < date.max:
            changes[board.end + timedelta(days=1)] -= _weight(board)
    most = moved = 0
    for day in sorted(changes):
        moved += changes[day]
        most = max(most, moved)
    return most
