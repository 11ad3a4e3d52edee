"""Run the web server: uvicorn, in one process or in several that share one socket."""

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
"""Seconds that a stop waits for requests under way. Viewers were sent close code 3001 before."""
HEADERS = [("X-Content-Type-Options", "nosniff")]
"""Headers of every response."""
BACKLOG = 4_096
"""Length of the kernel's accept queue, enough for 5,000 viewers that connect at once."""


def serve(settings: Settings, app: str = "podium.app:app_from_environment", *, loop: str = "uvloop") -> int:
    """Serve until SIGTERM or SIGINT. Return the exit code: 0, or 3 if the server could not start.

    Call it in the main thread: it takes over the signal handlers. ``app`` is a factory as ``module:function``. It
    is imported only in the processes that run it, since with several processes the first one only supervises.
    ``app`` and ``loop`` are parameters for benchmarks, which compare other applications and event loops.

    Raises:
        StartError: The port is taken.
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
        # uvicorn only calls them, as it would a class. Partials rather than closures: several processes pickle
        # them.
        http=cast(type[asyncio.Protocol], partial(JoinedProtocol, connections=connections)),
        ws=cast(type[asyncio.Protocol], partial(DirectWebSocket, connections=connections)),
        ws_max_size=settings.socket_limit,
        # The live protocol has its own ping (docs/live-protocol.md), and compressing small frames costs more than
        # it saves.
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
    # After its shutdown uvicorn raises the signal again for the handlers that were set before it. The default one
    # would end the process as if it had been killed, with a wrong exit code.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore_signal)
    if settings.web_workers == 1:
        server.run(sockets=[listener])
        return 0 if server.started else STARTUP_FAILURE
    # Each process keeps its metrics in this folder, so that any of them can serve /metrics for all.
    with tempfile.TemporaryDirectory(prefix="podium-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        processes = _Processes(config, sockets=[listener])
        processes.run()
    return STARTUP_FAILURE if processes.failed else 0


class _Processes(Multiprocess):
    """uvicorn's supervisor, which replaces a process that dies.

    It also removes a dead process's gauges (its open sockets) from the metrics. ``failed`` is True once a process
    could not start.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._known: dict[int, Process] = {}
        self.failed = False

    def keep_subprocess_alive(self) -> None:
        """Replace the processes that have died since the last call."""
        # The base class forgets a dead process when it replaces it, so they are remembered here.
        self._known |= {process.pid: process for process in self.processes if process.pid is not None}
        super().keep_subprocess_alive()
        for pid in [pid for pid, process in self._known.items() if process.exitcode is not None]:
            self.failed |= self._known.pop(pid).exitcode == STARTUP_FAILURE
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call] # the library's own omission


def _ignore_signal(_: int, __: FrameType | None) -> None:
    """Do nothing: the server has stopped already, and ``serve`` returns."""


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
