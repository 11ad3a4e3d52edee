"""Reads of a user right after a post to one web process, from another: how many are stale, and what they take.

python -m loadtest.fresh_reads --users 40 --others 100

Each user posts before each read, so that the read has something to wait for; then, once all of it is in Postgres,
the same reads are done without. ``--others`` events/s of other users keep the log from ever being empty. The exit
code is 1 if a read was stale or failed.

``--compare N`` measures instead what the check costs a user who has nothing unflushed: N pairs of each read, one
with the check and one without, in random order, through the endpoints in this process. So whatever else the
machine does affects both alike.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import click
import httpx
import uvloop
from starlette.applications import Starlette

from loadtest.stack import Stack, open_stack
from podium.app import ENDPOINTS
from podium.demo.catalog import METRIC
from podium.demo.setup import make_game
from podium.http.errors import EXCEPTION_HANDLERS
from podium.http.routes import routes
from podium.services import Services
from podium.spaces.reads import Reads, UserSnapshot
from podium.spaces.space import Space
from podium.storage.embedded.temporary import temporary_folder
from podium.storage.postgres.pool import acquired

WORDS = 100
"""Of an event: it meets the day of the streak and brings points."""
WARM_UP = 20
"""Pairs of each read that are not counted."""


class Posted(NamedTuple):
    """The answer to a post: every read must show it."""

    user: str
    name: str
    event: str
    total: float
    points: int
    events: int


class Read(NamedTuple):
    """A read: its path, and whether an answer shows what was posted."""

    path: str
    shows: Callable[[Any, Posted], bool]


def _last(rows: Any, key: str) -> Any:
    return rows[-1][key]


def reads(board: str) -> dict[str, Read]:
    """All reads about one user: in paths ``{u}`` is the user, ``{e}`` the event. ``board``: the id of all-time."""
    today = datetime.now(UTC).date()
    days = f"aggregation=daily&startDate={today - timedelta(days=6)}&endDate={today}"
    words = f"/v1/users/{{u}}/metrics/{METRIC}"
    return {
        "user": Read("/v1/users/{u}", lambda a, p: a["name"] == p.name),
        "metrics": Read("/v1/users/{u}/metrics", lambda a, p: a[0]["current"] == p.total),
        "metric": Read(words, lambda a, p: a["current"] == p.total),
        "metric summary": Read(f"{words}/event-summary?{days}", lambda a, p: _last(a, "total") == p.total),
        "points": Read("/v1/users/{u}/points/xp", lambda a, p: a["total"] == p.points == a["awards"][0]["total"]),
        "points summary": Read(
            f"/v1/users/{{u}}/points/xp/event-summary?{days}", lambda a, p: _last(a, "total") == p.points
        ),
        "streak": Read(
            "/v1/users/{u}/streak", lambda a, _: a["length"] == _last(a["streakHistory"], "length") == 1
        ),
        "streaks": Read("/v1/streaks?userIds={u}", lambda a, _: a[0]["streakLength"] == 1),
        "achievements": Read(
            "/v1/users/{u}/achievements", lambda a, p: p.total < 250 or any(one["completions"] for one in a)
        ),
        "places": Read("/v1/users/{u}/leaderboards", lambda a, p: p.total in [one["value"] for one in a]),
        "place": Read(
            "/v1/users/{u}/leaderboards/all-time",
            lambda a, p: a["value"] == p.total == _last(a["history"], "value"),
        ),
        "year in review": Read(
            "/v1/users/{u}/wrapped",
            lambda a, p: a["activity"]["entireYear"]["metrics"][METRIC]["currentTotal"] == p.total,
        ),
        "board from the user on": Read(
            "/v1/leaderboards/all-time?userId={u}", lambda a, p: a["rankings"][0]["value"] == p.total
        ),
        "around": Read(
            "/v1/leaderboards/all-time/around/{u}",
            lambda a, p: p.total in [one["value"] for one in a["rankings"] if one["userId"] == p.user],
        ),
        "among friends": Read(
            "/v1/leaderboards/all-time/users?ids={u}", lambda a, p: a["rankings"][0]["value"] == p.total
        ),
        "timeline": Read(
            "/admin/v1/users/{u}/timeline", lambda a, p: p.event in [one.get("id") for one in a["rows"]]
        ),
        "export": Read("/admin/v1/users/{u}/export", lambda a, p: len(a["tables"]["events"]) == p.events),
        "events": Read("/admin/v1/events?userId={u}", lambda a, p: a["events"][0]["id"] == p.event),
        "event": Read("/admin/v1/events/{e}", lambda a, p: a["id"] == p.event),
        "why this score": Read(
            f"/admin/v1/leaderboards/{board}/users/{{u}}/events", lambda a, p: p.event in [one["id"] for one in a]
        ),
        "found by id": Read("/admin/v1/users?search={u}", lambda a, p: a["users"][0]["name"] == p.name),
        "console: user": Read("/console/users/{u}", lambda a, p: f"{p.total:,.0f}" in a and p.event in a),
        "console: debug": Read("/console/users/{u}/debug", lambda a, p: p.event in a.split("Newest events in")[1]),
        "console: export": Read("/console/users/{u}/export.json", lambda a, p: p.event in str(a)),
    }


class UncheckedReads(Reads):
    """Reads without the check: a connection and the user's state, no transaction, no token."""

    @asynccontextmanager
    async def snapshot(self, space: Space, user: str) -> AsyncIterator[UserSnapshot]:
        """Give what Redis and Postgres hold, of whatever instants."""
        loading = asyncio.create_task(self._load(space, user))
        async with acquired(self._pool) as connection:
            yield UserSnapshot(connection, (await loading).state())


