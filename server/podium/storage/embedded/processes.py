"""Records of processes: recognise a process with certainty, and stop it with all its descendants."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import msgspec
import psutil

# A process is ours if its pid, command line and start time agree. The start time may differ by this much, because
# the system derives it from the wall clock, which may have been corrected since. A pid isn't reused for the same
# command line that soon.
CREATED_TOLERANCE_S = 60.0
# Time for a process to end before it is killed. `podium dev` has to end within 5 s after Ctrl-C.
STOP_LIMIT_S = 4.0
# Time for a killed process to end. The kernel ends it at once, unless it hangs in a disk or network call.
KILL_LIMIT_S = 10.0
POLL_S = 0.01
# A new process has no command line for some microseconds, between fork and exec.
EXEC_LIMIT_S = 1.0
EXEC_POLL_S = 0.001


class Record(msgspec.Struct, frozen=True):
    """One process of a data folder.

    A record without a pid is written before the process is started. With it the process is found by its command
    line even if its parent was killed right after starting it.
    """

    command: list[str]
    stop_signal: int
    pid: int | None = None
    created_s: float = 0.0


def describe(pid: int, stop_signal: int) -> Record | None:
    """Return the record of a running process, or None if it has ended."""
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        deadline = time.monotonic() + EXEC_LIMIT_S
        while not command and time.monotonic() < deadline:
            time.sleep(EXEC_POLL_S)
            command = process.cmdline()
        return Record(command, stop_signal, pid, process.create_time())
    except psutil.NoSuchProcess:
        return None


def find(record: Record) -> psutil.Process | None:
    """Return the running process of a record, or None if it has ended, even if another process has its pid now."""
    if record.pid is None:
        started = (p for p in psutil.process_iter() if _command(p) == record.command)
        return next(started, None)
    try:
        process = psutil.Process(record.pid)
        created_s = process.create_time()
    except psutil.NoSuchProcess:
        return None
    same = _command(process) == record.command and abs(created_s - record.created_s) <= CREATED_TOLERANCE_S
    return process if same else None


def working_in(folder: Path, program: str) -> list[psutil.Process]:
    """Return the running processes of a program whose working directory is `folder`."""
    wanted = {"name": program, "cwd": os.path.realpath(folder)}
    return [process for process in psutil.process_iter(list(wanted)) if process.info == wanted]


def stop(process: psutil.Process, stop_signal: int) -> None:
    """Signal `process` to end, kill it after `STOP_LIMIT_S`, and kill its descendants."""
    try:
        family = process.children(recursive=True)
        process.send_signal(stop_signal)
    except psutil.NoSuchProcess:
        return
    _wait([process], STOP_LIMIT_S)
    kill(process)
    _kill(family)


def kill(process: psutil.Process) -> None:
    """SIGKILL `process` and its descendants, as a crash would."""
    try:
        family = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return
    _kill([process, *family])


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    _wait(processes, KILL_LIMIT_S)


def _wait(processes: list[psutil.Process], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while any(map(_running, processes)) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _running(process: psutil.Process) -> bool:
    # A zombie has ended. Its parent may never collect its status (containers without an init).
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> list[str] | None:
    # The command line of another user's process may not be readable (macOS). It isn't ours then.
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
