"""Ctrl-C and SIGTERM, for a command that has to clean up after itself."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_Handler = Callable[[int, FrameType | None], Any] | int | None
_T = TypeVar("_T")


INTERRUPTED = 130
"""Exit code of a command that was stopped before it was done, as a shell has it after Ctrl-C: 128 + SIGINT."""


def interrupt_by_sigterm() -> None:
    """Have SIGTERM do what Ctrl-C does, from now on. Only in the main thread; elsewhere nothing changes."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


class Stopped(Exception):
    """Somebody pressed Ctrl-C, or sent SIGTERM."""


class Stop:
    """Within the ``with`` block, the first signal ends what runs, with ``Stopped``.

    More of them are ignored, so that nothing interrupts the clean-up. Only in the main thread. What needs an event
    loop has to run by ``run``: an exception in the middle of a loop may come in a callback, where asyncio logs it
    and goes on.
    """

    def __init__(self) -> None:
        self._before: dict[int, _Handler] = {}
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._came) for number in _NUMBERS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, main: Coroutine[Any, Any, _T]) -> _T:
        """``asyncio.run``; a signal cancels ``main``, and ``Stopped`` comes when that has cleaned up."""
        try:
            return asyncio.run(self._cancellable(main))
        except asyncio.CancelledError:
            raise Stopped from None

    async def _cancellable(self, main: Coroutine[Any, Any, _T]) -> _T:
        self._task = asyncio.current_task()
        try:
            return await main
        finally:
            self._task = None

    def _came(self, _: int, __: FrameType | None) -> None:
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_IGN)
        if self._task is None:
            raise Stopped
        # A handler runs between any two instructions, and only this call wakes a loop that waits.
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)
