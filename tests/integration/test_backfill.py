"""Backfills in pieces: whatever is posted, imported, cut off or repeated meanwhile, boards are what the events
say."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from podium.game.inputs import CountHistory
from podium.game.leaderboards.backfill import PIECE_MOVES
from podium.game.periods import MS_PER_DAY, local_day
from podium.intake.batcher import Batcher
from podium.jobs import backfill as backfill_module
from podium.jobs.backfill import Round
from podium.jobs.finals import Finals
from podium.services import Services
from podium.spaces.space import Space
from podium.writebehind.batches import read_entry
from podium.writebehind.flusher import Flusher
from tests.backfills import backfill, backfill_of
from tests.conftest import SettableClock
from tests.integration.test_boards import get, make, places
from tests.seeds import seeds

DAYS = 130
"""Days of history: more than two pieces, and with groups more than five."""


@pytest.fixture
def space(services: Services) -> Space:
    return services.directory.production


@pytest.fixture
async def metric(http: httpx.AsyncClient) -> str:
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    return str(metric["id"])


@pytest.fixture
async def city(http: httpx.AsyncClient) -> str:
    [city] = await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    return str(city["id"])


@pytest.fixture
def finals(services: Services, space: Space) -> Finals:
    return Finals(services.pool, services.redis, services.directory, space, services.clock)


def day(clock: SettableClock, ago: int) -> date:
    return local_day(clock.now_ms, UTC) - timedelta(days=ago)


async def post(http: httpx.AsyncClient, clock: SettableClock, user: str, agos: Any, value: int = 1) -> None:
    """An event on each of the days, so many days ago, in a batch."""
    events = [
        {"key": "words", "user": {"id": user}, "value": value, "timestamp": f"{day(clock, ago)}T01:00:00Z"}
        for ago in agos
    ]
    answer = await http.post("/admin/v1/metrics/events", json=events)
    assert answer.status_code == 202, answer.text


async def daily(
    http: httpx.AsyncClient, clock: SettableClock, metric: str, *keys: str, **fields: Any
) -> list[dict[str, Any]]:
    common = {"rankBy": "metric", "metricId": metric, "status": "active", "start": str(day(clock, DAYS))}
    run = {"runUnit": "day", "runInterval": 1}
    return await make(
        http, "leaderboards", *({"name": key, "key": key, **common, **run, **fields} for key in keys)
    )


async def flush(services: Services) -> list[int]:
    """Flush; how many board moves each item of the log had."""
    space = services.directory.production
    entries = await services.redis.raw.xrange(space.keys.log)
    items = [item.item for id_, fields in entries for item in read_entry(id_.decode(), fields)]
    flusher = Flusher(services.pool, services.redis, space, services.clock)
    while (await flusher.flush()).more:
        pass
    return [len(item.ranks) // 3 for item in items]


async def groups(http: httpx.AsyncClient, key: str, on: date) -> list[tuple[Any, ...]]:
    found = (await get(http, f"{key}/groups", run=str(on)))["rankings"]
    return [(row["group"], row["value"], row["members"]) for row in found]


async def test_no_input_moves_more_boards_than_a_call_holds(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str, city: str
) -> None:
    await post(http, clock, "ann", range(DAYS, 0, -1))
    await http.patch("/v1/users/ann", json={"attributes": {"city": "Oslo"}})
    await daily(http, clock, metric, "a", "b")
    await daily(http, clock, metric, "oslo", groupBy=city)
    await daily(http, clock, metric, "each", breakdownAttributes=[city])
    await daily(http, clock, metric, "top", groupBy=city, aggregate="top", aggregateTop=3)
    await flush(services)
    filling = backfill_of(services)
    while (await filling.round()).more:
        pass
    moved = await flush(services)
    assert max(moved) <= PIECE_MOVES
    assert sum(moved) == 7 * DAYS
    for ago in (DAYS, 70, 3):
        on = day(clock, ago)
        assert places((await get(http, "a", run=str(on)))["rankings"]) == [(1, "ann", 1)]
        assert await groups(http, "oslo", on) == [("Oslo", 1, 1)]
        assert await groups(http, "top", on) == [("Oslo", 1, 1)]
        each: Any = await get(http, "each", run=str(on), userAttributes="city:Oslo")
        assert places(each["rankings"]) == [(1, "ann", 1)]
    assert await wrong_boards(services) == []
    # What no event can reach any more is not in the state.
    state = await services.pool.fetchval("SELECT state FROM users WHERE id = 'ann'")
    assert len(state) < 8_000


async def wrong_boards(services: Services) -> list[Any]:
    """Where boards, in either store, are not what the events say, summed up by plain SQL."""
    space = services.directory.production
    numbers = [
        (board.number, board.breakdown_attributes != (), board.group_by is not None, board.aggregate == "sum")
        for board in space.index.catalog.leaderboards
        if board.run_unit == "day"
    ]
    wrong: list[Any] = []
    for number, breaks, grouped, summed in numbers:
        start = space.index.leaderboard_by_number[number].start
        expected = await services.pool.fetch(
            "SELECT to_char(e.day, 'YYYYMMDD'), g.grp, e.user_id, sum(e.units)::bigint, max(e.at_ms)"
            " FROM events e JOIN users u ON u.space_id = e.space_id AND u.id = e.user_id"
            " CROSS JOIN LATERAL (SELECT '' WHERE NOT $2 UNION ALL"
            "   SELECT u.attributes ->> 'city' WHERE ($2 OR $3) AND u.attributes ? 'city') AS g (grp)"
            " WHERE e.day >= $1 AND NOT e.late GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            start,
            breaks,
            grouped,
        )
        found = await services.pool.fetch(
            "SELECT run, grp, user_id, value, reached_ms FROM standings WHERE leaderboard = $1",
            number,
        )
        said, is_ = {tuple(row) for row in expected}, {tuple(row) for row in found}
        wrong += [("missing", number, *row) for row in said - is_] + [
            ("extra", number, *row) for row in is_ - said
        ]
        sums: dict[tuple[str, str], int] = {}
        boards: dict[str, dict[str, int]] = {}
        for run, grp, user, value, reached_ms in said:
            name = f"{number}:{run}:{grp}" if grp else f"{number}:{run}"
            boards.setdefault(name, {})[f"{reached_ms:012x}{user}"] = -value
            if grp and grouped and summed:
                sums[run, grp] = sums.get((run, grp), 0) - value
        for name, members in boards.items():
            stored = await services.redis.raw.zrange(space.keys.board(name), 0, -1, withscores=True)
            if {member.decode(): score for member, score in stored} != members:
                wrong.append(("redis", name, stored, members))
        for (run, grp), total in sums.items():
            kept = await services.redis.raw.hget(f"{space.keys.prefix}s:g:{number}:{run}", grp)
            if kept is None or int(kept) != total:
                wrong.append(("sum", number, run, grp, kept, total))
    return wrong


class Killed(BaseException):
    """As if the process had ended."""


class Mortal:
    """Lets a worker die behind so many of its commits."""

    def __init__(self, batcher: Batcher, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 10**9
        self._submit = batcher.submit_many
        monkeypatch.setattr(batcher, "submit_many", self)

    async def __call__(self, inputs: Any) -> Any:
        done = await self._submit(inputs)
        self.left -= any(isinstance(one, CountHistory) for one in inputs)
        if self.left <= 0:
            self.left = 10**9
            raise Killed
        return done


async def test_a_worker_that_dies_between_pieces_counts_nothing_twice(
    http: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
    metric: str,
    city: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await post(http, clock, "ann", range(DAYS, 0, -1), 3)
    await http.patch("/v1/users/ann", json={"attributes": {"city": "Oslo"}})
    await daily(http, clock, metric, "oslo", groupBy=city)
    await flush(services)
    mortal = Mortal(services.intake(services.directory.production).batcher, monkeypatch)
    for pieces in (1, 2):
        mortal.left = pieces
        with pytest.raises(Killed):
            await backfill_of(services).round()
        await flush(services)
    # Ann moves before the next worker comes: what was counted for Oslo goes along.
    await http.patch("/v1/users/ann", json={"attributes": {"city": "Rome"}})
    assert await backfill(services) == 1
    assert await wrong_boards(services) == []


async def test_two_workers_at_once_count_nothing_twice(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str, city: str, space: Space
) -> None:
    for user in ("ann", "bob"):
        await post(http, clock, user, range(DAYS, 0, -1), 3)
        await http.patch(f"/v1/users/{user}", json={"attributes": {"city": "Oslo"}})
    await daily(http, clock, metric, "oslo", groupBy=city)
    await flush(services)
    board = space.index.leaderboard_by_key["oslo"]
    # As if the lock did not keep them apart: it is lost with its connection.
    both = [backfill_of(services)._count([board], ["ann", "bob"]) for _ in range(2)]
    for counted, stuck in await asyncio.gather(*both):
        assert (counted <= 2, stuck) == (True, {})
    await flush(services)
    assert await wrong_boards(services) == []


async def test_the_next_users_are_read_while_others_are_committed_and_read_again_if_they_posted(
    http: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
    metric: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users = [f"u{i}" for i in range(6)]
    for user in users:
        await post(http, clock, user, [3, 2, 1])
    await daily(http, clock, metric, "first")
    await flush(services)
    monkeypatch.setattr(backfill_module, "USERS_AT_ONCE", 2)
    monkeypatch.setattr(backfill_module, "AGAIN_S", 0)
    filling = backfill_of(services)
    asked: list[tuple[str, ...]] = []
    ahead = asyncio.Event()
    plans, commit = filling._planner.plans, filling._commit

    async def planned(boards: Any, asked_for: Any, *, with_log: bool) -> Any:
        asked.append((*asked_for, "and the log") if with_log else tuple(asked_for))
        found = await plans(boards, asked_for, with_log=with_log)
        if len(asked) == 2:
            ahead.set()
        return found

    async def committed(made: Any) -> Any:
        if made[0].user == "u0":
            await ahead.wait()  # the next are read meanwhile; then one of them posts
            await post(http, clock, "u3", [1])
        return await commit(made)

    monkeypatch.setattr(filling._planner, "plans", planned)
    monkeypatch.setattr(filling, "_commit", committed)
    assert (await filling.round()).counted == 6
    assert asked == [("u0", "u1"), ("u2", "u3"), ("u4", "u5"), ("u3", "and the log")]
    await flush(services)
    assert await wrong_boards(services) == []


async def test_who_cannot_be_read_ahead_is_found_out_in_turn(
    http: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
    metric: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users = [f"u{i}" for i in range(6)]
    for user in users:
        await post(http, clock, user, [3, 2, 1])
    await daily(http, clock, metric, "first")
    await flush(services)
    await services.pool.execute("UPDATE users SET state = '[]' WHERE id = 'u3'")
    monkeypatch.setattr(backfill_module, "USERS_AT_ONCE", 2)
    assert (await backfill_of(services).round()).counted == 5
    assert await services.pool.fetchval("SELECT user_id FROM backfill_set_aside") == "u3"
    await flush(services)


async def test_a_round_ends_where_the_log_is_far_behind(
    http: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
    metric: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for i in range(6):
        await post(http, clock, f"u{i}", [3, 2, 1])
    await daily(http, clock, metric, "first")
    await flush(services)
    monkeypatch.setattr(backfill_module, "USERS_AT_ONCE", 2)
    monkeypatch.setattr(backfill_module, "LAG_S", 0.0)
    filling = backfill_of(services)
    assert await filling.round() == Round(users=2, counted=2, more=True)
    assert await backfill(services, filling) == 4
    assert await wrong_boards(services) == []


async def test_the_days_of_a_past_run_have_who_came_and_no_ranks_on_the_way(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str
) -> None:
    for user in ("ann", "bob"):
        await post(http, clock, user, [3, 2], value=2)
    [board] = await daily(http, clock, metric, "first", runUnit="month")
    await backfill(services)
    path = f"/admin/v1/leaderboards/{board['id']}/analytics"
    assert (await http.get(path)).json()["participants"] == 2
    assert await services.pool.fetchval("SELECT count(*) FROM rank_history") == 0
    joined = await services.pool.fetch("SELECT day, joined, active, changes FROM board_days")
    assert [tuple(row) for row in joined] == [(day(clock, 2), 2, 0, 0)]
    # The first change after it goes on from the place that the backfill gave.
    await post(http, clock, "ann", [0], value=5)
    await flush(services)
    rows = await services.pool.fetch(
        "SELECT user_id, rank, previous_rank, value, previous_value FROM rank_history"
    )
    assert [tuple(row) for row in rows] == [("ann", 1, 1, 9, 4)]
    assert await services.pool.fetchval("SELECT sum(joined) FROM board_days") == 2


async def test_history_that_is_imported_before_its_turn_counts_once(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str, city: str
) -> None:
    for user in ("ann", "bob"):
        await http.put(f"/v1/users/{user}", json={"attributes": {"city": "Oslo"}})
    await post(http, clock, "bob", range(DAYS, 60, -1), 5)
    await daily(http, clock, metric, "oslo", groupBy=city)
    # All of it is counted live, and the state lets go of the old runs again.
    await post(http, clock, "ann", range(DAYS, 0, -1), 2)
    await post(http, clock, "bob", range(60, 0, -1), 5)
    assert await backfill(services) == 1
    assert await wrong_boards(services) == []


async def test_a_repetition_changes_nothing(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str, city: str
) -> None:
    await post(http, clock, "ann", range(DAYS, 0, -1))
    await daily(http, clock, metric, "a", operator="last")
    assert await backfill(services) == 1
    await services.pool.execute("DELETE FROM board_fills")
    before = await services.pool.fetchval("SELECT token FROM users WHERE id = 'ann'")
    assert await backfill(services) == 0
    assert await services.pool.fetchval("SELECT token FROM users WHERE id = 'ann'") == before


@seeds(5, always=2)
async def test_any_interleaving_gives_what_the_events_say(
    http: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
    metric: str,
    city: str,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    """Imports, live and late events, moves, workers that die and come back, all at once."""
    dice = random.Random(seed)
    users = [f"u{i}" for i in range(6)]
    newest = dict.fromkeys(users, DAYS)
    space = services.directory.production

    async def act() -> None:
        user = dice.choice(users)
        match dice.choice(("import", "import", "now", "late", "move")):
            case "import":
                upto = max(0, newest[user] - dice.randint(1, 60))
                if upto < newest[user]:
                    await post(http, clock, user, range(newest[user], upto, -1), dice.randint(1, 9))
                newest[user] = upto
            case "now":
                await post(http, clock, user, [0], dice.randint(1, 9))
                newest[user] = 0
            case "late":
                await post(http, clock, user, [dice.randint(0, DAYS)], dice.randint(1, 9))
            case "move":
                where = {"city": dice.choice(("Oslo", "Rome"))}
                answer = await http.put(f"/v1/users/{user}", json={"attributes": where})
                assert answer.status_code == 200, answer.text

    for user in users:
        await http.put(f"/v1/users/{user}", json={"attributes": {"city": dice.choice(("Oslo", "Rome"))}})
    for _ in range(10):
        await act()
    await daily(http, clock, metric, "plain")
    await daily(http, clock, metric, "grouped", groupBy=city)
    await daily(http, clock, metric, "broken", breakdownAttributes=[city])
    monkeypatch.setattr(backfill_module, "USERS_AT_ONCE", 2)
    monkeypatch.setattr(backfill_module, "AGAIN_S", 0)
    mortal = Mortal(services.intake(space).batcher, monkeypatch)

    async def fill() -> None:
        for _ in range(6):
            mortal.left = dice.randint(1, 12)
            with suppress(Killed):
                await backfill_of(services).round()
        mortal.left = 10**9

    async def live() -> None:
        for _ in range(15):
            await act()

    async def flush_always() -> None:
        while True:
            await flush(services)
            await asyncio.sleep(0.01)

    flushing = asyncio.create_task(flush_always())
    await asyncio.gather(fill(), live())
    flushing.cancel()
    with suppress(asyncio.CancelledError):
        await flushing
    await backfill(services)
    while await services.pool.fetchval("SELECT count(*) FROM backfill_set_aside"):
        clock.now_ms += 700_000
        await backfill(services)
    assert await wrong_boards(services) == []


async def test_a_user_who_cannot_be_brought_keeps_nobody_waiting(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str, finals: Finals, space: Space
) -> None:
    for user in ("ann", "bob", "cid"):
        await post(http, clock, user, range(30, 0, -1))
    [first] = await daily(http, clock, metric, "first")
    await flush(services)
    state = await services.pool.fetchval("SELECT state FROM users WHERE id = 'bob'")
    await services.pool.execute("UPDATE users SET state = '[]' WHERE id = 'bob'")
    assert await backfill(services) == 2
    shown = (await http.get(f"/admin/v1/leaderboards/{first['id']}")).json()["backfill"]
    assert shown == {"state": "retrying", "done": 3, "total": 3, "percent": 99, "setAside": 1}
    # A leaderboard that is made later is filled in its turn; Bob is not tried again and again.
    await daily(http, clock, metric, "second")
    await services.pool.execute("UPDATE users SET state = $1 WHERE id = 'bob'", state)
    assert await backfill(services) == 4
    on = str(day(clock, 3))
    assert len((await get(http, "second", run=on))["rankings"]) == 3
    assert await wrong_boards(services) == []
    rows = (await http.get("/admin/v1/leaderboards")).json()
    assert {row["backfill"]["state"] for row in rows} == {"done"}


async def test_who_is_set_aside_is_tried_again_after_a_pause_and_given_up_in_the_end(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str, finals: Finals
) -> None:
    for user in ("ann", "bob"):
        await post(http, clock, user, range(30, 0, -1))
    [board] = await daily(http, clock, metric, "first")
    await flush(services)
    await services.pool.execute("UPDATE users SET state = '[]' WHERE id = 'bob'")
    filling = backfill_of(services)

    async def tries() -> int:
        found: int = await services.pool.fetchval("SELECT tries FROM backfill_set_aside")
        return found

    await backfill(services, filling)
    await backfill(services, filling)
    assert await tries() == 1  # nothing has changed, and the pause is not over
    clock.now_ms += 3 * MS_PER_DAY
    await finals.round()
    assert await services.pool.fetchval("SELECT count(*) FROM final_runs") == 0  # Bob may still come
    for _ in range(7):
        clock.now_ms += 700_000
        await backfill(services, filling)
    assert await tries() == 8
    shown = (await http.get(f"/admin/v1/leaderboards/{board['id']}")).json()["backfill"]
    assert (shown["state"], shown["setAside"]) == ("incomplete", 1)
    assert await finals.round() == 30


async def test_a_draft_is_not_final_before_a_day_after_its_activation(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str, finals: Finals
) -> None:
    [board] = await daily(http, clock, metric, "first", status="inactive")
    clock.now_ms += 3 * MS_PER_DAY
    await post(http, clock, "ann", range(30, 0, -1))
    await http.patch("/admin/v1/leaderboards", json=[{"id": board["id"], "status": "active"}])
    await backfill(services)
    await finals.round()
    run = (await get(http, "first", run=str(day(clock, 20))))["run"]
    until = datetime.fromtimestamp((clock.now_ms + MS_PER_DAY) / 1000, UTC)
    assert (run["state"], run["finalAt"]) == ("provisional", until.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
    await post(http, clock, "bob", range(30, 0, -1), 2)  # history still counts
    assert len((await get(http, "first", run=str(day(clock, 20))))["rankings"]) == 2
    await flush(services)
    clock.now_ms += MS_PER_DAY
    await finals.round()
    found: Any = await get(http, "first", run=str(day(clock, 20)))
    assert (found["run"]["state"], places(found["rankings"])) == ("final", [(1, "bob", 2), (2, "ann", 1)])


async def test_no_run_is_final_while_history_is_counted(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, metric: str, finals: Finals, space: Space
) -> None:
    await post(http, clock, "ann", range(30, 0, -1))
    [board] = await daily(http, clock, metric, "first")
    assert board["backfill"] == {"state": "pending", "done": 0, "total": 0, "percent": 0, "setAside": 0}
    clock.now_ms += 3 * MS_PER_DAY
    await flush(services)
    await finals.round()
    assert (await get(http, "first", run=str(day(clock, 20))))["run"]["state"] == "provisional"
    ended = await http.post(f"/admin/v1/leaderboards/{board['id']}/runs/end")
    assert ended.status_code == 422
    assert "still being counted on the leaderboard (0 %)" in ended.json()["error"]
    assert await backfill(services) == 1
    await finals.round()
    found: Any = await get(http, "first", run=str(day(clock, 20)))
    assert (found["run"]["state"], places(found["rankings"])) == ("final", [(1, "ann", 1)])
    assert (await http.post(f"/admin/v1/leaderboards/{board['id']}/runs/end")).status_code == 200


async def test_progress_is_shown_and_survives_the_worker(
    http: httpx.AsyncClient,
    services: Services,
    clock: SettableClock,
    metric: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for i in range(5):
        await post(http, clock, f"u{i}", [3, 2, 1])
    [draft] = await daily(http, clock, metric, "draft", status="inactive")
    assert draft["backfill"] is None
    [board] = await daily(http, clock, metric, "first")
    await flush(services)
    monkeypatch.setattr(backfill_module, "USERS_AT_ONCE", 2)
    monkeypatch.setattr(backfill_module, "SLICE_S", 0)

    async def progress() -> Any:
        return (await http.get(f"/admin/v1/leaderboards/{board['id']}")).json()["backfill"]

    seen = []
    for _ in range(3):
        monkeypatch.setattr(backfill_module, "stopwatch_s", ticking())
        more = (await backfill_of(services).round()).more
        await flush(services)
        seen.append((await progress(), more))
    assert [(one["state"], one["done"], one["percent"], more) for one, more in seen] == [
        ("filling", 2, 40, True),
        ("filling", 4, 80, True),
        ("done", 5, 100, False),
    ]
    [listed, *_] = (await http.get("/admin/v1/leaderboards")).json()[::-1]
    assert listed["backfill"] == seen[-1][0]
    assert msgspec.json.encode(listed["backfill"])


def ticking() -> Any:
    """A stopwatch on which a slice has room for one visit."""
    looks = iter((0.0, -1.0))
    return lambda: next(looks, 0.0)
