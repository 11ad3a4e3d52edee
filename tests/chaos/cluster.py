"""The processes of one Podium, each behind proxies of its own, kept alive as a supervisor would."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import httpx
import psutil

from podium.cli.admin_tasks import create_key, migrate_and_prepare
from podium.game.errors import EmbeddedError
from podium.storage.embedded import (
    DataFolder,
    RunningPostgres,
    RunningValkey,
    start_postgres,
    start_valkey,
    temporary_folder,
)
from tests.acceptance.processes import free_port, podium
from tests.chaos.proxy import HOST, Proxy
from tests.places import roomy
from tests.urls import with_parts

T = TypeVar("T")
Role = Literal["web", "worker"]

LOOK_S = 0.1
"""Pause of the supervisor between two looks."""
PATIENCE_S = 120.0
"""How long a start may take on a busy machine, or a wrong state may last, before the harness calls it stuck."""


class HarnessError(Exception):
    """The harness itself can't go on, whatever Podium does."""


class Member:
    """One web or worker process with its proxies. ``killed`` says that its end is ours."""

    def __init__(self, role: Role, number: int) -> None:
        self.role = role
        self.name = f"{role}-{number}"
        self.port = free_port() if role == "web" else 0
        self.clients = Proxy(self.port)
        self.redis = Proxy(0)
        self.postgres = Proxy(0)
        self.process: subprocess.Popen[bytes] | None = None
        self.killed = False
        self.stopped = False
        self.offset_s = 0.0
        self.started = 0
        """How often it was started."""
        self.log_from = 0
        """Where the log of the present process begins (bytes)."""


