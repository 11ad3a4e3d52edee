"""From log entries to the columns of each table. Pure; the layout of an entry is in game/records.py."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from podium.game.leaderboards.ranking import GROUP_MAX, BoardName, split_board
from podium.game.records import BoardRecord, EventRecord, GroupMove, LogItem, LogRecord, decode_record
from podium.game.state import decode_state


class Item(NamedTuple):
    """A log item and where it stands: the log id of its entry, and its place there, from 0."""

    log_id: str
    place: int
    item: LogItem


Columns = list[tuple[Any, ...]]
"""One list per column, equally long."""

EVENT_COLUMNS = (
    "space_id",
    "id",
    "user_id",
    "metric",
    "units",
    "at_ms",
    "received_at",
    "idempotency_key",
    "attributes",
    "day",
    "late",
    "corrects",
    "behind",
)


class Batch(NamedTuple):
    """What a list of items adds to each table; every primary key occurs once.

    - ``events``: rows of ``EVENT_COLUMNS``
    - ``users``: id, name, email, tz, attributes (JSON), created_ms, updated_ms, newest_ms, token, state; of
      the last state of each user
    - ``keys``: user, metric, key, event id, received_ms
    - ``metric_days``: user, metric, day, change
    - ``board_entries``: leaderboard, run, group, user, value, reached_ms, rank; the last of each user
    - ``rank_days``: leaderboard, run, user, day, rank, previous rank, value, previous value; the last
      rank and value of the day, and what preceded its first change in this batch
    - ``left``: leaderboard, run, group, user; boards that a user left and has not come back to
    - ``board_days``: leaderboard, run, day, rank changes, users of a backfill who came onto it
    - ``group_days``: leaderboard, run, group, day, rank, score (as in Redis), members; the last of the day
    - ``streak_periods``: user, frequency's index, period, length, frozen, restored; the last of each period
    - ``gone_periods``: user, frequency's index, period; those that are none any more
    - ``streak_pauses``: id, user, first day, last day, deleted
    - ``user_streaks``: frequency's index, user, length, longest; the last of each user
    - ``point_awards``: id, user, system, cause, awarded, total, at_ms, day, boosts (as array text), event id
    - ``point_days``: user, system, day, change
    - ``user_points``: system, user, total; the last of each user
    - ``completions``: achievement, user, at_ms, silent
    - ``facts``: user, at_ms, kind, amount, subject
    """

    events: list[tuple[Any, ...]]
    users: Columns
    keys: Columns
    metric_days: Columns
    board_entries: Columns
    rank_days: Columns
    left: Columns
    board_days: Columns
    group_days: Columns
    streak_periods: Columns
    gone_periods: Columns
    streak_pauses: Columns
    user_streaks: Columns
    point_awards: Columns
    point_days: Columns
    user_points: Columns
    completions: Columns
    facts: Columns


_decode_items = msgspec.msgpack.Decoder(list[LogItem]).decode
_encode_json = msgspec.json.Encoder().encode


@lru_cache(maxsize=10_000)
def _day(ordinal: int) -> date:
    try:
        return date.fromordinal(ordinal)
    except (ValueError, OverflowError) as error:
        raise msgspec.ValidationError(f"no day has the ordinal {ordinal}") from error


def _moment(instant_ms: int) -> datetime:
    try:
        return datetime.fromtimestamp(instant_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise msgspec.ValidationError(f"no moment is {instant_ms} ms") from error


def read_entry(log_id: str, blob: bytes) -> list[Item]:
    """The items of a log entry; ``msgspec.DecodeError`` if it holds none that can be read."""
    return [Item(log_id, place, item) for place, item in enumerate(_decode_items(blob))]


def collect(space_id: int, items: Iterable[Item]) -> Batch:
    """The rows of ``items``, which are in the order of the log.

    Raises:
        msgspec.DecodeError: An item isn't what game/records.py says. Anything else is a fault of ours.
    """
    events: list[tuple[Any, ...]] = []
    states: dict[str, LogItem] = {}
    keys: dict[tuple[str, int, str], tuple[str, int]] = {}
    days: dict[tuple[str, int, int], int] = {}
    boards = _Boards()
    periods: dict[tuple[str, int, int], tuple[int, bool, bool]] = {}
    pauses: dict[str, tuple[Any, ...]] = {}
    gained = _Gained()
    streaks: dict[tuple[str, int], bool] = {}  # by user and frequency's index: whether it was lost
    for log_id, _, item in items:
        user = item.user
        if not item.erased:
            states[user] = item
        record = decode_record(item.record)
        event = record.event
        if record.boards:
            day = event.day if event is not None else _log_day(log_id)
            boards.add(user, day, record.boards, item.ranks, item.groups, record.filled)
        if record.streak is not None:
            for step in record.streak.periods:
                periods[user, step.track, step.period] = step.length, step.frozen, step.restored
                streaks[user, step.track] = False
            for pause in record.streak.pauses:
                pauses[pause.id] = user, _day(pause.start), _day(pause.end or pause.start), not pause.end
        if record.awards or record.completions or record.facts:
            gained.add(user, record)
            for fact in record.facts:
                if fact.kind == "streak_lost":
                    streaks[user, fact.subject] = True
        if record.streak is not None and record.streak.lost is not None:
            streaks.update({(user, step.track): record.streak.lost for step in record.streak.periods})
        if event is None:
            continue
        metric, day = event.metric, event.day
        events.append(event_row(space_id, user, event))
        if event.key is not None:
            keys.setdefault((user, metric, event.key), (event.id, event.received_ms))
        of_day = (user, metric, day)
        days[of_day] = days.get(of_day, 0) + event.units
    return Batch(
        events,
        _user_columns(states),
        transposed([(*key, *event_) for key, event_ in keys.items()], 5),
        transposed([(user, metric, _day(day), change) for (user, metric, day), change in days.items()], 4),
        transposed(boards.entries.values(), 7),
        transposed(boards.ranks.values(), 8),
        transposed(boards.left.values(), 4),
        transposed([(*key, *counts) for key, counts in boards.changes.items()], 5),
        transposed(boards.groups.values(), 7),
        transposed([(*key, *lived) for key, lived in periods.items() if lived[0]], 6),
        transposed([key for key, lived in periods.items() if not lived[0]], 3),
        transposed([(id_, *pause) for id_, pause in pauses.items()], 5),
        _streak_columns(states, streaks),
        transposed(gained.awards.values(), 10),
        transposed([(user, system, _day(day), change) for (user, system, day), change in gained.days.items()], 4),
        transposed([(system, user, total) for (user, system), total in gained.totals.items()], 3),
        transposed([(one, user, *when) for (one, user), when in gained.completions.items()], 4),
        transposed(gained.facts, 5),
    )


def event_row(space_id: int, user: str, event: EventRecord) -> tuple[Any, ...]:
    """Return a row of the table events, in the order of ``EVENT_COLUMNS``."""
    return (
        space_id,
        event.id,
        user,
        event.metric,
        event.units,
        event.at_ms,
        _moment(event.received_ms),
        event.key,
        event.attributes,
        _day(event.day),
        event.late,
        event.corrects,
        event.late or event.behind,
    )


class _Gained:
    """The rows about points, achievements and what else happened."""

    def __init__(self) -> None:
        self.awards: dict[str, tuple[Any, ...]] = {}
        self.days: dict[tuple[str, int, int], int] = {}
        self.totals: dict[tuple[str, int], int] = {}
        self.completions: dict[tuple[int, str], tuple[int, bool]] = {}
        self.facts: list[tuple[Any, ...]] = []

    def add(self, user: str, record: LogRecord) -> None:
        """What one item brought."""
        event_id = record.event.id if record.event is not None else None
        for one in record.awards:
            boosts = "{" + ",".join(map(str, one.boosts)) + "}"
            caused = event_id if one.by_event else None
            self.awards[one.id] = (
                *(one.id, user, one.system, one.cause, one.awarded, one.total, one.at_ms),
                *(_day(one.day), boosts, caused),
            )
            of_day = user, one.system, one.day
            self.days[of_day] = self.days.get(of_day, 0) + one.awarded
            self.totals[user, one.system] = one.total
        for done in record.completions:
            self.completions.setdefault((done.achievement, user), (done.at_ms, done.silent))
        for fact in record.facts:
            self.facts.append((user, fact.at_ms, fact.kind, fact.amount, fact.subject))


def _split(board: str) -> BoardName:
    try:
        return split_board(board)
    except ValueError as error:
        raise msgspec.ValidationError(f"no board is called {board}") from error


class _Boards:
    """The rows about boards; the day is that of the event, or a later one that the record names, or that of the
    commit where there is no event."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], tuple[Any, ...]] = {}
        self.left: dict[tuple[str, str], tuple[Any, ...]] = {}
        self.ranks: dict[tuple[int, str, str, int], tuple[Any, ...]] = {}
        self.changes: dict[tuple[int, str, date], tuple[int, int]] = {}
        self.groups: dict[tuple[str, str, int], tuple[Any, ...]] = {}

    def add(
        self,
        user: str,
        day: int,
        boards: list[BoardRecord],
        ranks: list[int | str],
        groups: list[GroupMove],
        filled: Collection[int] = (),
    ) -> None:
        """The boards of one item."""
        if len(ranks) != 3 * len(boards):
            raise msgspec.ValidationError(f"{len(ranks)} ranks for {len(boards)} boards")
        # Where groups are ranked, the place that is kept day by day is the one among all.
        in_groups = {f"{group.board}:{group.group}" for group in groups}
        days = {board.board: board.day for board in boards if board.day} if groups else {}
        joined: set[tuple[int, str]] = set()
        for at, board in enumerate(boards):
            if board.value == board.previous:
                continue  # named in the record only to show a new name
            before, after = int(ranks[3 * at]), int(ranks[3 * at + 1])
            self._entry(user, board, after)
            if board.value is None or board.board in in_groups:
                continue
            if filled and board.previous is None and (place := _split(board.board)).leaderboard in filled:
                if place[:2] not in joined:
                    joined.add(place[:2])
                    self._count(place.leaderboard, place.run, _day(board.day or day), joined=1)
            else:
                self._rank(user, board.day or day, board.board, board.value, board.previous, before, after)
        for group in groups:
            if len(group.group) > GROUP_MAX:
                continue  # its last member leaves it: no index holds such a name, from before there was a limit
            leaderboard, run, _ = _split(group.board)
            score = float(group.score) if group.score else None
            on = days.get(group.board, day)
            row = (leaderboard, run, group.group, _day(on), group.after, score, group.members)
            self.groups[group.board, group.group, on] = row

    def _entry(self, user: str, board: BoardRecord, rank: int) -> None:
        leaderboard, run, group = _split(board.board)
        key = board.board, user
        if board.value is None:
            self.entries.pop(key, None)
            self.left[key] = (leaderboard, run, group or "", user)
        else:
            self.left.pop(key, None)
            self.entries[key] = (leaderboard, run, group or "", user, board.value, board.reached_ms, rank)

    def _rank(
        self, user: str, day: int, board: str, value: int, previous: int | None, before: int, after: int
    ) -> None:
        leaderboard, run, _ = _split(board)
        key = leaderboard, run, user, day
        first = self.ranks.get(key)
        earlier = (before or None, previous) if first is None else (first[5], first[7])
        self.ranks[key] = (leaderboard, run, user, _day(day), after, earlier[0], value, earlier[1])
        if before != after:
            self._count(leaderboard, run, _day(day), changes=1)

    def _count(self, leaderboard: int, run: str, day: date, *, changes: int = 0, joined: int = 0) -> None:
        of_day = leaderboard, run, day
        before = self.changes.get(of_day, (0, 0))
        self.changes[of_day] = before[0] + changes, before[1] + joined


