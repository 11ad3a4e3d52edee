"""What reads cost in a large space: every GET of the application API, lists and summaries, search, the console.

python -m loadtest.reads --users 1000000 --data DIR

The history is made inside Postgres: for each user 20 days of a metric, five of points, awards, places and streak
periods, five events. With five events a day that is the daily rows of 100 million events. That takes
longer than the reads: with ``--data`` it is kept, and only the first run makes it.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path as FolderPath
from typing import Any

import click
import httpx
from tqdm import tqdm

from loadtest.game import _make_game, _until_swept, _with_streak
from loadtest.generators import user_id
from loadtest.probes import answers, until_flushed
from loadtest.seed import seed
from loadtest.stack import Stack, open_stack
from podium.demo.catalog import METRIC
from podium.storage.embedded import DataFolder
from podium.storage.embedded.temporary import temporary_folder

READS = 300
"""Of each endpoint."""
SLOW_READS = 20
"""Of endpoints about the whole space."""
DAYS = 20
VETERAN_DAYS = 3_650

HISTORY = {
    "metric_days": """
        INSERT INTO metric_days SELECT u.space_id, u.id, {metric}, current_date - d, 1000 * (d + 1)
        FROM users u, generate_series(2, {days} + 1) d WHERE u.space_id = {space}""",
    "point_days": """
        INSERT INTO point_days SELECT u.space_id, u.id, {system}, current_date - d, 10
        FROM users u, generate_series(1, 5) d WHERE u.space_id = {space}""",
    "point_awards": """
        INSERT INTO point_awards (space_id, id, user_id, system, cause, awarded, total, at_ms, day, boosts)
        SELECT u.space_id, gen_random_uuid(), u.id, {system}, {trigger}, 10, 10 * d,
               extract(epoch FROM now() - d * interval '1 day') * 1000, current_date - d, '{{}}'
        FROM users u, generate_series(1, 5) d WHERE u.space_id = {space}""",
    "user_points": """
        INSERT INTO user_points SELECT u.space_id, {system}, u.id, (random() * 100000)::bigint
        FROM users u WHERE u.space_id = {space} ON CONFLICT DO NOTHING""",
    "place_days": """
        INSERT INTO place_days
        SELECT b.space_id, b.user_id, current_date - d,
               jsonb_build_object(b.leaderboard || ':', ARRAY[10 - d, b.value]),
               jsonb_build_object(b.leaderboard || ':', ARRAY[11 - d, b.value - 1])
        FROM standings b, generate_series(1, 5) d WHERE b.space_id = {space} AND b.run = ''""",
    "board_days": """
        INSERT INTO board_days AS d
        SELECT space_id, leaderboard, run, day, count(*), count(*), count(*) FILTER (WHERE day = current_date - 5)
        FROM rank_history WHERE space_id = {space} AND run = '' GROUP BY 1, 2, 3, 4 ON CONFLICT DO NOTHING""",
    "streak_periods": """
        INSERT INTO streak_periods
        SELECT u.space_id, u.id, 0, (current_date - date '0001-01-01') + 1 - d, 6 - d, false
        FROM users u, generate_series(1, 5) d WHERE u.space_id = {space} ON CONFLICT DO NOTHING""",
    "achievement_completions": """
        INSERT INTO achievement_completions
        SELECT u.space_id, {achievement}, u.id, extract(epoch FROM now()) * 1000, false
        FROM users u WHERE u.space_id = {space} AND random() < 0.5 ON CONFLICT DO NOTHING""",
    "events": """
        INSERT INTO events (space_id, id, user_id, metric, units, at_ms, received_at, day, late)
        SELECT u.space_id, gen_random_uuid(), u.id, {metric}, 1000,
               extract(epoch FROM now() - d * interval '1 day') * 1000, now(), current_date - d, false
        FROM users u, generate_series(1, 5) d WHERE u.space_id = {space}""",
}
"""Statements that write a table's rows."""

Path = Callable[[str], str]

