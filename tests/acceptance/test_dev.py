"""``podium dev`` from start to Ctrl-C, again on the same folder, and where it can't start."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from podium.storage.embedded import DataFolder, start_valkey
from tests.acceptance.processes import (
    ANSWER_S,
    Dev,
    dev,
    end,
    end_for_sure,
    free_port,
    place,
    podium,
    ready,
    wait_until,
    working_on,
)

pytestmark = pytest.mark.xdist_group("own")


@pytest.fixture
def data() -> Iterator[Path]:
    """Where a data folder can be made."""
    with place() as path:
        yield path


def test_start_stop_and_start_again(data: Path) -> None:
    """Stopped by Ctrl-C, refused a second time on one folder, killed, and stopped politely."""
    port = free_port()
    with dev(data, port, "--workers", "2") as first:
        file = first.wait()
        assert file.url == f"http://127.0.0.1:{port}"
        for line in (f"{file.url}/demo/", f"{file.url}/docs", file.admin_key):
            assert line in first.said
        headers = {"X-API-KEY": file.admin_key}
        wait_until(lambda: _participants(file.url, headers) >= 20, "the demo plays nobody")
        posted = httpx.post(
            f"{file.url}/v1/metrics/words-written/event",
            headers=headers,
            json={"user": {"id": "kept", "name": "Kept"}, "value": 123_456},
            timeout=ANSWER_S,
        )
        assert posted.status_code == 201
        assert working_on(data)
        assert end(first.process, signal.SIGINT) == 0
        assert "Traceback" not in first.said
    assert working_on(data) == []
    assert not ready(file.url)

    with dev(data, port, "--no-demo") as second:
        again = second.wait()
        assert (again.url, again.admin_key) == (file.url, file.admin_key)
        assert again.realtime_secret == file.realtime_secret
        page = httpx.get(f"{again.url}/v1/leaderboards/all-time", headers=headers, timeout=ANSWER_S).json()
        assert (page["rankings"][0]["userId"], page["rankings"][0]["value"]) == ("kept", 123_456)
        assert httpx.get(f"{again.url}/demo/", timeout=ANSWER_S).status_code == 404
        assert "use" in _refusal(data, free_port())
        assert second.process.poll() is None
        second.process.kill()
        second.process.wait()
    assert working_on(data)  # nobody stopped them

    with dev(data, port, "--no-demo") as third:
        assert ready(third.wait().url)
        assert end(third.process, signal.SIGTERM) == 0
    assert working_on(data) == []
    for log in ("web.log", "worker.log"):
        assert "Traceback" not in (data / log).read_text()


def _participants(url: str, headers: dict[str, str]) -> int:
    query = {"limit": 100}
    page = httpx.get(f"{url}/v1/leaderboards/all-time", params=query, headers=headers, timeout=ANSWER_S)
    return len(page.json()["rankings"]) if page.status_code == 200 else 0


def test_taken_port(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = _refusal(data, port)
    assert str(port) in said
    assert "--port" in said


def test_unusable_folder(data: Path) -> None:
    data.parent.joinpath("file").write_text("")
    assert "not a folder" in _refusal(data.parent / "file", free_port())
    assert "not a folder" in _refusal(data.parent / "file" / "below", free_port())
    # Nobody, not even root, can make a folder there.
    assert "/proc/podium" in _refusal(Path("/proc/podium"), free_port())


@pytest.mark.parametrize("file", ["processes.json", "postgres.json"])
def test_broken_folder(data: Path, file: str) -> None:
    data.mkdir()
    data.chmod(0o711)
    (data / file).write_text("{")
    said = _refusal(data, free_port())
    assert str(data / file) in said


def test_broken_store(data: Path) -> None:
    """A file that Valkey can't read."""
    with DataFolder(data) as folder, start_valkey(folder):
        pass
    [incremental] = (data / "valkey" / "appendonlydir").glob("*.incr.aof")
    incremental.write_bytes(b"nonsense" * 100)
    said = _refusal(data, free_port())
    assert "Valkey" in said
    assert str(data / "valkey") in said


def _refusal(data: Path, port: int) -> str:
    """What a start says that must end by itself, with exit code 1 and no stack trace."""
    running = working_on(data)
    refused = Dev(data, port, "--no-demo")
    try:
        wait_until(lambda: refused.process.poll() is not None, "podium dev goes on")
        said = refused.said
    finally:
        refused.end_for_sure()
    assert refused.process.returncode == 1, said
    assert said.startswith("podium: ")
    assert "Traceback" not in said
    assert working_on(data) == running  # it left nothing, and damaged nothing
    return said


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({}, "PODIUM_REDIS_URL"),
        ({"redis_url": "redis://localhost"}, "PODIUM_DATABASE_URL"),
        ({"redis_url": "http://x", "database_url": "postgresql://x"}, "PODIUM_REDIS_URL"),
        ({"redis_url": "redis://x", "database_url": "postgresql://x", "prot": "8000"}, "PODIUM_PROT"),
        ({"redis_url": "redis://x", "database_url": "postgresql://x", "port": "many"}, "PODIUM_PORT"),
    ],
)
def test_wrong_settings(tmp_path: Path, settings: dict[str, str], word: str) -> None:
    output = tmp_path / "output"
    process = podium("web", output=output, **settings)
    try:
        wait_until(lambda: process.poll() is not None, "podium web goes on")
    finally:
        end_for_sure(process)
    said = output.read_text()
    assert (process.returncode, len(said.strip().splitlines())) == (1, 1), said
    assert word in said