def _log_day(log_id: str) -> int:
    """The UTC day of a commit."""
    return datetime.fromtimestamp(int(log_id.partition("-")[0]) / 1000, UTC).toordinal()


def _user_columns(states: dict[str, LogItem]) -> Columns:
    rows = []
    for user, item in states.items():
        state = decode_state(item.state)
        profile = state.profile
        rows.append(
            (
                user,
                profile.name,
                profile.email,
                profile.tz,
                _encode_json(profile.attributes).decode() if profile.attributes else "{}",
                profile.created_ms,
                profile.updated_ms,
                state.newest_ms,
                item.token,
                item.state,
            )
        )
    return transposed(rows, 10)


def _streak_columns(states: dict[str, LogItem], changed: dict[tuple[str, int], bool]) -> Columns:
    rows = []
    for (user, track), lost in changed.items():
        streaks = decode_state(states[user].state).streaks
        if streaks is not None:
            one = streaks.tracks[track]
            length = one.stretches[-1].length if one.stretches and not lost else 0
            rows.append((track, user, length, one.best))
    return transposed(rows, 4)


def transposed(rows: Iterable[tuple[Any, ...]], width: int) -> Columns:
    """Return the columns of rows of so many values."""
    return list(zip(*rows, strict=True)) or [()] * width
