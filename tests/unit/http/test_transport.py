from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from podium.http.transport import JoinedWrites


class Recorder:
    """Stands for the loop's transport: notes what reaches it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> str:
        return name


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def joined(recorder: Recorder) -> JoinedWrites:
    return JoinedWrites(cast(asyncio.Transport, recorder))


async def test_writes_of_one_turn_go_out_together_and_in_order(recorder: Recorder):
    transport = joined(recorder)
    transport.write(b"head ")
    transport.write(b"body")
    assert recorder.written == []
    await asyncio.sleep(0)
    transport.write(b"next")
    await asyncio.sleep(0)
    assert recorder.written == [b"head body", b"next"]


async def test_closing_writes_first(recorder: Recorder):
    transport = joined(recorder)
    transport.write(b"last")
    transport.close()
    assert (recorder.written, recorder.closed) == ([b"last"], True)
    await asyncio.sleep(0)
    assert recorder.written == [b"last"]


async def test_a_lost_connection_is_not_written_to(recorder: Recorder):
    transport = joined(recorder)
    transport.write(b"too late")
    recorder.closed = True
    await asyncio.sleep(0)
    assert recorder.written == []


async def test_everything_else_is_the_transports_own(recorder: Recorder):
    found: Any = joined(recorder)
    assert found.get_extra_info("peername") == "peername"
    assert not found.is_closing()
