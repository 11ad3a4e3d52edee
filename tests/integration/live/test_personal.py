"""One user's own channels: the place on a board, and everything that happens to the user."""

from __future__ import annotations

import random
from datetime import date
from typing import Any
from urllib.parse import quote

import pytest

from podium.game.errors import Unavailable
from podium.game.leaderboards.ranking import member
from podium.game.periods import MS_PER_DAY
from podium.live.user_channels import RESET
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient
from tests.conftest import SettableClock
from tests.integration.live.client import ADMIN_KEY, Live, RawClient
from tests.posting import Poster

USERS = [f"u{i:02}" for i in range(40)]


class Personal:
    """The frames of one channel, and the last of them."""

    def __init__(self, client: RawClient, channel: str) -> None:
        self.client, self.channel = client, channel
        self.snapshot: dict[str, Any] = {}

    async def subscribe(self, **data: Any) -> dict[str, Any]:
        reply = await self.client.call("subscribe", channel=self.channel, data=data)
        assert "error" not in reply, reply
        self.snapshot = reply["subscribe"]["data"]
        return self.snapshot

    @property
    def frames(self) -> list[dict[str, Any]]:
        pushes = [push for push in self.client.pushes if push["channel"] == self.channel]
        return [push["pub"]["data"] for push in pushes if "pub" in push]

    async def until(self, **expected: Any) -> dict[str, Any]:
        """The first frame, from now or before, that says so."""

        def found() -> list[dict[str, Any]]:
            return [f for f in self.frames if all(f[k] == v for k, v in expected.items())]

        await self.client.read_until(lambda: bool(found()))
        return found()[0]


def around(data: dict[str, Any]) -> list[tuple[int, str]]:
    return [(row["rank"], row["userId"]) for row in data["around"]]


async def test_own_place_is_pushed_when_others_move_it(live: Live, poster: Poster, clock: SettableClock) -> None:
    await poster.post(*(poster.event(user, 100 - i, name=user.upper()) for i, user in enumerate(USERS[:30])))
    async with live.client() as client:
        await client.connect(live.token("u10", clock() + 60_000))
        mine = Personal(client, "leaderboard:all-time#u10")
        snapshot = await mine.subscribe(around=1)
        assert (snapshot["seq"], snapshot["rank"], snapshot["value"], snapshot["toNext"]) == (0, 11, 90.0, 1.0)
        assert (snapshot["previousRank"], snapshot["participants"], snapshot["run"]["state"]) == (None, 30, "live")
        assert around(snapshot) == [(10, "u09"), (11, "u10"), (12, "u11")]
        assert snapshot["around"][0]["name"] == "U09"

        clock.advance(1)
        await poster.post(poster.event("u20", 50))  # 130: from 21 to 1
        told = await mine.until(rank=12)
        assert (told["seq"], told["previousRank"], told["passedBy"], told["passedByCount"]) == (1, 11, ["u20"], 1)
        assert (told["passed"], told["passedCount"]) == ([], 0)

        clock.advance(1)
        await poster.post(poster.event("u10", 8.5))  # 98.5: behind u20, u00 and u01
        told = await mine.until(rank=4)
        assert (told["previousRank"], told["value"], told["toNext"]) == (12, 98.5, 0.5)
        assert (told["passed"], told["passedCount"]) == (
            ["u02", "u03", "u04", "u05", "u06", "u07", "u08", "u09"],
            8,
        )
        assert around(told) == [(3, "u01"), (4, "u10"), (5, "u02")]


async def test_a_newcomer_has_no_place_until_the_first_event(
    live: Live, poster: Poster, clock: SettableClock
) -> None:
    await poster.post(poster.event("ann", 5))
    async with live.client() as client:
        await client.connect(live.token("neu/er", clock() + 60_000))
        mine = Personal(client, f"leaderboard:all-time#{quote('neu/er', safe='')}")
        snapshot = await mine.subscribe()
        assert (snapshot["rank"], snapshot["value"], snapshot["toNext"], snapshot["around"]) == (
            None,
            None,
            None,
            [],
        )
        await poster.post(poster.event("neu/er", 2))
        told = await mine.until(rank=2)
        assert (told["previousRank"], told["toNext"], told["passed"]) == (None, 3.0, [])


