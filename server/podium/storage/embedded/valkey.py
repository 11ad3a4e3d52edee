"""The embedded Valkey, or Redis, with an append-only file in the data folder that is synced before each answer."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Literal

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from podium.game.errors import EmbeddedError
from podium.storage.embedded import servers
from podium.storage.embedded.folder import HOST, DataFolder
from podium.storage.embedded.programs import jemalloc, valkey_program

# Timeout of one attempt to reach the server.
PROBE_LIMIT_S = 1.0

# A state's hash has few fields, one of them of some hundred characters. As a listpack it is one allocation:
# less memory, and fewer misses of the processor's caches than with a table of fields (docs/performance.md).
#
# `set-proc-title no` keeps the command line as given: processes of a killed run are recognised by it.
SETTINGS = f"""\
bind {HOST}
protected-mode yes
appendonly yes
save ""
maxmemory-policy noeviction
hash-max-listpack-value 4096
set-proc-title no
"""


class RunningValkey(servers.RunningServer):
    """A running Valkey, which answers on `url`."""

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def allocator(self) -> str:
        """Its memory allocator: ``jemalloc``, or what it was built with."""
        with suppress(OSError):  # a system without /proc
            if "libjemalloc" in Path(f"/proc/{self.pid}/maps").read_text():
                return "jemalloc"
        with redis.Redis.from_url(self.url) as client:
            return str(client.info("memory")["mem_allocator"])


def start_valkey(
    folder: DataFolder, *, port: int | None = None, fsync: Literal["always", "everysec", "no"] = "always"
) -> RunningValkey:
    """Start Valkey on the data of `folder` (``valkey/``) and wait until it has loaded them.

    Without `port` it takes its former port, or a free one. `fsync` is Valkey's ``appendfsync``.

    Raises:
        EmbeddedError: There is no Valkey or Redis on this machine, or it doesn't start.
    """
    binary = valkey_program()
    data = folder.path / "valkey"
    settings = data / "valkey.conf"
    try:
        data.mkdir(mode=0o700, exist_ok=True)
        settings.write_text(SETTINGS)
    except OSError as error:
        raise EmbeddedError(f"Cannot write {settings}: {error.strerror}.") from error
    program = servers.Program(
        name="valkey",
        title="Redis" if binary.name == "redis-server" else "Valkey",
        stop_signal=signal.SIGTERM,
        command=lambda port: [str(binary), str(settings), "--port", str(port), "--appendfsync", fsync],
        ready=_ready,
        cwd=data,  # it keeps its files there, so no path needs quoting in the settings
        preload=jemalloc(),
        way_out=f"if its data are damaged, delete {data}, and they are rebuilt from Postgres.",
    )
    return RunningValkey(folder, program, *servers.start(folder, program, port))


def _ready(port: int, pid: int) -> bool:
    with redis.Redis(
        host=HOST,
        port=port,
        socket_timeout=PROBE_LIMIT_S,
        socket_connect_timeout=PROBE_LIMIT_S,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        try:
            client.ping()
            return bool(client.info("server")["process_id"] == pid)
        except redis.RedisError:  # not listening yet, or still loading
            return False
