"""Random histories from many posters, against a plain sorted list: Redis, Postgres and the answers agree."""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from podium.game.state import decode_state
from tests.acceptance.processes import START_S, environment
from tests.acceptance.stack import Board, Stack, Standing, post, together
from tests.seeds import seeds
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("stack")

POSTERS = 8
EVENTS = 500
ZONES = ["UTC", "Asia/Tokyo", "America/New_York", "Pacific/Kiritimati", "Etc/GMT+12"]
VALUES = [-5.0, -2.5, -1.0, 0.001, 1.0, 1.0, 2.5, 5.0]
"""Few of them, so that users tie; no zero, whose effect on the time depends on who comes first."""


class Oracle:
    """What every board must be: a dictionary and a sort."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = defaultdict(int)
        self.boards: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        """By run ("" for the perpetual one) and user: units, reached_ms."""

    def add(self, user: str, units: int, at_ms: int, zone: str) -> None:
        self.totals[user] += units
        day = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).strftime("%Y%m%d")
        for run in ("", day):
            value, reached_ms = self.boards[run].get(user, (0, 0))
            self.boards[run][user] = (value + units, max(reached_ms, at_ms))

    def ranking(self, run: str) -> list[Standing]:
        standings = [Standing(user, *place) for user, place in self.boards[run].items()]
        return sorted(standings, key=lambda s: (-s.units, s.reached_ms, s.user))

    def rank(self, user: str) -> int:
        return next(i for i, standing in enumerate(self.ranking(""), start=1) if standing.user == user)


def _history(dice: random.Random) -> list[dict[str, Any]]:
    users = [f"{prefix}{i}" for i in range(6) for prefix in ("a", "B", "é", "数", "a b:/%", "😀")]
    zones = {user: dice.choice(ZONES) for user in users}
    now = datetime.now(UTC).replace(microsecond=0)
    instants = [now - timedelta(hours=hours) for hours in (40, 30, 20, 10, 1)]
    return [
        {
            "user": {"id": user, "name": f"Name of {user}", "tz": zones[user]},
            "value": dice.choice(VALUES),
            "timestamp": dice.choice(instants).isoformat(),
            "key": secrets.token_hex(8),
        }
        for user in dice.choices(users, k=EVENTS)
    ]


async def _check(stack: Stack, board: Board, oracle: Oracle) -> None:
    for run in oracle.boards:
        number = board.daily_number if run else board.number
        assert await stack.redis_board(number, run) == oracle.ranking(run)
        assert await stack.postgres_board(number, run) == oracle.ranking(run)
    async with stack.database() as connection:
        rows = await connection.fetch(
            "SELECT user_id, sum(units)::bigint FROM events WHERE metric = $1 GROUP BY 1", board.metric_number
        )
        assert dict(rows) == oracle.totals
        days = await connection.fetch(
            "SELECT user_id, sum(change)::bigint FROM metric_days WHERE metric = $1 GROUP BY 1",
            board.metric_number,
        )
        assert dict(days) == oracle.totals
        states = dict(
            await connection.fetch("SELECT id, state FROM users WHERE id = ANY($1)", list(oracle.totals))
        )
    for user, total in oracle.totals.items():
        state = decode_state(states[user])
        assert state.totals[board.metric_number] == total
        assert state.profile.name == f"Name of {user}"
        standing = state.boards[f"{board.number}:"]
        assert (standing.value, standing.reached_ms) == oracle.boards[""][user]


@seeds(2)
async def test_history(stack: Stack, seed: int) -> None:
    dice = random.Random(seed)
    start = (datetime.now(UTC) - timedelta(days=5)).date().isoformat()
    board = await stack.board(start=start)
    oracle = Oracle()
    history = _history(dice)

    answers = await together(stack, POSTERS, history, board.metric)
    for event in history:
        at_ms = int(datetime.fromisoformat(event["timestamp"]).timestamp() * 1000)
        oracle.add(event["user"]["id"], round(event["value"] * 1000), at_ms, event["user"]["tz"])

    # One by one, so that the list says what each answer must be.
    ranks = {}
    async with stack.http() as client:
        zones = {event["user"]["id"]: event["user"]["tz"] for event in history}
        moment = datetime.now(UTC)
        for user in dice.sample(sorted(oracle.totals), k=len(oracle.totals)):
            before = oracle.rank(user)
            value = dice.choice(VALUES)
            answer = (await post(client, board.metric, user, value, timestamp=moment.isoformat())).json()
            oracle.add(user, round(value * 1000), int(moment.timestamp() * 1000), zones[user])
            shown = answer["leaderboards"][board.key]
            assert (shown["previousRank"], shown["rank"]) == (before, oracle.rank(user))
            assert answer["total"] == oracle.totals[user] / 1000
            ranks[user] = shown["rank"]

    await stack.flushed(board.metric_number, len(history) + len(ranks))
    await _check(stack, board, oracle)
    async with stack.database() as connection:
        stored = await connection.fetch(
            "SELECT DISTINCT ON (user_id) user_id, rank FROM rank_history WHERE leaderboard = $1"
            " ORDER BY user_id, day DESC",
            board.number,
        )
    assert dict(stored) == ranks

    await _rebuild(stack)
    await _check(stack, board, oracle)
    async with stack.http() as client:
        first = history[0]

        async def again() -> bool:
            answer = await post(client, board.metric, **first)
            if answer.status_code == 503:  # a web process that has not heard of the new epoch yet
                return False
            assert (answer.status_code, answer.json()["eventId"]) == (202, answers[0]["eventId"])
            return True

        await until(again)
    await _check(stack, board, oracle)


async def _rebuild(stack: Stack) -> None:
    settings = environment(redis_url=stack.redis_url, database_url=stack.database_url, log_format="console")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "podium", "rebuild", "--yes", env=settings, stdout=PIPE, stderr=STDOUT
    )
    async with asyncio.timeout(START_S):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
