"""The data folder: one Podium at a time, its ports, and the processes that run on it."""

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
    """An exclusively held folder with everything the embedded servers keep.

    While open, no other Podium can open it (an advisory lock that ends with this process, however it ends,
    and that children don't inherit). Opening stops what a killed run left behind; closing stops whatever is
    still recorded, in reverse order. Not for use by several threads.

    Files: ``lock``, ``processes.json``, ``ports.json``, and per server a log, settings and a folder of data.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.realpath(path))
        self._lock: int | None = None
        self._records: dict[str, Record] = {}

    def open(self) -> Self:
        """Create the folder if need be, lock it, stop leftovers.

        Raises EmbeddedError if the folder is in use, no folder, not writable, or damaged.
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
        """Stop every process that is still recorded, then let go of the folder. Repeatable."""
        if self._lock is None:
            return
        try:
            self._stop_recorded("embedded_process_stopped")
        finally:
            self._release()

    def record(self, name: str, pid: int, *, stop_signal: int = signal.SIGTERM) -> None:
        """Have the living process `pid` stopped by `close`, or by the next `open` should this run be killed.

        A name has one process; of one that has already ended nothing is kept.
        """
        record = processes.describe(pid, stop_signal)
        if record is None:
            self.forget(name)
        else:
            self._put(name, record)

    def announce(self, name: str, command: list[str], *, stop_signal: int) -> None:
        """Record a process that is about to be started with this command line, unique to this folder.

        `record` follows once its pid is known.
        """
        self._put(name, Record(command, stop_signal))

    def forget(self, name: str) -> None:
        """The process of that name has ended, or is no longer ours to stop."""
        if self._records.pop(name, None) is not None:
            self._save()

    def runs(self, name: str) -> bool:
        """Whether the recorded process of that name is alive."""
        record = self._records.get(name)
        return record is not None and processes.find(record) is not None

    def port(self, name: str, requested: int | None) -> int:
        """A free TCP port for a server: the requested one, else its former one, else any.

        Raises EmbeddedError if the requested one can't be had.
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
        """A JSON file of the folder, or None if there is none; EmbeddedError if it can't be understood."""
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
        """Replace a JSON file of the folder, whole or not at all; readable by its owner only."""
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
    """Why no server can listen on this local TCP port, as the end of a sentence; None if one can."""
    if not 0 < port < 65536:
        return "does not exist"
    with contextlib.closing(socket.socket()) as probe:
        # As the servers do: connections of an earlier run that linger in TIME_WAIT don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            return "is reserved for the system"
        except OSError:
            return "is taken by another program"
    return None
