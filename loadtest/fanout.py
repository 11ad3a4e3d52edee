"""The live rows of the benchmark's table: many viewers, in a process of their own (crowd.py)."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import httpx
import psutil

from loadtest import generators
from loadtest.crowd import Counted, Crowd, Watcher
from loadtest.generators import Climb, user_id
from loadtest.histogram import quantile
from loadtest.rows import DAY_RATE, WARM_UP_S, Run
from loadtest.stack import until_answered
from podium.demo.catalog import METRIC
from podium.game.leaderboards.model import MAX_PARTICIPANTS
from podium.game.leaderboards.ranking import board_name, member_user, shown_rank

BOARDS = tuple(f"fan-{i}" for i in range(10))
"""Leaderboards of the viewers, each with a metric of its own and the same key."""
SHARED = "all-time"
"""The board of all users."""
VIEWERS = 1_000
TIMED = 20
"""One viewer in so many is timed."""
CLIMBERS = 50
"""Of a board: five windows of ten, so that each change brings somebody in and puts somebody out, and a climber's
turn comes again only after all others'."""
TOP = 100_000_000
"""Totals of a load's climbers begin here times the number of the load: above those of all loads before."""
FAN_RATE = 200.0
"""Window changes a second of one board."""
LIMIT_S = 0.3
"""Within which one learns of a changed rank."""
PASSING_RATE = 2.0
"""Users a second who appear above all who watch, so that the rank of each of them changes."""
IDLE, IDLE_BEFORE = 2_000, 200
"""Viewers whose memory is measured, and those that are there before, so that nothing is loaded meanwhile."""
ROOM = 5_000
"""Viewers that connect at once."""
SLOW = 20
"""Viewers that read nothing, together, so that one's memory can be told from the noise."""
POSTERS = 64
"""Connections that post changes."""
LEAD_S = 0.5
"""From the decision to start until the start."""
SETTLE_S = 2.0
MEMORY_S = 0.25
"""Pause between two looks at memory."""


class Live(NamedTuple):
    """A run with the viewers' boards; ``tags`` number the loads."""

    run: Run
    tags: Any

    def climb(
        self, seconds: float, rate: float, boards: tuple[str, ...] = BOARDS, warm_s: float = WARM_UP_S
    ) -> Climb:
        """Changes that begin in a moment: those of the first ``warm_s``, and of each climber's first turn, are
        not looked for."""
        tag = next(self.tags)
        round_ = CLIMBERS * len(boards)
        return Climb(
            tag=f"climber{tag}",
            boards=boards,
            metrics=boards,
            climbers=CLIMBERS,
            base=tag * TOP,
            start_s=time.perf_counter() + LEAD_S,
            rate=rate,
            count=round((warm_s + seconds) * rate),
            warm=max(round_, round(warm_s * rate)) if seconds * rate > round_ else round(warm_s * rate),
        )

    def crowd(self, watchers: list[Watcher], **options: Any) -> Crowd:
        """Viewers who may see everything."""
        return Crowd(self.run.stack.port, self.run.stack.key, watchers, **options)

    async def post(self, climb: Climb) -> generators.Result:
        """Post the changes."""
        load = self.run.load(connections=POSTERS)
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self.run.executor, generators.climb, load, climb)
        self.run.note(result)
        return result

    def memory(self) -> int:
        """Resident bytes of the web processes."""
        root = psutil.Process(self.run.stack.pids["web"])
        total = 0
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total


async def prepare(run: Run) -> Live:
    """Make the boards, and wait until the server knows them."""
    headers = {"X-API-KEY": run.stack.key}
    async with httpx.AsyncClient(base_url=f"{run.stack.url}/admin/v1", headers=headers, timeout=10) as client:
        metrics = [{"key": key, "name": key} for key in BOARDS]
        made = (await client.post("/metrics", json=metrics)).raise_for_status().json()
        common = {"rankBy": "metric", "status": "active", "public": True}
        boards = [
            {"key": metric["key"], "name": metric["key"], "metricId": metric["id"], **common}
            for metric in made["created"]
        ]
        answer = (await client.post("/leaderboards", json=boards)).raise_for_status().json()
        if len(answer["created"]) != len(BOARDS):
            raise RuntimeError(f"the viewers' boards cannot be made: {made['issues']}, {answer['issues']}")
        for key in BOARDS:
            await until_answered(f"{run.stack.url}/v1/leaderboards/{key}", 200, [], headers=headers)
    await run.stack.services.directory.refresh()
    return Live(run, itertools.count(1))


