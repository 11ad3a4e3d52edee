"""The commit call as values: what goes to the Redis function and what comes back (functions/podium.lua)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

import msgspec

from podium.game.apply import Applied
from podium.game.catalog import CatalogIndex
from podium.game.inputs import Correction, CountHistory, Erase, Event, Input, MoveOlder
from podium.game.leaderboards.labels import label
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.ranking import AGGREGATES, TIES, board_name, member, score, split_board
from podium.game.records import encode_record
from podium.game.state import UserState, encode_state
from podium.intake.idempotency import event_hash, key_hash

DONE, EPOCH, CATALOG, FULL, OLD, GENERATION, BEHIND, UNCONFIRMED = range(8)
"""First element of a call's reply."""
ACCEPTED, STALE, REPLAY, COLD, NOT_FINITE, GROUP_SUM, FAILED = range(7)
"""Status of one input in a call that was done."""


class Placing(NamedTuple):
    """Where a user stands on a board: ranks from 1, 0 for "not on it"; ``threshold`` in units (ranking.units), of
    the last place that counts, None while the board is not full."""

    board: str
    before: int
    after: int
    threshold: int | None


_ARCHIVED = Leaderboard("", 0, "", "", "", date.min)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def encode_input(
    index: CatalogIndex, input_: Input, applied: Applied, before: UserState | None, expected: str, token: str
) -> list[Any]:
    """One input of the call: ``before`` is the state with the token ``expected`` ("" for a new user)."""
    user = input_.user
    state = applied.state
    old_boards = before.boards if before is not None else {}
    if isinstance(input_, Correction | CountHistory | MoveOlder):
        old_boards = {**input_.held, **old_boards}
    moves = []
    for board, new in applied.changes.items():
        old = old_boards.get(board)
        name = split_board(board)
        leaderboard = index.leaderboard_by_number.get(name.leaderboard)
        if leaderboard is None:  # archived: its boards are ranked as they were
            leaderboard = _ARCHIVED
        order = leaderboard.order
        move = [
            board,
            member(old.reached_ms, user) if old is not None else "",
            member(new.reached_ms, user) if new is not None else "",
            str(score(new.value, order)) if new is not None else "",
            leaderboard.max_participants or 0,
            TIES[leaderboard.tie_rule],
            str(score(old.value, order)) if old is not None else "",
        ]
        if name.group is not None and leaderboard.group_by is not None:
            change = (new.value if new is not None else 0) - (old.value if old is not None else 0)
            move += [
                board_name(name.leaderboard, name.run),
                name.group,
                AGGREGATES[leaderboard.aggregate],
                leaderboard.aggregate_top,
                leaderboard.min_members,
                str(score(change, order)),
            ]
        moves.append(move)
    hashed = event_hashed = event_id = ""
    if isinstance(input_, Event) and input_.key is not None and applied.metric is not None:
        hashed = key_hash(applied.metric.number, input_.key)
        event_hashed = event_hash(user, applied.metric.number, input_.key)
        event_id = input_.id
    erased = isinstance(input_, Erase)
    return [
        user,
        expected,
        token,
        "" if erased else encode_state(state),
        encode_record(applied.record),
        hashed,
        label(state.profile.name, state.profile.attributes),
        applied.relabelled,
        moves,
        applied.dropped,
        str(state.due_ms) if state.due_ms != (before.due_ms if before is not None else 0) else "",
        erased,
        event_hashed,
        event_id,
    ]


def size_of(entry: list[Any]) -> int:
    """Characters of the texts of an encoded input that have no limit of their own: state, record, label."""
    return len(entry[3]) + len(entry[4]) + len(entry[6])


def encode_inputs(inputs: list[list[Any]]) -> bytes:
    """The packed inputs of a call."""
    return _encode(inputs)


def decode_reply(reply: bytes) -> list[Any]:
    """The unpacked reply of a call."""
    decoded: list[Any] = _decode(reply)
    return decoded


def placings(boards: Iterable[str], ranks: list[Any]) -> list[Placing]:
    """The ranks of an accepted input, board by board: three numbers each (functions/podium.lua)."""
    return [
        Placing(
            board,
            ranks[3 * i],
            ranks[3 * i + 1],
            None if ranks[3 * i + 2] == "" else -int(ranks[3 * i + 2]),
        )
        for i, board in enumerate(boards)
    ]
