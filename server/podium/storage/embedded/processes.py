"""Processes as the data folder remembers them: recognised for certain, stopped with all they started."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import msgspec
import psutil

# A process is ours if its pid, command line and start agree. The start gets this much room because the system
# derives it from the wall clock, which may have been corrected since; a pid doesn't return to the same
# command line that soon.
CREATED_TOLERANCE_S = 60.0
# How long a process may take to end before it is killed: `podium dev` has to be gone 5 s after Ctrl-C.
STOP_LIMIT_S = 4.0
# The kernel ends a killed process at once, unless it hangs in a disk or network call.
KILL_LIMIT_S = 10.0
POLL_S = 0.01
# A process just started has, for some microseconds, no command line yet.
EXEC_LIMIT_S = 1.0
EXEC_POLL_S = 0.001


class Record(msgspec.Struct, frozen=True):
    """One process of a data folder.

    Without a pid it was about to be started: written first, so that a process is found by its command line
    even if its parent was killed right after starting it.
    """

    command: list[str]
    stop_signal: int
    pid: int | None = None
    created_s: float = 0.0


def describe(pid: int, stop_signal: int) -> Record | None:
    """The record of a living process; None if it has ended."""
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
    """The living process that `record` is about; None if it has ended, even if another has its pid now."""
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
    """The living processes of that program name whose working directory is `folder`."""
    wanted = {"name": program, "cwd": os.path.realpath(folder)}
    return [process for process in psutil.process_iter(list(wanted)) if process.info == wanted]


def stop(process: psutil.Process, stop_signal: int) -> None:
    """Ask `process` to end, kill it after `STOP_LIMIT_S`, and leave none of its descendants behind."""
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
    # A zombie has ended; it only waits for its parent, who may never ask (containers without an init).
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> list[str] | None:
    # Another user's process may not be readable (macOS); then it isn't ours.
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
