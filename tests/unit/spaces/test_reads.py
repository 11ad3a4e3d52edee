"""Whether a read waits for Postgres: the tokens of both stores decide."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import Unavailable
from podium.game.state import UserState, encode_state
from podium.game.users.model import Profile
from podium.spaces import reads as module
from podium.spaces.reads import Reads
from podium.spaces.space import Space


def blob(name: str) -> str:
    return encode_state(UserState(Profile(1, 1, name=name)))


class Stores:
    """Both stores, of one user: a token and a name in each; and a log that is flushed when asked."""

    def __init__(self) -> None:
        self.raw = self
        self.redis = self.postgres = ("", "")
        self.cold = False
        self.catalog = 1
        self.newest, self.position = b"", b"5-0"
        self.asked = self.refreshed = self.looks = 0
        self.takes = True
        """Whether Postgres takes what is flushed."""

    async def call(self, function: str, meta: str, *args: Any) -> Any:
        if function == "newest":
            return self.newest
        if function == "behind":
            return self.newest
        assert function == "current"
        self.looks += 1
        if args[0] != "e":
            return [1, b"e"]
        token, name = self.redis
        state = blob(name).encode() if token and not self.cold else b""
        return [0, token.encode(), state, int(self.cold), str(self.catalog).encode()]

    async def hget(self, key: str, field: str) -> bytes:
        return self.position

    async def flush(self, space: Space) -> None:
        self.asked += 1
        self.position = self.newest
        if self.takes:
            self.postgres = self.redis

    async def refresh(self, space: Space) -> None:
        self.refreshed += 1
        space.index = CatalogIndex(Catalog(self.catalog))

    @asynccontextmanager
    async def transaction(self, **_: Any) -> Any:
        yield

    async def fetchval(self, query: str, *_: Any) -> str | None:
        token, name = self.postgres
        return (token if "token" in query else blob(name)) if token else None


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    stores = Stores()

    @asynccontextmanager
    async def acquired(_: Any) -> Any:
        yield stores

    monkeypatch.setattr(module, "acquired", acquired)
    return stores


@pytest.fixture
def space() -> Space:
    return Space(1, "s", "production", "default", "", (), CatalogIndex(Catalog(1)), "e")


def reads(stores: Any, **options: Any) -> Reads:
    return Reads(stores, stores, stores.refresh, stores.flush, **options)


async def name(stores: Stores, space: Space) -> str | None:
    """The user's name in a snapshot, None for an unknown user."""
    async with reads(stores).snapshot(space, "ann") as found:
        return found.state.profile.name if found.state is not None else None


async def test_equal_tokens_wait_for_nothing(stores: Stores, space: Space) -> None:
    stores.redis = stores.postgres = ("t", "Ann")
    assert await name(stores, space) == "Ann"
    assert (stores.asked, stores.looks) == (0, 1)


async def test_an_unknown_user_waits_for_nothing(stores: Stores, space: Space) -> None:
    assert await name(stores, space) is None
    assert stores.asked == 0


async def test_a_newer_token_in_redis_waits_for_a_flush(stores: Stores, space: Space) -> None:
    stores.redis, stores.postgres, stores.newest = ("t2", "Anna"), ("t1", "Ann"), b"6-0"
    assert await name(stores, space) == "Anna"
    assert (stores.asked, stores.looks) == (1, 2)


async def test_a_postgres_that_is_ahead_of_the_look_at_redis_is_shown(stores: Stores, space: Space) -> None:
    # The commit and its flush came between the two: nothing is left to wait for, and Postgres is the newer.
    stores.redis, stores.postgres, stores.takes = ("t1", "Ann"), ("t2", "Anna"), False
    first = stores.call

    async def call(function: str, meta: str, *args: Any) -> Any:
        found = await first(function, meta, *args)
        stores.redis = ("t2", "Anna")
        return found

    stores.call = call  # type: ignore[method-assign]
    assert await name(stores, space) == "Anna"
    assert stores.asked == 0


async def test_what_postgres_refused_is_shown_from_redis(stores: Stores, space: Space) -> None:
    stores.redis, stores.postgres, stores.newest, stores.takes = ("t2", "Anna"), ("t1", "Ann"), b"6-0", False
    assert await name(stores, space) == "Anna"


async def test_a_cold_users_state_is_that_of_postgres(stores: Stores, space: Space) -> None:
    stores.redis, stores.postgres, stores.cold = ("t", ""), ("t", "Ann"), True
    found = await reads(stores).state(space, "ann")
    assert found is not None
    assert found.profile.name == "Ann"


async def test_a_flush_that_does_not_come_is_a_503(stores: Stores, space: Space) -> None:
    stores.redis, stores.newest = ("t", "Ann"), b"6-0"

    async def nobody(_: Space) -> None:
        stores.asked += 1

    patient = Reads(stores, stores, stores.refresh, nobody, patience_s=0)  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="still being written to Postgres"):
        async with patient.snapshot(space, "ann"):
            pass
    await patient.aclose()


async def test_without_an_epoch_or_with_another_nothing_is_read(stores: Stores, space: Space) -> None:
    for epoch in (None, "other"):
        space.epoch = epoch
        with pytest.raises(Unavailable, match="being rebuilt"):
            await reads(stores).state(space, "ann")


async def test_a_newer_catalog_is_read_with_the_state(stores: Stores, space: Space) -> None:
    stores.redis, stores.catalog = ("t", "Ann"), 2
    await reads(stores).state(space, "ann")
    assert (space.index.version, stores.refreshed) == (2, 1)


@pytest.mark.parametrize(("newest", "as_of"), [(b"", 9_000), (b"7000-3", 7_000), (b"9500-0", 9_000)])
async def test_figures_are_as_of_the_oldest_entry_that_waits(
    stores: Stores, space: Space, newest: bytes, as_of: int
) -> None:
    stores.newest = newest
    assert await reads(stores).as_of_ms(space, 9_000) == as_of
