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
    """Open a temporary data folder, and delete it at the end, after all servers on it were stopped.

    It is created in ``parent``, or in the system's folder of temporary files. Folders of killed sessions are
    deleted first.

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
        # The records exist once a session has locked the folder. Other users' are ignored: they could name any
        # process.
        if not _ours(path) or not _ours(path / "processes.json"):
            continue
        folder = DataFolder(path)
        try:
            with folder:
                pass
            remove_postgres(folder)
        except EmbeddedError:  # in use, or another session is deleting it
            continue
        shutil.rmtree(path, ignore_errors=True)


def _ours(path: Path) -> bool:
    try:
        info = path.lstat()
    except FileNotFoundError:
        return False
    return info.st_uid == os.geteuid() and not stat.S_ISLNK(info.st_mode)
