"""Rankings of groups and of one group, live: what deltas make of them equals a fresh snapshot."""

from __future__ import annotations

import random
from typing import Any

from podium.game.inputs import ChangeUser
from podium.game.leaderboards.ranking import successive
from podium.game.users.rules import Upsert
from tests.conftest import SettableClock
from tests.integration.live.client import Live
from tests.posting import Poster

CITIES = ["Zug", "Zürich", "100%"]
CHANNELS = ["groups:cities", "leaderboard:by-city?city=Zug", "leaderboard:cities"]


def shown(board: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows, numbered by the tie rule as a viewer numbers them."""
    rows = board["rows"]
    ranks = successive([row["value"] for row in rows], board["leaderboard"]["tieRule"], 1, 1)
    plain = ({key: row[key] for key in row if key not in ("previousRank", "position")} for row in rows)
    return [{**row, "rank": rank} for row, rank in zip(plain, ranks, strict=True)]


async def test_deltas_equal_a_fresh_snapshot(live: Live, poster: Poster, clock: SettableClock) -> None:
    chance = random.Random(3)
    users = [f"u{i}" for i in range(8)]
    async with live.client() as client, live.client() as fresh:
        await client.connect()
        await fresh.connect()
        for channel in CHANNELS:
            await client.subscribe(channel, limit=10, interval=0)
        for step in range(60):
            clock.advance(1)
            user = chance.choice(users)
            if step % 4 == 3:
                city = chance.choice([*CITIES, None])
                await poster.post(ChangeUser(user, Upsert(attributes={"city": city}), clock()))
            else:
                await poster.post(poster.event(user, chance.randint(-1, 3)))
        for user, value in (("last", 90), ("end", 91)):
            clock.advance(1)
            await poster.post(poster.event(user, value))
            await poster.post(ChangeUser(user, Upsert(attributes={"city": "Zug"}), clock()))
        # Both watch the same views: those must have heard of the last change, whose last message is to this board.
        await client.read_until(lambda: "end" in client.users("leaderboard:by-city?city=Zug"))
        for channel in CHANNELS:
            await fresh.subscribe(channel, limit=10, interval=0)
            wanted = shown(fresh.boards[channel])
            assert [row["rank"] for row in wanted] == [row["rank"] for row in fresh.boards[channel]["rows"]]
            assert len(wanted) > 2 or channel == "groups:cities"
            await client.read_until(lambda channel=channel, wanted=wanted: shown(client.boards[channel]) == wanted)
        rows = fresh.boards["groups:cities"]["rows"]
        assert {row["group"] for row in rows} <= set(CITIES)
        assert rows == sorted(rows, key=lambda row: (-row["value"], row["group"]))


async def test_channels_that_do_not_fit_the_leaderboard(live: Live, poster: Poster) -> None:
    async with live.client() as client:
        await client.connect()
        for channel in (
            "groups:all-time",
            "leaderboard:by-city",
            "leaderboard:by-city?team=a",
            "leaderboard:daily?city=a",
        ):
            reply = await client.call("subscribe", channel=channel)
            assert reply["error"]["code"] == 102
