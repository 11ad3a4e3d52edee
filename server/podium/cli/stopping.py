"""Handling of Ctrl-C and SIGTERM, for commands that have to clean up."""

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
"""Exit code of a command that was interrupted: 128 + SIGINT, as in a shell after Ctrl-C."""


def interrupt_by_sigterm() -> None:
    """Make SIGTERM raise ``KeyboardInterrupt``, as Ctrl-C does. Outside the main thread this does nothing."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


class Stopped(Exception):
    """Ctrl-C was pressed, or SIGTERM came, within a ``Stop`` block."""


class Stop:
    """A context manager in which the first Ctrl-C or SIGTERM raises ``Stopped``.

    Further signals are ignored, so that nothing interrupts the clean-up. Use it in the main thread only.
    Coroutines must be run with ``run``: a signal handler that raises inside an event loop may do so in a callback,
    where asyncio logs the exception and goes on.
    """

    def __init__(self) -> None:
        self._before: dict[int, _Handler] = {}
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in _NUMBERS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, main: Coroutine[Any, Any, _T]) -> _T:
        """Run ``main`` as ``asyncio.run`` does. A signal cancels it.

        Raises:
            Stopped: A signal came; ``main`` has finished its clean-up.
        """
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

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_IGN)
        if self._task is None:
            raise Stopped
        # A handler runs between any two bytecodes; of asyncio's calls only this one is safe there, and it wakes a
        # loop that waits in select.
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)
