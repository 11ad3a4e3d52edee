"""Previews of a user's ranks after an action."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from podium.console.pages.actions.action import Asked, bdi
from podium.game.apply import Applied
from podium.game.errors import Unavailable
from podium.game.leaderboards.model import Leaderboard, Standing
from podium.game.leaderboards.ranking import is_ranked, member, score, split_board
from podium.game.leaderboards.rules import ranked
from podium.storage.redis.client import AWAY

SHOWN = 12
"""Most leaderboards that a preview names; of the others it gives the number."""


async def boards_become(asked: Asked, after: Applied) -> list[Markup]:
    """Return a sentence for each leaderboard that would change, with the ranks before and after."""
    found = []
    before = ranked(asked.state.boards)
    for name, standing in after.changes.items():
        board = asked.index.leaderboard_by_number.get(split_board(name).leaderboard)
        if board is not None and is_ranked(name) and standing != before.get(name):
            found.append((name, board, before.get(name), standing))
    sentences = [await _becomes(asked, *one) for one in found[:SHOWN]]
    if len(found) > SHOWN:
        sentences.append(Markup("So do the places on {} more leaderboards.").format(len(found) - SHOWN))
    return sentences


async def _becomes(
    asked: Asked, name: str, board: Leaderboard, was: Standing | None, will: Standing | None
) -> Markup:
    run = split_board(name).run
    where = bdi(board.name) + (f", run of {run[:4]}-{run[4:6]}-{run[6:]}" if run else "")
    ranks = [await _rank(asked, name, board, one, was) for one in (was, will)]
    if will is None:
        return Markup("{}: rank {} becomes none: the user leaves it.").format(where, f"{ranks[0]:,}")
    if was is None:
        return Markup("{}: not ranked yet, becomes rank {}.").format(where, f"{ranks[1]:,}")
    if ranks[0] == ranks[1]:
        return Markup("{}: rank {} stays.").format(where, f"{ranks[0]:,}")
    return Markup("{}: rank {} becomes {}.").format(where, *(f"{rank:,}" for rank in ranks))


async def _rank(
    asked: Asked, name: str, board: Leaderboard, standing: Standing | None, held: Standing | None
) -> int:
    """Return the rank that a standing would have among the others, 0 for none.

    ``held`` is the user's present standing, which must not count against the user.
    """
    if standing is None:
        return 0
    keys, raw = asked.request.state.space.keys, asked.parts.redis.raw
    stored = score(standing.value, board.order)
    try:
        if board.tie_rule == "dense":
            return int(await raw.zcount(keys.distinct(name), "-inf", f"({stored}")) + 1
        better = int(await raw.zcount(keys.board(name), "-inf", f"({stored}"))
        is_held_better = held is not None and score(held.value, board.order) < stored
        if board.tie_rule == "ordinal":
            # Of equal scores, the one that was reached first ranks first.
            equal: list[Any] = await raw.zrangebyscore(keys.board(name), stored, stored)
            mine = member(standing.reached_ms, asked.user).encode()
            me = member(held.reached_ms, asked.user).encode() if held is not None else b""
            better += sum(one < mine and one != me for one in equal)
    except AWAY as error:
        raise Unavailable("Redis is away") from error
    return better + 1 - is_held_better
