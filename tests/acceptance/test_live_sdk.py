"""The published Centrifuge SDK watches boards, posts, and is refused what it may not do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import centrifuge
import pytest
from centrifuge import ClientEventHandler, DisconnectedContext, SubscriptionEventHandler, UnsubscribedContext
from centrifuge.contexts import ErrorContext, PublicationContext, SubscribedContext

from tests.acceptance.stack import Board, Stack, post, together
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("stack")

POSTERS = 8
EVENTS = 600
USERS = 30


@pytest.fixture(autouse=True)
async def _connections_closed() -> AsyncIterator[None]:
    """The SDK closes its connections in the background; the loop must not end before they are."""
    yield
    await until(lambda: len(asyncio.all_tasks()) == 1)


class Watching(SubscriptionEventHandler):
    """Keeps a board by the words of the protocol: a snapshot, then who left and who stands where."""

    def __init__(self) -> None:
        self.snapshots = 0
        self.deltas = 0
        self.seq = 0
        self.rows: list[dict[str, Any]] = []
        self.participants = 0
        self.refused: int | None = None

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        data: Any = ctx.data
        self.snapshots += 1
        self.seq, self.participants, self.rows = data["seq"], data["participants"], data["rows"]

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        self.refused = ctx.code

    async def on_publication(self, ctx: PublicationContext) -> None:
        data: Any = ctx.pub.data
        self.deltas += 1
        if data.get("reset"):
            self.rows = data["rows"]
        else:
            assert data["seq"] == self.seq + 1
            gone = {*data["left"], *(row["userId"] for row in data["rows"])}
            self.rows = [row for row in self.rows if row["userId"] not in gone]
            for row in data["rows"]:
                self.rows.insert(row["position"], row)
        self.seq, self.participants = data["seq"], data["participants"]

    @property
    def board(self) -> tuple[int, list[tuple[int, str, float]]]:
        """Participants, and every row with the rank that its place gives it."""
        return self.participants, [(i, row["userId"], row["value"]) for i, row in enumerate(self.rows, start=1)]


class Listening(ClientEventHandler):
    """Notes why a connection ended or failed."""

    def __init__(self) -> None:
        self.ended: int | None = None
        self.errors: list[int] = []

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        self.ended = ctx.code

    async def on_error(self, ctx: ErrorContext) -> None:
        self.errors.append(getattr(ctx.error, "code", ctx.code))


@asynccontextmanager
async def connected(stack: Stack, token: str = "") -> AsyncIterator[centrifuge.Client]:
    client = centrifuge.Client(stack.socket_url, token=token, proxy=None)
    await client.connect()
    await client.ready()
    try:
        yield client
    finally:
        await client.disconnect()


async def watch(client: centrifuge.Client, channel: str, **data: Any) -> Watching:
    """Subscribe and have the snapshot."""
    watching = Watching()
    subscription = client.new_subscription(channel, events=watching, data=data)
    await subscription.subscribe()
    await until(lambda: watching.snapshots > 0)
    return watching


@pytest.mark.parametrize("interval", [0, 50])
async def test_snapshot_and_deltas_are_a_fresh_snapshot(stack: Stack, interval: int) -> None:
    board = await stack.board()
    dice = random.Random(interval)
    users = [f"user{i}" for i in range(USERS)]
    work = [{"user": dice.choice(users), "value": dice.choice([-3, -1, 1, 1, 2, 7])} for _ in range(EVENTS)]
    totals: dict[str, float] = {}
    for item in work:
        totals[item["user"]] = totals.get(item["user"], 0) + item["value"]
    channel = f"leaderboard:{board.key}"
    token = await stack.token("user1")

    # Several connections, so that both web processes have viewers.
    async with connected(stack, token) as a, connected(stack, stack.admin_key) as b, connected(stack, token) as c:
        empty = [await watch(client, channel, limit=10, interval=interval) for client in (a, b, c)]
        posting = asyncio.create_task(together(stack, POSTERS, work, board.metric))
        await until(lambda: empty[0].deltas > 0)
        async with connected(stack, token) as late_client:
            late = await watch(late_client, channel, limit=10, interval=interval)
            await posting
            async with stack.http() as http:
                page = (await http.get(f"/v1/leaderboards/{board.key}", params={"limit": 10})).json()["rankings"]
            assert [row["value"] for row in page] == sorted(totals.values(), reverse=True)[:10]
            expected = (len(totals), [(row["rank"], row["userId"], row["value"]) for row in page])
            for watching in (*empty, late):
                await until(lambda watching=watching: watching.board == expected)
            async with connected(stack, token) as fresh_client:
                fresh = await watch(fresh_client, channel, limit=10, interval=interval)
                assert fresh.board == expected
                assert [row["rank"] for row in fresh.rows] == list(range(1, 11))
        assert all(watching.snapshots == 1 and watching.deltas > 1 for watching in empty)


async def test_daily_board_has_its_run(stack: Stack) -> None:
    board = await stack.board()
    async with connected(stack, stack.admin_key) as client:
        daily = await watch(client, f"leaderboard:{board.daily}", limit=10)
        # Somebody without a zone: Ann of test_sdk.py may live in another day.
        async with stack.http() as http:
            await post(http, board.metric, "eve", 5)
        await until(lambda: daily.board == (1, [(1, "eve", 5)]))


async def test_rpc_event(stack: Stack) -> None:
    board = await stack.board()
    async with connected(stack, await stack.token("ann", caps=["events:write"])) as client:
        watching = await watch(client, f"leaderboard:{board.key}", limit=10)
        event = {"key": board.metric, "user": "ann", "value": 7.5, "idempotencyKey": "once"}
        first = (await client.rpc("event", event)).data
        assert (first["total"], first["leaderboards"][board.key]["rank"]) == (7.5, 1)
        again = (await client.rpc("event", event)).data
        assert (again["eventId"], again["idempotentReplayed"]) == (first["eventId"], True)
        await until(lambda: watching.board == (1, [(1, "ann", 7.5)]))

        with pytest.raises(centrifuge.ReplyError, match="user"):
            await client.rpc("event", {**event, "user": "ben"})
        with pytest.raises(centrifuge.ReplyError, match="value"):
            await client.rpc("event", {**event, "value": "7"})
        with pytest.raises(centrifuge.ReplyError) as unknown:
            await client.rpc("nothing", {})
        assert unknown.value.code == 104
        # None of it ended the connection or the subscription.
        assert (await client.rpc("event", {**event, "idempotencyKey": "twice"})).data["total"] == 15
        await until(lambda: watching.board == (1, [(1, "ann", 15)]))

    async with connected(stack, await stack.token("ann")) as reader:
        with pytest.raises(centrifuge.ReplyError) as refused:
            await reader.rpc("event", event)
        assert refused.value.code == 103

    async with connected(stack, stack.admin_key) as server:
        batch = [{"key": board.metric, "user": {"id": f"u{i}"}, "value": 1} for i in range(100)]
        assert (await server.rpc("events", batch)).data == {"accepted": 100}


async def refusal(stack: Stack, board: Board, token: str) -> int:
    """The code that a subscription is refused with."""
    async with connected(stack, token) as client:
        watching = Watching()
        await client.new_subscription(f"leaderboard:{board.key}", events=watching).subscribe()
        await until(lambda: watching.refused is not None)
        assert watching.refused is not None
        return watching.refused


async def test_public_board_needs_no_token(stack: Stack) -> None:
    open_board, closed = await stack.board(public=True), await stack.board()
    async with connected(stack) as client:
        watching = await watch(client, f"leaderboard:{open_board.key}")
        async with stack.http() as http:
            await post(http, open_board.metric, {"id": "ann", "name": "Ann"}, 3)
        await until(lambda: watching.board == (1, [(1, "ann", 3)]))
        with pytest.raises(centrifuge.ReplyError) as refused:
            await client.rpc("event", {"key": open_board.metric, "user": "ann", "value": 1})
        assert refused.value.code == 103
    assert await refusal(stack, closed, "") == 103


async def test_token_limits_channels(stack: Stack) -> None:
    one, other = await stack.board(), await stack.board()
    token = await stack.token("ann", channels=[f"leaderboard:{one.key}"])
    async with connected(stack, token) as client:
        await watch(client, f"leaderboard:{one.key}")
    assert await refusal(stack, other, token) == 103


async def test_other_people_are_private(stack: Stack) -> None:
    board = await stack.board()
    async with connected(stack, await stack.token("ann")) as client:
        for channel in (f"leaderboard:{board.key}#ben", "user#ben"):
            watching = Watching()
            await client.new_subscription(channel, events=watching, data={}).subscribe()
            await until(lambda watching=watching: watching.refused is not None)
            assert watching.refused == 103


async def test_unknown_board(stack: Stack) -> None:
    async with connected(stack, stack.admin_key) as client:
        watching = Watching()
        await client.new_subscription("leaderboard:nowhere", events=watching).subscribe()
        await until(lambda: watching.refused is not None)
    assert watching.refused == 102


async def test_bad_tokens(stack: Stack) -> None:
    bad = {
        "wrong secret": await stack.token("ann", secret="x" * 43),
        "another space": await stack.token("ann", aud="elsewhere"),
        "no user": await stack.token("ann", sub=5),
        "no key": "12345678.nothing",
    }
    for why, token in bad.items():
        listening = Listening()
        client = centrifuge.Client(stack.socket_url, events=listening, token=token, proxy=None)
        await client.connect()
        await until(lambda listening=listening: listening.ended is not None)
        assert listening.ended == 3500, why


async def test_expired_token_is_replaced(stack: Stack) -> None:
    fresh = await stack.token("ann")
    asked = 0

    async def get_token() -> str:
        nonlocal asked
        asked += 1
        return fresh

    client = centrifuge.Client(
        stack.socket_url, token=await stack.token("ann", valid_s=-5), get_token=get_token, proxy=None
    )
    await client.connect()
    await client.ready()
    await client.disconnect()
    assert asked == 1


async def test_token_is_refreshed_before_it_expires(stack: Stack) -> None:
    """The next token allows less, so that what it does is seen."""
    board = await stack.board()
    less = await stack.token("ann", channels=["leaderboard:other"])
    listening = Listening()
    asked = 0

    async def get_token() -> str:
        nonlocal asked
        asked += 1
        return less

    client = centrifuge.Client(
        stack.socket_url,
        token=await stack.token("ann", valid_s=4),
        get_token=get_token,
        events=listening,
        proxy=None,
    )
    await client.connect()
    await client.ready()
    watching = await watch(client, f"leaderboard:{board.key}", limit=10)
    await until(lambda: watching.refused is not None)
    assert (asked, listening.ended, watching.snapshots, watching.refused) == (1, None, 1, 103)
    await client.disconnect()