COMPARED = (
    "metric summary",
    "points",
    "points summary",
    "streak",
    "achievements",
    "place",
    "year in review",
    "timeline",
)
"""Reads that are made from a snapshot."""


async def compare(users: int, others: int, pairs: int) -> None:
    """Print what the check costs each read of users who have nothing unflushed."""
    with temporary_folder() as folder:
        async with open_stack(folder, 1) as stack, stack.serving():
            await make_game(stack.url, stack.key, date.today().replace(day=1))  # noqa: DTZ011 # a day long past
            services = stack.services
            await services.directory.refresh()
            plain = UncheckedReads(services.pool, services.redis, services.directory.refresh_space)
            async with (
                _client(stack, stack.url) as posts,
                _inside(services, stack.key) as checked,
                _inside(dataclasses.replace(services, reads=plain), stack.key) as unchecked,
            ):
                names = [f"settled-{number}" for number in range(users)]
                for name in names:
                    body = {"user": {"id": name}, "value": WORDS}
                    (await posts.post(f"/v1/metrics/{METRIC}/event", json=body)).raise_for_status()
                await _until_flushed(stack)
                going = asyncio.create_task(_others(posts, others))
                try:
                    found = await _pairs(names, checked, unchecked, pairs)
                finally:
                    going.cancel()
    _report_pairs(found)


async def _pairs(
    names: list[str], checked: httpx.AsyncClient, unchecked: httpx.AsyncClient, pairs: int
) -> dict[str, list[tuple[float, float]]]:
    """Return milliseconds with and without the check, by read."""
    asked, draw = reads(""), random.Random(1)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in COMPARED}
    for number in range(pairs + WARM_UP):
        posted = Posted(names[number % len(names)], "", "", 0, 0, 0)
        for name in COMPARED:
            took_ms = {}
            for client in draw.sample((checked, unchecked), 2):
                status, _, took_ms[client] = await _get(client, asked[name], posted)
                await _until_given_back()
                if status != 200:
                    raise click.ClickException(f"{name}: {status}")
            if number >= WARM_UP:
                found[name].append((took_ms[checked], took_ms[unchecked]))
    return found


async def _until_given_back() -> None:
    """Wait for the end of the read's transaction, which comes after the answer: it must not slow the next read."""
    ending = {task for task in asyncio.all_tasks() if task.get_name() == "snapshot-end"}
    if ending:
        await asyncio.wait(ending)


