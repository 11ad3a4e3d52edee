"""Provoke each fault of docs/operations.md#what-happens-when.

Nothing acknowledged is lost, nothing keyed counts twice.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from podium.cli.admin_tasks import create_key, migrate_and_prepare
from podium.storage.embedded import (
    DataFolder,
    RunningPostgres,
    RunningValkey,
    start_postgres,
    start_valkey,
    temporary_folder,
)
from tests.acceptance.processes import ANSWER_S, end, end_for_sure, free_port, podium, ready, wait_until
from tests.acceptance.stack import Board, Stack, post
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("own")

USERS = 20
SENDERS = 6


class Cluster:
    """Stores, a worker and two web processes, each of which can be ended and started again."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder
        self.valkey: RunningValkey = start_valkey(folder)
        self.postgres: RunningPostgres = start_postgres(folder)
        asyncio.run(migrate_and_prepare(self.postgres.url))
        self.key = asyncio.run(create_key(self.postgres.url, "test", None, ("admin",)))
        self.ports = (free_port(), free_port())
        self.worker = self._start("worker", 0)
        self.web = [self._start("web", port) for port in self.ports]
        for url in self.urls:
            wait_until(lambda url=url: ready(url), f"{url} is not ready")

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    @property
    def stack(self) -> Stack:
        """As the first web process shows it."""
        return Stack(self.urls[0], self.key, "", self.valkey.url, self.postgres.url)

    def _start(self, command: str, port: int) -> subprocess.Popen[bytes]:
        settings = {
            "redis_url": self.valkey.url,
            "database_url": self.postgres.url,
            "metrics_token": "of the operator",
        }
        if port:
            settings["port"] = str(port)
        return podium(command, output=self.log(command), **settings)

    def log(self, command: str) -> Path:
        return self.folder.path / f"{command}.log"

    def start_valkey(self) -> None:
        self.valkey = start_valkey(self.folder)

    def start_postgres(self) -> None:
        self.postgres = start_postgres(self.folder)

    def start_worker(self) -> None:
        started = self._workers_started()
        self.worker = self._start("worker", 0)
        wait_until(lambda: self._workers_started() > started, "the worker does not work")

    def _workers_started(self) -> int:
        log = self.log("worker")
        return log.read_text().count("worker_started") if log.exists() else 0

    def start_web(self, i: int) -> None:
        self.web[i] = self._start("web", self.ports[i])
        wait_until(lambda: ready(self.urls[i]), "the web process is not ready")

    def stop(self) -> None:
        for process in (*self.web, self.worker):
            end_for_sure(process)
        self.valkey.stop()
        self.postgres.stop()


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all faults: each of them must leave it whole. The logs outlive it where a test has failed."""
    failed = request.session.testsfailed
    with temporary_folder() as folder:
        running = Cluster(folder)
        try:
            yield running
        finally:
            running.stop()
            if request.session.testsfailed > failed:
                kept = tmp_path_factory.mktemp("cluster")
                for command in ("web", "worker"):
                    shutil.copy(running.log(command), kept)


class Load:
    """Sends keyed events to both web processes until stopped, each again and again until it is stored."""

    def __init__(self, cluster: Cluster, board: Board) -> None:
        self.cluster = cluster
        self.board = board
        self.stored = 0
        self.refused: list[httpx.Response] = []
        self.lost = 0
        self.totals: dict[str, float] = {}
        self._stop = False
        self._numbers = itertools.count()

    async def send(self) -> None:
        async with asyncio.TaskGroup() as group:
            for sender in range(SENDERS):
                group.create_task(self._sender(sender))

    def stop(self) -> None:
        self._stop = True

    async def _sender(self, sender: int) -> None:
        async with httpx.AsyncClient(headers={"X-API-KEY": self.cluster.key}, timeout=30) as client:
            while not self._stop:
                number = next(self._numbers)
                user, value = f"user{number % USERS}", float(number % 7 - 2)
                await self._until_stored(client, user, value, f"key-{number}", sender)
                self.stored += 1
                self.totals[user] = self.totals.get(user, 0) + value

    async def _until_stored(
        self, client: httpx.AsyncClient, user: str, value: float, key: str, sender: int
    ) -> None:
        for attempt in itertools.count(sender):
            client.base_url = self.cluster.urls[attempt % 2]
            try:
                answer = await post(client, self.board.metric, user, value, key=key)
            except httpx.TransportError:
                self.lost += 1
            else:
                if answer.status_code in (201, 202):
                    return
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["Retry-After"]) >= 1
                assert answer.json()["error"]
                self.refused.append(answer)
            await asyncio.sleep(0.05)  # as a polite client would


@asynccontextmanager
async def load(cluster: Cluster) -> AsyncIterator[Load]:
    """A load on a new board, under way; at the end everything is checked."""
    board = await cluster.stack.board()
    await Stack(cluster.urls[1], cluster.key, "", cluster.valkey.url, cluster.postgres.url).known()
    sent = Load(cluster, board)
    sending = asyncio.create_task(sent.send())
    try:
        await more(sent)
        yield sent
        await more(sent)
    finally:
        sent.stop()
        async with asyncio.timeout(60):
            await sending
    await check(cluster, sent)


async def more(sent: Load, events: int = 50) -> None:
    """Until that many more are stored."""
    goal = sent.stored + events
    await until(lambda: sent.stored >= goal)


async def check(cluster: Cluster, sent: Load) -> None:
    """Sent = Redis = Postgres, to the event."""
    stack, board = cluster.stack, sent.board
    await stack.flushed(board.metric_number, sent.stored)
    in_redis = {standing.user: standing.units / 1000 for standing in await stack.redis_board(board.number)}
    assert in_redis == sent.totals
    assert await stack.redis_board(board.number) == await stack.postgres_board(board.number)
    async with stack.database() as connection:
        count, distinct = await connection.fetchrow(
            "SELECT count(*), count(DISTINCT idempotency_key) FROM events WHERE metric = $1", board.metric_number
        )
        assert (count, distinct) == (sent.stored, sent.stored)
        sums = await connection.fetch(
            "SELECT user_id, sum(units)::float / 1000 FROM events WHERE metric = $1 GROUP BY 1",
            board.metric_number,
        )
        assert dict(sums) == sent.totals
        assert await connection.fetchval("SELECT count(*) FROM rejected_entries") == 0


async def health(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=ANSWER_S) as client:
        answer = await client.get(f"{url}/readyz", headers={"Authorization": "Bearer of the operator"})
    return {"status": answer.status_code, **answer.json()}


async def test_redis_killed(cluster: Cluster) -> None:
    async with load(cluster) as sent:
        await asyncio.to_thread(cluster.valkey.kill)
        await until(lambda: len(sent.refused) > 0)

        async def missed() -> bool:  # what /readyz says may be a second old
            found = await health(cluster.urls[0])
            return (found["status"], found["parts"]["redis"]["status"]) == (503, "missing")

        await until(missed)
        await asyncio.to_thread(cluster.start_valkey)
    assert (await health(cluster.urls[0]))["status"] == 200


async def test_redis_hangs(cluster: Cluster) -> None:
    """Calls that Redis takes only after their senders gave up, and that are sent again, count once."""
    async with load(cluster) as sent:
        sent.refused.clear()
        redis = psutil.Process(cluster.valkey.pid)
        redis.suspend()
        try:
            await until(lambda: len(sent.refused) >= SENDERS)
        finally:
            redis.resume()


async def test_redis_emptied(cluster: Cluster) -> None:
    """As after a lost disk, but with everything flushed: the rebuilt boards are the same."""
    async with load(cluster) as sent:
        pass
    before = await cluster.stack.redis_board(sent.board.number)
    async with cluster.stack.redis() as client:
        epoch = await client.hget(f"{{{await cluster.stack.space()}}}:meta", "epoch")
        await client.flushall()

    async def rebuilt() -> bool:
        async with cluster.stack.redis() as client:
            found = await client.hget(f"{{{await cluster.stack.space()}}}:meta", "epoch")
        return found is not None and found != epoch

    # Nobody may write meanwhile; the web processes that live on notice.
    async with cluster.stack.http() as client:
        answer = await post(client, sent.board.metric, "user1", 1, key="key-1")
        assert answer.status_code in (202, 503)
        await until(rebuilt)

        async def accepted() -> bool:
            answer = await post(client, sent.board.metric, "user1", -1, key="key-1")
            assert answer.status_code in (202, 503), answer.text
            return answer.status_code == 202

        await until(accepted)  # the idempotency key is known again
    assert await cluster.stack.redis_board(sent.board.number) == before
    await check(cluster, sent)


async def test_redis_emptied_under_load(cluster: Cluster) -> None:
    """What was not flushed is lost, no more; and the service comes back by itself."""
    board = await cluster.stack.board()
    sent = Load(cluster, board)
    await Stack(cluster.urls[1], cluster.key, "", cluster.valkey.url, cluster.postgres.url).known()
    sending = asyncio.create_task(sent.send())
    await more(sent)
    async with cluster.stack.redis() as client:
        await client.flushall()
    await more(sent)
    sent.stop()
    async with asyncio.timeout(60):
        await sending

    async def same() -> bool:
        return await cluster.stack.redis_board(board.number) == await cluster.stack.postgres_board(board.number)

    await until(same)
    async with cluster.stack.database() as connection:
        count, distinct = await connection.fetchrow(
            "SELECT count(*), count(DISTINCT idempotency_key) FROM events WHERE metric = $1", board.metric_number
        )
    assert count == distinct
    assert count <= sent.stored


async def test_postgres_stopped(cluster: Cluster) -> None:
    async with load(cluster) as sent:
        await asyncio.to_thread(cluster.postgres.kill)
        refused = len(sent.refused)
        await more(sent, 200)
        assert len(sent.refused) == refused  # events go on
        found = await health(cluster.urls[0])
        assert (found["status"], found["parts"]["postgres"]["status"]) == (200, "missing")
        assert any("Postgres" in warning for warning in found["warnings"])
        await asyncio.to_thread(cluster.start_postgres)

        async def back() -> bool:
            return bool((await health(cluster.urls[0]))["parts"]["postgres"]["status"] == "ok")

        await until(back)


async def test_an_evening_without_postgres(cluster: Cluster) -> None:
    stack, board = cluster.stack, await cluster.stack.board()
    await Stack(cluster.urls[1], cluster.key, "", cluster.valkey.url, cluster.postgres.url).known()
    totals = dict.fromkeys(("ann", "ben", "chi"), 0)
    answers: dict[str, str] = {}
    async with AsyncExitStack() as stack_of_clients:
        headers = {"X-API-KEY": cluster.key}
        clients = [
            await stack_of_clients.enter_async_context(
                httpx.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_S)
            )
            for url in cluster.urls
        ]

        async def plays(user: str, value: int) -> None:
            """Somebody scores, by either web process, and hears at once where that leads."""
            key = f"evening-{len(answers)}"
            totals[user] = totals.get(user, 0) + value
            answer = await post(clients[len(answers) % 2], board.metric, user, value, key=key)
            assert answer.status_code == 201, answer.text
            told = answer.json()
            assert told["total"] == totals[user]
            ahead = sum(total > totals[user] for total in totals.values())
            assert told["leaderboards"][board.key]["rank"] == ahead + 1
            answers[key] = told["eventId"]

        async def shown() -> dict[str, float]:
            page = (await clients[0].get(f"/v1/leaderboards/{board.key}")).json()["rankings"]
            assert [row["value"] for row in page] == sorted(totals.values(), reverse=True)
            return {row["userId"]: row["value"] for row in page}

        # The evening begins as any other.
        for user, value in (("ann", 30), ("ben", 20), ("chi", 10)):
            await plays(user, value)
        await stack.flushed(board.metric_number, len(answers))

        # Postgres goes away. Who plays notices nothing, also who is new; the board is right all the time.
        await asyncio.to_thread(cluster.postgres.kill)
        for number, user in enumerate(("ben", "chi", "dan", "ann", "dan", "ben") * 5):
            await plays(user, 101 + number)
        assert await shown() == totals

        # A read of what only Postgres knows is answered with 503, not with something wrong.
        path = f"/admin/v1/events?userId=ann&metricId={board.metric_id}"
        refused = await clients[1].get(path)
        assert (refused.status_code, int(refused.headers["Retry-After"]) >= 1) == (503, True)

        # It is back. The log is written down, and Redis, Postgres and the players' own account say the same.
        await asyncio.to_thread(cluster.start_postgres)
        await stack.flushed(board.metric_number, len(answers))
        standings = await stack.redis_board(board.number)
        assert await stack.postgres_board(board.number) == standings
        assert {one.user: one.units / 1000 for one in standings} == totals
        async with stack.database() as connection:
            query = "SELECT idempotency_key, id::text FROM events WHERE metric = $1"
            assert dict(await connection.fetch(query, board.metric_number)) == answers

        # And whoever was not sure whether an event had arrived may send it again.
        again = await post(clients[1], board.metric, "ben", 20, key="evening-1")
        assert (again.status_code, again.json()["eventId"]) == (202, answers["evening-1"])
        assert await shown() == totals


async def test_worker_killed(cluster: Cluster) -> None:
    async with load(cluster) as sent:
        for _ in range(3):
            cluster.worker.send_signal(signal.SIGKILL)
            await asyncio.to_thread(cluster.worker.wait)
            await more(sent)
            await asyncio.to_thread(cluster.start_worker)
            await more(sent, 100)
        # A second worker beside the first does no harm.
        first = cluster.worker
        await asyncio.to_thread(cluster.start_worker)
        await more(sent, 100)
        assert await asyncio.to_thread(end, first, signal.SIGTERM) == 0


async def test_web_killed(cluster: Cluster) -> None:
    async with load(cluster) as sent:
        await asyncio.to_thread(_kill, cluster.web[0])
        await more(sent)
        assert sent.lost
        assert (await health(cluster.urls[1]))["status"] == 200
        await asyncio.to_thread(cluster.start_web, 0)


async def test_web_stopped_politely(cluster: Cluster) -> None:
    """SIGTERM under load: what was accepted is stored, and it ends by itself."""
    async with load(cluster) as sent:
        assert await asyncio.to_thread(end, cluster.web[1], signal.SIGTERM) == 0
        await more(sent)
        await asyncio.to_thread(cluster.start_web, 1)


async def test_web_stopped_while_redis_is_away(cluster: Cluster) -> None:
    """SIGTERM: whoever waited has heard 503 by then, so it ends without waiting for Redis to come back."""
    async with load(cluster) as sent:
        redis = psutil.Process(cluster.valkey.pid)
        sent.refused.clear()
        redis.suspend()
        try:
            await until(lambda: len(sent.refused) >= SENDERS)  # so calls are under way, and repeated
            assert await asyncio.to_thread(end, cluster.web[1], signal.SIGTERM) == 0
        finally:
            redis.resume()
        await asyncio.to_thread(cluster.start_web, 1)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.kill()
    process.wait()


def test_nothing_is_our_error(cluster: Cluster) -> None:
    """After all of the above: a store that is away is no error of ours, and never a stack trace."""
    for command in ("web", "worker"):
        lines = cluster.log(command).read_text().splitlines()
        assert [line for line in lines if json.loads(line)["level"] in ("error", "critical")] == []
