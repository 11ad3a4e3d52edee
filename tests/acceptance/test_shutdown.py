"""How processes end: exit codes, the time before they close, and what a dead one leaves in the metrics."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import websockets
from redis.asyncio import Redis

from podium.telemetry.heartbeats import WORKERS
from tests.acceptance.processes import (
    ANSWER_S,
    START_S,
    end,
    end_for_sure,
    environment,
    free_port,
    podium,
    ready,
    wait_until,
)
from tests.waiting import until

METRICS_TOKEN = "of the operator"


class Starter:
    """Starts processes on the stores of the test, all of which are ended with it."""

    def __init__(self, redis_url: str, database_url: str, folder: Path, ends: ExitStack) -> None:
        self.stores = {"redis_url": redis_url, "database_url": database_url}
        self.output = folder / "output"
        self._ends = ends

    def start(self, *words: str, **settings: str) -> subprocess.Popen[bytes]:
        process = podium(*words, output=self.output, **self.stores, **settings)
        self._ends.callback(end_for_sure, process)
        return process

    def web(self, **settings: str) -> tuple[subprocess.Popen[bytes], str]:
        """A web process that is ready, and its address."""
        port = free_port()
        process = self.start("web", port=str(port), metrics_token=METRICS_TOKEN, **settings)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: process.poll() is not None or ready(url), "the web process is not ready")
        assert process.poll() is None, self.output.read_text()
        return process, url


def web_processes(parent: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes that serve, of a ``podium web`` with several."""
    return [one for one in psutil.Process(parent.pid).children() if "spawn_main" in " ".join(one.cmdline())]


@pytest.fixture
def starter(redis_url: str, database_url: str, admin_key: str, tmp_path: Path) -> Iterator[Starter]:
    with ExitStack() as ends:
        yield Starter(redis_url, database_url, tmp_path, ends)


@pytest.mark.parametrize(
    ("workers", "delay_s", "number"),
    [("1", "0.2", signal.SIGTERM), ("1", "0", signal.SIGINT), ("2", "0", signal.SIGINT)],
)
def test_a_web_process_that_is_told_to_stop_ends_with_0(
    starter: Starter, workers: str, delay_s: str, number: int
) -> None:
    process, _ = starter.web(web_workers=workers, shutdown_delay=delay_s)
    assert end(process, number) == 0, starter.output.read_text()
    assert "Traceback" not in starter.output.read_text()


async def test_a_worker_that_is_told_to_stop_ends_with_0(starter: Starter, redis_url: str) -> None:
    process = starter.start("worker")
    async with Redis.from_url(redis_url) as redis:

        async def beats() -> bool:
            assert process.poll() is None, starter.output.read_text()
            return bool(await redis.zcard(WORKERS) == 1)

        await until(beats)
        assert await asyncio.to_thread(end, process, signal.SIGTERM) == 0, starter.output.read_text()
        assert await redis.zcard(WORKERS) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_import_that_is_stopped_says_so_and_ends_with_130(tmp_path: Path, number: int) -> None:
    output, events = tmp_path / "output", tmp_path / "events.csv"
    events.write_text("user,metric,value,timestamp\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(START_S)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = podium("import", str(events), "--url", url, output=output, api_key="x.y")
        try:
            connection, _ = silent.accept()
            with connection:
                assert end(process, number) == 130, output.read_text()
        finally:
            end_for_sure(process)
    assert output.read_text() == "Stopped; nothing was sent.\n"


def test_an_application_that_can_not_start_ends_with_3(starter: Starter) -> None:
    code = (
        "import os, sys; from podium.cli.serve import serve; from podium.settings import load;"
        " sys.exit(serve(load(os.environ), 'tests.acceptance.test_shutdown:broken'))"
    )
    settings = {**starter.stores, "port": str(free_port()), "web_workers": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(**settings),
        capture_output=True,
        timeout=START_S,
        check=False,
    )
    assert done.returncode == 3, done.stderr.decode()


def broken() -> Any:
    """An application whose start fails."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "of the test"})

    return app


async def test_processes_serve_on_for_the_delay(starter: Starter, admin_key: str) -> None:
    process, url = starter.web(shutdown_delay="3600", web_workers="2")
    headers = {"X-API-KEY": admin_key}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_S) as http,
        websockets.connect(url.replace("http", "ws") + "/connection/websocket") as viewer,
    ):
        made = await http.post("/admin/v1/metrics", json=[{"name": "Words", "key": "words"}])
        assert made.status_code == 201, made.text
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # one more changes nothing

        async def unready() -> bool:
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_S) as other:
                answers = [await other.get("/readyz") for _ in range(4)]
            return all(answer.status_code == 503 and "is stopping" in answer.text for answer in answers)

        await until(unready)

        async def posted() -> bool:
            event = {"user": {"id": "ann"}, "value": 1}
            return (await http.post("/v1/metrics/words/event", json=event)).status_code == 201

        await until(posted)  # of several processes, each has to hear of the new metric first
        assert (await http.get("/healthz")).status_code == 200
        assert viewer.close_code is None
        assert process.poll() is None
        for child in web_processes(process):  # as Ctrl-C does, which reaches the whole group
            child.send_signal(signal.SIGINT)
        await asyncio.wait_for(viewer.wait_closed(), ANSWER_S)
        assert viewer.close_code == 3001
    assert await asyncio.to_thread(process.wait, START_S) == 0, starter.output.read_text()


async def test_a_process_that_dies_takes_its_sockets_from_the_metrics(starter: Starter, admin_key: str) -> None:
    process, url = starter.web(web_workers="2")
    async with httpx.AsyncClient(
        base_url=url, headers={"Authorization": f"Bearer {METRICS_TOKEN}"}, timeout=ANSWER_S
    ) as http:

        async def sockets() -> float:
            text = (await http.get("/metrics")).text
            return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith("podium_sockets "))

        def of_process(viewers: list[Any]) -> dict[int, list[Any]]:
            """Viewers by the process that has the other end."""
            found: dict[int, list[Any]] = {}
            for child in children:
                ports = {one.raddr.port for one in child.net_connections("tcp") if one.raddr}
                found[child.pid] = [one for one in viewers if one.local_address[1] in ports]
            return found

        children = web_processes(process)
        assert len(children) == 2
        viewers: list[Any] = []
        address = url.replace("http", "ws") + "/connection/websocket"
        while not viewers or not all(of_process(viewers).values()):
            viewers.append(await websockets.connect(address))
            assert len(viewers) < 200
        # A viewer without a key is sent away after some time, so they are counted only now.
        of = of_process(viewers)

        async def all_counted() -> bool:
            return await sockets() == len([one for one in viewers if one.close_code is None])

        await until(all_counted)
        os.kill(children[0].pid, signal.SIGKILL)
        for viewer in of[children[0].pid]:
            await asyncio.wait_for(viewer.wait_closed(), ANSWER_S)

        async def fewer() -> bool:
            try:
                return await all_counted()
            except httpx.TransportError:
                return False

        await until(fewer)
        await asyncio.gather(*(viewer.close() for viewer in viewers))
    assert await asyncio.to_thread(end, process, signal.SIGTERM) == 0
