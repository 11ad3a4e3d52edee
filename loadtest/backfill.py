"""Leaderboards made over the history of many users: do they end right, how long does it take, what do others
notice?

``python -m loadtest.backfill --users 1000000 --days 90 --boards 3 --rate 500`` copies a history into Postgres, has
a rebuild fill Redis, posts events of other users at a fixed rate, alone and then while daily leaderboards over the
whole history are made, and compares every board of them with the events, summed up by plain SQL, and Redis with
Postgres place by place. Prints a table, and JSON with ``--json``. Exit code 1 if a board is wrong, the time was
up, or the others' p99 was more than ``REACH`` times what it was alone.

The history: ``--heavy`` users were active on every day, each of the others on ``--active`` days on average, evenly
spread: one event of 1 to 9 a day. So a million users, 3 leaderboards and 90 days are 9.2 million places with the
defaults, about 1 GB of Redis; every user on every day would be 270 million, 30 GB.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click
import httpx
import msgspec
from tqdm import tqdm

from loadtest import generators, probes
from loadtest.generators import Load, Result
from loadtest.histogram import quantile
from loadtest.rows import CONNECTIONS, WARM_UP_S, executor
from loadtest.seed import CHUNK, USER_COLUMNS
from loadtest.stack import Stack, open_stack
from loadtest.verify import differences
from podium.demo.catalog import METRIC
from podium.game.ids import new_uuid7
from podium.game.metrics.model import Metric
from podium.game.periods import MS_PER_DAY
from podium.game.records import EventRecord
from podium.game.state import UserState, encode_state
from podium.game.users.model import Profile
from podium.services import Services
from podium.spaces.catalog_store import editing
from podium.spaces.item_kinds import METRIC as METRIC_KIND
from podium.spaces.space import Principal, Space
from podium.storage.embedded import DataFolder
from podium.storage.embedded.temporary import temporary_folder
from podium.writebehind.batches import EVENT_COLUMNS, event_row
from podium.writebehind.rebuild import rebuild

HISTORY = "history"
"""The metric of the leaderboards; the others post to the demo's."""
OTHERS = 2_000
"""Users who post meanwhile."""
SLICE_S = 20.0
"""A p99 is taken of so long."""
ALONE = 2
"""Slices without leaderboards that are filled, before and after them: a machine is busier at times."""
REACH = 2.0
LOOK_S = 1.0
SLOW_S = 0.01
"""Calls that Redis takes longer for are noted."""
TOO_SLOW_S = 0.02
SHOWN = 6
"""Differences that the table names; the JSON has all."""


class Calls(NamedTuple):
    """Redis' calls while leaderboards were filled: function calls and the seconds they took inside Redis, and the
    seconds of those over ``SLOW_S``, the longest first."""

    count: int
    total_s: float
    p99_s: float
    slow_s: list[float]


class Made(NamedTuple):
    """The measurements. ``during`` has p50 and p99 in seconds of each slice while leaderboards were filled."""

    users: int
    days: int
    boards: int
    events: int
    places: int
    copy_s: float
    rebuild_s: float
    took_s: float
    alone: list[Result]
    during: list[Result]
    redis_bytes: int
    cpu_s: dict[str, float]
    """Seconds of CPU of each process while leaderboards were filled."""
    calls: Calls
    finished: bool
    wrong: list[str]

    @property
    def p99_s(self) -> float:
        """The median of the slices' p99: one slice may hold somebody else's checkpoint."""
        return quantile([one.p99_s for one in self.during], 0.5)

    @property
    def alone_s(self) -> float:
        """The same without leaderboards that are filled."""
        return quantile([one.p99_s for one in self.alone], 0.5)


