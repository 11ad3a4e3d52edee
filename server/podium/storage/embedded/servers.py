"""Starting one server on a data folder, waiting until it answers, and stopping it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from podium.game.errors import EmbeddedError
from podium.storage.embedded import processes
from podium.storage.embedded.account import Account
from podium.storage.embedded.folder import DataFolder, port_problem

# Loading a long append-only file or replaying 2 GB of WAL is counted in minutes on a slow disk; a server that
# fails is noticed when it exits, so only one that hangs is waited for this long.
START_LIMIT_S = 300.0
POLL_S = 0.01
# A port found free may be gone by the time the server binds it, so it's worth another draw.
PORT_ATTEMPTS = 3
LOG_LINES = 6


@dataclass(frozen=True, slots=True)
class Program:
    """What there is to know about a kind of server."""

    name: str  # in processes.json, ports.json and of the log
    title: str  # for people
    stop_signal: int
    # (port) -> command line, with something in it that is unique to the data folder
    command: Callable[[int], list[str]]
    # (port, pid) -> does this very process answer?
    ready: Callable[[int, int], bool]
    cwd: Path
    way_out: str  # what to do if it doesn't start, one sentence
    account: Account | None = None


class RunningServer:
    """A server that answered. Stops at the end of a `with` block."""

    def __init__(self, folder: DataFolder, program: Program, process: subprocess.Popen[bytes], port: int) -> None:
        self._folder = folder
        self._program = program
        self._process = process
        self.port = port

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """End it cleanly, or kill it after `processes.STOP_LIMIT_S`; its data are kept. Repeatable."""
        self._end(lambda process: processes.stop(process, self._program.stop_signal))

    def kill(self) -> None:
        """SIGKILL it with all its children, as a crash would (for tests)."""
        self._end(processes.kill)

    def _end(self, end: Callable[[psutil.Process], None]) -> None:
        reap(self._process, end)
        self._folder.forget(self._program.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(folder: DataFolder, program: Program, requested_port: int | None) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server and wait for it; returns its process and port.

    Raises EmbeddedError if it runs already, and, with the last lines of its log, if it exits or is silent for
    `START_LIMIT_S`.
    """
    if folder.runs(program.name):
        raise EmbeddedError(f"{program.title} is already running on {folder.path}.")
    for attempt in range(1, PORT_ATTEMPTS + 1):
        port = folder.port(program.name, requested_port)
        log = folder.path / f"{program.name}.log"
        with _open_log(log) as output:
            log_start = output.tell()
            process = spawn(
                folder,
                program.name,
                program.command(port),
                stop_signal=program.stop_signal,
                account=program.account,
                cwd=program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
            )
        try:
            if _wait_until_ready(process, port, program.ready):
                folder.remember_port(program.name, port)
                return process, port
        except BaseException:
            reap(process, processes.kill)
            raise
        exited = process.poll() is not None
        reap(process, processes.kill)
        folder.forget(program.name)
        lost_port = exited and port_problem(port) is not None
        if not (lost_port and requested_port is None and attempt < PORT_ATTEMPTS):
            break
    reason = "stopped during its start" if exited else f"did not answer within {START_LIMIT_S:.0f} s"
    said = last_lines(log.read_bytes()[log_start:])
    raise EmbeddedError(f"{program.title} {reason}; {program.way_out} The end of {log}:\n{said}")


def spawn(
    folder: DataFolder,
    name: str,
    command: list[str],
    *,
    stop_signal: int,
    account: Account | None,
    cwd: Path,
    stdin: int,
    stdout: IO[bytes] | int,
) -> subprocess.Popen[bytes]:
    """Start a process that is recorded in `folder` from before its first moment, in a session of its own.

    So Ctrl-C in the terminal doesn't reach it, and it is found however this process ends. The files it makes
    are for its owner only.
    """
    folder.announce(name, command, stop_signal=stop_signal)
    try:
        process = subprocess.Popen(  # noqa: S603 - our own binaries, no shell
            command,
            cwd=cwd,
            env=environment(),
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except OSError as error:
        folder.forget(name)
        raise EmbeddedError(f"Cannot run {command[0]}: {error.strerror}.") from error
    folder.record(name, process.pid, stop_signal=stop_signal)
    return process


def reap(process: subprocess.Popen[bytes], end: Callable[[psutil.Process], None]) -> None:
    """Apply `end` to our child unless it has already ended, and take its exit status."""
    if process.poll() is None:
        end(psutil.Process(process.pid))
        process.wait()


def environment() -> dict[str, str]:
    """For the servers: no setting of the caller's (PGDATA, PGPORT, a locale) and none of its secrets."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {"LC_ALL": "C", **{name: os.environ[name] for name in kept if name in os.environ}}


def last_lines(text: bytes) -> str:
    """The end of a program's output, indented, for an error message."""
    return "\n".join(f"  {line}" for line in text.decode(errors="replace").splitlines()[-LOG_LINES:])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, ready: Callable[[int, int], bool]) -> bool:
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        if ready(port, process.pid):
            return True
        time.sleep(POLL_S)
    return False


def _open_log(log: Path) -> IO[bytes]:
    try:
        return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    except OSError as error:
        raise EmbeddedError(f"Cannot write {log}: {error.strerror}.") from error
