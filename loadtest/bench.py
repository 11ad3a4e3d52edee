"""The benchmark: one command, one run, one table (README.md says what each row means)."""

from __future__ import annotations

import asyncio
import platform
import shlex
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import orjson
import psutil
import uvloop
from tqdm import tqdm

from loadtest import fanout, generators, probes, report, rows, verify
from loadtest.crowd import raise_limit
from loadtest.rows import Run
from loadtest.seed import seed
from loadtest.stack import open_stack
from podium.game.errors import StartError
from podium.storage.embedded import DataFolder, temporary_folder
from podium.telemetry import logs

RESULTS = Path(__file__).parent / "results"
ROWS = ("singles", "batches", "day", "watch")
LIVE_ROWS = ("fan", "frames", "personal", "memory", "connect", "slow")
"""Those of the second table; ``live`` names them all."""
ALL_ROWS = (*ROWS, "live", *LIVE_ROWS)

Results = dict[str, Any]


async def bench(
    folder: DataFolder,
    *,
    users: int,
    pool: int,
    seconds: float,
    long_s: float,
    workers: int,
    only: tuple[str, ...],
) -> Results:
    """One whole run; the raw results, in seconds, events and bytes."""
    logs.configure("error", "console")
    results: Results = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "users": users,
        "pool": pool,
        "workers": workers,
        "generator": "wrk" if generators.has_wrk() else "our own: wrk is not installed",
        "fsync_s": probes.fsync_s(folder.path),
    }
    async with open_stack(folder, workers) as stack:
        results["machine"] = await _machine(stack)
        seeded = await seed(stack.services, stack.services.directory.production, users)
        results["seeded"] = seeded._asdict()
        with rows.executor() as executor:
            run = Run(stack, users, pool, seconds, long_s, executor, [0, 0, 0])
            async with rows.steady(run):
                results["warnings"] = await rows.limits(stack.url)
                before = await verify.totals(stack.services, run.space)
                await _play(run, results, only)
                await probes.until_flushed(stack.services, run.space)
                served = await probes.scrape(stack.url)
                after = await verify.totals(stack.services, run.space)
            accepted, _, open_ = run.sent
            wrong = verify.compare(before, after, accepted, accepted + open_)
            if served.events != after.events - before.events:
                wrong.append(
                    f"the server counted {served.events:,.0f} events, Postgres {after.events - before.events:,}"
                )
            results["wrong"] = wrong + await verify.differences(stack.services, run.space)
            results["sent"] = run.sent
    return results


async def _play(run: Run, results: Results, only: tuple[str, ...]) -> None:
    plan: list[tuple[str, str, float, Callable[[], Awaitable[Any]]]] = []
    part = max(2.0, run.seconds / 2)
    short = run._replace(seconds=part)
    if "singles" in only:
        plan += [
            ("baseline", "handler that reads the body", run.seconds / 4, lambda: rows.baseline(run, bare=False)),
            ("baseline_bare", "the same, bare ASGI", run.seconds / 4, lambda: rows.baseline(run, bare=True)),
            ("singles", "single events", run.seconds, lambda: rows.singles(run)),
            ("singles_uniform", "… all users", part, lambda: rows.singles(short, pool=run.users)),
            ("singles_keyed", "… with keys", part, lambda: rows.singles(short, keyed=True)),
        ]
    if "batches" in only:
        plan += [
            ("batches", "batches of 1,000", part, lambda: rows.batches(short)),
            ("beside_batches", "singles beside batches", part * 1.5, lambda: rows.beside_batches(short)),
        ]
    if "day" in only:
        plan += [("day_load", "100 million a day", run.long_s, lambda: rows.day_load(run))]
    if "watch" in only:
        plan += [("watched", "watched window", part, lambda: rows.watched(short))]
    if chosen := [name for name in LIVE_ROWS if name in only or "live" in only]:
        live = await fanout.prepare(run)
        # The memory of viewers comes first, while the process is as it was started.
        lives: dict[str, list[tuple[str, str, float, Callable[[], Awaitable[Any]]]]] = {
            "memory": [("memory", "idle viewers", 15, lambda: fanout.memory(live))],
            "fan": [("fan_out", "1,000 viewers of one board", run.seconds, lambda: fanout.fan_out(live))],
            "frames": [
                ("frames_now", "1,000 viewers, every change", run.seconds, lambda: fanout.frames(live, 0)),
                ("frames_default", "… every 50 ms", run.seconds, lambda: fanout.frames(live, 50)),
            ],
            "personal": [("personal", "1,000 own places", run.seconds * 2, lambda: fanout.personal(live))],
            "connect": [("connecting", "5,000 at once", part, lambda: fanout.connecting(live))],
            "slow": [("slow", "slow viewers", run.seconds * 1.3, lambda: fanout.slow(live))],
        }
        plan += [row for name in lives if name in chosen for row in lives[name]]
    with tqdm(total=round(sum(seconds for *_, seconds, _ in plan)), unit="s") as bar:
        for name, label, seconds, play in plan:
            bar.set_description(label)
            results[name] = await _with_bar(bar, seconds, play())


