"""From what the rules concluded to an input of the commit function, and from its ranks to places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from podium.game.apply import Applied
from podium.game.catalog import CatalogIndex
from podium.game.inputs import Correction, CountHistory, Erase, Event, Input, MoveOlder
from podium.game.leaderboards.labels import label
from podium.game.leaderboards.model import Leaderboard, Order
from podium.game.leaderboards.ranking import board_name, member, score, split_board
from podium.game.records import encode_record
from podium.game.state import UserState, encode_state
from podium.intake.idempotency import event_hash, key_hash
from podium.storage.redis.wire import AGGREGATES, NO_CHANGE, TIES, BoardRules, CommitInput, Move, Rest


class Placing(NamedTuple):
    """A user's place on a board, before and after: ranks from 1, 0 for "not on it".

    ``threshold`` is the score (ranking.units) of the last place that counts; None while the board is not full.
    """

    board: str
    before: int
    after: int
    threshold: int | None


_ARCHIVED = Leaderboard("", 0, "", "", "", date.min)


class _Board(NamedTuple):
    """A board as a commit needs it: ``rules`` for the function, the order of its scores."""

    rules: BoardRules
    order: Order
    grouped: bool


@lru_cache(maxsize=10_000)
def _board(index: CatalogIndex, board: str) -> _Board:
    name = split_board(board)
    # One that is archived is ranked as it was.
    leaderboard = index.leaderboard_by_number.get(name.leaderboard, _ARCHIVED)
    rules = (board, TIES[leaderboard.tie_rule], leaderboard.max_participants or 0)
    if name.group is None or leaderboard.group_by is None:
        return _Board(rules, leaderboard.order, grouped=False)
    run = board_name(name.leaderboard, name.run)
    how = (AGGREGATES[leaderboard.aggregate], leaderboard.aggregate_top, leaderboard.min_members)
    return _Board((*rules, run, name.group, *how), leaderboard.order, grouped=True)


def encode_input(
    index: CatalogIndex, input_: Input, applied: Applied, before: UserState | None, expected: str, token: str
) -> CommitInput:
    """Return one input of the call: ``before`` is the state with the token ``expected`` ("" for a new user)."""
    user = input_.user
    state = applied.state
    old_boards = before.boards if before is not None else {}
    if isinstance(input_, Correction | CountHistory | MoveOlder):
        old_boards = {**input_.held, **old_boards}
    moves: list[Move] = []
    for board, new in applied.changes.items():
        old = old_boards.get(board)
        rules, order, grouped = _board(index, board)
        change = NO_CHANGE
        if grouped:
            units = (new.value if new is not None else 0) - (old.value if old is not None else 0)
            change = str(score(units, order))
        moves.append(
            (
                rules,
                member(old.reached_ms, user) if old is not None else "",
                member(new.reached_ms, user) if new is not None else "",
                str(score(new.value, order)) if new is not None else "",
                str(score(old.value, order)) if old is not None else "",
                change,
            )
        )
    erased = isinstance(input_, Erase)
    due = str(state.due_ms) if state.due_ms != (before.due_ms if before is not None else 0) else ""
    rest = None
    if due or erased or applied.relabelled or applied.dropped:
        rest = Rest(applied.relabelled, due, applied.dropped, erased)
    keyed_since, hashed, event_hashed, event_id = -1, "", "", ""
    if isinstance(input_, Event) and input_.key is not None and applied.metric is not None:
        number = applied.metric.number
        keyed_since = before.keyed_since if before is not None else -1
        hashed = key_hash(number, input_.key)
        event_hashed, event_id = event_hash(user, number, input_.key), input_.id
    return CommitInput(
        user,
        expected,
        token,
        "" if erased else encode_state(state),
        encode_record(applied.record),
        label(state.profile.name, state.profile.attributes),
        moves,
        rest,
        keyed_since,
        hashed,
        event_hashed,
        event_id,
    )


def placings(boards: Iterable[str], ranks: Sequence[Any]) -> list[Placing]:
    """The ranks of an accepted input, board by board: three numbers each (storage/redis/wire.py)."""
    return [
        Placing(
            board,
            ranks[3 * i],
            ranks[3 * i + 1],
            None if ranks[3 * i + 2] == "" else -int(ranks[3 * i + 2]),
        )
        for i, board in enumerate(boards)
    ]