_OF_USER: dict[str, Path] = {
    "user": lambda user: f"/v1/users/{user}",
    "all metrics": lambda user: f"/v1/users/{user}/metrics",
    "metric": lambda user: f"/v1/users/{user}/metrics/{METRIC}",
    "metric summary, 30 days": lambda user: (
        f"/v1/users/{user}/metrics/{METRIC}/event-summary?aggregation=daily&startDate={_day(29)}&endDate={_day(0)}"
    ),
    "achievements": lambda user: f"/v1/users/{user}/achievements?includeIncomplete=true",
    "streak, 30 periods": lambda user: f"/v1/users/{user}/streak?historyPeriods=30",
    "points, 10 awards": lambda user: f"/v1/users/{user}/points/xp?awards=10",
    "points summary": lambda user: (
        f"/v1/users/{user}/points/xp/event-summary?aggregation=daily&startDate={_day(29)}&endDate={_day(0)}"
    ),
    "points boosts": lambda user: f"/v1/users/{user}/points/xp/boosts",
    "leaderboard of a user": lambda user: f"/v1/users/{user}/leaderboards/all-time?numEvents=10",
    "all leaderboards of a user": lambda user: f"/v1/users/{user}/leaderboards",
    "preferences": lambda user: f"/v1/users/{user}/preferences",
    "year in review": lambda user: f"/v1/users/{user}/wrapped",
    "around a user": lambda user: f"/v1/leaderboards/all-time/around/{user}",
    "streaks of 2 users": lambda user: f"/v1/streaks?userIds={user},{user_id(7)}",
}
_OF_SPACE = {
    "leaderboards": "/v1/leaderboards",
    "leaderboard, first 100": "/v1/leaderboards/all-time?limit=100",
    "leaderboard, place 500,000": "/v1/leaderboards/all-time?limit=100&offset=499999",
    "achievements with rarity": "/v1/achievements",
    "points system": "/v1/points/xp",
    "points summary": "/v1/points/xp/summary",
    "level summary": "/v1/points/xp/level-summary",
    "streak rankings": "/v1/streaks/rankings",
    "users, first 100": "/admin/v1/users",
    "search by id": "/admin/v1/users?search=" + user_id(4_711),
    "search by name": "/admin/v1/users?search=writer%2047",
    "audit log": "/admin/v1/audit-log",
    "catalog": "/admin/v1/catalog",
}


def _day(ago: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - ago * 86_400))


async def measure(users: int, data: FolderPath | None) -> None:
    """Print all figures."""
    with DataFolder(data) if data is not None else temporary_folder() as folder:
        whole = folder.path / "filled"
        filled = whole.exists()
        async with open_stack(folder, 1, filled=filled) as stack:
            if not filled:
                await _fill(stack, users)
                whole.touch()
            async with stack.serving():
                await _measure(stack, users)


async def _fill(stack: Stack, users: int) -> None:
    services = stack.services
    await seed(services, services.directory.production, users, also=_with_streak)
    async with stack.serving():
        await _make_game(stack)
        await services.directory.refresh()
        await _until_swept(stack)
        await _history(stack)


async def _history(stack: Stack) -> None:
    """Rows of the past."""
    space = stack.services.directory.production
    catalog = space.index.catalog
    names = {
        "space": space.id,
        "days": DAYS,
        "metric": space.index.metric_by_key[METRIC].number,
        "system": catalog.points[0].number,
        "trigger": catalog.triggers[0].number,
        "achievement": catalog.achievements[0].number,
    }
    async with stack.services.pool.acquire() as connection:
        await connection.execute("SET statement_timeout = 0")
        for table, statement in tqdm(HISTORY.items(), desc="history", unit="table"):
            await connection.execute(statement.format(**names), timeout=3_600)
            await connection.execute(f"VACUUM ANALYZE {table}", timeout=3_600)
        await connection.execute("VACUUM ANALYZE users, user_words", timeout=3_600)
        await connection.execute("CHECKPOINT", timeout=3_600)


async def _measure(stack: Stack, users: int) -> None:
    dice = random.Random(1)
    async with httpx.AsyncClient(
        base_url=stack.url, headers={"X-API-KEY": stack.key}, timeout=60, follow_redirects=False
    ) as http:
        signed_in = await http.post("/console/sign-in", data={"secret": stack.key}, headers={"Origin": stack.url})
        if signed_in.status_code != 303:
            raise click.ClickException(f"sign-in: {signed_in.status_code} {signed_in.text[:200]}")
        await _table(http, f"page of the console, {SLOW_READS} reads", SLOW_READS, _console(dice, users))
        of_user = {
            name: [path(user_id(dice.randrange(users))) for _ in range(READS)] for name, path in _OF_USER.items()
        }
        await _table(http, f"of one user, {READS} reads of other users", READS, of_user)
        of_space = {name: [path] * SLOW_READS for name, path in _OF_SPACE.items()}
        await _table(http, f"of the whole space, {SLOW_READS} reads", SLOW_READS, of_space)
        await _veteran(stack, http)


def _console(dice: random.Random, users: int) -> dict[str, list[str]]:
    """The console's pages."""
    return {
        "overview": ["/console/"] * SLOW_READS,
        "search": [f"/console/users?search=writer%20{dice.randrange(1_000)}" for _ in range(SLOW_READS)],
        "user": [f"/console/users/{user_id(dice.randrange(users))}" for _ in range(SLOW_READS)],
        "debug": [f"/console/users/{user_id(dice.randrange(users))}/debug" for _ in range(SLOW_READS)],
        "restore a streak": [
            f"/console/users/{user_id(dice.randrange(users))}/actions/restore" for _ in range(SLOW_READS)
        ],
        "leaderboards": ["/console/leaderboards"] * SLOW_READS,
        "leaderboard": ["/console/leaderboards/all-time"] * SLOW_READS,
        "analytics": ["/console/leaderboards/all-time/analytics"] * SLOW_READS,
    }


