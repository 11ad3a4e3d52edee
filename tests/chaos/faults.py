"""The faults: each begins at a random moment, lasts as long as its random source says, and heals."""

from __future__ import annotations

import asyncio
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
import redis.asyncio

from tests.chaos.cluster import Cluster, HarnessError, Member, until
from tests.chaos.load import Ledger
from tests.chaos.proxy import Proxy


class Scene:
    """The targets of a fault. ``doubtful`` are the events that Redis alone knew when it lost its memory."""

    def __init__(self, cluster: Cluster, ledger: Ledger) -> None:
        self.cluster = cluster
        self.ledger = ledger
        self.doubtful: set[str] = set()
        self.unflushed = 0
        """Acknowledged events among the doubtful."""

    async def note_unflushed(self, at_s: float) -> None:
        """Redis has just lost what it knew at an instant: note what is not in Postgres."""
        connection = await asyncpg.connect(self.cluster.postgres.url)
        try:
            rows = await connection.fetch("SELECT coalesce(idempotency_key, attributes->>'tag') FROM events")
        finally:
            await connection.close()
        flushed = {row[0] for row in rows}
        for name, sent in (*self.ledger.keyed.items(), *self.ledger.unkeyed.items()):
            if sent.acked_s is not None and sent.asked_s <= at_s and name not in flushed:
                if name not in self.doubtful:
                    self.unflushed += 1
                self.doubtful.add(name)

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[Any]:
        """A client past the proxies."""
        async with redis.asyncio.Redis.from_url(self.cluster.valkey.url, socket_timeout=5) as client:
            yield client


Run = Callable[[Scene, random.Random], Awaitable[None]]


class Kind(NamedTuple):
    """A kind of fault. ``weight`` says how often it is drawn."""

    name: str
    run: Run
    weight: int
    keeps: bool
    """Whether Redis keeps its file: then nothing acknowledged may be lost."""


KINDS: dict[str, Kind] = {}


def kind(name: str, weight: int, *, keeps: bool = True) -> Callable[[Run], Run]:
    """Register a kind of fault."""

    def register(run: Run) -> Run:
        KINDS[name] = Kind(name, run, weight, keeps)
        return run

    return register


def _hold_s(choose: random.Random) -> float:
    """How long a fault lasts; now and then longer than clients wait (5 s)."""
    return choose.uniform(5.2, 6.5) if choose.random() < 0.04 else choose.uniform(0.05, 1.5)


@kind("web process killed", 8)
async def kill_web(scene: Scene, choose: random.Random) -> None:
    await _kill(scene, choose.choice(scene.cluster.webs))


@kind("worker killed", 8)
async def kill_worker(scene: Scene, choose: random.Random) -> None:
    await _kill(scene, choose.choice(scene.cluster.workers))


@kind("all workers killed", 2)
async def kill_workers(scene: Scene, choose: random.Random) -> None:
    await asyncio.gather(*(_kill(scene, member) for member in scene.cluster.workers))


@kind("Valkey killed", 6)
async def kill_valkey(scene: Scene, choose: random.Random) -> None:
    await scene.cluster.kill_store("valkey")


@kind("Postgres killed", 5)
async def kill_postgres(scene: Scene, choose: random.Random) -> None:
    await scene.cluster.kill_store("postgres")


@kind("web process stopped for a while", 6)
async def stop_web(scene: Scene, choose: random.Random) -> None:
    await _suspend(scene, choose.choice(scene.cluster.webs), _hold_s(choose))


@kind("worker stopped for a while", 8)
async def stop_worker(scene: Scene, choose: random.Random) -> None:
    await _suspend(scene, choose.choice(scene.cluster.workers), _hold_s(choose))


@kind("Valkey stopped for a while", 4)
async def stop_valkey(scene: Scene, choose: random.Random) -> None:
    store = scene.cluster.valkey
    scene.cluster.suspend_store(store)
    try:
        await asyncio.sleep(_hold_s(choose))
    finally:
        scene.cluster.resume_store(store)


