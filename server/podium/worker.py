"""The worker process: it flushes, rebuilds and evicts, and runs the timed jobs."""

from __future__ import annotations

import asyncio
import signal

import structlog

from podium.jobs.worker_loops import run_worker
from podium.services import collect_rarely, open_services
from podium.settings import Settings
from podium.telemetry.clock_check import process_name
from podium.telemetry.heartbeats import keep_beating
from podium.writebehind.flusher import FlushStats

log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then flush once more and return."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stats: dict[str, FlushStats] = {}
    async with open_services(settings, role="worker") as services:
        ended = asyncio.Event()
        beats = keep_beating(services.redis, process_name("worker"), ended)
        beating = asyncio.create_task(beats, name="heartbeat")
        collect_rarely()
        log.info("worker_started")
        try:
            await run_worker(services, stop, stats)
        finally:
            ended.set()
            await beating
    log.info(
        "worker_stopped",
        events=sum(s.events for s in stats.values()),
        rejected=sum(s.rejected for s in stats.values()),
    )