async def _veteran(stack: Stack, http: httpx.AsyncClient) -> None:
    """Pages about somebody with ten years of daily events and 200 leaderboards, in an environment of its own."""
    name = f"veteran-{time.time():.0f}"  # one for each run on the same data
    made = (await http.post("/admin/v1/environments", json={"key": name})).json()
    headers = {"X-API-KEY": made["apiKey"]}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=300, follow_redirects=False) as own:
        for _ in range(100):
            if (await own.get("/v1/users/vera")).status_code == 404:  # a worker has brought it to life
                break
            await asyncio.sleep(0.2)
        metric = (await _created(own, "metrics", [{"key": "words", "name": "Words"}]))[0]["id"]
        streak = {"metrics": [{"key": "words", "threshold": 1}]}
        (await own.patch("/admin/v1/streaks/settings", json=streak)).raise_for_status()
        trigger = {"type": "metric", "metricId": metric, "metricThreshold": 1, "points": 1, "status": "active"}
        await _created(own, "points", [{"key": "xp", "name": "XP", "triggers": [trigger]}])
        board = {"rankBy": "metric", "metricId": metric, "status": "active", "start": _day(VETERAN_DAYS)}
        yearly = {"runUnit": "year", "runInterval": 1}
        boards = [
            {**board, **(yearly if at % 4 == 0 else {}), "key": f"b{at}", "name": f"Board {at}"}
            for at in range(200)
        ]
        for first in (0, 100):
            await _created(own, "leaderboards", boards[first : first + 100])
        noon = [f"{_day(ago)}T12:00:00Z" for ago in range(VETERAN_DAYS, 0, -1)]
        events = [{"key": "words", "user": {"id": "vera"}, "value": 1, "timestamp": at} for at in noon]
        for first in tqdm(range(0, len(events), 100), desc="ten years", unit="batch"):
            answer = await own.post("/admin/v1/metrics/events", json=events[first : first + 100])
            if answer.status_code != 202:
                raise click.ClickException(answer.text[:200])
        space = next(one for one in stack.services.directory.spaces.values() if one.environment == name)
        await until_flushed(stack.services, space)
        form = {"secret": made["apiKey"]}
        await own.post("/console/sign-in", data=form, headers={"Origin": stack.url})
        pages = {
            "user": ["/console/users/vera"] * SLOW_READS,
            "… by month": ["/console/users/vera?aggregation=monthly"] * SLOW_READS,
            "debug": ["/console/users/vera/debug"] * SLOW_READS,
            "leaderboards": ["/console/leaderboards"] * SLOW_READS,
        }
        await _table(own, f"ten years and 200 leaderboards, {SLOW_READS} reads", SLOW_READS, pages)


async def _created(http: httpx.AsyncClient, kind: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = (await http.post(f"/admin/v1/{kind}", json=items)).json()
    if answer["issues"]:
        raise click.ClickException(str(answer["issues"])[:200])
    created: list[dict[str, Any]] = answer["created"]
    return created


async def _table(http: httpx.AsyncClient, title: str, reads: int, rows: dict[str, list[str]]) -> None:
    """Markdown: times in the server by its own histogram ``podium_answer_seconds``; shares are exact, quantiles
    interpolated. *First* and *client* are the client's times."""
    click.echo(f"\n| {title} | p50 ms | p99 ms | within 3 ms | within 15 ms | first ms | client p50 ms | bytes |")
    click.echo("|---|---|---|---|---|---|---|---|")
    for name, paths in rows.items():
        first_ms, _ = await _get(http, paths[0])
        before = await answers(str(http.base_url))
        took, size = [], 0
        for path in paths:
            ms, size = await _get(http, path)
            took.append(ms)
        after = await answers(str(http.base_url))
        grown = (now.since(before[path]) if path in before else now for path, now in after.items())
        seen = next(one for one in grown if one.count == reads)
        click.echo(
            f"| {name} | {seen.quantile(0.5) * 1000:.1f} | {seen.quantile(0.99) * 1000:.1f}"
            f" | {seen.share_below(0.003):.0%} | {seen.share_below(0.015):.0%} | {first_ms:.0f}"
            f" | {statistics.median(took):.1f} | {size:,} |"
        )


async def _get(http: httpx.AsyncClient, path: str) -> tuple[float, int]:
    began_s = time.perf_counter()
    answer = await http.get(path)
    took_ms = (time.perf_counter() - began_s) * 1000
    if answer.status_code != 200:
        raise click.ClickException(f"{path}: {answer.status_code} {answer.text[:200]}")
    return took_ms, len(answer.content)


@click.command(help=__doc__)
@click.option("--users", default=1_000_000, show_default=True, help="Users with a history.")
@click.option("--data", type=click.Path(path_type=FolderPath), help="Folder to fill once and to read from again.")
def main(users: int, data: FolderPath | None) -> None:
    """The command."""
    asyncio.run(measure(users, data))


if __name__ == "__main__":
    main()
