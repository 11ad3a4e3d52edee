"""The inputs that wait for a call, and who must wait for whose call to end.

Nothing here awaits: each method is one step that nobody can come between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from podium.game.errors import PodiumError
from podium.game.inputs import Input
from podium.intake.pending import Pending, fail

CALL_INPUTS = 32
"""Inputs of one call: Redis serves nobody else meanwhile (calls of 1,000 push p99 to 81 ms;
docs/decisions/0004-micro-batches.md)."""
CALL_MOVES = 100
"""Board moves of one call, for the same reason: counted by what each input moves, so a call is cut before the one
that would pass it. An input that moves more is a call of its own."""
BULK_SHARE = 16
"""Inputs of large requests in a call while single ones wait: they take turns."""


class Queue:
    """Inputs in order, for several calls at a time.

    A user is *busy* while an input of theirs is in a call: the later ones wait until it has ended, so that each
    user's inputs are committed one after the other in the order in which they came. All others may be taken into
    the next call. So which call a user's input goes into is free, and calls are as full as what waits allows.
    """

    def __init__(self) -> None:
        self.single: deque[Pending] = deque()
        self.bulk: deque[Pending] = deque()
        """Inputs of large requests."""
        self._busy: dict[str, list[Pending]] = {}
        """Inputs that were found in the queues while a call held their user, by user."""
        self._behind = 0

    def __len__(self) -> int:
        """Return how many inputs wait."""
        return len(self.single) + len(self.bulk) + self._behind

    @property
    def ready(self) -> int:
        """Return about how many inputs may be taken; ``take`` leaves out those whose users have become busy."""
        return len(self.single) + len(self.bulk)

    def take(self, moves_of: Callable[[Input], int]) -> list[Pending]:
        """Return the inputs of the next call, and hold their users until ``release``. ``moves_of`` estimates the
        board moves of an input."""
        batch: list[Pending] = []
        taken: set[str] = set()
        moves = 0
        single, bulk, busy = self.single, self.bulk, self._busy
        bulk_left = BULK_SHARE if single else CALL_INPUTS
        while len(batch) < CALL_INPUTS and moves < CALL_MOVES:
            # One of a large request, one single, in turn: neither keeps the other waiting for a whole call.
            if bulk and bulk_left and (not single or len(batch) % 2):
                pending = bulk.popleft()
            elif single:
                pending = single.popleft()
            else:
                break
            if pending.done:
                continue  # its sender was told 503 while it waited for another try
            user = pending.input.user
            if user not in taken:
                if user in busy:
                    # Put behind its user's call rather than back, so that it is not looked at each time.
                    busy[user].append(pending)
                    self._behind += 1
                    continue
                busy[user] = []
                taken.add(user)
            if pending.queue is bulk:
                bulk_left -= 1
            moves += moves_of(pending.input)
            batch.append(pending)
        return batch

    def release(self, users: Iterable[str], again: Sequence[Pending] = ()) -> None:
        """Let users' next inputs be taken: their call has ended. ``again`` are inputs of theirs that it leaves to
        another call, in order; they come before those that arrived later."""
        for user in users:
            behind = self._busy.pop(user)
            self._behind -= len(behind)
            # To the front and backwards, so that they stand in the order in which they came.
            for pending in reversed(behind):
                pending.queue.appendleft(pending)
        for pending in reversed(again):
            pending.queue.appendleft(pending)

    def put_back(self, inputs: Sequence[Pending]) -> None:
        """Put inputs in front, in order, before all others of their users."""
        for pending in reversed(inputs):
            behind = self._busy.get(pending.input.user)
            if behind is None:
                pending.queue.appendleft(pending)
            else:
                behind.insert(0, pending)
                self._behind += 1

    def fail_behind(self, users: Iterable[str], error: PodiumError) -> None:
        """Refuse what waits for calls that hold these users."""
        for user in users:
            behind = self._busy.get(user, [])
            fail(behind, error)
            self._behind -= len(behind)
            behind.clear()

    def fail_all(self, error: PodiumError) -> None:
        """Refuse everything that waits."""
        self.fail_behind(list(self._busy), error)
        for queue in (self.single, self.bulk):
            # Emptied first: a receiver may submit again while it is told.
            waiting = list(queue)
            queue.clear()
            fail(waiting, error)