async def measure(options: dict[str, Any], folder: DataFolder) -> Made:
    """Do it all."""
    deadline_s = time.monotonic() + options["limit"] * 60
    async with open_stack(folder, 1) as stack:
        services, space = stack.services, stack.services.directory.production
        today = datetime.fromtimestamp(services.clock() / 1000, UTC).date()
        first = today - timedelta(days=options["days"])
        metric = await make_metric(services, space)
        began_s = time.perf_counter()
        events = await copy_history(services, space, metric, first, options)
        copied_s = time.perf_counter()
        await rebuild(services.pool, services.redis, space, services.clock, force=True)
        rebuilt_s = time.perf_counter()
        await probes.settle_redis(services.redis.raw)
        before = (await services.redis.raw.info("memory"))["used_memory"]
        load = Load(stack.port, stack.key, METRIC, OTHERS, OTHERS, CONNECTIONS, SLICE_S, options["rate"])
        async with stack.serving():
            loop = asyncio.get_running_loop()
            with executor() as processes:
                await loop.run_in_executor(processes, generators.post, load._replace(seconds=WARM_UP_S))
                alone = [await loop.run_in_executor(processes, generators.post, load) for _ in range(ALONE)]
                ids = await _make_boards(stack, metric, first, options["boards"])
                await _watch_calls(services.redis.raw)
                filling_s, cpu_s = time.perf_counter(), stack.cpu_s()
                filling = asyncio.create_task(_filled(stack, ids, deadline_s))
                during: list[Result] = []
                while not filling.done():
                    during.append(await loop.run_in_executor(processes, generators.post, load))
                ended_s = await filling
                cpu_s = {name: spent - cpu_s[name] for name, spent in stack.cpu_s().items()}
                calls = await _calls(services.redis.raw)
                await probes.until_flushed(services, space)
                alone += [await loop.run_in_executor(processes, generators.post, load) for _ in range(ALONE)]
            await probes.until_flushed(services, space)
        after = (await services.redis.raw.info("memory"))["used_memory"]
        await services.directory.refresh()
        places, wrong = await _verify(stack, metric, options["boards"], finished=ended_s is not None)
        return Made(
            users=options["users"],
            days=options["days"],
            boards=options["boards"],
            events=events,
            places=places,
            copy_s=copied_s - began_s,
            rebuild_s=rebuilt_s - copied_s,
            took_s=(ended_s or time.perf_counter()) - filling_s,
            alone=alone,
            during=during,
            redis_bytes=after - before,
            cpu_s=cpu_s,
            calls=calls,
            finished=ended_s is not None,
            wrong=wrong,
        )


async def _watch_calls(redis: Any) -> None:
    await redis.config_set("slowlog-log-slower-than", int(SLOW_S * 1_000_000))
    await redis.config_set("slowlog-max-len", 100_000)
    await redis.slowlog_reset()
    await redis.config_resetstat()


async def _calls(redis: Any) -> Calls:
    stats = (await redis.info("commandstats"))["cmdstat_fcall"]
    slow = await redis.slowlog_get(100_000)
    return Calls(
        count=stats["calls"],
        total_s=stats["usec"] / 1_000_000,
        p99_s=(await probes.function_percentiles_us(redis))["p99"] / 1_000_000,
        slow_s=sorted((entry["duration"] / 1_000_000 for entry in slow), reverse=True),
    )


async def make_metric(services: Services, space: Space) -> Metric:
    """Make the metric of the history."""
    actor = Principal(space, "bench", "bench", frozenset())
    async with editing(services.directory, space, actor) as editor:
        number = editor.take_number()
        metric = Metric(new_uuid7(services.clock()), number, HISTORY, HISTORY, decimals=0)
        editor.insert(METRIC_KIND, metric)
    return metric


def _history(options: dict[str, Any], first: date) -> Iterator[tuple[str, list[tuple[date, int]]]]:
    """Users with the days on which they were active, and the values of those."""
    dice = random.Random(options["users"])
    days, share = options["days"], options["active"] / options["days"]
    for number in range(options["users"]):
        if number < options["heavy"]:
            active = list(range(days))
        else:
            count = min(days, max(1, round(dice.gauss(share * days, 1))))
            active = sorted(dice.sample(range(days), count))
        yield f"h{number:08}", [(first + timedelta(days=at), dice.randint(1, 9)) for at in active]