class Cluster:
    """Stores, web and worker processes. ``incidents`` are ends of processes that nobody caused."""

    def __init__(self, folder: DataFolder, webs: int, workers: int) -> None:
        self.folder = folder
        self.members = [Member("web", n) for n in range(webs)] + [Member("worker", n) for n in range(workers)]
        self.valkey: RunningValkey
        self.postgres: RunningPostgres
        self.key = ""
        self.incidents: list[str] = []
        self.expected_down: set[str] = set()
        """Stores that a fault holds down: the supervisor leaves them alone."""
        self._stores = asyncio.Lock()
        self._supervisor: asyncio.Task[None] | None = None
        self._evict_after_s = 20

    @property
    def webs(self) -> list[Member]:
        return [member for member in self.members if member.role == "web"]

    @property
    def workers(self) -> list[Member]:
        return [member for member in self.members if member.role == "worker"]

    def log(self, member: Member) -> Path:
        """Where a process writes its log."""
        return self.folder.path / f"{member.name}.log"

    async def start(self) -> None:
        """Start everything, until both web processes are ready."""
        self.valkey = await self.on_stores(lambda: start_valkey(self.folder))
        self.postgres = await self.on_stores(lambda: start_postgres(self.folder))
        await migrate_and_prepare(self.postgres.url)
        self.key = await create_key(self.postgres.url, "chaos", None, ("admin",))
        for member in self.members:
            member.redis.target, member.postgres.target = self.valkey.port, self.postgres.port
            for proxy in (member.redis, member.postgres, member.clients):
                await proxy.start()
            self.launch(member)
        self._supervisor = asyncio.create_task(self._supervise(), name="supervisor")
        for member in self.members:
            await self.until_up(member)
        await until(self.all_ready, "every web process is ready")

    def check(self) -> None:
        """Raise what the supervisor has died of: a fault of the harness."""
        if self._supervisor is not None and self._supervisor.done():
            self._supervisor.result()

    async def stop(self) -> None:
        """End everything, whatever state it is in."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        for member in self.members:
            if member.process is not None and member.process.poll() is None:
                member.process.send_signal(signal.SIGCONT)
                member.process.terminate()
        for member in self.members:
            if member.process is not None:
                try:
                    await asyncio.to_thread(member.process.wait, 10)
                except subprocess.TimeoutExpired:
                    self.incidents.append(f"{member.name} did not stop within 10 s after SIGTERM")
                    _kill_group(member.process)
                    await asyncio.to_thread(member.process.wait)
            for proxy in (member.redis, member.postgres, member.clients):
                await proxy.stop()
        for name in ("valkey", "postgres"):
            store: RunningValkey | RunningPostgres | None = getattr(self, name, None)
            if store is not None:
                self.resume_store(store)
                await self.on_stores(store.stop)

    def launch(self, member: Member) -> None:
        """Start a process; it is up some time later."""
        settings = {
            "redis_url": f"redis://{HOST}:{member.redis.port}/0",
            "database_url": self._database_url(member.postgres.port),
            "evict_after": str(self._evict_after_s),
        }
        if member.port:
            settings["port"] = str(member.port)
        if member.offset_s:
            settings["clock_offset"] = str(member.offset_s)
        member.killed = member.stopped = False
        member.started += 1
        log = self.log(member)
        member.log_from = log.stat().st_size if log.exists() else 0
        member.process = podium(member.role, output=self.log(member), **settings)

    def rebuild(self, redis_port: int | None = None, postgres_port: int | None = None) -> subprocess.Popen[bytes]:
        """Start ``podium rebuild`` on everything, past the proxies or through those of the caller."""
        return podium(
            "rebuild",
            "--yes",
            output=self.folder.path / "rebuild.log",
            redis_url=f"redis://{HOST}:{redis_port or self.valkey.port}/0",
            database_url=self._database_url(postgres_port or self.postgres.port),
        )

    def _database_url(self, port: int) -> str:
        return with_parts(self.postgres.url, port=port)

    async def kill(self, member: Member) -> None:
        """SIGKILL; the supervisor starts it again at once."""
        process = member.process
        if process is None or process.poll() is not None:
            return
        member.killed = True
        _kill_group(process)
        await asyncio.to_thread(process.wait)

    def suspend(self, member: Member) -> None:
        """SIGSTOP."""
        if member.process is not None and member.process.poll() is None:
            member.stopped = True
            member.process.send_signal(signal.SIGSTOP)

    def resume(self, member: Member) -> None:
        """SIGCONT."""
        if member.process is not None and member.process.poll() is None:
            member.process.send_signal(signal.SIGCONT)
        member.stopped = False

    async def kill_store(self, name: str, *, start: bool = True) -> None:
        """SIGKILL Valkey or Postgres with its children, and start it again unless told otherwise."""
        self.expected_down.add(name)
        try:
            store: RunningValkey | RunningPostgres = getattr(self, name)
            await self.on_stores(store.kill)
        finally:
            if start:
                await self.start_store(name)

    async def start_store(self, name: str) -> None:
        """Start a store that is down, on its port."""
        self.expected_down.add(name)
        port = getattr(self, name).port
        begun = time.monotonic()
        while True:
            try:
                if name == "valkey":
                    self.valkey = await self.on_stores(lambda: start_valkey(self.folder, port=port))
                else:
                    self.postgres = await self.on_stores(lambda: start_postgres(self.folder, port=port))
            except EmbeddedError as error:
                if time.monotonic() - begun > PATIENCE_S:
                    raise HarnessError(f"{name} does not start: {error}") from error
                await asyncio.sleep(LOOK_S)
            else:
                self.expected_down.discard(name)
                return

    def store_lives(self, store: RunningValkey | RunningPostgres) -> bool:
        """Whether a store's main process lives."""
        return _lives(store.pid)

    def store_processes(self, store: RunningValkey | RunningPostgres) -> list[psutil.Process]:
        """The processes of a store, its children too."""
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(store.pid)
            return [root, *root.children(recursive=True)]
        return []

    def suspend_store(self, store: RunningValkey | RunningPostgres) -> None:
        """SIGSTOP to all of it."""
        for process in self.store_processes(store):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def resume_store(self, store: RunningValkey | RunningPostgres) -> None:
        """SIGCONT to all of it."""
        for process in self.store_processes(store):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def limit_files(self, store: RunningValkey | RunningPostgres, size: int) -> None:
        """Let no file of a store grow beyond a size (bytes): a write past it fails as on a full disk."""
        pids: dict[tuple[int, int], list[int]] = {}
        for process in self.store_processes(store):
            with contextlib.suppress(psutil.NoSuchProcess):
                pids.setdefault((process.uids().real, process.gids().real), []).append(process.pid)
        for (uid, gid), those in pids.items():
            limit = partial(_limit_files, those, size)
            if uid == os.getuid():
                limit()
            else:
                # Root may not do so with the processes of others where it lacks a capability, as in containers.
                subprocess.run(["true"], user=uid, group=gid, extra_groups=[], preexec_fn=limit, check=True)

    async def on_stores(self, work: Callable[[], T]) -> T:
        """Do something to the data folder, one at a time and off the loop."""
        async with self._stores:
            return await asyncio.to_thread(work)

    async def until_up(self, member: Member) -> None:
        """Until a process that was started serves (web) or works (worker)."""
        launched = member.started

        async def up() -> bool:
            if member.started != launched:
                return True  # started anew meanwhile: somebody else waits for that
            if member.role == "web":
                return await self.healthy(member)
            return b'"worker_started"' in self.log(member).read_bytes()[member.log_from :]

        await until(up, f"{member.name} is up")

    async def all_ready(self) -> bool:
        """Whether every web process says that events are accepted."""
        async with httpx.AsyncClient(timeout=5) as client:
            for member in self.webs:
                try:
                    if (await client.get(f"http://{HOST}:{member.port}/readyz")).status_code != 200:
                        return False
                except httpx.TransportError:
                    return False
        return True

    async def healthy(self, member: Member) -> bool:
        """Whether a web process answers."""
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                return (await client.get(f"http://{HOST}:{member.port}/healthz")).status_code == 200
        except httpx.TransportError:
            return False

    async def _supervise(self) -> None:
        while True:
            for member in self.members:
                process = member.process
                if process is None or process.poll() is None:
                    continue
                if not member.killed:
                    self.incidents.append(f"{member.name} ended by itself with {process.returncode}")
                self.launch(member)
            for name in ("valkey", "postgres"):
                store = getattr(self, name)
                if name not in self.expected_down and not _lives(store.pid):
                    self.incidents.append(f"{name} ended by itself")
                    await self.kill_store(name)
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def open_cluster(webs: int, workers: int, kept: Path | None = None) -> AsyncIterator[Cluster]:
    """Run a Podium in a folder of its own, which is deleted afterwards; its logs are copied to ``kept``."""
    with temporary_folder(roomy()) as folder:
        cluster = Cluster(folder, webs, workers)
        try:
            await cluster.start()
            yield cluster
        finally:
            await cluster.stop()
            if kept is not None:
                _copy_logs(folder.path, kept)


def _copy_logs(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for log in source.glob("*.log"):
        shutil.copy(log, target)


async def until(condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """Return once an (awaitable) condition holds; ``TimeoutError`` that says what did not come."""
    deadline = time.monotonic() + patience_s
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {patience_s:.0f} s: {what}")
        await asyncio.sleep(0.05)


def _limit_files(pids: list[int], size: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
