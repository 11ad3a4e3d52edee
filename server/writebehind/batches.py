"""From log entries to the columns of each table. Pure; the layout of an entry is in engine/records.py."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from server.engine.records import LogItem, LogRecord, decode_record
from server.engine.state import decode_state
from server.features.leaderboards.ranking import split_board


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
)


class Batch(NamedTuple):
    """What a list of items adds to each table; every primary key occurs once.

    - ``events``: rows of ``EVENT_COLUMNS``
    - ``users``: id, name, email, tz, attributes (JSON), created_ms, updated_ms, newest_ms, token, state; of
      the last state of each user
    - ``keys``: user, metric, key, event id, received_ms
    - ``metric_days``: user, metric, day, change
    - ``board_entries``: leaderboard, run, user, value, reached_ms, rank; the last of each user
    - ``rank_days``: leaderboard, run, user, day, rank, previous rank, value, previous value; the last
      rank and value of the day, and what preceded its first change in this batch
    """

    events: list[tuple[Any, ...]]
    users: Columns
    keys: Columns
    metric_days: Columns
    board_entries: Columns
    rank_days: Columns


_decode_items = msgspec.msgpack.Decoder(list[LogItem]).decode
_encode_json = msgspec.json.Encoder().encode
_day = lru_cache(maxsize=10_000)(date.fromordinal)
_board = lru_cache(maxsize=10_000)(split_board)


def read_entry(log_id: str, blob: bytes) -> list[Item]:
    """The items of a log entry; ``msgspec.DecodeError`` if it holds none that can be read."""
    return [Item(log_id, place, item) for place, item in enumerate(_decode_items(blob))]


def collect(space_id: int, items: Iterable[Item]) -> Batch:
    """The rows of ``items``, which are in the order of the log.

    ``msgspec.DecodeError`` or ``ValueError`` if an item isn't what engine/records.py says.
    """
    events: list[tuple[Any, ...]] = []
    states: dict[str, LogItem] = {}
    keys: dict[tuple[str, int, str], tuple[str, int]] = {}
    days: dict[tuple[str, int, int], int] = {}
    entries: dict[tuple[str, str], tuple[Any, ...]] = {}
    ranks: dict[tuple[str, str, int], tuple[Any, ...]] = {}
    for _, _, item in items:
        user = item.user
        states[user] = item
        record = decode_record(item.record)
        event = record.event
        if event is None:
            continue
        metric, day = event.metric, event.day
        received_at = datetime.fromtimestamp(event.received_ms / 1000, UTC)
        events.append(
            (
                space_id,
                event.id,
                user,
                metric,
                event.units,
                event.at_ms,
                received_at,
                event.key,
                event.attributes,
            )
        )
        if event.key is not None:
            keys.setdefault((user, metric, event.key), (event.id, event.received_ms))
        of_day = (user, metric, day)
        days[of_day] = days.get(of_day, 0) + event.units
        if record.boards:
            _collect_boards(user, day, record, item.ranks, entries, ranks)
    return Batch(
        events,
        _user_columns(states),
        _columns([(*key, *event_) for key, event_ in keys.items()], 5),
        _columns([(user, metric, _day(day), change) for (user, metric, day), change in days.items()], 4),
        _columns(entries.values(), 6),
        _columns(ranks.values(), 8),
    )


def _collect_boards(
    user: str,
    day: int,
    record: LogRecord,
    ranks: list[int | str],
    entries: dict[tuple[str, str], tuple[Any, ...]],
    rank_days: dict[tuple[str, str, int], tuple[Any, ...]],
) -> None:
    if len(ranks) != 3 * len(record.boards):
        raise ValueError(f"{len(ranks)} ranks for {len(record.boards)} boards")
    for at, board in enumerate(record.boards):
        if board.value == board.previous:
            continue  # named in the record only to show a new display name
        name, value, after = board.board, board.value, ranks[3 * at + 1]
        leaderboard, run = _board(name)
        entries[name, user] = (leaderboard, run, user, value, board.reached_ms, after)
        first = rank_days.get((name, user, day))
        before, previous = (ranks[3 * at] or None, board.previous) if first is None else (first[5], first[7])
        row = (leaderboard, run, user, _day(day), after, before, value, previous)
        rank_days[name, user, day] = row


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
    return _columns(rows, 10)


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> Columns:
    return list(zip(*rows, strict=True)) or [()] * width
