"""A whole Podium on this machine with real durability: embedded Valkey (fsync always), Postgres, web, worker."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import psutil

from loadtest import probes
from loadtest.generators import HOST
from podium.cli import admin_tasks
from podium.demo.setup import make_catalog
from podium.game.errors import StartError
from podium.services import Services, open_services
from podium.settings import Settings
from podium.storage.embedded import DataFolder, start_postgres, start_valkey

READY_S = 60.0
STOP_S = 10.0
"""The worker flushes once more, which takes a while behind a long log."""


@dataclass(slots=True)
class Stack:
    """The stores with a space and the demo's catalog. ``serving`` starts web and worker on them."""

    folder: DataFolder
    services: Services
    port: int
    key: str
    workers: int
    pids: dict[str, int]
    allocator: str = ""
    """Valkey's memory allocator."""

    @property
    def url(self) -> str:
        """Of the web process."""
        return f"http://{HOST}:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Web and worker run, and are ready, inside the block."""
        environment = self._environment(self.port)
        with (
            child(self.folder, "worker", ["-m", "podium", "worker"], environment) as worker,
            child(self.folder, "web", ["-m", "podium", "web"], environment) as web,
        ):
            self.pids |= {"worker": worker.pid, "web": web.pid}
            await until_answered(self.url + "/readyz", 200, [worker, web])
            yield

    @asynccontextmanager
    async def another_web(self) -> AsyncIterator[str]:
        """The address of one more web process, behind a port of its own, running inside the block."""
        port = free_port()
        url = f"http://{HOST}:{port}"
        with child(self.folder, "web-2", ["-m", "podium", "web"], self._environment(port)) as web:
            await until_answered(url + "/readyz", 200, [web])
            yield url

    def _environment(self, port: int) -> dict[str, str]:
        settings = self.services.settings
        return {
            **_plain_environment(),
            "PODIUM_REDIS_URL": settings.redis_url,
            "PODIUM_METRICS_TOKEN": probes.METRICS_TOKEN,
            "PODIUM_DATABASE_URL": settings.database_url,
            "PODIUM_HOST": HOST,
            "PODIUM_PORT": str(port),
            "PODIUM_WEB_WORKERS": str(self.workers),
            "PODIUM_LOG_LEVEL": "warning",
        }

    @asynccontextmanager
    async def baseline(self, *, bare: bool) -> AsyncIterator[int]:
        """The port of loadtest/baseline.py, running inside the block."""
        port = free_port()
        arguments = ["-m", "loadtest.baseline", str(port), *(["--bare"] if bare else [])]
        with child(self.folder, "baseline", arguments, _plain_environment()) as process:
            await until_answered(f"http://{HOST}:{port}/v1/metrics/m/event", 201, [process], method="POST")
            yield port

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far of each part, with its children."""
        return cpu_s(self.pids)


def cpu_s(pids: dict[str, int]) -> dict[str, float]:
    """Return the CPU seconds so far of processes, by name, each with its children, also those that have ended."""
    found = {}
    for name, pid in pids.items():
        root = psutil.Process(pid)
        total = 0.0
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:4])  # user, system, and the same of children that have ended
        found[name] = total
    return found


@asynccontextmanager
async def open_stack(folder: DataFolder, workers: int, *, filled: bool = False) -> AsyncIterator[Stack]:
    """Start the stores in an empty folder, migrate, make the demo's catalog; or in one that was ``filled`` so."""
    if not filled and (folder.path / "postgres.json").exists():
        raise StartError(f"{folder.path} holds data already; a benchmark starts in an empty folder")
    async with AsyncExitStack() as exits:
        valkey = exits.enter_context(start_valkey(folder))
        postgres = exits.enter_context(start_postgres(folder))
        await admin_tasks.migrate_and_prepare(postgres.url)
        key = await admin_tasks.create_key(postgres.url, "benchmark", None, ("admin",))
        settings = Settings(redis_url=valkey.url, database_url=postgres.url)
        services = await exits.enter_async_context(open_services(settings))
        pids = {"valkey": valkey.pid, "postgres": postgres.pid}
        stack = Stack(folder, services, free_port(), key, workers, pids, valkey.allocator)
        if not filled:
            async with stack.serving():
                await make_catalog(stack.url, key)
        await services.directory.refresh()
        yield stack


@contextmanager
def child(
    folder: DataFolder, name: str, arguments: list[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that ends with the block; its output goes to ``name.log`` in the folder."""
    with (folder.path / f"{name}.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    folder.record(name, process.pid)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        folder.forget(name)


async def until_answered(
    url: str,
    status: int,
    processes: list[subprocess.Popen[bytes]],
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> None:
    """Wait for an answer with this status; ``StartError`` if a process ends or time is up."""
    deadline = time.monotonic() + READY_S
    async with httpx.AsyncClient() as client:
        while time.monotonic() < deadline:
            if any(process.poll() is not None for process in processes):
                break
            with suppress(httpx.TransportError):
                if (await client.request(method, url, headers=headers)).status_code == status:
                    return
            await asyncio.sleep(0.1)
    raise StartError(f"{url} does not answer; the logs in the data folder (--data) say why")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


async def connect(stack: Stack) -> asyncpg.Connection[asyncpg.Record]:
    """A connection of its own, without the pool's limits."""
    return await asyncpg.connect(stack.services.settings.database_url)


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PODIUM_")}
