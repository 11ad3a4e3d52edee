"""The flusher's decisions: what is one bad item's fault, what is ours, and whether Redis went back in time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.records import LogItem
from podium.spaces.continuity import Position
from podium.spaces.space import Space
from podium.writebehind import flusher as module
from podium.writebehind.batches import Item
from podium.writebehind.flusher import PAGE_ENTRIES, Flusher, Read, WentBack, _is_ours
from tests.posting import encode_commit

START = Position("e", "1-0")


def entry(*users: str) -> bytes:
    return encode_commit(*(LogItem(user, "t", "{}", "[]", []) for user in users))


class Stores:
    """The log of a space, and a Postgres that refuses the items of some users."""

    def __init__(self) -> None:
        self.raw = self
        self.epoch: bytes | None = b"e"
        self.log: list[tuple[str, bytes]] = [("1-0", entry())]
        self.position = START
        self.bad: set[str] = set()
        self.error: Exception = asyncpg.DataError("invalid byte sequence")
        self.written: list[str] = []
        self.attempts: list[list[str]] = []
        self.rejected: list[tuple[str, str]] = []
        self.trimmed: list[str] = []
        self.erased: list[str] = []
        self._asked: list[Any] = []

    # Redis

    @asynccontextmanager
    async def pipeline(self, *, transaction: bool) -> Any:
        yield self

    def hget(self, key: str, field: str) -> None:
        self._asked = [self.epoch]

    def xrange(self, key: str, *, min: str, count: int) -> None:  # noqa: A002 # as redis-py has it
        ids = [log_id for log_id, _ in self.log]
        first = ids.index(min) if min in ids else 0
        self._asked.append([(id_.encode(), {b"c": blob}) for id_, blob in self.log[first : first + count]])

    async def execute(self) -> Any:
        return self._asked

    async def call(self, function: str, meta: str, *args: Any) -> bool:
        assert function == "trim"
        self.trimmed.append(args[1])
        return True

    # Postgres

    @asynccontextmanager
    async def transaction(self) -> Any:
        yield

    async def write(self, _: Any, __: int, batch: list[Item]) -> None:
        self.attempts.append([one.item.user for one in batch])
        if self.bad & {one.item.user for one in batch}:
            raise self.error
        self.written += [one.item.user for one in batch]


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    stores = Stores()

    @asynccontextmanager
    async def acquired(_: Any) -> Any:
        yield stores

    async def position(*_: Any) -> Position:
        return stores.position

    async def move(_: Any, __: int, log_id: str) -> None:
        stores.position = Position("e", log_id)

    async def reject(_: Any, __: int, one: Any) -> None:
        stores.rejected.append((one.user, one.log_id))

    async def erase(_: Any, __: int, user: str) -> None:
        stores.erased.append(user)

    monkeypatch.setattr(module, "acquired", acquired)
    monkeypatch.setattr(module, "read_position", position)
    monkeypatch.setattr(module, "collect", lambda _, items: items)
    monkeypatch.setattr(module, "erase", erase)
    monkeypatch.setattr(module.store, "lock_position", position)
    monkeypatch.setattr(module.store, "move_position", move)
    monkeypatch.setattr(module.store, "reject", reject)
    monkeypatch.setattr(module.store, "write", stores.write)
    return stores


@pytest.fixture
def flusher(stores: Any) -> Flusher:
    space = Space(1, "s", "production", "default", "", (), CatalogIndex(Catalog(1)), "e")
    return Flusher(stores, stores, space, lambda: 5_000)


async def test_a_batch_is_written_once_and_the_log_trimmed_behind_it(stores: Stores, flusher: Flusher) -> None:
    stores.log += [("2-0", entry("ann", "ben")), ("3-0", entry("chi"))]
    assert await flusher.flush() == (3, False)
    assert stores.attempts == [["ann", "ben", "chi"]]
    assert (stores.position, stores.trimmed) == (Position("e", "3-0"), ["3-0"])
    assert await flusher.flush() == (0, False)
    assert len(stores.attempts) == 1
    assert (flusher.stats.events, flusher.stats.batches, flusher.stats.rejected) == (3, 1, 0)


async def test_what_postgres_refuses_is_halved_until_the_bad_one_stands_alone(
    stores: Stores, flusher: Flusher
) -> None:
    users = [f"u{n}" for n in range(8)]
    stores.log.append(("2-0", entry(*users)))
    stores.bad = {"u5"}
    await flusher.flush()
    assert stores.written == [user for user in users if user != "u5"]
    assert stores.rejected == [("u5", "2-0")]
    assert [len(attempt) for attempt in stores.attempts] == [8, 4, 4, 2, 1, 1, 2]
    assert stores.position.log_id == "2-0"
    assert (flusher.stats.events, flusher.stats.rejected) == (7, 1)


async def test_an_entry_that_nobody_can_read_is_set_aside_and_the_rest_written(
    stores: Stores, flusher: Flusher
) -> None:
    stores.log += [("2-0", b"\xc1"), ("3-0", entry("ann"))]
    await flusher.flush()
    assert stores.written == ["ann"]
    assert stores.rejected == [("", "2-0")]


@pytest.mark.parametrize(
    "error", [asyncpg.UndefinedTableError("users"), asyncpg.CheckViolationError("partition"), KeyError("x")]
)
async def test_what_is_no_items_fault_rejects_nothing_and_moves_nothing(
    stores: Stores, flusher: Flusher, error: Exception
) -> None:
    stores.log.append(("2-0", entry("ann", "ben")))
    stores.bad, stores.error = {"ann"}, error
    with pytest.raises(type(error)):
        await flusher.flush()
    assert (stores.rejected, stores.position, stores.trimmed) == ([], START, [])
    stores.bad = set()
    assert await flusher.flush() == (2, False)


def test_a_value_that_the_driver_cannot_take_by_its_type_is_our_fault() -> None:
    ours = asyncpg.DataError("invalid input")
    ours.__cause__ = TypeError("an integer is required")
    assert _is_ours(ours)
    theirs = asyncpg.DataError("value out of int32 range")
    theirs.__cause__ = OverflowError()
    assert not _is_ours(theirs)


async def test_an_erasure_comes_behind_what_was_written_of_its_user_before(
    stores: Stores, flusher: Flusher
) -> None:
    gone = [LogItem("ann", "t", "", "[]", [])]
    assert gone[0].erased
    stores.log += [("2-0", entry("ann")), ("3-0", encode_commit(*gone)), ("4-0", entry("ann"))]
    await flusher.flush()
    assert stores.attempts == [["ann", "ann"], ["ann"]]
    assert stores.erased == ["ann"]


async def test_another_flusher_that_was_first_leaves_nothing_to_write(stores: Stores, flusher: Flusher) -> None:
    stores.log += [("2-0", entry("ann")), ("3-0", entry("ben"))]
    await flusher.flush()
    stores.log += [("4-0", entry("chi")), ("5-0", entry("dan"))]
    stores.position = Position("e", "4-0")  # another one wrote that
    assert await flusher.flush() == (0, True)
    assert await flusher.flush() == (1, False)
    assert stores.written == ["ann", "ben", "dan"]


@pytest.mark.parametrize(
    ("epoch", "log", "reason"),
    [(None, "1-0", "empty"), (b"other", "1-0", "other"), (b"e", "0-5", "behind")],
)
async def test_a_redis_that_went_back_in_time_is_told_by_its_reason(
    stores: Stores, flusher: Flusher, epoch: bytes | None, log: str, reason: str
) -> None:
    stores.epoch, stores.log = epoch, [(log, entry())]
    with pytest.raises(WentBack) as told:
        await flusher.flush()
    assert told.value.reason == reason


async def test_a_log_that_another_flusher_has_trimmed_has_not_gone_back(stores: Stores, flusher: Flusher) -> None:
    await flusher.flush()  # it has read the position
    stores.log, stores.position = [("9-0", entry())], Position("e", "9-0")
    assert await flusher.flush() == (0, True)
    assert await flusher.flush() == (0, True)  # it has trimmed the log, too: what came before is looked for again
    assert await flusher.flush() == (0, False)


async def test_how_far_it_is_behind_is_the_age_of_the_first_entry(stores: Stores, flusher: Flusher) -> None:
    stores.log += [("2000-0", entry("ann")), ("4000-0", entry("ben"))]
    await flusher.flush()
    assert flusher.stats.lag_ms == 3_000
    await flusher.flush()
    assert flusher.stats.lag_ms == 0


async def test_a_log_of_several_pages_is_one_batch(stores: Stores, flusher: Flusher) -> None:
    stores.log += [(f"2-{n}", entry(f"u{n:03}")) for n in range(PAGE_ENTRIES + 5)]
    assert await flusher.flush() == (PAGE_ENTRIES + 5, False)
    assert len(stores.attempts) == 1


async def test_a_batch_has_an_end(stores: Stores, flusher: Flusher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_EVENTS", PAGE_ENTRIES)
    stores.log += [(f"2-{n}", entry(f"u{n:03}")) for n in range(PAGE_ENTRIES + 5)]
    assert await flusher.flush() == (PAGE_ENTRIES, True)
    assert await flusher.flush() == (5, False)


def test_a_read_knows_its_ends() -> None:
    read = Read()
    read.add([("2-0", {b"c": entry("ann")}), ("3-0", {b"c": entry("ben")})])
    read.add([("4-0", {b"c": entry()})])
    assert (read.first, read.last, len(read.items)) == ("2-0", "4-0", 2)