async def fan_out(live: Live) -> dict[str, Any]:
    """1,000 viewers of one board, 200 changes a second of its first ten places, every change at once."""
    watchers = [Watcher((f"leaderboard:{BOARDS[0]}",), "count") for _ in range(VIEWERS)]
    with await _in_thread(live.crowd(watchers)) as crowd:
        climb = live.climb(live.run.seconds, FAN_RATE, BOARDS[:1])
        cpu = live.run.stack.cpu_s()
        posted, seen = await _played(live, crowd, climb)
        cpu_after = live.run.stack.cpu_s()
    looked_s = climb.due_s(climb.count) - climb.due_s(climb.warm)
    return {
        "rate": seen.publications / looked_s,
        "frame_bytes": seen.bytes / max(1, seen.publications),
        "changes": posted.rate,
        "closed": seen.closed,
        "generator_cores": seen.cpu_s / looked_s,
        "cores": {name: (cpu_after[name] - cpu[name]) / posted.seconds for name in cpu},
    }


async def frames(live: Live, interval: int) -> dict[str, Any]:
    """1,157 changes a second over ten boards with 100 viewers each."""
    with await _in_thread(live.crowd(_spread(interval))) as crowd:
        posted, seen = await _played(live, crowd, live.climb(live.run.seconds, DAY_RATE))
    return _latencies(posted, seen)


