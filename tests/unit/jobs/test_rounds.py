"""One space that fails, or takes long, keeps no other waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import Unavailable
from podium.jobs import quarantine, rounds
from podium.jobs.quarantine import PAUSE_MS, TRIES
from podium.jobs.rounds import Round, SpaceJob
from podium.spaces.space import Space
from tests.conftest import SettableClock
from tests.waiting import until


class Spaces:
    """A directory of three spaces, and what their rounds do."""

    def __init__(self) -> None:
        self.spaces = {
            name: Space(id_, name, "production", "default", "", (), CatalogIndex(Catalog(1)), "e")
            for id_, name in enumerate("abc")
        }
        self.visited: list[str] = []
        self.opened: list[str] = []
        self.does: dict[str, Callable[[], Any]] = {}

    def open(self, space: Space) -> Round:
        self.opened.append(space.public_id)

        async def round_() -> None:
            self.visited.append(space.public_id)
            if space.public_id in self.does:
                await self.does[space.public_id]()

        return round_


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> Spaces:
    async def nothing(*_: Any) -> None:
        pass

    monkeypatch.setattr(quarantine.set_aside, "write", nothing)
    monkeypatch.setattr(quarantine.set_aside, "forget", nothing)
    return Spaces()


def job(spaces: Any, clock: SettableClock) -> SpaceJob:
    return SpaceJob("ticks", spaces, None, clock, spaces.open, 1.0)  # type: ignore[arg-type]


async def fails() -> None:
    raise ValueError("odd")


async def test_a_round_visits_each_space_that_is_alive(spaces: Spaces, clock: SettableClock) -> None:
    spaces.spaces["b"].epoch = None
    running = job(spaces, clock)
    await running.round()
    await running.round()
    assert spaces.visited == ["a", "c", "a", "c"]
    assert spaces.opened == ["a", "c"]  # what a job keeps between rounds stays


async def test_a_space_that_fails_is_set_aside_and_the_others_go_on(spaces: Spaces, clock: SettableClock) -> None:
    spaces.does["a"] = fails
    running = job(spaces, clock)
    for _ in range(TRIES + 2):
        await running.round()
    assert spaces.visited.count("a") == TRIES
    assert spaces.visited.count("b") == spaces.visited.count("c") == TRIES + 2
    clock.advance(PAUSE_MS)
    await running.round()
    assert spaces.visited.count("a") == TRIES + 1


async def test_a_newer_catalog_has_a_space_tried_again_at_once(spaces: Spaces, clock: SettableClock) -> None:
    spaces.does["a"] = fails
    running = job(spaces, clock)
    for _ in range(TRIES + 1):
        await running.round()
    spaces.spaces["a"].index = CatalogIndex(Catalog(2))
    await running.round()
    assert spaces.visited.count("a") == TRIES + 1


async def test_an_absent_store_sets_nothing_aside(spaces: Spaces, clock: SettableClock) -> None:
    async def away() -> None:
        raise Unavailable("Postgres is away")

    spaces.does["a"] = away
    running = job(spaces, clock)
    for _ in range(TRIES + 2):
        await running.round()
    assert spaces.visited.count("a") == TRIES + 2


async def test_a_space_that_takes_long_is_left_to_itself(
    spaces: Spaces, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "VISIT_S", 0)
    done = asyncio.Event()
    spaces.does["a"] = done.wait
    running = job(spaces, clock)
    await running.round()
    await running.round()  # it is still at it, and not visited twice
    await until(lambda: spaces.visited.count("c") == 2)
    assert spaces.visited.count("a") == 1
    done.set()
    await until(lambda: not running._visits)
