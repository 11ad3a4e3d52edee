"""The published JavaScript SDK, in Node and in headless Chromium: boards, own places, tokens, refusals."""

from __future__ import annotations

import pytest

from tests.acceptance.js_sdk import Sdk
from tests.acceptance.stack import Stack, post
from tests.waiting import until

pytestmark = [
    pytest.mark.xdist_group("stack"),
    pytest.mark.asyncio(loop_scope="session"),
]


async def test_watches_and_posts(stack: Stack, sdk: Sdk) -> None:
    board = await stack.board()
    channel = f"leaderboard:{board.key}"
    async with stack.http() as http, sdk(stack.url) as client:
        for user, value in (("ann", 3), ("ben", 2)):
            await post(http, board.metric, user, value)
        await client.connect(stack.socket_url, await stack.token("ben", caps=["events:write"]))
        await client.subscribe(channel, limit=10, interval=0)
        await client.hear("subscribed", channel=channel)
        assert client.board(channel) == (2, [("ann", 3), ("ben", 2)])

        await post(http, board.metric, "cem", 2.5)
        await until(lambda: client.board(channel) == (3, [("ann", 3), ("cem", 2.5), ("ben", 2)]))
        answer = await client.rpc("event", {"key": board.metric, "user": "ben", "value": 5})
        assert answer["data"]["total"] == 7
        await until(lambda: client.board(channel) == (3, [("ben", 7), ("ann", 3), ("cem", 2.5)]))
        assert client.told("connecting")[1:] == []


async def test_own_place_and_events(stack: Stack, sdk: Sdk) -> None:
    board = await stack.board()
    own, events = f"leaderboard:{board.key}#ann", "user#ann"
    async with stack.http() as http, sdk(stack.url) as client:
        await post(http, board.metric, "ann", 3)
        await client.connect(stack.socket_url, await stack.token("ann"))
        await client.subscribe(own, around=1)
        await client.subscribe(events)
        assert (await client.hear("subscribed", channel=own))["data"]["rank"] == 1
        await client.hear("subscribed", channel=events)

        await post(http, board.metric, "ben", 5)
        passed = (await client.hear("publication", channel=own))["data"]
        assert (passed["rank"], passed["previousRank"], passed["toNext"]) == (2, 1, 2)
        assert passed["passedBy"] == ["ben"]
        await post(http, board.metric, "ann", 4)
        back = (await client.hear("publication", 2, channel=own))["data"]
        assert (back["rank"], back["value"], back["passed"]) == (1, 7, ["ben"])
        assert (await client.hear("publication", channel=events))["data"]["total"] == 7


async def test_permissions(stack: Stack, sdk: Sdk) -> None:
    closed, other = await stack.board(), "leaderboard:{}#ben"
    async with sdk(stack.url) as anonymous:
        await anonymous.connect(stack.socket_url)
        await anonymous.subscribe(f"leaderboard:{closed.key}")
        assert (await anonymous.hear("unsubscribed"))["code"] == 103
    async with sdk(stack.url) as client:
        await client.connect(stack.socket_url, await stack.token("ann"))
        refused = await client.rpc("event", {"key": closed.metric, "user": "ann", "value": 1})
        assert (refused["event"], refused["code"]) == ("refused", 103)
        for channel in (other.format(closed.key), "user#ben"):
            await client.subscribe(channel)
            assert (await client.hear("unsubscribed", channel=channel))["code"] == 103
        # The connection and what it may do live on.
        await client.subscribe(f"leaderboard:{closed.key}")
        await client.hear("subscribed", channel=f"leaderboard:{closed.key}")
        assert client.told("disconnected") == []


async def test_token_is_refreshed_before_it_expires(stack: Stack, sdk: Sdk) -> None:
    """The next token allows less, so that what it does is seen."""
    board = await stack.board()
    channel = f"leaderboard:{board.key}"
    async with sdk(stack.url) as client:
        less = await stack.token("ann", channels=["leaderboard:other"])
        await client.connect(stack.socket_url, await stack.token("ann", valid_s=4), less)
        await client.subscribe(channel, limit=10)
        await client.hear("subscribed", channel=channel)
        await client.hear("asked")
        assert (await client.hear("unsubscribed", channel=channel))["code"] == 103
        assert len(client.told("connected")) == 1
        assert client.told("disconnected") == []


async def test_forged_token_ends_it(stack: Stack, sdk: Sdk) -> None:
    async with sdk(stack.url) as client:
        forged = await stack.token("ann", secret="x" * 43)
        await client.run({"command": "connect", "url": stack.socket_url, "token": forged})
        assert (await client.hear("disconnected"))["code"] == 3500