async def test_the_last_frames_equal_fresh_snapshots(live: Live, poster: Poster, clock: SettableClock) -> None:
    chance = random.Random(11)
    await poster.post(*(poster.event(user, chance.randint(0, 30)) for user in USERS[:25]))
    async with live.client() as client, live.client() as fresh:
        await client.connect(ADMIN_KEY)
        await fresh.connect(ADMIN_KEY)
        watched = [Personal(client, f"leaderboard:all-time#{user}") for user in USERS]
        for i, personal in enumerate(watched):
            await personal.subscribe(around=i % 4)
        for _ in range(60):
            clock.advance(1)
            users = chance.sample(USERS, chance.randint(1, 5))
            await poster.post(*(poster.event(user, chance.randint(-9, 9)) for user in users))
        clock.advance(1)
        await poster.post(*(poster.event(user, 1_000 + i) for i, user in enumerate(USERS)))
        for i, personal in enumerate(watched):
            last = await Personal(fresh, personal.channel).subscribe(around=i % 4)
            shown = {key: last[key] for key in ("rank", "value", "toNext")}
            await personal.until(**shown, around=last["around"])
            assert [f["seq"] for f in personal.frames] == list(range(1, len(personal.frames) + 1))


async def test_passes_add_up_to_the_change_of_rank(live: Live, poster: Poster, clock: SettableClock) -> None:
    chance = random.Random(5)
    await poster.post(*(poster.event(user, 10 * i) for i, user in enumerate(USERS[:30])))
    async with live.client() as client:
        await client.connect(live.token("u15", clock() + 60_000))
        mine = Personal(client, "leaderboard:all-time#u15")
        rank = (await mine.subscribe())["rank"]
        for _ in range(40):
            clock.advance(1)
            users = chance.sample(USERS[:30], 3)
            await poster.post(*(poster.event(user, chance.randint(-90, 90)) for user in users))
        clock.advance(1)
        await poster.post(poster.event("u15", 10_000))
        await mine.until(rank=1)
        assert len(mine.frames) > 1
        for frame in mine.frames:
            assert frame["previousRank"] == rank
            assert frame["rank"] - rank == frame["passedByCount"] - frame["passedCount"]
            rank = frame["rank"]


async def test_a_lost_message_is_made_good(
    live: Live, poster: Poster, clock: SettableClock, redis_client: RedisClient
) -> None:
    await poster.post(poster.event("ann", 5), poster.event("bob", 3))
    async with live.client() as client:
        await client.connect(live.token("bob", clock() + 60_000))
        mine = Personal(client, "leaderboard:all-time#bob")
        await mine.subscribe()
        await redis_client.raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        clock.advance(1)
        await poster.post(poster.event("bob", 10))
        assert (await mine.until(rank=1))["value"] == 13.0


async def test_roll_over_shows_the_new_run(live: Live, poster: Poster, clock: SettableClock) -> None:
    await poster.post(poster.event("ann", 5), poster.event("bob", 3))
    async with live.client() as client:
        await client.connect(live.token("bob", clock() + 10 * MS_PER_DAY))
        mine = Personal(client, "leaderboard:daily#bob")
        start = (await mine.subscribe())["run"]["start"]
        clock.advance(MS_PER_DAY)
        await live.hub.tick()
        told = await mine.until(rank=None)
        assert date.fromisoformat(told["run"]["start"]).toordinal() == date.fromisoformat(start).toordinal() + 1
        await poster.post(poster.event("bob", 1))
        assert (await mine.until(rank=1))["value"] == 1.0


async def test_a_cold_user_is_brought_back(
    live: Live,
    poster: Poster,
    clock: SettableClock,
    redis_client: RedisClient,
    live_space: Space,
) -> None:
    await poster.post(poster.event("ann", 5), poster.event("bob", 3))
    keys = live_space.keys
    token = await redis_client.raw.hget(keys.user("bob"), "t")
    blob = await redis_client.raw.hget(keys.user("bob"), "s")
    await redis_client.call("evict", keys.meta, live_space.epoch or "", "bob", token)
    reached = member(clock(), "bob")

    async def thaw(space: Space, users: list[str]) -> None:
        assert users == ["bob"]
        await redis_client.call("thaw", keys.meta, space.epoch or "", "bob", token, blob, "2:", reached)

    live.thawing = thaw
    async with live.client() as client:
        await client.connect(live.token("bob", clock() + 60_000))
        assert (await Personal(client, "leaderboard:all-time#bob").subscribe())["rank"] == 2


