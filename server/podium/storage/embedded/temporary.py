"""A data folder for one test session."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from podium.game.errors import EmbeddedError
from podium.storage.embedded.folder import DataFolder
from podium.storage.embedded.postgres import remove_postgres

PREFIX = "podium-temporary-"


@contextmanager
def temporary_folder(parent: str | None = None) -> Iterator[DataFolder]:
    """An open data folder that is deleted at the end, after whatever runs on it was stopped; in ``parent``, or
    where the system keeps temporary files.

    Those of sessions that were killed are cleared away first.

    with temporary_folder() as folder, start_valkey(folder, fsync="no") as valkey: ...
    """
    _clear_abandoned(Path(parent or tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent) as path:
        Path(path).chmod(0o711)  # so that Postgres, under its own user, can work inside
        folder = DataFolder(path)
        try:
            with folder:
                yield folder
        finally:
            remove_postgres(folder)


def _clear_abandoned(parent: Path) -> None:
    for path in parent.glob(f"{PREFIX}*"):
        # Its records are there once its session has locked it; only our own are believed.
        if not _ours(path) or not _ours(path / "processes.json"):
            continue
        folder = DataFolder(path)
        try:
            with folder:
                pass
            remove_postgres(folder)
        except EmbeddedError:  # in use, or somebody else is clearing it away
            continue
        shutil.rmtree(path, ignore_errors=True)


def _ours(path: Path) -> bool:
    try:
        info = path.lstat()
    except FileNotFoundError:
        return False
    return info.st_uid == os.geteuid() and not stat.S_ISLNK(info.st_mode)