@asynccontextmanager
async def _inside(services: Services, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the endpoints in this process."""
    app = Starlette(routes=routes(ENDPOINTS), exception_handlers=EXCEPTION_HANDLERS)
    app.state.services = services
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://here", headers={"X-API-KEY": key}
    ) as client:
        yield client


def _report_pairs(found: dict[str, list[tuple[float, float]]]) -> None:
    click.echo("\n| read | p50 ms without the check | with it | ratio | median difference, ms (95 %) |")
    click.echo("|---|---|---|---|---|")
    together = [pair for pairs in found.values() for pair in pairs]
    for name, pairs in [*found.items(), ("all", together)]:
        with_ms, without_ms = (statistics.median(values) for values in zip(*pairs, strict=True))
        differences = [one - other for one, other in pairs]
        low, high = _interval(differences)
        click.echo(
            f"| {name} | {without_ms:.2f} | {with_ms:.2f} | {with_ms / without_ms:.2f}"
            f" | {statistics.median(differences):+.2f} ({low:+.2f} to {high:+.2f}) |"
        )


def _interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median: order statistics, whatever the distribution."""
    ordered, n = sorted(values), len(values)
    half = 0.98 * math.sqrt(n)
    return ordered[max(0, math.floor(n / 2 - half))], ordered[min(n - 1, math.ceil(n / 2 + half))]


class Figures:
    """Per read: milliseconds with and without something to wait for; and what went wrong."""

    def __init__(self) -> None:
        self.waiting: defaultdict[str, list[float]] = defaultdict(list)
        self.settled: defaultdict[str, list[float]] = defaultdict(list)
        self.stale: defaultdict[str, int] = defaultdict(int)
        self.failed: defaultdict[str, int] = defaultdict(int)


async def measure(users: int, others: int) -> bool:
    """Print all figures; whether every read showed what was posted."""
    with temporary_folder() as folder:
        async with open_stack(folder, 1) as stack, stack.serving(), stack.another_web() as url:
            await make_game(stack.url, stack.key, date.today().replace(day=1))  # noqa: DTZ011 # a day long past
            async with _client(stack, stack.url) as posts, _client(stack, url) as gets:
                board = next(
                    one["id"]
                    for one in (await gets.get("/admin/v1/leaderboards")).json()
                    if one["key"] == "all-time"
                )
                figures = Figures()
                going = asyncio.create_task(_others(posts, others))
                try:
                    for number in range(users):
                        await _one_user(stack, posts, gets, f"fresh-{number}", reads(board), figures)
                finally:
                    going.cancel()
    return _report(figures)


async def _one_user(
    stack: Stack, posts: httpx.AsyncClient, gets: httpx.AsyncClient, user: str, asked: dict[str, Read], to: Figures
) -> None:
    posted = Posted(user, "", "", 0, 0, 0)
    for name, one in asked.items():
        body = {"user": {"id": user, "name": f"{user} {name}"}, "value": WORDS}
        answer = (await posts.post(f"/v1/metrics/{METRIC}/event", json=body)).raise_for_status().json()
        points = answer["points"]["xp"]["total"] if answer["points"] else posted.points
        posted = Posted(user, f"{user} {name}", answer["eventId"], answer["total"], points, posted.events + 1)
        status, shown, took_ms = await _get(gets, one, posted)
        to.waiting[name].append(took_ms)
        if status != 200:
            to.failed[name] += 1
        elif not _shows(one, shown, posted):
            to.stale[name] += 1
    await stack.services.directory.refresh()
    await _until_flushed(stack)
    for name, one in asked.items():
        status, shown, took_ms = await _get(gets, one, posted)
        to.settled[name].append(took_ms)
        to.failed[name] += status != 200 or not _shows(one, shown, posted)


def _shows(one: Read, answer: Any, posted: Posted) -> bool:
    try:
        return one.shows(answer, posted)
    except LookupError:  # not even a row is there
        return False


async def _until_flushed(stack: Stack) -> None:
    """Wait until Postgres holds all that was posted until now."""
    if not await stack.services.reads.settle(stack.services.directory.production, 30):
        raise click.ClickException("nothing is flushed")


async def _get(gets: httpx.AsyncClient, one: Read, posted: Posted) -> tuple[int, Any, float]:
    began_s = time.perf_counter()
    answer = await gets.get(one.path.format(u=posted.user, e=posted.event))
    took_ms = (time.perf_counter() - began_s) * 1000
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    return answer.status_code, answer.json() if is_json else answer.text, took_ms


async def _others(posts: httpx.AsyncClient, rate: int) -> None:
    number = 0
    while rate:
        number += 1
        body = {"user": {"id": f"other-{number % 1_000}"}, "value": WORDS}
        await posts.post(f"/v1/metrics/{METRIC}/event", json=body)
        await asyncio.sleep(1 / rate)


@asynccontextmanager
async def _client(stack: Stack, url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, headers={"X-API-KEY": stack.key}, timeout=60) as client:
        await client.post("/console/sign-in", data={"secret": stack.key}, headers={"Origin": url})
        yield client


def _report(figures: Figures) -> bool:
    click.echo("\n| read | stale | failed | p50 ms with something to wait for | p95 | p50 ms without | p95 |")
    click.echo("|---|---|---|---|---|---|---|")
    for name, waited in figures.waiting.items():
        settled = figures.settled[name]
        click.echo(
            f"| {name} | {figures.stale[name]} | {figures.failed[name]}"
            f" | {statistics.median(waited):.1f} | {_p95(waited):.1f}"
            f" | {statistics.median(settled):.1f} | {_p95(settled):.1f} |"
        )
    stale, failed = sum(figures.stale.values()), sum(figures.failed.values())
    done = sum(map(len, figures.waiting.values()))
    click.echo(f"\n{done:,} reads right after a post: {stale} stale, {failed} failed")
    return not stale and not failed


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


@click.command(help=__doc__)
@click.option("--users", default=40, show_default=True, help="Users who post and read.")
@click.option("--others", default=100, show_default=True, help="Events/s of other users meanwhile.")
@click.option("--compare", "pairs", default=0, help="Pairs of each read, with the check and without it.")
def main(users: int, others: int, pairs: int) -> None:
    """The command."""
    if pairs:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(compare(users, others, pairs))
        return
    if not asyncio.run(measure(users, others)):
        sys.exit(1)


if __name__ == "__main__":
    main()
