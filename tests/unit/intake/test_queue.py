"""What waits for a call: order within a user, whatever is in flight."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest

from podium.game.errors import PodiumError, Unavailable
from podium.game.inputs import Input, Tick
from podium.intake.pending import Outcome, Pending
from podium.intake.queue import BULK_SHARE, CALL_INPUTS, CALL_MOVES, Queue


class Told:
    """Notes what each input was told."""

    def __init__(self) -> None:
        self.results: dict[int, Outcome | PodiumError] = {}

    def put(self, position: int, result: Outcome | PodiumError) -> None:
        self.results[position] = result


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def queue() -> Queue:
    return Queue()


def add(queue: Queue, told: Told, *users: str, bulk: bool = False) -> None:
    inputs = queue.bulk if bulk else queue.single
    inputs.extend([Pending(Tick(user, 0), told, at, inputs) for at, user in enumerate(users)])


def one(_: Input) -> int:
    return 1


def names(batch: list[Pending]) -> str:
    return " ".join(f"{pending.input.user}{pending.position}" for pending in batch)


def test_inputs_of_a_user_who_is_in_a_call_wait_for_its_end(queue: Queue, told: Told) -> None:
    add(queue, told, "a", "b", "a")
    assert names(queue.take(one)) == "a0 b1 a2"
    add(queue, told, "a", "c", "a")
    assert names(queue.take(one)) == "c1"
    assert (len(queue), queue.ready) == (2, 0)
    queue.release({"a", "b"})
    assert names(queue.take(one)) == "a0 a2"


def test_what_a_call_leaves_to_another_comes_before_what_arrived_later(queue: Queue, told: Told) -> None:
    add(queue, told, "a", "a", "b")
    batch = queue.take(one)
    add(queue, told, "a", "a")
    assert queue.take(one) == []  # the later ones of a are found to wait
    queue.put_back(batch[1:2])  # from another place than the call, while it is under way
    queue.release({"a", "b"}, batch[:1])
    assert names(queue.take(one)) == "a0 a1 a0 a1"


def test_a_call_has_bounds(queue: Queue, told: Told) -> None:
    add(queue, told, *(f"u{i}" for i in range(2 * CALL_INPUTS)))
    assert len(queue.take(one)) == CALL_INPUTS
    assert len(queue.take(lambda _: CALL_MOVES // 4)) == 4


def test_large_requests_take_turns_with_single_inputs(queue: Queue, told: Told) -> None:
    add(queue, told, *(f"b{i}" for i in range(100)), bulk=True)
    add(queue, told, *(f"s{i}" for i in range(100)))
    batch = queue.take(one)
    assert sum(pending.queue is queue.bulk for pending in batch) == BULK_SHARE
    queue.single.clear()
    assert all(pending.queue is queue.bulk for pending in queue.take(one))


def test_inputs_that_are_refused_while_they_wait(queue: Queue, told: Told) -> None:
    add(queue, told, "a", "b")
    queue.take(one)
    add(queue, told, "x", "x", "a", "b")
    told.results.clear()
    queue.take(one)
    queue.fail_behind({"a"}, Unavailable("away"))
    assert list(told.results) == [2]
    queue.fail_all(Unavailable("away"))
    assert sorted(told.results) == [2, 3]
    assert len(queue) == 0
    queue.release({"a", "b"})
    assert queue.take(one) == []


@pytest.mark.parametrize("seed", range(20))
def test_each_user_is_served_in_order_whatever_the_calls_do(queue: Queue, told: Told, seed: int) -> None:
    dice = Random(seed)
    calls: list[list[Pending]] = []
    served: dict[str, list[int]] = defaultdict(list)
    sent: dict[str, int] = defaultdict(int)
    for step in range(600):
        if step < 400:
            for _ in range(dice.randrange(4)):
                user = f"u{dice.randrange(6)}"
                inputs = queue.bulk if user in ("u0", "u1") else queue.single
                inputs.append(Pending(Tick(user, 0), told, sent[user], inputs))
                sent[user] += 1
        if len(calls) < 4 and (batch := queue.take(one)):
            in_flight = {pending.input.user for call in calls for pending in call}
            assert in_flight.isdisjoint(pending.input.user for pending in batch)
            calls.append(batch)
        elif calls:
            batch = calls.pop(dice.randrange(len(calls)))
            users = {pending.input.user for pending in batch}
            # A user's inputs from some place on have lost to another process, or are cut off.
            lost_from = {user: dice.randrange(40) for user in users if not dice.randrange(3)}
            again = []
            for pending in batch:
                user = pending.input.user
                lost_from[user] = lost_from.get(user, 1_000) - 1
                if lost_from[user] < 0:
                    again.append(pending)
                else:
                    served[user].append(pending.position)
            queue.release(users, again)
    assert not calls
    assert len(queue) == 0
    assert served == {user: list(range(count)) for user, count in sent.items()}
