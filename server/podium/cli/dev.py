"""``podium dev``: run the stores, web, worker and the demo on this machine until Ctrl-C.

The child processes run in sessions of their own, so that Ctrl-C reaches this process only, which stops them in
order: traffic, web (which notifies its viewers), worker (which flushes once more), stores.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import click
import httpx
import msgspec

from podium.cli import admin_tasks
from podium.cli.stopping import Stop, Stopped
from podium.demo import traffic
from podium.demo.history import first_day, make_history
from podium.demo.setup import make_catalog, make_game
from podium.game.errors import StartError
from podium.spaces import store
from podium.storage.embedded import DataFolder, start_postgres, start_valkey
from podium.storage.embedded.folder import port_problem

READY_S = 60.0
"""Limit of the start, seconds: long enough for a rebuild of kept data."""
STOP_S = 2.5
"""Seconds after which a process is killed. Web takes up to 2 s for requests under way."""
HOST = "127.0.0.1"


class DevFile(msgspec.Struct, frozen=True, rename="camel"):
    """The content of ``DIR/dev.json``: addresses, admin key and realtime secret of the running server."""

    url: str
    admin_key: str
    realtime_secret: str
    redis_url: str
    database_url: str


def run(*, port: int, data: Path, demo: bool, workers: int) -> int:
    """Run until Ctrl-C or SIGTERM, and return the exit code.

    Raises:
        StartError: The port is taken, or a store or process didn't start or ended by itself.
    """
    with suppress(Stopped), Stop() as stop, DataFolder(data) as folder:
        if problem := port_problem(port):
            raise StartError(f"port {port} {problem}; choose another with --port")
        with start_valkey(folder) as valkey, start_postgres(folder) as postgres:
            click.echo(f"Valkey: allocator={valkey.allocator}")
            stop.run(_run(folder, port, demo, workers, valkey.url, postgres.url))
    click.echo("Stopped. Everything is kept in " + str(data))
    return 0


async def _run(folder: DataFolder, port: int, demo: bool, workers: int, redis_url: str, database_url: str) -> None:
    await admin_tasks.migrate_and_prepare(database_url)
    url = f"http://{HOST}:{port}"
    file = await _dev_file(folder, url, redis_url, database_url)
    environment = {name: value for name, value in os.environ.items() if name not in _OVERRIDDEN}
    environment |= {
        "PODIUM_REDIS_URL": redis_url,
        "PODIUM_DATABASE_URL": database_url,
        "PODIUM_HOST": HOST,
        "PODIUM_PORT": str(port),
        "PODIUM_WEB_WORKERS": str(workers),
        "PODIUM_DEMO": str(demo).lower(),
        "PODIUM_CONSOLE_ONE_CLICK": "true",
        "PODIUM_SHUTDOWN_DELAY": "0",
    }
    environment.setdefault("PODIUM_LOG_FORMAT", "console")
    with _child(folder, "worker", environment) as worker, _child(folder, "web", environment) as web:
        await _until_ready(folder, url, [worker, web])
        if demo:
            await make_catalog(url, file.admin_key, first_day())
            await make_game(url, file.admin_key, first_day())
            await make_history(url, file.admin_key)
        _greet(file, folder.path, demo)
        await _watch(folder, [worker, web], traffic.play(url, file.admin_key) if demo else None)


_OVERRIDDEN = {"PODIUM_REDIS_URL", "PODIUM_DATABASE_URL", "PODIUM_DATABASE_DIRECT_URL"}
"""Variables of the caller's environment that must not reach the child processes."""


async def _dev_file(folder: DataFolder, url: str, redis_url: str, database_url: str) -> DevFile:
    """Write ``dev.json`` and return its content. The key of an earlier run is kept if it still works."""
    kept = folder.read("dev.json", DevFile)
    connection = await asyncpg.connect(database_url)
    try:
        space = (await store.load_spaces(connection))[0]
        known = {key.hash for key in await store.load_keys(connection)}
        if kept is not None and store.key_hash(kept.admin_key) in known:
            key = kept.admin_key
        else:
            key = await store.create_key(connection, space.id, "podium dev")
    finally:
        await connection.close()
    file = DevFile(url, key, space.realtime_secret, redis_url, database_url)
    folder.write("dev.json", file)
    return file


@contextmanager
def _child(folder: DataFolder, name: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    log = folder.path / f"{name}.log"
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - our own command, no shell
            [sys.executable, "-m", "podium", name],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    folder.record(name, child.pid)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        folder.forget(name)


async def _until_ready(folder: DataFolder, url: str, children: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + READY_S
    async with httpx.AsyncClient() as client:
        while time.monotonic() < deadline:
            _check(folder, children)
            with suppress(httpx.TransportError):
                if (await client.get(url + "/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
    raise StartError(f"the server is not ready after {READY_S:.0f} s; see {folder.path}/web.log and worker.log")


def _check(folder: DataFolder, children: list[subprocess.Popen[bytes]]) -> None:
    for child, name in zip(children, ("worker", "web"), strict=True):
        if child.poll() is not None:
            raise StartError(f"podium {name} ended by itself; {folder.path}/{name}.log says why")


async def _watch(
    folder: DataFolder, children: list[subprocess.Popen[bytes]], playing: Coroutine[Any, Any, None] | None
) -> None:
    task = asyncio.create_task(playing) if playing is not None else None
    try:
        while True:
            _check(folder, children)
            if task is not None and task.done():
                task.result()
            await asyncio.sleep(0.2)
    finally:
        if task is not None:
            task.cancel()


def _greet(file: DevFile, path: Path, demo: bool) -> None:
    lines = [("API docs", f"{file.url}/docs"), ("Admin key", file.admin_key), ("Data, logs", f"{path} (dev.json)")]
    if demo:
        lines.insert(0, ("Live demo", f"{file.url}/demo/"))
    lines.insert(-2, ("Console", f"{file.url}/console/"))
    click.echo("\n  Podium is running. Ctrl-C stops it.\n")
    for label, text in lines:
        click.echo(f"  {label:<11} {text}")
    if demo:
        click.echo(
            f"""
  Post an event and watch the row jump:

    curl -X POST {file.url}/v1/metrics/words-written/event \\
      -H 'X-API-KEY: {file.admin_key}' -H 'Content-Type: application/json' \\
      -d '{{"user": {{"id": "you", "name": "You"}}, "value": 750}}'
"""
        )
