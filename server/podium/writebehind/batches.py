"""From log entries to the columns of each table. Pure; the layout of an entry is in storage/redis/wire.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from podium.game.leaderboards.ranking import GROUP_MAX, board_name, split_board
from podium.game.records import EventRecord, GroupMove, LogItem, LogRecord, decode_record
from podium.game.state import StateHead, decode_head
from podium.storage.redis.wire import decode_entry


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
    """The rows that a list of items adds to each table; every primary key occurs once.

    - ``events``: rows of ``EVENT_COLUMNS``
    - ``users``: id, name, email, tz, attributes (JSON), created_ms, updated_ms, newest_ms, token, state; of
      the last state of each user
    - ``keys``: user, metric, key, event id, received_ms
    - ``metric_days``: user, metric, day, change
    - ``place_days``: user, day, and as JSON by board [rank, value]: the last of the day, and what preceded the
      first change in this batch
    - ``board_days``: leaderboard, run, day, rank changes, users whose first change of the day it was, users of a
      backfill who came onto it
    - ``newcomers``: leaderboard, run, user, day, first day of the run, whether the user came onto the board; whose
      first change of the day it was only if Postgres holds none
    - ``board_entries``: leaderboard, run, group, user, value, reached_ms, rank; the last of each user. Standings
      that states have let go of, and all of records that don't say which those are
    - ``left``: leaderboard, run, group, user; boards that a user left and has not come back to
    - ``board_groups``: leaderboard, run, group; where somebody came in
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
    place_days: Columns
    board_days: Columns
    newcomers: Columns
    board_entries: Columns
    left: Columns
    board_groups: Columns
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


