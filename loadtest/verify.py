"""Sent = Redis = Postgres: counts and sums, and every place of every board, row by row.

``python -m loadtest.verify DIR/dev.json --events 5000`` posts events to a running ``podium dev --no-demo`` (nobody
else may post meanwhile), waits until they are flushed, and compares. With ``--record FILE`` it posts nothing: it
compares with what a locust run noted, whose users are new in each run. Exit code 1 and one line per difference if
something was lost, counted twice or ranked differently, or if a viewer saw something else last.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
import msgspec
import uvloop

from loadtest.generators import Load, post
from loadtest.probes import until_flushed
from podium.cli.dev import DevFile
from podium.demo.catalog import METRIC
from podium.demo.setup import make_catalog
from podium.game.leaderboards.ranking import board_name, member_user
from podium.services import Services, open_services
from podium.settings import Settings
from podium.spaces.space import Space
from podium.storage.postgres.pool import PoolConnection

PAGE = 5_000
ROWS = 500
"""What viewers of a locust run watch."""
SHOWN = 5
"""Differences of a board that are named."""

Place = tuple[str, int]
"""User and value."""


class Totals(NamedTuple):
    """What the stores hold: ``events`` and, by metric, their ``units`` in Postgres and ``days``, the sum of
    metric_days; and the sum of values of each board in either store, by board name. ``metrics`` has the metric of
    each leaderboard, both by number."""

    events: int
    units: dict[int, int]
    days: dict[int, int]
    postgres: dict[str, int]
    redis: dict[str, int]
    metrics: dict[str, int]


async def totals(services: Services, space: Space) -> Totals:
    """Add everything up."""
    async with services.pool.acquire() as connection:
        events = await connection.fetchval("SELECT count(*) FROM events WHERE space_id = $1", space.id)
        units = await connection.fetch(
            "SELECT metric, sum(units)::bigint FROM events WHERE space_id = $1 GROUP BY 1", space.id
        )
        days = await connection.fetch(
            "SELECT metric, sum(change)::bigint FROM metric_days WHERE space_id = $1 GROUP BY 1", space.id
        )
        rows = await connection.fetch(
            "SELECT leaderboard, run, sum(value)::bigint FROM standings WHERE space_id = $1 GROUP BY 1, 2",
            space.id,
        )
    postgres = {board_name(leaderboard, run): value for leaderboard, run, value in rows}
    redis = {board: sum([value async for _, value in _redis_places(services, space, board)]) for board in postgres}
    index = space.index
    metrics = {
        str(number): index.metric_by_id[leaderboard.metric_id].number
        for number, leaderboard in index.leaderboard_by_number.items()
        if leaderboard.metric_id is not None
    }
    return Totals(events, dict(units), dict(days), postgres, redis, metrics)


async def differences(services: Services, space: Space) -> list[str]:
    """Every board compared, place by place, in the order that each store ranks by."""
    found: list[str] = []
    async with services.pool.acquire() as connection, connection.transaction():
        # Once for all boards: the view reads every user's state.
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(
            "CREATE TEMP TABLE verified ON COMMIT DROP AS"
            " SELECT leaderboard, run, user_id, value, reached_ms FROM standings WHERE space_id = "
            + str(space.id),
            timeout=3_600,
        )
        await connection.execute(
            "CREATE INDEX ON verified (leaderboard, run, value DESC, reached_ms, user_id)", timeout=3_600
        )
        rows = await connection.fetch("SELECT DISTINCT leaderboard, run FROM verified", timeout=3_600)
        for leaderboard, run in rows:
            board = board_name(leaderboard, run)
            redis = [place async for place in _redis_places(services, space, board)]
            postgres = [place async for place in _postgres_places(connection, leaderboard, run)]
            wrong = [
                f"board {board}, place {rank}: Redis {a}, Postgres {b}"
                for rank, (a, b) in enumerate(zip_longest(redis, postgres), start=1)
                if a != b
            ]
            if wrong:
                found += [*wrong[:SHOWN], f"board {board}: {len(wrong)} places differ"]
    return found


def compare(before: Totals, after: Totals, least: int, most: int) -> list[str]:
    """What is wrong if between ``least`` and ``most`` events were posted in between.

    The two differ where a generator ended with requests under way.
    """
    wrong = []
    events = after.events - before.events
    units = _grown(before.units, after.units)
    if not least <= events <= most:
        wrong.append(f"{least:,} to {most:,} events were sent, Postgres holds {events:,}")
    if (days := _grown(before.days, after.days)) != units:
        wrong.append(f"metric_days grew by {days}, not by {units}")
    if after.redis != after.postgres:
        wrong.append(f"boards add up to {after.redis} in Redis, to {after.postgres} in Postgres")
    leaderboards = {board.partition(":")[0] for board in after.postgres}
    for leaderboard in sorted(leaderboards):
        grown = _of(after.postgres, leaderboard) - _of(before.postgres, leaderboard)
        if grown != (of_metric := units.get(after.metrics[leaderboard], 0)):
            wrong.append(f"leaderboard {leaderboard} grew by {grown:,}, not by {of_metric:,}")
    return wrong


def _grown(before: dict[int, int], after: dict[int, int]) -> dict[int, int]:
    """By how much, where it did."""
    grown = {metric: value - before.get(metric, 0) for metric, value in after.items()}
    return {metric: change for metric, change in grown.items() if change}


def _of(boards: dict[str, int], leaderboard: str) -> int:
    return sum(value for board, value in boards.items() if board.partition(":")[0] == leaderboard)


async def _redis_places(services: Services, space: Space, board: str) -> AsyncIterator[Place]:
    key = space.keys.board(board)
    first = 0
    while page := await services.redis.raw.zrange(key, first, first + PAGE - 1, withscores=True):
        for member, score in page:
            yield member_user(member.decode()), -int(score)
        first += PAGE


async def _postgres_places(connection: PoolConnection, leaderboard: int, run: str) -> AsyncIterator[Place]:
    cursor: Any = connection.cursor(
        "SELECT user_id, value FROM verified WHERE leaderboard = $1 AND run = $2"
        " ORDER BY value DESC, reached_ms, user_id",
        leaderboard,
        run,
        prefetch=PAGE,
    )
    async for user, value in cursor:
        yield user, value


async def _verify(file: DevFile, events: int) -> list[str]:
    await make_catalog(file.url, file.admin_key)
    settings = Settings(redis_url=file.redis_url, database_url=file.database_url)
    async with open_services(settings) as services:
        await services.directory.refresh()
        space = services.directory.production
        await until_flushed(services, space)
        before = await totals(services, space)
        load = Load(
            urlsplit(file.url).port or 80,
            file.admin_key,
            METRIC,
            users=200,
            pool=200,
            connections=16,
            seconds=events / 500,
            rate=500,
        )
        sent = await asyncio.to_thread(post, load)
        await until_flushed(services, space)
        after = await totals(services, space)
        click.echo(f"{sent.accepted:,} events accepted, {sent.refused:,} refused, {sent.unknown:,} unanswered")
        wrong = compare(before, after, sent.accepted, sent.accepted + sent.unknown)
        metric = space.index.metric_by_key[METRIC]
        grown = _grown(before.units, after.units)
        values = grown.pop(metric.number, 0) / 10**metric.decimals
        if grown:
            wrong.append(f"other metrics grew: {grown}")
        if values != after.events - before.events:
            wrong.append(f"every value was 1, and they add up to {values:,}")
        return wrong + await differences(services, space)


class Record(msgspec.Struct):
    """What a locust run noted: accepted totals by user, users with an unanswered event, the boards of those who
    watched, and the own places of those who followed theirs."""

    metric: str
    board: str
    totals: dict[str, int]
    unknown: list[str]
    boards: list[list[tuple[str, float]]]
    places: dict[str, tuple[int | None, float | None]]


async def _compare_record(file: DevFile, record: Record) -> list[str]:
    settings = Settings(redis_url=file.redis_url, database_url=file.database_url)
    async with open_services(settings) as services:
        await services.directory.refresh()
        space = services.directory.production
        await until_flushed(services, space)
        metric, leaderboard = (
            space.index.metric_by_key[record.metric],
            space.index.leaderboard_by_key[record.board],
        )
        one = 10**metric.decimals
        async with services.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT user_id, sum(change)::bigint FROM metric_days"
                " WHERE space_id = $1 AND metric = $2 AND user_id = ANY($3) GROUP BY 1",
                space.id,
                metric.number,
                list(record.totals),
            )
        postgres = {user: units / one for user, units in rows}
        board = board_name(leaderboard.number, "")
        redis = [(user, units / one) async for user, units in _redis_places(services, space, board)]
        of_redis = dict(redis)
        ranks = {user: rank for rank, (user, _) in enumerate(redis, start=1)}
        wrong = [
            f"{user} sent {total:,}, Postgres holds {postgres.get(user, 0):,}, Redis {of_redis.get(user, 0):,}"
            for user, total in record.totals.items()
            if user not in record.unknown and not total == postgres.get(user) == of_redis.get(user)
        ]
        wrong += [
            f"a viewer's last board differs from Redis, first at {_first_difference(seen, redis)}"
            for seen in record.boards
            if seen != redis[: len(seen)] or (len(seen) < len(redis) and len(seen) < ROWS)
        ]
        wrong += [
            f"{user} last saw themselves at {place}, Redis has {ranks.get(user)}, {of_redis.get(user)}"
            for user, place in record.places.items()
            if place != (ranks.get(user), of_redis.get(user))
        ]
        click.echo(
            f"{sum(record.totals.values()):,} units of {len(record.totals):,} users"
            f" ({len(record.unknown)} with an unanswered event), {len(record.boards)} boards and"
            f" {len(record.places)} own places as seen last"
        )
        return wrong + await differences(services, space)


def _first_difference(seen: list[tuple[str, float]], truth: list[tuple[str, float]]) -> str:
    return next(
        (f"place {rank}: {a}, not {b}" for rank, (a, b) in enumerate(zip_longest(seen, truth), start=1) if a != b),
        "",
    )


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--events", default=5_000, show_default=True, help="How many to post, at 500 a second.")
@click.option(
    "--record",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Post nothing: compare with what a locust run noted.",
)
def main(file: Path, events: int, record: Path | None) -> None:
    """Post events to the server of a dev.json, and check that each is in Redis and in Postgres once."""
    dev = msgspec.json.decode(file.read_bytes(), type=DevFile)
    if record is None:
        wrong = uvloop.run(_verify(dev, events))
    else:
        wrong = uvloop.run(_compare_record(dev, msgspec.json.decode(record.read_bytes(), type=Record)))
    for line in wrong:
        click.echo(line, err=True)
    seen = " = what viewers saw last" if record is not None else ""
    click.echo("something differs" if wrong else f"sent = Redis = Postgres{seen}, place by place")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