async def _with_bar(bar: Any, seconds: float, playing: Awaitable[Any]) -> Any:
    task = asyncio.ensure_future(playing)
    shown = 0
    while not (await asyncio.wait([task], timeout=1))[0]:
        if shown < round(seconds):
            bar.update(1)
            shown += 1
    bar.update(round(seconds) - shown)
    return task.result()


async def _machine(stack: Any) -> dict[str, Any]:
    server = await stack.services.redis.raw.info("server")
    async with stack.services.pool.acquire() as connection:
        postgres = await connection.fetchval("SHOW server_version")
    return {
        "cores": psutil.cpu_count(),
        "cpu": _cpu(),
        "memory_gib": psutil.virtual_memory().total / 2**30,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "valkey": f"{server.get('server_name', 'redis')} {server.get('valkey_version', server['redis_version'])}"
        f" ({stack.allocator})",
        "postgres": f"Postgres {postgres}",
        "uvicorn": version("uvicorn"),
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


@click.command()
@click.option("--users", default=1_000_000, show_default=True, type=click.IntRange(1_000), help="On each board.")
@click.option("--pool", default=20_000, show_default=True, help="Users that the single events are drawn from.")
@click.option(
    "--seconds", default=60.0, show_default=True, help="Of the first row; others take a half or a quarter."
)
@click.option(
    "--long", "long_s", default=60.0, show_default=True, help="Seconds of the day's load (the aim: 300)."
)
@click.option("--workers", default=1, show_default=True, help="Web processes.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(ALL_ROWS),
    default=ROWS,
    help="Some rows; may be repeated.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Empty folder to keep; default: a temporary one.")
@click.option(
    "--write",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="docs/performance.md, with pictures.",
)
def main(
    users: int,
    pool: int,
    seconds: float,
    long_s: float,
    workers: int,
    only: tuple[str, ...],
    data: Path | None,
    target: Path | None,
) -> None:
    """Start a whole Podium, fill it, load it, and print the table. Exit code 1 if something was lost."""
    pool = min(pool, users)
    raise_limit()
    try:
        with ExitStack() as exits:
            folder = exits.enter_context(temporary_folder() if data is None else DataFolder(data))
            results = uvloop.run(
                bench(folder, users=users, pool=pool, seconds=seconds, long_s=long_s, workers=workers, only=only)
            )
    except StartError as error:
        raise SystemExit(f"bench: {error}") from None
    results["command"] = shlex.join(["python", "-m", "loadtest.bench", *sys.argv[1:]])
    RESULTS.mkdir(exist_ok=True)
    name = RESULTS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    name.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2))
    click.echo(report.markdown(results))
    click.echo(f"Raw results: {name.relative_to(RESULTS.parent.parent)}")
    if target is not None:
        report.write(results, target)
    sys.exit(bool(results["wrong"] or results["warnings"]))


if __name__ == "__main__":
    main()