async def personal(live: Live) -> dict[str, Any]:
    """1,000 users watch their own place on the board of all, each changed twice a second by somebody new."""
    run = live.run
    alone = await run.play(generators.wrk, run.load(seconds=max(2.0, run.seconds / 2)))
    users = [user_id(i * max(1, run.users // VIEWERS)) for i in range(VIEWERS)]
    watchers = [Watcher((f"leaderboard:{SHARED}#{user}",), "time", personal=True) for user in users]
    with await _in_thread(live.crowd(watchers)) as crowd:
        climb = live.climb(run.seconds, PASSING_RATE, (SHARED,))._replace(
            metrics=(METRIC,), climbers=TOP, warm=round(WARM_UP_S * PASSING_RATE)
        )
        rest = run.load(rate=DAY_RATE - PASSING_RATE, seconds=climb.count / climb.rate)
        _, (posted, seen) = await asyncio.gather(run.play(generators.post, rest), _played(live, crowd, climb))
        beside = await run.play(generators.wrk, run.load(seconds=max(2.0, run.seconds / 2)))
        await asyncio.sleep(SETTLE_S)
        wrong = await _wrong_places(live, crowd.places().places)
    within = sum(latency <= LIMIT_S for latency in seen.seen_s)
    return {
        **_latencies(posted, seen),
        "max_s": max(seen.seen_s, default=0.0),
        "within": within,
        "expected": len(seen.seen_s) + seen.lost,
        "wrong_places": wrong,
        "alone_rate": alone.rate,
        "beside_rate": beside.rate,
    }


async def _wrong_places(live: Live, places: dict[str, tuple[int | None, float | None]]) -> int:
    """How many users' last frames say something else than Redis."""
    space = live.run.space
    leaderboard = space.index.leaderboard_by_key[SHARED]
    scale = 10 ** space.index.metric_by_key[METRIC].decimals
    key = space.keys.board(board_name(leaderboard.number, ""))
    truth: dict[str, tuple[int, float]] = {}
    first = 0
    while page := await live.run.redis.zrange(key, first, first + 4_999, withscores=True):
        for rank, (member, score) in enumerate(page, start=first + 1):
            user = member_user(member.decode())
            if user in places:
                truth[user] = rank, -int(score) / scale
        first += len(page)
    most = leaderboard.max_participants or MAX_PARTICIPANTS
    shown = {user: (shown_rank(rank, most), value) for user, (rank, value) in truth.items()}
    return sum(shown[user] != place for user, place in places.items())


async def memory(live: Live) -> dict[str, Any]:
    """What the web process grows by with viewers to whom nothing is sent."""
    watcher = Watcher((f"leaderboard:{BOARDS[0]}",), "count", interval=50)
    with await _in_thread(live.crowd([watcher] * IDLE_BEFORE)):
        await asyncio.sleep(SETTLE_S)
        before = live.memory()
        with await _in_thread(live.crowd([watcher] * IDLE)):
            await asyncio.sleep(SETTLE_S)
            after = live.memory()
    return {"viewers": IDLE, "bytes": (after - before) / IDLE}


async def connecting(live: Live) -> dict[str, Any]:
    """5,000 viewers open their connections in one go while the day's load goes on and their board changes."""
    run = live.run
    seconds = max(12.0, run.seconds / 2)
    posting = asyncio.ensure_future(run.play(generators.post, run.load(rate=DAY_RATE, seconds=seconds)))
    climb = live.climb(seconds - WARM_UP_S - LEAD_S, 1.0, BOARDS[1:2])
    changing = asyncio.ensure_future(live.post(climb))
    await asyncio.sleep(WARM_UP_S)
    watcher = Watcher((f"leaderboard:{BOARDS[1]}",), "keep", interval=50)
    with await _in_thread(live.crowd([watcher] * ROOM, at_once=ROOM)) as crowd:
        posted, _ = await asyncio.gather(posting, changing)
        await asyncio.sleep(SETTLE_S)
        kept = crowd.boards()
    headers = {"X-API-KEY": run.stack.key}
    async with httpx.AsyncClient(base_url=run.stack.url, headers=headers) as client:
        page = (await client.get(f"/v1/leaderboards/{BOARDS[1]}", params={"limit": 10})).raise_for_status().json()
    truth = [(row["userId"], row["value"]) for row in page["rankings"]]
    return {
        "viewers": ROOM,
        "p50_s": quantile(crowd.ready_s, 0.5),
        "max_s": max(crowd.ready_s),
        "right": sum(n for board, n in kept.boards if board == truth),
        "gaps": kept.gaps,
        "posted_rate": posted.rate,
        "refused": posted.refused,
        "unknown": posted.unknown,
        "posted_p50_s": posted.p50_s,
        "posted_p99_s": posted.p99_s,
    }


async def slow(live: Live) -> dict[str, Any]:
    """Beside a hundred viewers of ten boards some of all ten read nothing; what they cost in memory and time."""
    with await _in_thread(live.crowd(_spread(0, VIEWERS // 10, timed=2))) as crowd:
        everything = tuple(f"leaderboard:{board}" for board in BOARDS)
        # As many who do read: else the frames themselves would count as an effect of slowness.
        with await _in_thread(live.crowd([Watcher(everything, "count")] * SLOW)):
            climb = live.climb(max(3.0, live.run.seconds / 4), DAY_RATE)
            alone = _latencies(*await _played(live, crowd, climb))
        watcher = Watcher(everything, "nothing")
        before = live.memory()
        with await _in_thread(live.crowd([watcher] * SLOW)):
            async with _peak(live) as peak:
                beside = _latencies(*await _played(live, crowd, live.climb(live.run.seconds, DAY_RATE)))
    return {
        "seconds": live.run.seconds,
        "viewers": SLOW,
        "bytes": (peak[0] - before) / SLOW,
        "alone": alone,
        "beside": beside,
    }


def _spread(interval: int, viewers: int = VIEWERS, timed: int = TIMED) -> list[Watcher]:
    """Viewers spread over all boards, the timed ones evenly among those who were there before and after."""
    return [
        Watcher((f"leaderboard:{BOARDS[i % 10]}",), "count" if i // 10 % timed else "time", interval=interval)
        for i in range(viewers)
    ]


async def _played(live: Live, crowd: Crowd, climb: Climb) -> tuple[generators.Result, Counted]:
    crowd.look(climb.due_s(climb.warm), climb.due_s(climb.count), climb)
    posted = await live.post(climb)
    return posted, await asyncio.to_thread(crowd.hear)


async def _in_thread(crowd: Crowd) -> Crowd:
    """Connect without blocking the loop."""
    await asyncio.to_thread(crowd.connect)
    return crowd


@asynccontextmanager
async def _peak(live: Live) -> AsyncIterator[list[int]]:
    """The most memory inside the block."""
    most = [0]

    async def watch() -> None:
        while True:
            most[0] = max(most[0], live.memory())
            await asyncio.sleep(MEMORY_S)

    watching = asyncio.create_task(watch())
    try:
        yield most
    finally:
        watching.cancel()


def _latencies(posted: generators.Result, seen: Counted) -> dict[str, Any]:
    return {
        "rate": posted.rate,
        "refused": posted.refused,
        "unknown": posted.unknown,
        "posted_p99_s": posted.p99_s,
        "p50_s": quantile(seen.seen_s, 0.5),
        "p99_s": quantile(seen.seen_s, 0.99),
        "seen": len(seen.seen_s),
        "lost": seen.lost,
        "closed": seen.closed,
        "publications": seen.publications,
        "generator_cores": seen.cpu_s / max(posted.seconds, 0.1),
    }
