"""The part of a space's log beyond a snapshot of Postgres, about some users: as if it had been flushed.

For whoever must know a user's newest state and rows at once: a user who posts all the time is always a little
ahead of Postgres.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from podium.game.errors import Unavailable
from podium.game.leaderboards.ranking import board_name, split_board
from podium.game.records import LogItem, decode_record
from podium.spaces.continuity import read_position
from podium.spaces.space import Space
from podium.storage.postgres.pool import PoolConnection
from podium.storage.redis.client import AWAY, RedisClient
from podium.writebehind.batches import read_entry

PAGE_ENTRIES = 64
"""Log entries read in one call: Redis serves nobody else meanwhile."""
PAGES = 20
"""Pages beyond which the log is too long to be read through: Postgres is away, or far behind."""

Entry = tuple[str, str, int, int]
"""User, board, value, instant (ms) at which it was reached."""


@dataclass(slots=True)
class Tail:
    """By users and in order: ``states`` (user, token, blob), ``scores`` of events and awards ((user, source),
    instant in ms, units, local day, whether late), ``periods`` of streaks ((user, track,
    period), (length, whether frozen)) and ``boards`` ((user, board), value and instant, None for one that was
    left)."""

    states: list[tuple[str, str, str]] = field(default_factory=list)
    scores: list[tuple[tuple[str, int], int, int, date, bool]] = field(default_factory=list)
    periods: list[tuple[tuple[str, int, int], tuple[int, bool]]] = field(default_factory=list)
    boards: list[tuple[tuple[str, str], tuple[int, int] | None]] = field(default_factory=list)

    def add(self, item: LogItem) -> None:
        """Append what an item says."""
        user, record = item.user, decode_record(item.record)
        self.states.append((user, item.token, item.state))
        event = record.event
        if event is not None:
            day = date.fromordinal(event.day)
            score = ((user, event.metric), event.at_ms, event.units, day, event.late)
            self.scores.append(score)
        for award in record.awards:
            day = date.fromordinal(award.day)
            self.scores.append(((user, award.system), award.at_ms, award.awarded, day, False))
        for step in record.streak.periods if record.streak is not None else ():
            self.periods.append(((user, step.track, step.period), (step.length, step.frozen)))
        for board in record.boards:
            standing = None if board.value is None else (board.value, board.reached_ms)
            self.boards.append(((user, board.board), standing))

    def over(self, entries: Iterable[Entry], runs: Collection[tuple[str, str]]) -> Iterator[Entry]:
        """The entries of ``runs`` (user, name of the board of all) as they are once these have been flushed."""
        found: dict[tuple[str, str], tuple[int, int] | None] = {
            (user, board): (value, reached_ms) for user, board, value, reached_ms in entries
        }
        found |= {
            (user, board): standing
            for (user, board), standing in self.boards
            if (user, board_name(*split_board(board)[:2])) in runs
        }
        for (user, board), standing in found.items():
            if standing is not None:
                yield user, board, *standing


async def read_tail(connection: PoolConnection, redis: RedisClient, space: Space, users: Collection[str]) -> Tail:
    """Return what the log holds about ``users`` beyond what ``connection`` sees. Nothing where the log has been
    trimmed meanwhile, or is too long: tokens say then that Postgres was behind. ``Unavailable`` where Redis is
    away."""
    position = await read_position(connection, space.id)
    if position is None or position.epoch != space.epoch:
        return Tail()
    tail, asked, last = Tail(), set(users), position.log_id
    for _ in range(PAGES):
        try:
            page = await redis.raw.xrange(space.keys.log, min=last, count=PAGE_ENTRIES + 1)
        except AWAY as error:
            raise Unavailable("Redis is away") from error
        if not page or page[0][0].decode() != last:
            return Tail()
        for log_id, fields in page[1:]:
            for _, _, item in read_entry(log_id.decode(), fields):
                if item.user in asked and not item.erased:
                    tail.add(item)
        if len(page) <= PAGE_ENTRIES:
            return tail
        last = page[-1][0].decode()
    return Tail()
