"""Podium as real processes: started, waited for, stopped, and looked for afterwards."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import msgspec
import psutil

from podium.cli.dev import DevFile
from podium.game.errors import EmbeddedError
from podium.storage.embedded import DataFolder
from podium.storage.embedded.postgres import remove_postgres
from tests.places import roomy

START_S = 90
"""Patience with a start on a busy machine; and with an end. None is expected to need it."""
ANSWER_S = 30
"""Patience with one answer of a server, where httpx would wait for five seconds."""
_POLL_S = 0.02
_PORTS = (12_000, 32_000)
"""Below those of outgoing connections, which begin at 32,768 (Linux) or 49,152."""

RUNNING = "Podium is running"


def wait_until(condition: Callable[[], bool], what: str, patience_s: float = START_S) -> None:
    """Return once the condition holds; ``TimeoutError`` that says what did not come."""
    deadline_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(what)
        time.sleep(_POLL_S)


def free_port() -> int:
    """A port that nobody listens on, outside of those that the system hands out: between this look and the
    server's start nobody is given it, neither a connection nor another server that asks for any port."""
    while True:
        port = random.SystemRandom().randrange(*_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def place() -> Iterator[Path]:
    """A folder for data; Postgres' own user can reach it, unlike pytest's folders."""
    with tempfile.TemporaryDirectory(prefix="podium-acceptance-", dir=roomy()) as base:
        Path(base).chmod(0o711)
        data = Path(base) / "data"
        yield data
        with suppress(EmbeddedError), DataFolder(data) as folder:
            remove_postgres(folder)


def environment(**settings: str) -> dict[str, str]:
    """The environment of a process: this one's without its Podium settings, and these."""
    # Without compiled files every one of the many processes would compile all libraries anew: four seconds each.
    dropped = ("PODIUM_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {f"PODIUM_{name.upper()}": value for name, value in settings.items()}


def podium(*arguments: str, output: Path, **settings: str) -> subprocess.Popen[bytes]:
    """A ``podium`` process that writes to ``output``."""
    with output.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "podium", *arguments],
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], number: int = signal.SIGINT) -> int:
    """Send a signal, wait for the end; the exit code."""
    if process.poll() is None:
        process.send_signal(number)
    return process.wait(START_S)


def end_for_sure(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it started, whatever state the test left it in.

    ``TimeoutError`` where it had to be killed.
    """
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(START_S)
    except subprocess.TimeoutExpired:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()
        raise TimeoutError(f"{process.args} does not stop") from None


def ready(url: str) -> bool:
    """Whether the server says that it is."""
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz").status_code == 200
    return False


class Dev:
    """One ``podium dev``."""

    def __init__(self, data: Path, port: int, *options: str) -> None:
        self.data = data
        self._output = tempfile.NamedTemporaryFile()  # noqa: SIM115 - open as long as the process runs
        self.process = podium(
            "dev", "--data", str(data), "--port", str(port), *options, output=Path(self._output.name)
        )

    @property
    def said(self) -> str:
        """What it wrote to the terminal."""
        return Path(self._output.name).read_text()

    def end_for_sure(self) -> None:
        """End it with all that it started, whatever state the test left it in."""
        end_for_sure(self.process)
        self._output.close()

    def wait(self) -> DevFile:
        """Until it runs: what its ``dev.json`` says."""
        wait_until(lambda: self.process.poll() is not None or RUNNING in self.said, "podium dev does not start")
        assert self.process.poll() is None, self.said
        return msgspec.json.decode((self.data / "dev.json").read_bytes(), type=DevFile)


@contextmanager
def dev(data: Path, port: int, *options: str) -> Iterator[Dev]:
    """A running ``podium dev``, ended whatever happens."""
    started = Dev(data, port, *options)
    try:
        started.wait()
        yield started
    finally:
        started.end_for_sure()


def working_on(data: Path) -> list[psutil.Process]:
    """The living processes that have the folder in their command line or working directory.

    Without those that a working Postgres starts and ends as it likes: a connection's, a vacuum's.
    """
    found: list[tuple[psutil.Process, int]] = []
    postgres = set()
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            if any(str(data) in text for text in [*process.cmdline(), process.cwd()]):
                found.append((process, process.ppid()))
                if process.name() == "postgres":
                    postgres.add(process.pid)
    return [process for process, parent in found if parent not in postgres]