async def copy_history(
    services: Services, space: Space, metric: Metric, first: date, options: dict[str, Any]
) -> int:
    """Copy users, events and days into Postgres, as a flusher would have left them; how many events."""
    now_ms, count = services.clock(), 0
    users: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    days: list[tuple[Any, ...]] = []

    async def write() -> None:
        async with services.pool.acquire() as connection, connection.transaction():
            await connection.copy_records_to_table("users", records=users, columns=USER_COLUMNS)
            await connection.copy_records_to_table("events", records=events, columns=EVENT_COLUMNS)
            columns = ("space_id", "user_id", "metric", "day", "change")
            await connection.copy_records_to_table("metric_days", records=days, columns=columns)
        for rows in (users, events, days):
            rows.clear()

    for user, active in tqdm(_history(options, first), total=options["users"], unit="user", desc="history"):
        at_ms = 0
        for day, value in active:
            at_ms = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
            event = EventRecord(new_uuid7(now_ms), metric.number, value, at_ms, now_ms, day.toordinal())
            events.append(event_row(space.id, user, event))
            days.append((space.id, user, metric.number, day, value))
        joined_ms = now_ms - (options["days"] + 1) * MS_PER_DAY
        total = sum(value for _, value in active)
        state = UserState(
            Profile(joined_ms, joined_ms),
            newest_ms=at_ms,
            seen_ms=now_ms,
            totals={metric.number: total},
            newest={metric.number: at_ms},
        )
        fixed = (space.id, user, None, None, {}, joined_ms, now_ms, at_ms, f"seed.{user}")
        users.append((*fixed, encode_state(state)))
        count += len(active)
        if len(events) >= CHUNK:
            await write()
    await write()
    async with services.pool.acquire() as connection:
        for table in ("users", "events", "metric_days"):
            await connection.execute(f"VACUUM ANALYZE {table}")
        await connection.execute("CHECKPOINT")
    return count


async def _make_boards(stack: Stack, metric: Metric, first: date, boards: int) -> list[str]:
    items = [
        {
            "name": f"Daily {i}",
            "key": f"daily-{i}",
            "rankBy": "metric",
            "metricId": metric.id,
            "start": first.isoformat(),
            "runUnit": "day",
            "runInterval": 1,
            "status": "active",
        }
        for i in range(boards)
    ]
    async with httpx.AsyncClient(base_url=stack.url, headers={"X-API-KEY": stack.key}) as client:
        answer = (await client.post("/admin/v1/leaderboards", json=items)).raise_for_status().json()
    return [row["id"] for row in answer["created"]]


async def _filled(stack: Stack, ids: list[str], deadline_s: float) -> float | None:
    """When all were filled (``perf_counter``); None where time was up before."""
    async with httpx.AsyncClient(base_url=stack.url, headers={"X-API-KEY": stack.key}, timeout=60) as client:
        with tqdm(desc="backfill", unit="user") as bar:
            while time.monotonic() < deadline_s:
                answer = (await client.get("/admin/v1/leaderboards", params={"limit": 100})).raise_for_status()
                found = [row["backfill"] for row in answer.json() if row["id"] in ids]
                bar.total = max(one["total"] for one in found)
                bar.update(min(one["done"] for one in found) - bar.n)
                if all(one["state"] == "done" for one in found):
                    return time.perf_counter()
                await asyncio.sleep(LOOK_S)
    return None


_WRONG = """
WITH said AS (
    SELECT to_char(day, 'YYYYMMDD') AS run, user_id, sum(units)::bigint AS value, max(at_ms) AS reached_ms
    FROM events WHERE space_id = $1 AND metric = $2 AND NOT late GROUP BY 1, 2
), found AS (
    SELECT run, user_id, value, reached_ms FROM standings WHERE space_id = $1 AND leaderboard = $3
)
SELECT (SELECT count(*) FROM (TABLE said EXCEPT TABLE found) AS missing),
       (SELECT count(*) FROM (TABLE found EXCEPT TABLE said) AS extra), (SELECT count(*) FROM found)
"""


async def _verify(stack: Stack, metric: Metric, boards: int, *, finished: bool) -> tuple[int, list[str]]:
    """How many places there are, and what is wrong with them. Redis is compared with Postgres where the backfill
    is ``finished``: a worker that was stopped in the middle leaves its last commits in the log.
    """
    services, space = stack.services, stack.services.directory.production
    places, wrong = 0, []
    for i in range(boards):
        board = space.index.leaderboard_by_key[f"daily-{i}"]
        async with services.pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL statement_timeout = 0")
            missing, extra, found = await connection.fetchrow(
                _WRONG, space.id, metric.number, board.number, timeout=3_600
            )
        places += found
        if missing or extra:
            wrong.append(f"{board.key}: {missing:,} places missing, {extra:,} that the events don't say")
    if finished:
        wrong += await differences(services, space)
    return places, wrong


