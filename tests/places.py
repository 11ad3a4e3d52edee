"""Where tests keep the data of their stores: in memory where there is room, as a database is cloned for each test,
and on a disk that takes ten times as long."""

from __future__ import annotations

import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 4_000_000_000
"""Bytes that must be free there: several Postgres and their logs."""


def roomy() -> str | None:
    """The folder for temporary data; None for the system's own."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM:
        return str(MEMORY)
    return None