def read_entry(log_id: str, fields: Mapping[bytes, bytes]) -> list[Item]:
    """The items of a log entry; ``msgspec.DecodeError`` if it holds none that can be read."""
    return [Item(log_id, place, item) for place, item in enumerate(decode_entry(fields))]


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
        if record.boards or record.dropped:
            day = event.day if event is not None else _log_day(log_id)
            boards.add(user, day, record, item.ranks, item.groups)
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
    heads = {user: decode_head(item.state) for user, item in states.items()}
    return Batch(
        events,
        _user_columns(states, heads),
        transposed([(*key, *event_) for key, event_ in keys.items()], 5),
        transposed([(user, metric, _day(day), change) for (user, metric, day), change in days.items()], 4),
        boards.place_columns(),
        boards.day_columns(),
        transposed(boards.newcomers.values(), 6),
        transposed(boards.entries.values(), 7),
        transposed(boards.left.values(), 4),
        transposed(boards.inhabited, 3),
        transposed(boards.groups.values(), 7),
        transposed([(*key, *lived) for key, lived in periods.items() if lived[0]], 6),
        transposed([key for key, lived in periods.items() if not lived[0]], 3),
        transposed([(id_, *pause) for id_, pause in pauses.items()], 5),
        _streak_columns(heads, streaks),
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
        """Add the awards, completions and facts of one item."""
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


class _Board(NamedTuple):
    """The parts of a board's name; ``key`` is that of its run in ``place_days``. No change in the run lies before
    ``first_day``."""

    leaderboard: int
    run: str
    group: str
    key: str
    first_day: date


@lru_cache(maxsize=10_000)
def _split(board: str) -> _Board:
    try:
        leaderboard, run, group = split_board(board)
    except ValueError as error:
        raise msgspec.ValidationError(f"no board is called {board}") from error
    try:
        first_day = date(int(run[:4]), int(run[4:6]), int(run[6:]))
    except ValueError:
        first_day = date.min
    return _Board(leaderboard, run, group or "", board_name(leaderboard, run), first_day)


class _Places(NamedTuple):
    """A user's places of a day, by board: rank and value."""

    last: dict[str, tuple[int, int]]
    former: dict[str, tuple[int | None, int | None]]


class _Boards:
    """The rows about boards; the day is that of the event, or a later one that the record names, or that of the
    commit where there is no event."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, int], _Places] = {}
        self.counts: dict[tuple[str, int], list[int]] = {}
        self.newcomers: dict[tuple[str, str, int], tuple[Any, ...]] = {}
        self.entries: dict[tuple[str, str], tuple[Any, ...]] = {}
        self.left: dict[tuple[str, str], tuple[Any, ...]] = {}
        self.inhabited: set[tuple[int, str, str]] = set()
        self.groups: dict[tuple[str, str, int], tuple[Any, ...]] = {}

    def add(
        self, user: str, event_day: int, record: LogRecord, ranks: list[int | str], groups: list[GroupMove]
    ) -> None:
        """The boards of one item."""
        boards = record.boards
        if len(ranks) != 3 * len(boards):
            raise msgspec.ValidationError(f"{len(ranks)} ranks for {len(boards)} boards")
        # Where groups are ranked, the place that is kept day by day is the one among all.
        in_groups = {f"{group.board}:{group.group}" for group in groups} if groups else ()
        # A record of an earlier release says neither what the state let go of nor what is the first of the day.
        is_older = record.dropped is None
        filled = record.filled
        joined: set[str] = set()
        for at, board in enumerate(boards):
            value, previous = board.value, board.previous
            if value == previous:
                continue  # named in the record only to show a new name
            name = _split(board.board)
            if value is None:
                self._leave(user, board.board, name)
                continue
            before, after = int(ranks[3 * at]), int(ranks[3 * at + 1])
            if previous is None and name.group:
                self.inhabited.add(name[:3])
            if is_older:
                self._keep(user, board.board, name, value, board.reached_ms, after)
            if board.board in in_groups:
                continue
            day, key = board.day or event_day, name.key
            if filled and previous is None and name.leaderboard in filled:
                if key not in joined:
                    joined.add(key)
                    self._counts(key, day)[2] += 1
                continue
            last, former = self.places.get((user, day)) or self._open(user, day)
            is_active = False
            if key not in former:
                former[key] = before or None, previous
                if previous is None or is_older:
                    row = (name.leaderboard, name.run, user, _day(day), name.first_day, previous is None)
                    self.newcomers[user, key, day] = row
                else:
                    is_active = board.first
            last[key] = after, value
            if is_active or before != after:
                counts = self._counts(key, day)
                counts[0] += before != after
                counts[1] += is_active
        for one in record.dropped or ():
            self._keep(user, one.board, _split(one.board), one.value, one.reached_ms, 0)
        if groups:
            days = {board.board: board.day for board in boards if board.day}
            for group in groups:
                self._group(days.get(group.board, event_day), group)

    def place_columns(self) -> Columns:
        """The columns of ``place_days``."""
        rows = [
            (user, _day(day), _encode_json(last).decode(), _encode_json(former).decode())
            for (user, day), (last, former) in self.places.items()
        ]
        return transposed(rows, 4)

    def day_columns(self) -> Columns:
        """The columns of ``board_days``."""
        rows = [(*_split(key)[:2], _day(day), *counts) for (key, day), counts in self.counts.items()]
        return transposed(rows, 6)

    def _counts(self, run: str, day: int) -> list[int]:
        """Rank changes, users who were active, and users of a backfill of a day."""
        return self.counts.get((run, day)) or self.counts.setdefault((run, day), [0, 0, 0])

    def _open(self, user: str, day: int) -> _Places:
        places = self.places[user, day] = _Places({}, {})
        return places

    def _keep(self, user: str, board: str, name: _Board, value: int, reached_ms: int, rank: int) -> None:
        key = board, user
        self.left.pop(key, None)
        self.entries[key] = (*name[:3], user, value, reached_ms, rank)

    def _leave(self, user: str, board: str, name: _Board) -> None:
        key = board, user
        self.entries.pop(key, None)
        self.left[key] = (*name[:3], user)

    def _group(self, day: int, group: GroupMove) -> None:
        if len(group.group) > GROUP_MAX:
            return  # its last member leaves it: no index holds such a name, from before there was a limit
        leaderboard, run = _split(group.board)[:2]
        score = float(group.score) if group.score else None
        row = (leaderboard, run, group.group, _day(day), group.after, score, group.members)
        self.groups[group.board, group.group, day] = row


def _log_day(log_id: str) -> int:
    """The UTC day of a commit."""
    return datetime.fromtimestamp(int(log_id.partition("-")[0]) / 1000, UTC).toordinal()


def _user_columns(states: dict[str, LogItem], heads: dict[str, StateHead]) -> Columns:
    rows = []
    for user, item in states.items():
        head = heads[user]
        profile = head.profile
        rows.append(
            (
                user,
                profile.name,
                profile.email,
                profile.tz,
                _encode_json(profile.attributes).decode() if profile.attributes else "{}",
                profile.created_ms,
                profile.updated_ms,
                head.newest_ms,
                item.token,
                item.state,
            )
        )
    return transposed(rows, 10)


def _streak_columns(heads: dict[str, StateHead], changed: dict[tuple[str, int], bool]) -> Columns:
    rows = []
    of_users = {user: heads[user].streaks for user, _ in changed}
    for (user, track), lost in changed.items():
        streaks = of_users[user]
        if streaks is not None:
            one = streaks.tracks[track]
            length = one.stretches[-1].length if one.stretches and not lost else 0
            rows.append((track, user, length, one.best))
    return transposed(rows, 4)


def transposed(rows: Iterable[tuple[Any, ...]], width: int) -> Columns:
    """Return the columns of rows of so many values."""
    return list(zip(*rows, strict=True)) or [()] * width
