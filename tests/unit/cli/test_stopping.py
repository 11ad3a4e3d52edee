"""A signal ends what runs, wherever it comes, and what it began to clean up is not interrupted."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from podium.cli.stopping import Stop, Stopped

LIMIT_S = 20
"""So that a failing test ends."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_between_instructions(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Stopped), Stop():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_in_a_callback_of_the_loop(number: int) -> None:
    """Where asyncio would swallow an exception; and another one during the clean-up."""
    done = []

    async def main() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        try:
            await asyncio.sleep(LIMIT_S)
        finally:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0)
            done.append("cleaned up")

    with pytest.raises(Stopped), Stop() as stop:
        stop.run(main())
    assert done == ["cleaned up"]


def test_no_signal() -> None:
    async def main() -> int:
        return 3

    with Stop() as stop:
        assert stop.run(main()) == 3
