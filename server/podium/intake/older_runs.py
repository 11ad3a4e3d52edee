"""Standings that users' states have let go of, in runs that are not final: the one place that knows them.

A state keeps the standings of recent runs only (``outdated`` in game/leaderboards/rules.py). Older runs are nearly
always final; they are not where history was imported, or counted, in a leaderboard that is less than a day old,
or in one that is not active. There Postgres has them all. They are read as of the user's newest state, and what
an input does to them is committed for just that state, in pieces: a call of Redis is bounded, and a user may
have thousands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from podium.clock import Clock, stopwatch_s
from podium.game.errors import Conflict, Unavailable
from podium.game.inputs import Correction, Erase, Input, MoveOlder, RemoveStanding
from podium.game.leaderboards.model import Leaderboard, Standing
from podium.game.leaderboards.ranking import board_name, split_board
from podium.game.leaderboards.runs import is_named_final, run_name, run_on
from podium.game.state import UserState, decode_state
from podium.intake.batcher import Batcher, Outcome
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import RedisClient

PIECE = 50
"""Boards that one input moves: half of what a call holds."""
PATIENCE_S, LOOK_S = 5.0, 0.02
"""Postgres is waited for so long, and looked at so often, until it has the user's newest state."""
TRIES = 10
"""Times that other inputs of the user may come between before a command is given up."""

OLDER_FORMAT = 4
"""The format of states from which on they say whether there are older runs."""

Standings = dict[str, Standing]
"""By board."""

# From run to run, and in each from group to group, along the primary key: how many stand there plays no part.
_ENTRIES = """
WITH RECURSIVE asked AS (
    SELECT * FROM unnest($3::integer[], $4::text[], $5::text[]) AS a (leaderboard, first, last)
), places AS (
    SELECT a.leaderboard, a.last, p.run, p.grp FROM asked a CROSS JOIN LATERAL (
        SELECT b.run, b.grp FROM board_entries b
        WHERE b.space_id = $1 AND b.leaderboard = a.leaderboard AND b.run >= a.first
        ORDER BY b.run, b.grp LIMIT 1) p
    UNION ALL
    SELECT s.leaderboard, s.last, p.run, p.grp FROM places s CROSS JOIN LATERAL (
        SELECT b.run, b.grp FROM board_entries b
        WHERE b.space_id = $1 AND b.leaderboard = s.leaderboard AND (b.run, b.grp) > (s.run, s.grp)
        ORDER BY b.run, b.grp LIMIT 1) p
    WHERE s.run <= s.last
)
SELECT p.leaderboard, p.run, p.grp, e.value, e.reached_ms FROM places p CROSS JOIN LATERAL (
    SELECT value, reached_ms FROM board_entries b
    WHERE b.space_id = $1 AND b.leaderboard = p.leaderboard AND b.run = p.run AND b.grp = p.grp AND b.user_id = $2
    LIMIT 1) e
WHERE p.run <= p.last ORDER BY 1, 2, 3
"""
_LEADERBOARDS = """
WITH RECURSIVE found AS (
    (SELECT leaderboard FROM board_entries WHERE space_id = $1 ORDER BY leaderboard LIMIT 1)
    UNION ALL
    SELECT (SELECT b.leaderboard FROM board_entries b WHERE b.space_id = $1 AND b.leaderboard > f.leaderboard
            ORDER BY b.leaderboard LIMIT 1)
    FROM found f WHERE f.leaderboard IS NOT NULL
)
SELECT leaderboard FROM found WHERE leaderboard IS NOT NULL
"""
# The boards of final runs stay in Redis for a day.
_FINAL = """
SELECT s.leaderboard, s.run, s.grp, s.value, s.reached_ms FROM final_runs f JOIN run_standings s
    ON s.space_id = f.space_id AND s.leaderboard = f.leaderboard AND s.run = f.run
WHERE f.space_id = $1 AND f.cleared_at IS NULL AND s.user_id = $2 ORDER BY 1, 2, 3
"""
_LAST = "99999999"
"""Behind every run's name."""