@kind("Postgres stopped for a while", 4)
async def stop_postgres(scene: Scene, choose: random.Random) -> None:
    store = scene.cluster.postgres
    scene.cluster.suspend_store(store)
    try:
        await asyncio.sleep(_hold_s(choose))
    finally:
        scene.cluster.resume_store(store)


@kind("connections to Valkey cut", 8)
async def cut_redis(scene: Scene, choose: random.Random) -> None:
    await _cut(_some(scene.cluster.members, choose, "redis"), choose)


@kind("answers of Valkey lost", 10)
async def deafen_redis(scene: Scene, choose: random.Random) -> None:
    await _deafen(_some(scene.cluster.members, choose, "redis"), choose)


@kind("Valkey delayed", 5)
async def delay_redis(scene: Scene, choose: random.Random) -> None:
    await _delay(_some(scene.cluster.members, choose, "redis"), choose)


@kind("Valkey out of reach", 5)
async def stall_redis(scene: Scene, choose: random.Random) -> None:
    await _stall(_some(scene.cluster.members, choose, "redis"), choose)


@kind("connections to Postgres cut", 6)
async def cut_postgres(scene: Scene, choose: random.Random) -> None:
    await _cut(_some(scene.cluster.members, choose, "postgres"), choose)


@kind("answers of Postgres lost", 6)
async def deafen_postgres(scene: Scene, choose: random.Random) -> None:
    await _deafen(_some(scene.cluster.members, choose, "postgres"), choose)


@kind("Postgres delayed", 4)
async def delay_postgres(scene: Scene, choose: random.Random) -> None:
    await _delay(_some(scene.cluster.members, choose, "postgres"), choose)


@kind("Postgres out of reach", 4)
async def stall_postgres(scene: Scene, choose: random.Random) -> None:
    await _stall(_some(scene.cluster.members, choose, "postgres"), choose)


@kind("connections of clients cut", 6)
async def cut_clients(scene: Scene, choose: random.Random) -> None:
    await _cut(_some(scene.cluster.webs, choose, "clients"), choose)


@kind("answers to clients lost", 6)
async def deafen_clients(scene: Scene, choose: random.Random) -> None:
    await _deafen(_some(scene.cluster.webs, choose, "clients"), choose)


@kind("clients delayed", 2)
async def delay_clients(scene: Scene, choose: random.Random) -> None:
    await _delay(_some(scene.cluster.webs, choose, "clients"), choose)


@kind("Valkey at maxmemory", 4)
async def fill_memory(scene: Scene, choose: random.Random) -> None:
    """Memory is short at once, or after what comes in the next moments."""
    async with scene.redis() as client:
        used = int((await client.info("memory"))["used_memory"])
        await client.config_set("maxmemory", used + choose.choice((-100_000, 20_000, 100_000)))
        try:
            await asyncio.sleep(_hold_s(choose))
        finally:
            await client.config_set("maxmemory", 0)


@kind("Valkey's disk full", 3)
async def fill_valkey_disk(scene: Scene, choose: random.Random) -> None:
    """The file may grow by some bytes only: Valkey ends in the middle of a write."""
    cluster = scene.cluster
    store = cluster.valkey
    cluster.expected_down.add("valkey")
    files = (cluster.folder.path / "valkey" / "appendonlydir").glob("*.incr.aof")
    size = max((file.stat().st_size for file in files), default=0)
    cluster.limit_files(store, size + choose.randrange(1, 3_000))
    try:
        await until(lambda: not cluster.store_lives(store), "Valkey ends as its disk is full", 10)
    except TimeoutError:
        # Nothing was written, or a rewrite began a new file: then it lives on.
        cluster.limit_files(store, resource.RLIM_INFINITY)
        cluster.expected_down.discard("valkey")
        return
    await cluster.kill_store("valkey")


