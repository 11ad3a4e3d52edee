"""What boards cost: an event on one and on many, pages at any depth, a run becoming final.

python -m loadtest.boards --users 1000000
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from datetime import date

import click

from loadtest.generators import user_id
from loadtest.seed import seed
from loadtest.stack import Stack, open_stack
from podium.api.leaderboards.queries import read_page
from podium.game.ids import new_uuid7
from podium.game.inputs import Event
from podium.game.leaderboards.model import Leaderboard
from podium.game.metrics.model import Metric
from podium.game.periods import MS_PER_DAY
from podium.game.users.model import Attribute
from podium.game.users.rules import Upsert
from podium.jobs.finals import Finals
from podium.spaces.catalog_store import editing
from podium.spaces.item_kinds import ATTRIBUTE, LEADERBOARD, METRIC
from podium.spaces.space import Principal
from podium.storage.embedded.temporary import temporary_folder

POSTERS = 20_000
"""Users who post on the boards that events are measured on."""
EVENTS = 20_000
"""Of each measurement of an event's cost."""
BATCH = 32
"""Events of one submission, as a commit takes them."""
READS = 300
"""Of each measurement of a page."""
WAIT_S = 300


async def measure(users: int) -> None:
    """Print all figures."""
    with temporary_folder() as folder:
        async with open_stack(folder, 1) as stack:
            services, space = stack.services, stack.services.directory.production
            await seed(services, space, users)
            await _make_boards(stack)
            async with stack.serving():
                await _events(stack)
                await _pages(stack, users)
                await _final(stack, users)


async def _make_boards(stack: Stack) -> None:
    services, space = stack.services, stack.services.directory.production
    actor = Principal(space, "bench", "bench", frozenset())
    async with editing(services.directory, space, actor) as editor:

        def new_id() -> str:
            return new_uuid7(services.clock())

        editor.insert(ATTRIBUTE, Attribute(new_id(), editor.take_number(), "city", "City"))
        for key, plain, groups in (("one", 1, 0), ("five", 5, 0), ("six", 5, 1)):
            metric = Metric(new_id(), editor.take_number(), key, key)
            editor.insert(METRIC, metric)
            for i in range(plain + groups):
                board = Leaderboard(
                    id=new_id(),
                    number=editor.take_number(),
                    key=f"{key}-{i}",
                    name=key,
                    metric_id=metric.id,
                    start=date(2026, 1, 1),
                    status="active",
                    group_by="city" if i >= plain else None,
                )
                editor.insert(LEADERBOARD, board)


async def _post(stack: Stack, metric: str, events: int, seed_: int) -> float:
    """Post events of random users, a commit at a time; seconds."""
    services, space = stack.services, stack.services.directory.production
    dice, intake = random.Random(seed_), services.intake(space)
    began_s = time.perf_counter()
    for _ in range(events // BATCH):
        batch = []
        for number in dice.sample(range(POSTERS), BATCH):
            now_ms = services.clock()
            upsert = Upsert(attributes={"city": f"city-{number % 50}"})
            batch.append(Event(new_uuid7(now_ms), user_id(number), metric, dice.randint(1, 99), now_ms, upsert))
        await intake.events(batch)
    return time.perf_counter() - began_s


async def _redis_us(stack: Stack) -> float:
    stats = await stack.services.redis.raw.info("commandstats")
    return float(stats["cmdstat_fcall"]["usec"])


async def _events(stack: Stack) -> None:
    spent: dict[str, float] = {}
    for metric in ("one", "five", "six"):
        await _post(stack, metric, 2 * POSTERS, 1)  # everybody stands on the boards
    for metric in ("one", "five", "six"):
        before_us = await _redis_us(stack)
        took_s = await _post(stack, metric, EVENTS, 2)
        spent[metric] = (await _redis_us(stack) - before_us) / EVENTS
        click.echo(
            f"event on {metric:4} boards: {spent[metric]:6.1f} µs of Redis, {EVENTS / took_s:,.0f} events/s"
        )
    click.echo(f"five boards and a group board against one: {spent['six'] / spent['one']:.1f}x (reach 6)")
    click.echo(f"each further board: {(spent['five'] - spent['one']) / 4:.1f} µs (reach 30)")
    click.echo(f"the group board: {spent['six'] - spent['five']:.1f} µs")


async def _pages(stack: Stack, users: int) -> None:
    services, space = stack.services, stack.services.directory.production
    board = f"{next(b.number for b in space.index.catalog.leaderboards if b.run_unit is None)}:"
    for rank in (100, users // 2, users * 9 // 10):
        took = []
        for _ in range(READS):
            began_s = time.perf_counter()
            page = await read_page(services.redis, space, board, "ordinal", rank, 100)
            took.append((time.perf_counter() - began_s) * 1000)
            if page is None or len(page.rows) != 100:
                raise click.ClickException("the page is short")
        click.echo(f"page of 100 at rank {rank:9,}: p50 {statistics.median(took):.2f} ms (reach 2)")


async def _final(stack: Stack, users: int) -> None:
    services, space = stack.services, stack.services.directory.production
    alone = EVENTS / await _post(stack, "one", EVENTS, 3)
    finals = Finals(
        services.pool, services.redis, services.directory, space, lambda: services.clock() + 3 * MS_PER_DAY
    )
    posted = 0
    done = asyncio.Event()

    async def post() -> None:
        nonlocal posted
        while not done.is_set():
            await _post(stack, "one", 10 * BATCH, posted)
            posted += 10 * BATCH

    posting = asyncio.create_task(post())
    began_s = time.perf_counter()
    while not await finals.round():
        if time.perf_counter() - began_s > WAIT_S:
            raise click.ClickException("the run did not become final")
        await asyncio.sleep(0.1)
    took_s = time.perf_counter() - began_s
    done.set()
    await posting
    kept = posted / (time.perf_counter() - began_s) / alone
    written = await services.pool.fetchval("SELECT max(participants) FROM final_runs")
    click.echo(f"final run of {written:,} ({users:,} users): {took_s:.1f} s (reach 60)")
    click.echo(f"posting kept meanwhile: {kept:.0%} (reach 80 %)")


@click.command(help=__doc__)
@click.option("--users", default=1_000_000, show_default=True, help="On the board of pages and in the final run.")
def main(users: int) -> None:
    """The command."""
    asyncio.run(measure(users))


if __name__ == "__main__":
    main()
