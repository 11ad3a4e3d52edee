"""Runs the web process: uvicorn, one process or several behind one socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
from functools import partial
from types import FrameType
from typing import cast

import uvicorn
from prometheus_client import multiprocess
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from podium.game.errors import StartError
from podium.http.connections import ConnectionLimits, Connections
from podium.http.transport import JoinedProtocol
from podium.http.websocket import DirectWebSocket
from podium.settings import Settings

GRACE_S = 2
"""What a stop waits for requests under way; viewers were told before (close code 3001)."""
HEADERS = [("X-Content-Type-Options", "nosniff")]
"""Of every answer."""
BACKLOG = 4_096
"""Connections that the kernel holds while 5,000 viewers connect at once."""


def serve(settings: Settings, app: str = "podium.app:app_from_environment", *, loop: str = "uvloop") -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0, or 3 where it could not start. ``StartError`` if the port
    is taken. Only in the main thread, whose signals it takes over.

    ``app`` is a factory as ``module:function``, imported only where it runs: with several processes the first one
    only minds the others. The benchmark compares with a smaller one on the same settings; ``loop`` is another
    event loop, where one is to be looked into.
    """
    connections = Connections(
        ConnectionLimits(
            head_bytes=settings.head_limit,
            head_s=settings.head_timeout,
            body_s=settings.body_timeout,
            per_address=settings.connections_per_address,
            first_frame_bytes=settings.socket_first_limit,
            trusted_proxies=settings.trusted_proxies,
        )
    )
    config = uvicorn.Config(
        app,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.web_workers,
        loop=loop,
        # uvicorn calls these like the classes that it asks for; with several processes they are pickled.
        http=cast(type[asyncio.Protocol], partial(JoinedProtocol, connections=connections)),
        ws=cast(type[asyncio.Protocol], partial(DirectWebSocket, connections=connections)),
        ws_max_size=settings.socket_limit,
        # The protocol has its own ping
        # (docs/live-protocol.md), and compressing small frames costs more than it saves.
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        headers=HEADERS,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        date_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
    )
    listener = _bind(settings)
    server = uvicorn.Server(config)
    # Once it has closed everything, uvicorn sends itself again what it was stopped by, for the handlers of before:
    # the default one would end the process as if it had been killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _has_stopped)
    if settings.web_workers == 1:
        server.run(sockets=[listener])
        return 0 if server.started else STARTUP_FAILURE
    # Each process keeps its counters in this folder, so that any of them can answer for all.
    with tempfile.TemporaryDirectory(prefix="podium-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        processes = _Processes(config, sockets=[listener])
        processes.run()
    return STARTUP_FAILURE if processes.failed else 0


class _Processes(Multiprocess):
    """uvicorn's supervisor, which replaces a process that dies; besides, it takes the dead one's sockets from the
    metrics, and ``failed`` says whether one could not start at all."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._lived: dict[int, Process] = {}
        self.failed = False

    def keep_subprocess_alive(self) -> None:
        """Replace those that have died since the last call."""
        self._lived |= {process.pid: process for process in self.processes if process.pid is not None}
        super().keep_subprocess_alive()
        for pid in [pid for pid, process in self._lived.items() if process.exitcode is not None]:
            self.failed |= self._lived.pop(pid).exitcode == STARTUP_FAILURE
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call] # the library's own omission


def _has_stopped(_: int, __: FrameType | None) -> None:
    """Do nothing: the server has stopped, and ends by itself."""


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None
    listener.set_inheritable(True)
    return listener
