"""A web process that measures how long each step of its event loop takes, for ``loadtest.loop``.

It runs on asyncio's own loop, whose steps are Python (``uvloop`` has its own in C), and counts CPU time of the
loop's thread: what other processes take of the machine is not in it. Garbage collections within a step are.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from typing import Any

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from podium import settings
from podium.app import app_from_environment
from podium.cli.serve import serve

PATH = "/loop-steps"
"""Answers with the steps since it was asked before, the longest first, and forgets them."""
SHOWN = 5
NOTED_MS = 3.0
"""Shorter steps are counted and not named."""


class Step(msgspec.Struct, frozen=True):
    """A step of the loop: CPU ms of its thread, and what ran."""

    ms: float
    what: str


class Steps(msgspec.Struct):
    """The longest steps of the loop, and CPU ms of all."""

    longest: list[Step] = []
    cpu_ms: float = 0.0


_seen = Steps()


def _name(callback: Any) -> str:
    """The innermost frame of the task that a step runs, or the callback's own name."""
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        coroutine: Any = task.get_coro()
        names = []
        while coroutine is not None and len(names) < 30:
            code = getattr(coroutine, "cr_code", None)
            if code is not None:
                names.append(code.co_name)
            coroutine = getattr(coroutine, "cr_await", None)
        return "/".join(names[-3:]) or str(task.get_name())
    return getattr(callback, "__qualname__", repr(callback))[:80]


_collecting = [0.0, 0.0]
"""CPU ms of garbage collections in the present step, and when the present one began."""


def _collected(phase: str, _: dict[str, int]) -> None:
    if phase == "start":
        _collecting[1] = time.thread_time()
    else:
        _collecting[0] += (time.thread_time() - _collecting[1]) * 1_000


def _measure() -> None:
    original = asyncio.Handle._run

    def run(handle: asyncio.Handle) -> None:
        callback = handle._callback  # type: ignore[attr-defined]  # is gone once it has run
        _collecting[0] = 0.0
        began_s = time.thread_time()
        original(handle)
        ms = (time.thread_time() - began_s) * 1_000
        _seen.cpu_ms += ms
        if ms >= NOTED_MS:
            garbage = f" ({_collecting[0]:.0f} ms of it garbage collection)" if _collecting[0] >= 1 else ""
            _seen.longest.append(Step(round(ms, 1), _name(callback) + garbage))

    gc.callbacks.append(_collected)
    asyncio.Handle._run = run  # type: ignore[method-assign]


class _Probe:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        longest = sorted(_seen.longest, key=lambda step: -step.ms)[:SHOWN]
        body = msgspec.json.encode(Steps(longest, round(_seen.cpu_ms, 1)))
        _seen.longest, _seen.cpu_ms = [], 0.0
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def app() -> ASGIApp:
    """The application of a web process, for ``podium.cli.serve``."""
    _measure()
    return _Probe(app_from_environment())


def main() -> int:
    """Serve until SIGTERM; the exit code."""
    return serve(settings.load(os.environ), "loadtest.loop_server:app", loop="asyncio")


if __name__ == "__main__":
    sys.exit(main())
