"""What streaks, points and achievements cost: the rules alone, posting, a new achievement for everybody, and a
midnight at which everybody is due.

python -m loadtest.game --users 1000000
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import click
import httpx
import msgspec

from loadtest import generators
from loadtest.generators import Load
from loadtest.probes import until_flushed
from loadtest.seed import seed
from loadtest.stack import Stack, open_stack
from podium.demo.catalog import METRIC
from podium.game.advance import midnight
from podium.game.apply import apply
from podium.game.catalog import CatalogIndex
from podium.game.ids import new_uuid7
from podium.game.inputs import Event
from podium.game.periods import MS_PER_DAY, zone
from podium.game.state import UserState, encode_state
from podium.game.streaks.model import Streaks, Stretch, Track
from podium.game.users.rules import Upsert
from podium.jobs.ticks import Ticks
from podium.services import Services, open_services
from podium.storage.embedded.temporary import temporary_folder

EVENTS = 720
"""Of the history that the rules are measured on: twelve a day for two months."""
ROUNDS = 5
"""Measurements of the rules, of which the best counts: other work on the machine only ever adds."""
WAIT_S = 1_800
WARM_UP_S = 3


async def measure(users: int, seconds: float) -> None:
    """Print all figures."""
    with temporary_folder() as folder:
        async with open_stack(folder, 1) as stack:
            services = stack.services
            await seed(services, services.directory.production, users, also=_with_streak)
            async with stack.serving():
                bare = services.directory.production.index
                plain = await _post(stack, users, seconds)
                await _make_game(stack)
                await services.directory.refresh()
                await _until_swept(stack)
                _rules(bare, services.directory.production.index)
                full = await _post(stack, users, seconds)
                click.echo(
                    f"single posts: {plain:,.0f}/s without, {full:,.0f}/s with: {full / plain:.0%} (reach 75 %)"
                )
                await _backdate(stack, users, full)
                await _midnight(stack, users, full)


def _with_streak(state: UserState, today: date) -> UserState:
    """A state with a streak of a day, which ends with tomorrow."""
    day = today.toordinal()
    tracks = tuple(
        Track((Stretch(one, one, 1),), 1, (one,))
        for one in (day, (day - 1) // 7, today.year * 12 + today.month - 1)
    )
    tz = zone(state.profile.tz)
    return msgspec.structs.replace(
        state,
        streaks=Streaks(tracks=(tracks[0], tracks[1], tracks[2])),
        advanced_ms=state.newest_ms,
        advanced_day=day,
        first_day=day - 90,
        due_ms=midnight(day + 2, tz),
    )


async def _make_game(stack: Stack) -> None:
    """The catalog of the figures: two metrics, a streak, ten triggers, twenty achievements, three boosts."""
    async with httpx.AsyncClient(base_url=stack.url + "/admin/v1", headers={"X-API-KEY": stack.key}) as http:

        async def make(kind: str, *items: dict[str, Any]) -> list[dict[str, Any]]:
            answer = (await http.post(f"/{kind}", json=list(items))).json()
            if answer["issues"]:
                raise click.ClickException(str(answer["issues"]))
            made: list[dict[str, Any]] = answer["created"]
            return made

        words = next(one["id"] for one in (await http.get("/metrics")).json() if one["key"] == METRIC)
        [pages] = await make("metrics", {"name": "Pages", "key": "pages"})
        [plan, genre] = await make(
            "attributes",
            {"name": "Plan", "key": "plan", "type": "user"},
            {"name": "Genre", "key": "genre", "type": "event"},
        )
        pro = [{"attributeId": plan["id"], "attributeValue": "pro"}]
        scifi = [{"attributeId": genre["id"], "attributeValue": "scifi"}]
        await http.patch(
            "/streaks/settings",
            json={"metrics": [{"key": METRIC, "threshold": 1}, {"key": "pages", "threshold": 1}]},
        )

        def metric(id_: str, step: int, points: int, **more: Any) -> dict[str, Any]:
            asked = {"type": "metric", "metricId": id_, "metricThreshold": step, "points": points}
            return {**asked, "status": "active", **more}

        triggers = [
            metric(words, 10, 1),
            metric(words, 250, 3),
            metric(words, 1_000, 10, userAttributes=pro),
            metric(words, 50, 1, eventAttributes=scifi),
            metric(pages["id"], 1, 1),
            metric(pages["id"], 10, 5),
            {"type": "streak", "streakLength": 1, "points": 5, "status": "active"},
            {"type": "streak", "streakLength": 7, "points": 50, "status": "active"},
            {"type": "user_creation", "points": 100, "status": "active"},
            {"type": "time", "timeUnit": "days", "timeInterval": 30, "points": 1, "status": "active"},
        ]
        boosts = [
            {"name": "All", "start": "2026-01-01", "multiplier": 2},
            {"name": "Pros", "start": "2026-01-01", "multiplier": 1.5, "userAttributes": pro},
            {"name": "One", "start": "2026-01-01", "multiplier": 1.1, "userId": generators.user_id(1)},
        ]
        levels = [{"name": key, "key": key, "points": at} for key, at in (("a", 0), ("b", 1_000), ("c", 100_000))]
        await make("points", {"name": "XP", "key": "xp", "triggers": triggers, "boosts": boosts, "levels": levels})
        fixed = {"status": "active"}
        # Beyond what anybody has: whom a new one completes is measured by itself.
        goals = [
            *(
                {"name": f"W{i}", "trigger": "metric", "metricId": words, "metricValue": 1e8 + i, **fixed}
                for i in range(8)
            ),
            *(
                {"name": f"P{i}", "trigger": "metric", "metricId": pages["id"], "metricValue": 1e6 + i, **fixed}
                for i in range(4)
            ),
            *({"name": f"S{i}", "trigger": "streak", "streakLength": 7 * (i + 1), **fixed} for i in range(4)),
            {"name": "Api", "trigger": "api", "key": "api", **fixed},
            {"name": "Year", "trigger": "anniversary", "anniversaryYears": 1, **fixed},
            {
                "name": "Sci-fi",
                "trigger": "metric",
                "metricId": words,
                "metricValue": 1e8,
                "eventAttributes": scifi,
                **fixed,
            },
        ]
        made = await make("achievements", *goals)
        whole = {"name": "All", "trigger": "achievement", "achievementIds": [made[0]["id"], made[12]["id"]]}
        await make("achievements", {**whole, **fixed})


def _rules(bare: CatalogIndex, full: CatalogIndex) -> None:
    """Print what the rules take, and how large a state is."""
    for name, index in (("with", full), ("without", bare)):
        best = min((_history(index) for _ in range(ROUNDS)), key=lambda found: found[0])
        click.echo(
            f"apply {name} the game: {best[0]:.1f} µs median, {best[1]:.1f} µs p90 (reach 60);"
            f" state {best[2]:,} bytes (reach 1,024)"
        )


def _history(index: CatalogIndex) -> tuple[float, float, int]:
    """Median and p90 (µs) of a user's history, and the size of the state at its end."""
    dice, state, took = random.Random(1), None, []
    now_ms = int(time.time() * 1000)
    upsert = Upsert(name="Ann", tz="Europe/Berlin")
    if "plan" in index.user_attributes:
        upsert = msgspec.structs.replace(upsert, attributes={"plan": "pro"})
    pages = "pages" if "pages" in index.metric_by_key else METRIC
    state = apply(index, None, Event(new_uuid7(now_ms), generators.user_id(1), METRIC, 1, now_ms, upsert)).state
    for number in range(EVENTS):
        now_ms += 5_000_000 if number % 12 else MS_PER_DAY - 55_000_000
        metric, value = (METRIC, dice.choice((1, 150, 750))) if number % 3 else (pages, 1)
        attributes = {"genre": "scifi"} if number % 2 and "genre" in index.event_attributes else None
        event = Event(new_uuid7(now_ms), generators.user_id(1), metric, value, now_ms, attributes=attributes)
        began_s = time.perf_counter()
        state = apply(index, state, event).state
        took.append((time.perf_counter() - began_s) * 1e6)
    took.sort()
    return statistics.median(took), took[len(took) * 9 // 10], len(encode_state(state))


async def _post(stack: Stack, users: int, seconds: float) -> float:
    """Single posts a second, as many as are answered."""
    load = Load(stack.port, stack.key, METRIC, users, min(users, 100_000), 64, WARM_UP_S)
    await asyncio.to_thread(generators.wrk, load)
    result = await asyncio.to_thread(generators.wrk, load._replace(seconds=seconds))
    await until_flushed(stack.services, stack.services.directory.production)
    return result.rate


async def _until_swept(stack: Stack) -> float:
    """Wait until the worker has brought everybody in line; seconds."""
    began_s = time.perf_counter()
    signature = await stack.services.pool.fetchval("SELECT signature FROM sweeps")
    while time.perf_counter() - began_s < WAIT_S:
        await asyncio.sleep(0.2)
        if await stack.services.pool.fetchval("SELECT signature FROM sweeps") != signature:
            return time.perf_counter() - began_s
    raise click.ClickException("the sweep did not end")


@asynccontextmanager
async def _posting(stack: Stack, users: int, alone: float) -> AsyncIterator[None]:
    """Post inside the block as fast as is answered; print what was kept of the rate alone."""
    accepted, began_s = 0, time.perf_counter()
    stop = asyncio.Event()

    async def post() -> None:
        nonlocal accepted
        load = Load(stack.port, stack.key, METRIC, users, min(users, 100_000), 64, 5)
        while not stop.is_set():
            accepted += (await asyncio.to_thread(generators.wrk, load)).accepted

    posting = asyncio.create_task(post())
    yield
    stop.set()
    await posting
    click.echo(f"  posting kept meanwhile: {accepted / (time.perf_counter() - began_s) / alone:.0%} (reach 70 %)")


async def _backdate(stack: Stack, users: int, alone: float) -> None:
    """An achievement that about half of the users have reached already."""
    async with httpx.AsyncClient(base_url=stack.url + "/admin/v1", headers={"X-API-KEY": stack.key}) as http:
        words = next(one["id"] for one in (await http.get("/metrics")).json() if one["key"] == METRIC)
        item = {"name": "Half", "trigger": "metric", "metricId": words, "metricValue": 3_466, "status": "active"}
        async with _posting(stack, users, alone):
            await http.post("/achievements", json=[item])
            took_s = await _until_swept(stack)
    await until_flushed(stack.services, stack.services.directory.production)
    done = await stack.services.pool.fetchval("SELECT max(completions) FROM achievement_counts")
    click.echo(f"a new achievement over {users:,} users, {done:,} completed it: {took_s:.0f} s (reach 180)")


async def _midnight(stack: Stack, users: int, alone: float) -> None:
    """Everybody's streak ends in the same minute: a scheduler whose clock says so, beside web and worker."""
    settings = stack.services.settings
    tz = await stack.services.pool.fetchval("SELECT tz FROM users LIMIT 1")
    ahead_ms = await _last_due(stack.services) - stack.services.clock() + 1_000
    async with open_services(settings, lambda: int(time.time() * 1000) + ahead_ms) as late:
        space = late.directory.production
        ticks = Ticks(late.pool, late.redis, late.intake(space), late.clock)
        ticked, began_s, cpu = 0, time.perf_counter(), stack.cpu_s() | {"scheduler": time.process_time()}
        async with _posting(stack, users, alone):
            while found := await ticks.round():
                ticked += found
                rate = ticked / (time.perf_counter() - began_s)
                click.echo(f"  {ticked:,} of {users:,} ticked, {rate:,.0f}/s")
                if time.perf_counter() - began_s > WAIT_S:
                    break
            took_s = time.perf_counter() - began_s
    await until_flushed(stack.services, stack.services.directory.production)
    lost = await stack.services.pool.fetchval("SELECT count(*) FROM user_facts WHERE kind = 'streak_lost'")
    _cpu(stack, cpu, ticked)
    click.echo(f"{ticked:,} users due in {tz}: {took_s:.0f} s (reach 300 for 1,000,000); {lost:,} streaks lost")


def _cpu(stack: Stack, before: dict[str, float], number: int) -> None:
    after = stack.cpu_s() | {"scheduler": time.process_time()}
    took = ", ".join(f"{name} {(after[name] - one) / number * 1e6:.0f}" for name, one in before.items())
    click.echo(f"  CPU a user (µs), posting among it: {took}")


async def _last_due(services: Services) -> int:
    key = services.directory.production.keys.due
    [(_, due_ms)] = await services.redis.raw.zrange(key, 0, 0, desc=False, withscores=True)
    return int(due_ms)


@click.command(help=__doc__)
@click.option("--users", default=1_000_000, show_default=True, help="Users, all with a streak.")
@click.option("--seconds", default=15.0, show_default=True, help="Of each measurement of posting.")
def main(users: int, seconds: float) -> None:
    """The command."""
    asyncio.run(measure(users, seconds))


if __name__ == "__main__":
    main()
