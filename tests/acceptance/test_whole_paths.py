"""Whole paths, told as they happen to people: by the API and the live channels, the worker and both stores."""

from __future__ import annotations

import asyncio
import random
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.acceptance.stack import Board, Stack, post
from tests.acceptance.test_console import DAYS, lost_streak
from tests.acceptance.test_live_sdk import Watching, connected, watch
from tests.waiting import until

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.asyncio(loop_scope="session")]

WRITERS = 4
PLAYERS = [f"player{number}" for number in range(12)]
WEEKS = 3


class Game:
    """An app's own account of what it has sent for each user, and what it was answered."""

    def __init__(self, http: httpx.AsyncClient, board: Board) -> None:
        self.totals: dict[str, float] = {}
        self.sent = 0
        self._http = http
        self._board = board

    async def plays(self, user: str, value: float) -> dict[str, Any]:
        """The user scores now; the answer."""
        key = secrets.token_hex(8)
        answer = await post(self._http, self._board.metric, user, value, key=key)
        assert answer.status_code == 201, answer.text
        self._count(user, value)
        told: dict[str, Any] = answer.json()
        return told

    async def brings_history(self, items: list[tuple[str, float, datetime]]) -> None:
        """The app's old scores come, in one batch."""
        batch = [
            {
                "key": self._board.metric,
                "user": {"id": user},
                "value": value,
                "timestamp": at.isoformat(),
                "idempotencyKey": secrets.token_hex(8),
            }
            for user, value, at in items
        ]
        answer = await self._http.post("/admin/v1/metrics/events", json=batch)
        assert (answer.status_code, answer.json()) == (202, {"accepted": len(items)})
        for user, value, _ in items:
            self._count(user, value)

    def _count(self, user: str, value: float) -> None:
        self.totals[user] = self.totals.get(user, 0) + value
        self.sent += 1

    @property
    def values(self) -> list[float]:
        """The scores, best first."""
        return sorted(self.totals.values(), reverse=True)

    async def agrees(self, key: str) -> bool:
        """Whether a leaderboard shows just these scores."""
        page = (await self._http.get(f"/v1/leaderboards/{key}", params={"limit": 100})).json()["rankings"]
        return {row["userId"]: row["value"] for row in page} == self.totals and _values(page) == self.values


def _values(rows: list[dict[str, Any]]) -> list[float]:
    return [row["value"] for row in rows]


async def _fresh(stack: Stack, channel: str) -> Watching:
    async with connected(stack, stack.admin_key) as client:
        return await watch(client, channel, limit=100)


async def _stores_agree(stack: Stack, number: int, totals: dict[str, float]) -> None:
    in_redis = await stack.redis_board(number)

    async def all_there() -> bool:  # a backfill is flushed as well, but counts no events
        return await stack.postgres_board(number) == in_redis

    await until(all_there)
    assert {standing.user: standing.units / 1000 for standing in in_redis} == totals


async def test_support_restores_a_streak_while_its_user_plays_on(stack: Stack) -> None:
    async with lost_streak(stack) as (board, lea), stack.http() as http:
        # Léa has acted on 42 days in a row, and not for three. She writes to support, and plays on meanwhile.
        game = Game(http, board)
        game.totals, game.sent = {lea: 10.0 * DAYS}, DAYS
        began, restored = asyncio.Event(), asyncio.Event()

        async def play() -> None:
            while not restored.is_set():
                await game.plays(lea, 1)
                began.set()
            await game.plays(lea, 1)

        playing = [asyncio.create_task(play()) for _ in range(WRITERS)]
        await began.wait()

        # Support restores the streak. None of her events comes in between, and none is lost for it.
        answer = await http.post("/admin/v1/streaks/restore", json={"users": [{"id": lea}]})
        assert answer.status_code == 200, answer.text
        restored.set()
        await asyncio.gather(*playing)

        # She has the 42 days and today, wherever she looks.
        told = await game.plays(lea, 1)
        assert told["currentStreak"]["length"] == DAYS + 1
        assert told["total"] == game.totals[lea]
        streak = (await http.get(f"/v1/users/{lea}/streak", params={"historyPeriods": 10})).json()
        assert streak["length"] == DAYS + 1
        assert told["leaderboards"][board.key]["rank"] == 1

        # The audit log names the support person, once; and both stores agree about the user.
        params = {"item": lea, "kind": "streak"}
        entries = (await http.get("/admin/v1/audit-log", params=params)).json()["rows"]
        assert [one["action"] for one in entries] == ["restore"]
        await stack.flushed(board.metric_number, game.sent)
        await _stores_agree(stack, board.number, game.totals)


async def test_history_and_a_new_leaderboard_come_while_people_watch_and_play(stack: Stack) -> None:
    dice = random.Random(18)
    now = datetime.now(UTC).replace(microsecond=0)
    start = (now - timedelta(weeks=WEEKS + 1)).date().isoformat()
    board = await stack.board(start=start)
    async with stack.http() as http, connected(stack, stack.admin_key) as viewer:
        game = Game(http, board)
        # The game is on, and somebody watches its board.
        for player in PLAYERS[:6]:
            await game.plays(player, dice.randint(1, 50))
        watching = await watch(viewer, f"leaderboard:{board.key}", limit=100)
        assert watching.board[0] == 6

        # Old scores of weeks come in, newest first, and meanwhile everybody plays on.
        over = asyncio.Event()

        async def play() -> None:
            while not over.is_set():
                await game.plays(dice.choice(PLAYERS), dice.randint(1, 9))

        playing = asyncio.create_task(play())
        for week in range(1, WEEKS + 1):
            at = [now - timedelta(weeks=week, hours=number) for number in range(40)]
            await game.brings_history([(dice.choice(PLAYERS), dice.randint(1, 99), one) for one in at])

        # Someone makes another leaderboard of the same scores, which begins before all of them.
        later = f"later-{secrets.token_hex(4)}"
        common = {"rankBy": "metric", "metricId": board.metric_id, "status": "active", "start": start}
        made = (await http.post("/admin/v1/leaderboards", json=[{"key": later, "name": "Later", **common}])).json()
        assert made["issues"] == []
        await stack.known()
        newcomer = await watch(viewer, f"leaderboard:{later}", limit=100)
        await game.brings_history([(player, 5, now - timedelta(days=2)) for player in PLAYERS])
        over.set()
        await playing

        # In the end both show what the game has sent, and who watched all the time has what a newcomer is given.
        for key, seen in ((board.key, watching), (later, newcomer)):
            await until(lambda key=key: game.agrees(key))

            async def shown(key: str = key, seen: Any = seen) -> bool:
                # A process hears of a change a moment after the answer to whoever made it.
                fresh = await _fresh(stack, f"leaderboard:{key}")
                return [value for _, _, value in fresh.board[1]] == game.values and seen.board == fresh.board

            await until(shown)
        assert watching.deltas > 1

        await stack.flushed(board.metric_number, game.sent)
        async with stack.database() as connection:
            number = await connection.fetchval("SELECT number FROM catalog_items WHERE key = $1", later)
        for one in (board.number, number):
            await _stores_agree(stack, one, game.totals)
