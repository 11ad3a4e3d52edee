"""The data folder: its lock, ports, JSON files, and records of the processes that use it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec
import structlog

from podium.game.errors import EmbeddedError
from podium.storage.embedded import processes
from podium.storage.embedded.processes import Record

HOST = "127.0.0.1"

T = TypeVar("T")

log = structlog.get_logger(__name__)


class DataFolder:
    """An exclusively locked folder with all files of the embedded servers.

    While it is open, no other Podium can open it: an advisory lock ends with this process, however it ends, and
    children don't inherit it. Opening stops processes that a killed run left behind; closing stops all recorded
    processes, in reverse order. Not thread-safe.

    Files: ``lock``, ``processes.json``, ``ports.json``, and for each server a log, settings and a data folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.realpath(path))
        self._lock: int | None = None
        self._records: dict[str, Record] = {}

    def open(self) -> Self:
        """Create the folder if needed, lock it, and stop processes of a killed run.

        Raises:
            EmbeddedError: The path is in use, not a folder, not writable, or damaged.
        """
        self._create()
        self._lock = self._acquire()
        try:
            self._records = self.read("processes.json", dict[str, Record]) or {}
            self._stop_recorded("embedded_leftover_stopped")
        except BaseException:
            self._release()
            raise
        return self

    def close(self) -> None:
        """Stop all recorded processes, then unlock the folder. Can be repeated."""
        if self._lock is None:
            return
        try:
            self._stop_recorded("embedded_process_stopped")
        finally:
            self._release()

    def record(self, name: str, pid: int, *, stop_signal: int = signal.SIGTERM) -> None:
        """Record a running process, so that `close` stops it, or the next `open` if this run is killed.

        A name has one process. A process that has already ended is not recorded.
        """
        record = processes.describe(pid, stop_signal)
        if record is None:
            self.forget(name)
        else:
            self._put(name, record)

    def announce(self, name: str, command: list[str], *, stop_signal: int) -> None:
        """Record a process that is about to be started. Its command line must be unique to this folder.

        Call `record` once its pid is known.
        """
        self._put(name, Record(command, stop_signal))

    def forget(self, name: str) -> None:
        """Delete the record of a process, which has ended or should not be stopped any more."""
        if self._records.pop(name, None) is not None:
            self._save()

    def runs(self, name: str) -> bool:
        """Return whether the recorded process of that name is running."""
        record = self._records.get(name)
        return record is not None and processes.find(record) is not None

    def port(self, name: str, requested: int | None) -> int:
        """Return a free TCP port for a server: the requested one, else its former one, else any.

        Raises:
            EmbeddedError: The requested one can't be used.
        """
        if requested is not None:
            if (problem := port_problem(requested)) is not None:
                raise EmbeddedError(f"Port {requested} for {name} {problem}; choose another one.")
            return requested
        former = self._ports().get(name)
        if former is not None and port_problem(former) is None:
            return former
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
            return port

    def remember_port(self, name: str, port: int) -> None:
        """Prefer this port at the next start."""
        ports = self._ports()
        if ports.get(name) != port:
            self.write("ports.json", {**ports, name: port})

    def read(self, name: str, shape: type[T]) -> T | None:
        """Read a JSON file of the folder. Return None if there is none.

        Raises:
            EmbeddedError: It can't be read or decoded.
        """
        file = self.path / name
        try:
            return msgspec.json.decode(file.read_bytes(), type=shape)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise EmbeddedError(
                f"{file} is damaged ({error}); restore it from a backup, or delete {self.path} to start anew."
            ) from error

    def write(self, name: str, value: object) -> None:
        """Replace a JSON file of the folder atomically. Only its owner can read it.

        Raises:
            EmbeddedError: It can't be written.
        """
        file = self.path / name
        draft = self.path / f"{name}.new"
        try:
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
                handle.write(msgspec.json.encode(value))
            draft.replace(file)
        except OSError as error:
            raise EmbeddedError(f"Cannot write to {self.path}: {error.strerror}.") from error

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _create(self) -> None:
        try:
            str(self.path).encode()
        except UnicodeEncodeError:
            raise EmbeddedError(f"The path {self.path!r} is not valid UTF-8; choose another folder.") from None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise EmbeddedError(f"{self.path} is not a folder; choose another one.") from None
        except OSError as error:
            raise EmbeddedError(f"Cannot create the folder {self.path}: {error.strerror}.") from error

    def _acquire(self) -> int:
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EmbeddedError(f"Cannot write to {self.path}: {error.strerror}.") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.truncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode(errors="replace")
            os.close(handle)
            raise EmbeddedError(
                f"{self.path} is in use by another podium (process {holder}); stop that one first,"
                " or choose another folder."
            ) from None
        except OSError as error:
            os.close(handle)
            raise EmbeddedError(f"Cannot lock {self.path}: {error.strerror}.") from error
        return handle

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _stop_recorded(self, event: str) -> None:
        for name, record in reversed(self._records.items()):
            process = processes.find(record)
            if process is not None:
                processes.stop(process, record.stop_signal)
                log.info(event, name=name, pid=process.pid)
        self._records = {}
        self._save()

    def _put(self, name: str, record: Record) -> None:
        self._records[name] = record
        self._save()

    def _save(self) -> None:
        self.write("processes.json", self._records)

    def _ports(self) -> Mapping[str, int]:
        return self.read("ports.json", dict[str, int]) or {}


def port_problem(port: int) -> str | None:
    """Return the reason why no server can listen on a local TCP port, as the end of a sentence, or None."""
    if not 0 < port < 65536:
        return "does not exist"
    with contextlib.closing(socket.socket()) as probe:
        # The servers set it too, so connections of an earlier run in TIME_WAIT don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            return "is reserved for the system"
        except OSError:
            return "is taken by another program"
    return None
