"""The cache of states over a connection that answers as the Redis function does."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ResponseError

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import StaleEpoch
from podium.game.inputs import ChangeUser, Event
from podium.game.metrics.model import Metric
from podium.game.state import UserState, encode_state
from podium.game.users.model import Profile
from podium.game.users.rules import Upsert
from podium.intake.states import States
from podium.spaces.space import Space
from tests.unit.intake.fake_redis import FakeRedis

STATE = UserState(Profile(1, 1))


async def no_thaw(space: Space, users: list[str]) -> None:
    raise AssertionError("nobody is to be thawed here")


class Loads(FakeRedis):
    """Remembers who was asked for; some users' keys are of another type."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, ...]] = []
        self.broken: set[str] = set()

    async def call(self, function: str, meta: str, epoch: str, *users: Any) -> Any:
        self.asked.append(users)
        if self.broken & set(users):
            raise ResponseError("WRONGTYPE")
        return await super().call(function, meta, epoch, *users)


@pytest.fixture
def redis() -> Loads:
    redis = Loads()
    redis.users = {user: (b"t-" + user.encode(), encode_state(STATE).encode()) for user in "abcd"}
    return redis


def states(redis: Any, *, most: int = 10) -> States:
    index = CatalogIndex(Catalog(1, metrics=(Metric("m", 1, "words", "Words"),)))
    space = Space(1, "s", "production", "default", "", (), index, "e")
    return States(space, redis, None, no_thaw, most=most)  # type: ignore[arg-type]


async def test_a_state_that_is_held_is_not_asked_for_again(redis: Loads) -> None:
    held = states(redis)
    assert (await held.fetch({"a", "new"})).read == {"a", "new"}
    assert (await held.fetch({"a", "b"})).read == {"b"}
    assert redis.asked[-1] == ("b",)
    assert (held.known("a"), held.known("new"), held.known("never")) == (("t-a", STATE), ("", None), ("", None))


async def test_the_longest_unused_go_first(redis: Loads) -> None:
    held = states(redis, most=2)
    for user in "ab":
        await held.fetch({user})
    await held.fetch({"a"})
    await held.fetch({"c"})
    await held.fetch({"d"})
    await held.fetch({"a"})  # those of the call before could stay, beyond the most
    assert {user for user in "abcd" if held.known(user)[0]} == {"a", "c", "d"}


async def test_cold_users_are_named_and_not_held(redis: Loads) -> None:
    redis.cold = {"b"}
    held = states(redis)
    fetched = await held.fetch({"a", "b"})
    assert (fetched.cold, fetched.broken) == ({"b"}, set())
    assert held.known("b") == ("", None)


async def test_one_users_unreadable_state_is_that_users_problem(redis: Loads) -> None:
    redis.users["b"] = (b"t", b"{")
    redis.broken = {"c"}
    held = states(redis)
    fetched = await held.fetch({"a", "b", "c"})
    assert fetched.broken == {"b", "c"}
    assert held.known("a") == ("t-a", STATE)
    assert held.known("b") == ("", None)


async def test_under_another_epoch_all_is_forgotten(redis: Loads) -> None:
    held = states(redis)
    await held.fetch({"a"})
    redis.meta["epoch"] = "rebuilt"
    with pytest.raises(StaleEpoch):
        await held.fetch({"b"})
    assert held.known("a") == ("", None)


@pytest.mark.parametrize(
    ("since", "key", "old"), [(-1, "k", False), (2, "k", True), (3, "k", False), (2, None, False)]
)
def test_only_a_user_of_old_keys_may_repeat_one_that_only_postgres_remembers(
    redis: Loads, since: int, key: str | None, old: bool
) -> None:
    held = states(redis)
    held.put("a", "t", UserState(Profile(1, 1), keyed_since=since))
    # Redis holds the keys of generations 3 and 4.
    assert held.may_be_old(Event("id", "a", "words", 1, 1, key=key), 4) is old
    assert not held.may_be_old(ChangeUser("a", Upsert(name="A"), 1), 4)
    assert not held.may_be_old(Event("id", "nobody", "words", 1, 1, key="k"), 4)


async def test_without_keys_postgres_is_not_asked(redis: Loads) -> None:
    # There is no pool to ask.
    assert await states(redis).used_long_ago([Event("id", "a", "words", 1, 1)]) == set()
    assert await states(redis).used_long_ago([Event("id", "a", "unknown", 1, 1, key="k")]) == set()
