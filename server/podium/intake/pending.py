"""Inputs on their way to a commit, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from podium.clock import stopwatch_s
from podium.game.apply import Applied
from podium.game.errors import PodiumError
from podium.game.inputs import Input
from podium.game.records import GroupMove
from podium.game.state import UserState
from podium.intake.commit import Placing


class Outcome(NamedTuple):
    """An accepted input: what it concluded and where the user and the user's groups stand; or, where ``replayed``,
    the state now. ``token`` is that of the state that was written, for what may only follow on just this one.
    ``waited_s`` seconds after it was submitted this was known."""

    applied: Applied | None
    state: UserState | None
    placings: list[Placing]
    groups: Sequence[GroupMove] = ()
    replayed: bool = False
    token: str = ""
    waited_s: float = 0.0


class Observer(Protocol):
    """Hears of each call that was done."""

    def committed(self, *, inputs: int, events: int, call_s: float, waits_s: list[float]) -> None:
        """``waits_s``: for each accepted input the seconds from submission to known rank."""

    def refused(self, reason: str, inputs: int) -> None:
        """Inputs were refused because Redis takes no writes."""


class Receiver(Protocol):
    """Takes the outcomes of a request's inputs. Must not raise."""

    def put(self, position: int, result: Outcome | PodiumError, /) -> None:
        """Take the outcome of the input at a position of the request."""


class Group:
    """The inputs of one request: one future for all of their outcomes."""

    __slots__ = ("future", "left", "results")

    def __init__(self, size: int, future: asyncio.Future[list[Outcome | PodiumError]]) -> None:
        self.results: list[Any] = [None] * size
        self.left = size
        self.future = future

    def put(self, position: int, result: Outcome | PodiumError) -> None:
        """See ``Receiver``."""
        self.results[position] = result
        self.left -= 1
        if not self.left and not self.future.done():
            self.future.set_result(self.results)


class Pending:
    """One input on its way.

    ``queue`` is where it waits: that of single inputs or of large requests. ``checked``: Postgres was asked
    whether its idempotency key was used, and ``seen`` says so. ``moved``: older runs follow it already.
    ``accepted``: Redis has written it, and ``done``: its outcome is decided.
    """

    __slots__ = (
        *("accepted", "checked", "done", "input", "moved", "position"),
        *("queue", "receiver", "seen", "started_s", "thaws", "tries"),
    )

    def __init__(self, input_: Input, receiver: Receiver, position: int, queue: deque[Pending]) -> None:
        self.input = input_
        self.receiver = receiver
        self.queue = queue
        self.position = position
        self.started_s = stopwatch_s()
        self.tries = 0
        self.thaws = 0
        self.accepted = False
        self.checked = False
        self.moved = False
        self.seen = False
        self.done = False

    def finish(self, result: Outcome | PodiumError) -> None:
        """Decide the outcome; the first decision holds."""
        if not self.done:
            self.done = True
            self.receiver.put(self.position, result)


def fail(many: Iterable[Pending], error: PodiumError) -> None:
    """Refuse inputs."""
    for pending in many:
        pending.finish(error)
