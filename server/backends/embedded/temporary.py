"""A data folder for one test session."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.backends.embedded.folder import DataFolder
from server.backends.embedded.postgres import remove_postgres


@contextmanager
def temporary_folder() -> Iterator[DataFolder]:
    """An open data folder that is deleted at the end, after whatever runs on it was stopped.

    with temporary_folder() as folder, start_valkey(folder, fsync="no") as valkey: ...
    """
    with tempfile.TemporaryDirectory(prefix="podium-") as path:
        Path(path).chmod(0o711)  # so that Postgres, under its own user, can work inside
        folder = DataFolder(path)
        try:
            with folder:
                yield folder
        finally:
            remove_postgres(folder)