class _Asked(NamedTuple):
    """Runs of a leaderboard by name, both inclusive."""

    leaderboard: int
    first: str
    last: str


class OlderStandings:
    """The older standings of one space."""

    def __init__(self, space: Space, batcher: Batcher, redis: RedisClient, pool: Pool, clock: Clock) -> None:
        self._space = space
        self._batcher = batcher
        self._redis = redis
        self._pool = pool
        self._clock = clock

    async def commit(self, command: Erase | RemoveStanding | Correction) -> Outcome:
        """Commit a command that acts on all of a user's standings, those in older runs included.

        Raises what refuses it, and ``Unavailable`` where Postgres does not catch up with the user.
        """
        if isinstance(command, Correction):
            return await self._batcher.submit(await self._with_held(command))
        for _ in range(TRIES):
            try:
                return await self._batcher.submit(await self._taken_off(command))
            except Conflict:
                continue  # an input of the user came between: it is all read anew
        raise Unavailable("the user's score keeps changing, try again")

    async def regroup(self, user: str, attributes: dict[str, str]) -> None:
        """Move a user's standings in older runs to the groups that these attributes are in; those in recent runs
        stay, as the input that brings the attributes moves them."""
        for _ in range(TRIES):
            found = await self._state(user)
            if found is None:
                return
            token, state = found
            asked = [
                one
                for one in self._asked(state)
                if (board := self._space.index.leaderboard_by_number.get(one.leaderboard)) is not None
                and (board.group_by is not None or board.breakdown_attributes or board.user_attributes)
            ]
            try:
                held = await self._settled(user, token, asked)
                await self._move(user, token, self._without_final(held, state), attributes)
            except Conflict:
                continue
            return
        raise Unavailable("the user's score keeps changing, try again")

    async def _taken_off(self, command: Erase | RemoveStanding) -> Input:
        """Take the user off older runs; the command that does the rest, for the state that this leaves."""
        user = command.user
        if isinstance(command, RemoveStanding) and command.block is False:
            return command
        found = await self._state(user)
        if found is None:
            return command
        token, state = found
        if isinstance(command, Erase):
            asked = await self._all(user, state)
            if asked is None:
                return command
            held = await self._settled(user, token, asked, erases=True)
        else:
            asked = [one for one in self._asked(state) if one.leaderboard == command.leaderboard]
            if command.run is not None:
                asked = [one._replace(first=command.run, last=command.run) for one in asked]
            if not asked:
                return command
            held = self._without_final(await self._settled(user, token, asked), state)
        older = {board: standing for board, standing in held.items() if board not in state.boards}
        return msgspec.structs.replace(command, read_at=await self._move(user, token, older, None))

    async def _with_held(self, command: Correction) -> Correction:
        """The correction with the user's standings in runs of its day that the state has let go of."""
        found = await self._state(command.user)
        if found is None or found[0] != command.read_at:
            return command  # which is refused
        token, state = found
        by_number = self._space.index.leaderboard_by_number
        asked = []
        for one in self._asked(state):
            run = run_on(by_number[one.leaderboard], command.day)
            if run is not None and (name := run_name(by_number[one.leaderboard], run)) <= one.last:
                asked.append(_Asked(one.leaderboard, name, name))
        if not asked:
            return command
        held = self._without_final(await self._settled(command.user, token, asked), state)
        return msgspec.structs.replace(command, held=held)

    async def _move(self, user: str, token: str, held: Standings, attributes: dict[str, str] | None) -> str:
        """Commit what becomes of older standings; the token of the state after it."""
        for piece in _pieces(held):
            moved = await self._batcher.submit(MoveOlder(user, piece, self._clock(), token, attributes))
            token = moved.token
        return token

    async def _state(self, user: str) -> tuple[str, UserState] | None:
        """Token and state as Redis has them; None for an unknown user."""
        for _ in range(TRIES):
            epoch = self._space.epoch
            if epoch is None:
                raise Unavailable("Redis is being rebuilt")
            reply = await self._redis.call("load", self._space.keys.meta, epoch, user)
            if reply[0] != 0:
                raise Unavailable("Redis is being rebuilt")
            token, blob = reply[1]
            if not token:
                return None
            if token != b"cold":
                return token.decode(), decode_state(blob)
            await self._batcher.thaw([user])
        raise Unavailable("the user's state is on its way between the stores")

    def _asked(self, state: UserState) -> list[_Asked]:
        """The runs that are not final and that the state may have let go of."""
        asked = []
        for board in self._space.index.catalog.leaderboards:
            # A state that an earlier release made may have let go of any run.
            last = state.older.get(board.number, _LAST if state.format < OLDER_FORMAT else None)
            if last is None or board.run_unit is None:
                continue
            first = ""
            if board.final_until is not None and (run := run_on(board, board.final_until)) is not None:
                first = run_name(board, run)
            if first <= last:
                asked.append(_Asked(board.number, first, last))
        return asked

    async def _all(self, user: str, state: UserState) -> list[_Asked] | None:
        """All runs; None where the state has let go of none, so that Postgres need not have caught up."""
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(_LEADERBOARDS, self._space.id)
            asked = [_Asked(row["leaderboard"], "", _LAST) for row in rows]
            if state.older or state.format < OLDER_FORMAT:
                return asked
            stored = await self._read(connection, user, asked, final=True)
        return asked if any(board not in state.boards for board in stored) else None

    async def _settled(self, user: str, token: str, asked: list[_Asked], *, erases: bool = False) -> Standings:
        """The user's standings, by board, once Postgres has the state with this token.

        Who is erased leaves boards of final runs, too, and is not kept because Postgres refused an entry.
        """
        give_up_s = stopwatch_s() + PATIENCE_S
        while True:
            async with acquired(self._pool) as connection:
                stored = await connection.fetchval(
                    "SELECT token FROM users WHERE space_id = $1 AND id = $2", self._space.id, user
                )
                given_up = stopwatch_s() >= give_up_s
                if stored == token or (given_up and erases):
                    return await self._read(connection, user, asked, final=erases)
            if given_up:
                raise Unavailable("the user's events are on their way to Postgres, try again")
            await asyncio.sleep(LOOK_S)
            found = await self._state(user)
            if found is None or found[0] != token:
                raise Conflict("the user's score is changing, try again")

    async def _read(self, connection: PoolConnection, user: str, asked: list[_Asked], *, final: bool) -> Standings:
        numbers, firsts, lasts = zip(*asked, strict=True) if asked else ((), (), ())
        rows = await connection.fetch(_ENTRIES, self._space.id, user, numbers, firsts, lasts)
        if final:
            rows += await connection.fetch(_FINAL, self._space.id, user)
        return {
            board_name(leaderboard, run, group or None): Standing(value, reached_ms)
            for leaderboard, run, group, value, reached_ms in rows
        }

    def _without_final(self, held: Standings, state: UserState) -> Standings:
        by_number = self._space.index.leaderboard_by_number
        return {
            board: standing
            for board, standing in held.items()
            if board not in state.boards and _is_open(by_number, board)
        }


def _is_open(by_number: Mapping[int, Leaderboard], board: str) -> bool:
    number, run, _ = split_board(board)
    leaderboard = by_number.get(number)
    return leaderboard is not None and not is_named_final(leaderboard, run)


def _pieces(held: Standings) -> Iterator[Standings]:
    """Standings some at a time; those of a run stay together."""
    piece: Standings = {}
    last: tuple[int, str] | None = None
    for board in sorted(held, key=_sort_key):
        name = split_board(board)
        if len(piece) >= PIECE and (name.leaderboard, name.run) != last:
            yield piece
            piece = {}
        piece[board] = held[board]
        last = name.leaderboard, name.run
    if piece:
        yield piece


def _sort_key(board: str) -> tuple[int, str, str]:
    """Leaderboard, run and group of a board, to sort by."""
    number, run, group = split_board(board)
    return number, run, group or ""
