"""Errors of Postgres become sentences; a connection that broke is not given back."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from podium.game.errors import Unavailable
from podium.storage.postgres.pool import AWAY, acquired, unavailable


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError("connect call failed ('10.0.0.1', 5432)"), "Postgres is away"),
        (TimeoutError(), "Postgres is away"),
        (asyncpg.InterfaceError("closed"), "Postgres is away"),
        (asyncpg.InvalidPasswordError("for user bob"), "Postgres refuses the login of Podium"),
        (asyncpg.InvalidCatalogNameError("bobs"), "Postgres has no database of this name"),
        (asyncpg.InsufficientPrivilegeError("x"), "Postgres denies Podium a right that it needs"),
        (asyncpg.TooManyConnectionsError("x"), "Postgres takes no more connections"),
        (asyncpg.CannotConnectNowError("x"), "Postgres is starting, or in recovery"),
        (asyncpg.ReadOnlySQLTransactionError("x"), "Postgres is a standby and takes no writes"),
        (asyncpg.DiskFullError("x"), "the disk of Postgres is full"),
        (asyncpg.OutOfMemoryError("x"), "Postgres has run out of memory or another resource"),
        (asyncpg.QueryCanceledError("x"), "Postgres cancelled a query, or it took too long"),
        (asyncpg.AdminShutdownError("x"), "Postgres is away"),
    ],
)
def test_a_postgres_that_is_no_place_to_work_is_a_503_without_names(error: Exception, sentence: str) -> None:
    assert isinstance(error, AWAY)
    assert str(unavailable(error)) == sentence


@pytest.mark.parametrize("error", [asyncpg.UniqueViolationError("x"), asyncpg.DataError("x"), ValueError("x")])
def test_what_a_value_causes_is_not_taken_for_an_absent_postgres(error: Exception) -> None:
    assert not isinstance(error, AWAY)


class Pool:
    """A pool of one connection."""

    def __init__(self) -> None:
        self.terminated = self.returned = False

    def terminate(self) -> None:
        self.terminated = True

    @asynccontextmanager
    async def acquire(self, timeout: float) -> Any:  # noqa: ASYNC109 # as asyncpg has it
        try:
            yield self
        finally:
            self.returned = True


async def test_a_connection_that_broke_is_ended_before_it_is_given_back() -> None:
    pool: Any = Pool()
    with pytest.raises(Unavailable, match="Postgres is away"):
        async with acquired(pool):
            raise asyncpg.ConnectionDoesNotExistError("x")
    assert (pool.terminated, pool.returned) == (True, True)


async def test_an_error_of_ours_leaves_the_connection_as_it_is() -> None:
    pool: Any = Pool()
    with pytest.raises(asyncpg.UniqueViolationError):
        async with acquired(pool):
            raise asyncpg.UniqueViolationError("x")
    assert (pool.terminated, pool.returned) == (False, True)
