"""Start one server on a data folder, wait until it answers, and stop it."""

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

# To load a long append-only file or replay 2 GB of WAL takes minutes on a slow disk. A server that fails is
# noticed when it exits, so only one that hangs is waited for this long.
START_LIMIT_S = 300.0
POLL_S = 0.01
# A port that was free may be taken by the time the server binds it, so another one is tried.
PORT_ATTEMPTS = 3
LOG_LINES = 6


@dataclass(frozen=True, slots=True)
class Program:
    """The description of a kind of server."""

    name: str  # in processes.json, in ports.json and in the name of the log
    title: str  # for people
    stop_signal: int
    # (port) -> command line, which must be unique to the data folder
    command: Callable[[int], list[str]]
    # (port, pid) -> True if this very process answers on the port
    ready: Callable[[int, int], bool]
    cwd: Path
    way_out: str  # advice if it doesn't start, one sentence
    account: Account | None = None
    preload: str | None = None  # a library that takes the place of functions of the C library


class RunningServer:
    """A running server. It is stopped at the end of a `with` block."""

    def __init__(self, folder: DataFolder, program: Program, process: subprocess.Popen[bytes], port: int) -> None:
        self._folder = folder
        self._program = program
        self._process = process
        self.port = port

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Stop it cleanly, or kill it after `processes.STOP_LIMIT_S`. Its data are kept. Can be repeated."""
        self._end(lambda process: processes.stop(process, self._program.stop_signal))

    def kill(self) -> None:
        """Kill it with all its children, as a crash would (for tests)."""
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
    """Start a server, wait until it answers, and return its process and port.

    Raises:
        EmbeddedError: It is running already, or it exits or doesn't answer within `START_LIMIT_S`; the message
        then
            has the last lines of its log.
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
                preload=program.preload,
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
    preload: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, recorded in `folder` before it starts.

    So Ctrl-C in the terminal doesn't reach it, and the next run finds it however this process ends. Files that it
    creates can be read only by their owner.

    Raises:
        EmbeddedError: The command can't be run.
    """
    folder.announce(name, command, stop_signal=stop_signal)
    try:
        process = subprocess.Popen(  # noqa: S603 - our own binaries, no shell
            command,
            cwd=cwd,
            env=environment() | ({"LD_PRELOAD": preload} if preload else {}),
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
    """Apply `end` to our child process unless it has ended, and collect its exit status."""
    if process.poll() is None:
        end(psutil.Process(process.pid))
        process.wait()


def environment() -> dict[str, str]:
    """Return the servers' environment, without the caller's settings (PGDATA, PGPORT, a locale) and secrets."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {"LC_ALL": "C", **{name: os.environ[name] for name in kept if name in os.environ}}


def last_lines(text: bytes) -> str:
    """Return the end of a program's output, indented, for an error message."""
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
