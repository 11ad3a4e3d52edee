"""An item that fails three times in a row is left alone for a pause, and the others go on."""

from __future__ import annotations

from typing import Any

import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.jobs import quarantine as module
from podium.jobs.quarantine import PAUSE_MS, TRIES, Quarantine
from podium.spaces.space import Space
from podium.telemetry.set_aside import SetAside
from tests.conftest import SettableClock

ERROR = ValueError("odd")


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> dict[str, SetAside]:
    """The list that every process sees."""
    found: dict[str, SetAside] = {}

    async def write(_: Any, __: Space, entry: SetAside) -> None:
        found[entry.field] = entry

    async def forget(_: Any, __: Space, *fields: str) -> None:
        for field in fields:
            del found[field]

    async def read(_: Any, __: Space) -> list[SetAside]:
        return list(found.values())

    for function in (write, forget, read):
        monkeypatch.setattr(module.set_aside, function.__name__, function)
    return found


@pytest.fixture
def quarantine(clock: SettableClock) -> Quarantine:
    return another(clock)


def another(clock: SettableClock) -> Quarantine:
    space = Space(1, "s", "production", "default", "", (), CatalogIndex(Catalog(1)), "e")
    return Quarantine(None, space, clock, "ticks")  # type: ignore[arg-type]


async def fail(quarantine: Quarantine, times: int = TRIES, name: str = "ann", version: str = "") -> list[bool]:
    return [await quarantine.failed("user", name, ERROR, version) for _ in range(times)]


async def test_the_third_failure_in_a_row_sets_aside(quarantine: Quarantine, listed: dict[str, SetAside]) -> None:
    assert await fail(quarantine) == [False, False, True]
    assert quarantine.holds("user", "ann")
    assert not quarantine.holds("user", "ben")
    assert [(entry.field, entry.tries, entry.error) for entry in listed.values()] == [
        ("ticks:user:ann", TRIES, "ValueError")
    ]


async def test_a_success_in_between_begins_anew(quarantine: Quarantine, listed: dict[str, SetAside]) -> None:
    await fail(quarantine, 2)
    await quarantine.passed("user", "ann")
    assert await fail(quarantine, 2) == [False, False]
    assert listed == {}


async def test_after_the_pause_it_is_tried_again_and_one_failure_is_enough(
    quarantine: Quarantine, listed: dict[str, SetAside], clock: SettableClock
) -> None:
    await fail(quarantine)
    assert quarantine.names("user") == []
    clock.advance(PAUSE_MS)
    assert (quarantine.holds("user", "ann"), quarantine.names("user")) == (False, ["ann"])
    assert await fail(quarantine, 1) == [True]
    assert quarantine.holds("user", "ann")


async def test_another_version_is_tried_at_once(quarantine: Quarantine, listed: dict[str, SetAside]) -> None:
    await fail(quarantine, version="1")
    assert quarantine.holds("user", "ann", "1")
    assert not quarantine.holds("user", "ann", "2")


async def test_what_is_done_at_last_is_taken_off_the_list(
    quarantine: Quarantine, listed: dict[str, SetAside]
) -> None:
    await fail(quarantine)
    await quarantine.passed("user", "ann")
    assert listed == {}
    assert not quarantine.has("user", "ann")


async def test_another_worker_knows_what_was_set_aside(
    quarantine: Quarantine, listed: dict[str, SetAside], clock: SettableClock
) -> None:
    await fail(quarantine)
    listed["finals:user:ben"] = SetAside("finals", "user", "ben", "E", TRIES, 1, 2)
    later = another(clock)
    assert not later.holds("user", "ann")
    await later.load()
    assert later.holds("user", "ann")
    assert not later.has("user", "ben")  # another job's


async def test_a_job_of_which_everything_fails_fails_itself(
    quarantine: Quarantine, listed: dict[str, SetAside], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ITEMS_MAX", 2)
    for name in ("ann", "ben"):
        await fail(quarantine, 1, name)
    with pytest.raises(ValueError, match="odd"):
        await fail(quarantine, 1, "chi")
    assert await fail(quarantine, 1, "ann") == [False]