@kind("Postgres' disk full", 3)
async def fill_postgres_disk(scene: Scene, choose: random.Random) -> None:
    """No file may grow: Postgres' log of writes fails, and with it every session."""
    cluster = scene.cluster
    store = cluster.postgres
    cluster.expected_down.add("postgres")
    cluster.limit_files(store, 4_096)
    await asyncio.sleep(_hold_s(choose))
    cluster.limit_files(store, resource.RLIM_INFINITY)
    await cluster.kill_store("postgres")


@kind("rebuild on request", 3)
async def rebuild(scene: Scene, choose: random.Random) -> None:
    await _ended(scene.cluster.rebuild())


@kind("two rebuilds at once", 2)
async def rebuild_twice(scene: Scene, choose: random.Random) -> None:
    first = scene.cluster.rebuild()
    await asyncio.sleep(choose.uniform(0, 0.5))
    await asyncio.gather(_ended(first), _ended(scene.cluster.rebuild()))


@kind("rebuild stopped, overtaken by another", 3)
async def stall_rebuild(scene: Scene, choose: random.Random) -> None:
    """Its connections to Postgres end while it stands still, and with them its lock.

    It is slowed down, so that it often stands still in the middle.
    """
    redis_, postgres = Proxy(scene.cluster.valkey.port), Proxy(scene.cluster.postgres.port)
    redis_.delay_s = 0.03
    await redis_.start()
    await postgres.start()
    try:
        first = scene.cluster.rebuild(redis_.port, postgres.port)
        await asyncio.sleep(choose.uniform(0.7, 2.5))
        first.send_signal(signal.SIGSTOP)
        postgres.cut()
        try:
            await _ended(scene.cluster.rebuild())
        finally:
            first.send_signal(signal.SIGCONT)
        await _ended(first)
    finally:
        await redis_.stop()
        await postgres.stop()


@kind("worker with a wrong clock", 2)
async def skew_worker(scene: Scene, choose: random.Random) -> None:
    await _skew(scene, choose.choice(scene.cluster.workers), choose)


@kind("web process with a wrong clock", 2)
async def skew_web(scene: Scene, choose: random.Random) -> None:
    await _skew(scene, choose.choice(scene.cluster.webs), choose)


@kind("two faults at once", 12)
async def pair(scene: Scene, choose: random.Random) -> None:
    """Of kinds that can't get into each other's way."""
    network = [one for name, one in KINDS.items() if name.split()[-1] in ("cut", "lost", "delayed", "reach")]
    others = [KINDS[name] for name in ("web process killed", "worker killed", "worker stopped for a while")]
    stores = [KINDS[name] for name in ("Valkey killed", "Postgres killed", "Valkey at maxmemory")]
    first, second = choose.choice(others + stores), choose.choice(network)
    seeds = choose.random(), choose.random()

    async def later() -> None:
        await asyncio.sleep(choose.uniform(0, 0.5))
        await second.run(scene, random.Random(seeds[1]))

    await asyncio.gather(first.run(scene, random.Random(seeds[0])), later())


@kind("old file put back", 3, keeps=False)
async def put_back_file(scene: Scene, choose: random.Random) -> None:
    await _go_back(scene, choose, workers_see=True)


@kind("old file put back while no worker runs", 2, keeps=False)
async def put_back_file_unseen(scene: Scene, choose: random.Random) -> None:
    """Nobody but the web processes can notice."""
    try:
        await _go_back(scene, choose, workers_see=False)
        await asyncio.sleep(choose.uniform(0.5, 2))
    finally:
        for member in scene.cluster.workers:
            scene.cluster.resume(member)


@kind("Redis emptied", 3, keeps=False)
async def empty_redis(scene: Scene, choose: random.Random) -> None:
    async with scene.redis() as client:
        if choose.random() < 0.5:
            await client.execute_command("FUNCTION", "FLUSH")
        await client.flushall()
    await scene.note_unflushed(time.monotonic())


