"""A space full of users, as if they had played for months: COPY into Postgres, then the product's own rebuild."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

from tqdm import tqdm

from loadtest.generators import user_id
from podium.demo.catalog import METRIC
from podium.game.leaderboards.model import Standing
from podium.game.leaderboards.ranking import split_board
from podium.game.metrics.model import Metric
from podium.game.periods import MS_PER_DAY, local_day, zone
from podium.game.state import UserState, encode_state
from podium.game.users.model import Profile
from podium.services import Services
from podium.spaces.space import Space
from podium.writebehind.rebuild import rebuild

CHUNK = 20_000
"""Rows of one COPY."""
MORNING = 8
"""Everybody's local hour at the start, so that no daily run ends during a benchmark."""

DAY_COLUMNS = ("space_id", "user_id", "metric", "day", "change")
USER_COLUMNS = (
    "space_id",
    "id",
    "name",
    "tz",
    "attributes",
    "created_ms",
    "updated_ms",
    "newest_ms",
    "token",
    "state",
)


class Seeded(NamedTuple):
    """``redis_bytes`` is what Redis took for the users, by kind of key; all but ``total`` estimated."""

    users: int
    copy_s: float
    rebuild_s: float
    redis_bytes: dict[str, int]


async def seed(
    services: Services,
    space: Space,
    users: int,
    redis_sample: int = 1_000,
    also: Callable[[UserState, date], UserState] = lambda state, _: state,
) -> Seeded:
    """Fill an empty space: every user on every board of the demo's metric. Nobody else may run. ``also`` gives a
    state more, on the users' local day."""
    now_ms = services.clock()
    tz = morning_zone(now_ms)
    metric = space.index.metric_by_key[METRIC]
    today = local_day(now_ms, zone(tz))
    boards = [board.name for board in space.index.open_boards(metric.number, today)]
    began_s = time.perf_counter()
    await _copy(services, space, users, metric, boards, now_ms, today, tz, also)
    copy_s = time.perf_counter() - began_s

    redis = services.redis.raw
    before = (await redis.info("memory"))["used_memory"]
    began_s = time.perf_counter()
    with tqdm(desc="rebuild into Redis", unit="row", unit_scale=True) as bar:

        def advance(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        await rebuild(services.pool, services.redis, space, services.clock, force=True, progress=advance)
    rebuild_s = time.perf_counter() - began_s
    total = (await redis.info("memory"))["used_memory"] - before
    return Seeded(users, copy_s, rebuild_s, await _memory(services, space, users, boards, total, redis_sample))


def morning_zone(now_ms: int) -> str:
    """A time zone in which it is about ``MORNING`` o'clock, today or tomorrow (UTC)."""
    offset = MORNING - time.gmtime(now_ms / 1000).tm_hour
    if offset < -12:
        offset += 24
    return "Etc/GMT" if offset == 0 else f"Etc/GMT{-offset:+d}"  # POSIX counts westwards


async def _copy(
    services: Services,
    space: Space,
    users: int,
    metric: Metric,
    boards: list[str],
    now_ms: int,
    today: date,
    tz: str,
    also: Callable[[UserState, date], UserState],
) -> None:
    dice = random.Random(users)
    one = 10**metric.decimals
    totals = [(int(dice.expovariate(1 / 5_000)) + 1) * one for _ in range(users)]
    joined_ms = now_ms - 90 * MS_PER_DAY
    yesterday = today - timedelta(days=1)

    def chunk(numbers: range) -> Iterator[tuple[Any, ...]]:
        for number in numbers:
            user = user_id(number)
            name = f"Writer {number}"
            newest_ms = now_ms - dice.randrange(1, 3_600_000)
            standings = {}
            for board in boards:
                value = max(one, totals[number] // 50) if split_board(board).run else totals[number]
                standings[board] = Standing(value, newest_ms)
            state = UserState(
                Profile(joined_ms, joined_ms, name=name, tz=tz),
                newest_ms=newest_ms,
                seen_ms=newest_ms,
                totals={metric.number: totals[number]},
                boards=standings,
            )
            row: tuple[Any, ...] = (
                space.id,
                user,
                name,
                tz,
                {},
                joined_ms,
                joined_ms,
                newest_ms,
                f"seed.{number}",
            )
            yield (*row, encode_state(also(state, today)))

    with tqdm(total=users, desc="copy into Postgres", unit="user", unit_scale=True) as bar:
        for first in range(0, users, CHUNK):
            numbers = range(first, min(users, first + CHUNK))
            rows = list(chunk(numbers))
            # As the flusher writes it: with yesterday's change, metric_days adds up to the totals.
            days = [(space.id, user_id(number), metric.number, yesterday, totals[number]) for number in numbers]
            async with services.pool.acquire() as connection, connection.transaction():
                await connection.copy_records_to_table("users", records=rows, columns=USER_COLUMNS)
                await connection.copy_records_to_table("metric_days", records=days, columns=DAY_COLUMNS)
            bar.update(len(rows))
    async with services.pool.acquire() as connection:
        # So does every run that somebody came onto.
        await connection.executemany(
            "INSERT INTO board_days (space_id, leaderboard, run, day, changes) VALUES ($1, $2, $3, $4, $5)",
            [(space.id, *split_board(board)[:2], today, users) for board in boards],
        )
        for table in ("users", "board_days", "metric_days"):
            await connection.execute(f"VACUUM ANALYZE {table}")
        await connection.execute("CHECKPOINT")


async def _memory(
    services: Services, space: Space, users: int, boards: list[str], total: int, sample: int
) -> dict[str, int]:
    redis = services.redis.raw
    keys = space.keys
    found = {"total": total, "boards": 0}
    for board in boards:
        found["boards"] += await redis.memory_usage(keys.board(board), samples=sample) or 0
    found["names"] = await redis.memory_usage(keys.names, samples=sample) or 0
    step = max(1, users // sample)
    async with redis.pipeline(transaction=False) as pipeline:
        for number in range(0, users, step):
            pipeline.memory_usage(keys.user(user_id(number)), samples=0)
        sizes = [size for size in await pipeline.execute() if size]
    found["states"] = round(sum(sizes) / max(1, len(sizes)) * users)
    found["key table and rest"] = total - found["boards"] - found["names"] - found["states"]
    return found