def table(made: Made) -> str:
    """The table."""
    times = made.p99_s / made.alone_s if made.alone_s else 0.0
    worst = max(one.p99_s for one in made.during)
    calls = made.calls
    mean_ms, longest_ms = calls.total_s / calls.count * 1000, max(calls.slow_s, default=0.0) * 1000
    slow = sum(one > TOO_SLOW_S for one in calls.slow_s)
    p50_s = quantile([one.p50_s for one in made.during], 0.5)
    alone_s = quantile([one.p50_s for one in made.alone], 0.5)
    rows = [
        ("users, days, leaderboards", f"{made.users:,}, {made.days}, {made.boards}"),
        ("events of the history, places filled", f"{made.events:,}, {made.places:,}"),
        ("copied, rebuilt in", f"{made.copy_s:.0f} s, {made.rebuild_s:.0f} s"),
        ("filled in", f"{made.took_s:.0f} s{'' if made.finished else ' (time was up before its end)'}"),
        ("places a second", f"{made.places / made.took_s:,.0f}"),
        ("CPU seconds", ", ".join(f"{name} {spent:,.0f}" for name, spent in made.cpu_s.items())),
        ("function calls, mean and p99", f"{calls.count:,}, {mean_ms:.2f} and {calls.p99_s * 1000:.1f} ms"),
        (f"Redis calls over {TOO_SLOW_S * 1000:.0f} ms, the longest", f"{slow:,}, {longest_ms:.0f} ms"),
        ("Redis grew by", f"{made.redis_bytes / 2**20:,.0f} MiB"),
        ("others alone, p50 and p99", f"{alone_s * 1000:.1f} and {made.alone_s * 1000:.1f} ms"),
        ("others meanwhile, p50 and p99", f"{p50_s * 1000:.1f} and {made.p99_s * 1000:.1f} ms"),
        ("p99 of the worst 20 s", f"{worst * 1000:.1f} ms"),
        (f"p99 meanwhile to alone (reach {REACH:.0f})", f"{times:.2f}"),
        ("others refused or unanswered", f"{sum(one.refused + one.unknown for one in made.during):,}"),
        ("boards compared with the events", "; ".join(made.wrong[:SHOWN]) or "all equal"),
    ]
    return "\n".join(f"| {name} | {value} |" for name, value in (("what", "measured"), ("---", "---"), *rows))


@click.command(help=__doc__)
@click.option("--users", default=20_000, show_default=True)
@click.option("--days", default=90, show_default=True)
@click.option("--boards", default=3, show_default=True)
@click.option("--rate", default=500.0, show_default=True, help="Events a second of other users.")
@click.option("--active", default=3.0, show_default=True, help="Days on which most users were active, on average.")
@click.option("--heavy", default=1_000, show_default=True, help="Users who were active on every day.")
@click.option("--limit", default=90.0, show_default=True, help="Minutes after which it is given up.")
@click.option("--data", type=click.Path(path_type=Path), help="An empty folder; else a temporary one.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="A file for the raw results.")
def main(data: Path | None, path: Path | None, **options: Any) -> None:
    """The command."""
    if data is None:
        with temporary_folder() as folder:
            made = asyncio.run(measure(options, folder))
    else:
        data.mkdir(parents=True, exist_ok=True)
        with DataFolder(data) as folder:
            made = asyncio.run(measure(options, folder))
    click.echo(table(made))
    raw = msgspec.json.encode({**made._asdict(), "p99_s": made.p99_s, "alone_s": made.alone_s})
    if path is not None:
        path.write_bytes(raw)
    else:
        click.echo(raw.decode())
    if made.wrong or not made.finished or made.p99_s > REACH * made.alone_s:
        sys.exit(1)


if __name__ == "__main__":
    main()