@kind("Redis lost with its file", 3, keeps=False)
async def lose_redis(scene: Scene, choose: random.Random) -> None:
    cluster = scene.cluster
    await cluster.kill_store("valkey", start=False)
    at_s = time.monotonic()
    await cluster.on_stores(lambda: shutil.rmtree(cluster.folder.path / "valkey"))
    await cluster.start_store("valkey")
    await scene.note_unflushed(at_s)


async def _go_back(scene: Scene, choose: random.Random, *, workers_see: bool) -> None:
    cluster = scene.cluster
    live, old = cluster.folder.path / "valkey", cluster.folder.path / "valkey-old"

    def copy() -> None:
        shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(live, old)

    await cluster.on_stores(copy)
    # Long enough for flushes: then Postgres holds what the old file does not.
    await asyncio.sleep(choose.uniform(0.5, 4))
    if not workers_see:
        for member in cluster.workers:
            cluster.suspend(member)
    await cluster.kill_store("valkey", start=False)
    at_s = time.monotonic()

    def swap() -> None:
        shutil.rmtree(live)
        old.rename(live)

    await cluster.on_stores(swap)
    await scene.note_unflushed(at_s)
    await cluster.start_store("valkey")


async def _kill(scene: Scene, member: Member) -> None:
    cluster, started = scene.cluster, member.started
    await cluster.kill(member)
    await until(lambda: member.started > started, f"{member.name} is started again")
    await cluster.until_up(member)


async def _suspend(scene: Scene, member: Member, hold_s: float) -> None:
    scene.cluster.suspend(member)
    try:
        await asyncio.sleep(hold_s)
    finally:
        scene.cluster.resume(member)


async def _skew(scene: Scene, member: Member, choose: random.Random) -> None:
    """Start a process anew with a clock that is somewhat or very wrong; then with the right one."""
    member.offset_s = choose.choice((-40.0, -5.0, 5.0, 40.0, -3_600.0, 3_600.0, 86_400.0))
    cluster, started = scene.cluster, member.started
    try:
        await cluster.kill(member)
        await until(lambda: member.started > started, f"{member.name} is started again")
        await cluster.until_up(member)
        await asyncio.sleep(choose.uniform(0.5, 2))
    finally:
        member.offset_s = 0.0
        await _kill(scene, member)


def _some(members: list[Member], choose: random.Random, side: str) -> list[Proxy]:
    """The proxies of one process, or, now and then, of all."""
    chosen = members if choose.random() < 0.2 else [choose.choice(members)]
    return [getattr(member, side) for member in chosen]


async def _cut(proxies: list[Proxy], choose: random.Random) -> None:
    for proxy in proxies:
        proxy.refusing = choose.random() < 0.5
        proxy.cut()
    if any(proxy.refusing for proxy in proxies):
        await asyncio.sleep(_hold_s(choose))
    for proxy in proxies:
        proxy.heal()


async def _deafen(proxies: list[Proxy], choose: random.Random) -> None:
    for proxy in proxies:
        proxy.deaf = True
    await asyncio.sleep(choose.uniform(0.02, 0.6))
    for proxy in proxies:
        proxy.heal()


async def _delay(proxies: list[Proxy], choose: random.Random) -> None:
    for proxy in proxies:
        proxy.delay_s = choose.uniform(0.005, 0.1)
    await asyncio.sleep(_hold_s(choose))
    for proxy in proxies:
        proxy.heal()


async def _stall(proxies: list[Proxy], choose: random.Random) -> None:
    for proxy in proxies:
        proxy.stalled = True
    await asyncio.sleep(_hold_s(choose))
    for proxy in proxies:
        proxy.heal()


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Until a command ends; it may have been refused, because another one is at work."""
    try:
        await asyncio.to_thread(process.wait, 60)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise HarnessError(f"{process.args} does not end") from error
