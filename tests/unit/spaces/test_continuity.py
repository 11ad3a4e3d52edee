"""Whether Redis continues Postgres, from what the two say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.spaces import continuity
from podium.spaces.continuity import Comparison, Position, close, compare, reaches
from podium.spaces.space import Space

SPACE = Space(1, "s", "production", "default", "", (), CatalogIndex(Catalog(1)), "e")
FLUSHED, LATER = Position("e", "5-0"), Position("e", "6-0")
BEHIND = 6


class Confirms:
    """A Redis that answers ``confirm`` with these replies, one after the other."""

    def __init__(self, *replies: Any) -> None:
        self._replies = list(replies)
        self.asked: list[tuple[Any, ...]] = []

    async def call(self, function: str, meta: str, *args: Any) -> Any:
        self.asked.append((function, *args))
        return self._replies.pop(0)


async def compared(
    monkeypatch: pytest.MonkeyPatch, positions: Iterable[Position | None], redis: Confirms
) -> Comparison:
    found = list(positions)

    async def position(*_: Any) -> Position | None:
        return found.pop(0)

    monkeypatch.setattr(continuity, "_position", position)
    done = await compare(None, redis, SPACE)  # type: ignore[arg-type]
    assert not found
    return done


async def test_a_redis_that_has_the_entry_of_the_position_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    redis = Confirms([0, b""])
    assert await compared(monkeypatch, [FLUSHED], redis) == Comparison(FLUSHED, "e", None)
    assert redis.asked == [("confirm", "e", "5-0", "1")]


@pytest.mark.parametrize(
    ("position", "reply", "found"),
    [
        (None, [1, b""], Comparison(None, "", "new")),
        (None, [1, b"e"], Comparison(None, "e", "new")),
        (FLUSHED, [1, b""], Comparison(FLUSHED, "", "empty")),
        (FLUSHED, [1, b"other"], Comparison(FLUSHED, "other", "other")),
        (FLUSHED, [BEHIND, b""], Comparison(FLUSHED, "e", "behind")),
    ],
)
async def test_why_it_does_not_continue(
    monkeypatch: pytest.MonkeyPatch, position: Position | None, reply: list[Any], found: Comparison
) -> None:
    assert await compared(monkeypatch, [position, position], Confirms(reply)) == found


async def test_a_position_that_moved_meanwhile_is_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # The flusher wrote 6-0, and trimmed 5-0, between the two looks.
    redis = Confirms([BEHIND, b""], [0, b""])
    assert await compared(monkeypatch, [FLUSHED, LATER], redis) == Comparison(LATER, "e", None)
    assert [args[2] for args in redis.asked] == ["5-0", "6-0"]


async def test_an_id_that_was_answered_is_proof_enough() -> None:
    redis: Any = Confirms([0, b""], [BEHIND, b""])
    assert await reaches(redis, SPACE, "e", "5-0")
    assert not await reaches(redis, SPACE, "e", "6-0")
    assert redis.asked[0] == ("confirm", "e", "5-0", "0")


async def test_an_epoch_is_closed_with_its_reason() -> None:
    redis: Any = Confirms(1, 0)
    assert await close(redis, SPACE, "e", "behind")
    assert not await close(redis, SPACE, "gone", "behind")
    assert redis.asked == [("close", "e", "behind"), ("close", "gone", "behind")]