async def test_others_may_not_watch(live: Live, poster: Poster, clock: SettableClock) -> None:
    async with live.client() as client:
        await client.connect(live.token("bob", clock() + 60_000, channels=["leaderboard:*", "user#bob"]))
        for channel in ("leaderboard:all-time#ann", "user#ann"):
            reply = await client.call("subscribe", channel=channel)
            assert reply["error"]["code"] == 103
        await Personal(client, "leaderboard:all-time#bob").subscribe()
        await Personal(client, "user#bob").subscribe()
    async with live.client() as client:
        await client.connect(live.token("bob", clock() + 60_000, channels=["leaderboard:daily*"]))
        for channel in ("leaderboard:all-time#bob", "user#bob"):
            assert (await client.call("subscribe", channel=channel))["error"]["code"] == 103
    async with live.client() as client:
        await client.connect()
        for channel in ("leaderboard:all-time#bob", "user#bob"):
            assert (await client.call("subscribe", channel=channel))["error"]["code"] == 103


@pytest.mark.parametrize("data", [{"around": -1}, {"around": 51}, {"around": "2"}])
async def test_bad_options_are_refused(live: Live, clock: SettableClock, data: dict[str, Any]) -> None:
    async with live.client() as client:
        await client.connect(live.token("bob", clock() + 60_000))
        reply = await client.call("subscribe", channel="leaderboard:all-time#bob", data=data)
        assert reply["error"]["code"] == 107
        assert "around" in reply["error"]["message"]


async def test_one_publication_for_each_event_of_the_user(
    live: Live, poster: Poster, clock: SettableClock
) -> None:
    await poster.post(poster.event("ann", 5), poster.event("bob", 3))
    async with live.client() as client:
        await client.connect(live.token("bob", clock() + 60_000))
        mine = Personal(client, "user#bob")
        assert await mine.subscribe() == {}
        await poster.post(poster.event("ann", 1), poster.event("bob", 4, key="k1"))
        await poster.post(poster.event("bob", 1))
        await client.read_until(lambda: len(mine.frames) == 2)
        first, second = mine.frames
        assert (first["total"], first["idempotencyKey"], second["total"]) == (7.0, "k1", 8.0)
        place = first["leaderboards"]["all-time"]
        assert (place["rank"], place["previousRank"]) == (1, 2)
        assert second["leaderboards"]["daily"]["rank"] == 1


async def test_lost_events_are_told(
    live: Live, poster: Poster, clock: SettableClock, redis_client: RedisClient
) -> None:
    async with live.client() as client:
        await client.connect(live.token("bob", clock() + 60_000))
        mine = Personal(client, "user#bob")
        await mine.subscribe()
        await redis_client.raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await client.read_until(lambda: bool(mine.frames))
        assert mine.frames[0] == {"reset": True}
        assert RESET == '{"reset":true}'


async def test_redis_is_asked_for_events_only_while_somebody_watches(
    live: Live, poster: Poster, clock: SettableClock, redis_client: RedisClient, live_space: Space
) -> None:
    async def listeners() -> int:
        [(_, count)] = await redis_client.raw.pubsub_numsub(live_space.keys.events)
        return int(count)

    assert await listeners() == 0
    async with live.client() as client:
        await client.connect(live.token("bob", clock() + 60_000))
        await Personal(client, "user#bob").subscribe()
        assert await listeners() == 1
        await client.call("unsubscribe", channel="user#bob")
        await live.hub.tick()
        assert await listeners() == 0


async def test_redis_away_is_a_temporary_error(
    live: Live, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("Redis is away")

    async with live.client() as client:
        await client.connect(live.token("bob", clock() + 60_000))
        monkeypatch.setattr(RedisClient, "call", away)
        reply = await client.call("subscribe", channel="leaderboard:all-time#bob")
        assert (reply["error"]["code"], reply["error"]["temporary"]) == (100, True)
