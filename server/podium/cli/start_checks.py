"""Looks at both stores before a command begins: what waiting doesn't mend is one sentence and the end.

Web and worker start while a store is away, and go on when it comes. A wrong password, a missing database, a server
of another kind, an old version or an old schema stays until somebody does something, so the process ends.
"""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

import asyncpg
from redis import exceptions

from podium.game.errors import StartError, Unavailable
from podium.settings import Settings
from podium.storage.postgres import schema
from podium.storage.postgres.pool import AWAY as POSTGRES_AWAY
from podium.storage.postgres.pool import CONNECT_TIMEOUT_S, Connection, prepare
from podium.storage.postgres.pool import unavailable as postgres_unavailable
from podium.storage.redis.client import AWAY as REDIS_AWAY
from podium.storage.redis.client import RedisClient
from podium.storage.redis.client import unavailable as redis_unavailable
from podium.telemetry.servers import postgres_problem, redis_problem

_POSTGRES_LASTING = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ClientConfigurationError,
)
_REDIS_LASTING = (exceptions.AuthenticationError, exceptions.InvalidResponse, exceptions.ResponseError)
_REDIS_PASSING = (exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.ClusterDownError)


async def check_stores(settings: Settings, *, patient: bool) -> list[str]:
    """Return warnings about both stores.

    Raises:
        StartError: Podium can't work with a store, and waiting won't change that; unless ``patient``, also where a
            store is away.
    """
    warnings: list[str] = []
    for variable, url in (
        ("PODIUM_DATABASE_URL", settings.database_url),
        ("PODIUM_DATABASE_DIRECT_URL", settings.database_direct_url),
    ):
        try:
            if url:
                warnings += await _check_postgres(variable, url)
        except _Passing as problem:
            if not patient:
                raise
            warnings.append(problem.message)
    try:
        await _check_redis(settings.redis_url)
    except _Passing as problem:
        if not patient:
            raise
        warnings.append(problem.message)
    return warnings


async def connect(database_url: str, *, variable: str = "PODIUM_DATABASE_URL") -> Connection:
    """Return a connection, with ``jsonb`` as Python values, whatever the schema; the caller closes it.

    Raises:
        StartError: Postgres is away, refuses, or is too old.
    """
    try:
        connection = await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_S)
        try:
            if problem := postgres_problem(int(await connection.fetchval("SHOW server_version_num"))):
                raise StartError(f"{variable}: {problem}")
            await prepare(connection)
        except BaseException:
            connection.terminate()
            raise
    except (*POSTGRES_AWAY, ValueError) as error:
        raise _postgres_error(variable, database_url, error) from error
    return connection


async def connect_migrated(database_url: str) -> Connection:
    """Return a connection to a database that has this release's schema.

    Raises:
        StartError: As ``connect``; or the schema is older.
    """
    connection = await connect(database_url)
    try:
        if problem := schema.behind(await schema.found(connection)):
            raise StartError(problem)
    except BaseException as error:
        connection.terminate()
        if isinstance(error, POSTGRES_AWAY):
            raise _postgres_error("PODIUM_DATABASE_URL", database_url, error) from error
        raise
    return connection


def lost_store(error: Exception) -> StartError | None:
    """Return the sentence of a store that went away while a command was at work; None for any other error."""
    if isinstance(error, POSTGRES_AWAY) and not isinstance(error, OSError):
        return StartError(postgres_unavailable(error).message)
    if isinstance(error, TimeoutError | ConnectionResetError):
        return StartError("a store does not answer")
    return None


class _Passing(StartError):
    """A store is away: it may come."""


async def _check_postgres(variable: str, url: str) -> list[str]:
    connection = await connect(url, variable=variable)
    try:
        number = await schema.found(connection)
    except POSTGRES_AWAY as error:
        raise _postgres_error(variable, url, error) from error
    finally:
        connection.terminate()
    if problem := schema.behind(number):
        raise StartError(problem)
    return [warning] if (warning := schema.ahead(number)) else []


async def _check_redis(url: str) -> None:
    try:
        client = RedisClient(url)
    except ValueError:  # its words may hold a part of the address, and so the password
        raise StartError("PODIUM_REDIS_URL is not usable as an address") from None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            info = await client.raw.info("server") | await client.raw.info("replication")
            cluster = await client.raw.info("cluster")
            problem = redis_problem(info | cluster)
            if problem and info.get("role") == "slave":
                raise _Passing(f"PODIUM_REDIS_URL: {problem}")  # it may be promoted
            if problem:
                raise StartError(f"PODIUM_REDIS_URL: {problem}")
            await client.call("load", "{podium}:ready", "", "")
    except (*REDIS_AWAY, Unavailable, exceptions.RedisError, ValueError) as error:
        raise _redis_error(url, error) from error
    finally:
        await client.aclose()


def _postgres_error(variable: str, url: str, error: BaseException) -> StartError:
    """Return the sentence of a failed connection, without the address: it holds a password."""
    if _has_no_address(error):
        return StartError(f"{variable}: the host {_host(url)} has no address; is it misspelt?")
    if isinstance(error, ValueError) and not isinstance(error, asyncpg.InterfaceError):
        return StartError(f"{variable} is not usable as an address")
    kind = StartError if isinstance(error, _POSTGRES_LASTING) else _Passing
    words = postgres_unavailable(error).message
    return kind(f"{variable}: {words} ({error or type(error).__name__})")


def _redis_error(url: str, error: BaseException) -> StartError:
    cause = error.__cause__ if isinstance(error, Unavailable) and error.__cause__ is not None else error
    if _has_no_address(cause) or _has_no_address(cause.__context__):
        return StartError(f"PODIUM_REDIS_URL: the host {_host(url)} has no address; is it misspelt?")
    if isinstance(cause, ValueError):
        return StartError("PODIUM_REDIS_URL is not usable as an address")
    lasting = isinstance(cause, _REDIS_LASTING) and not isinstance(cause, _REDIS_PASSING)
    known = isinstance(cause, REDIS_AWAY)
    words = redis_unavailable(cause).message if known else "Redis doesn't do what Podium asks for"
    return (StartError if lasting else _Passing)(f"PODIUM_REDIS_URL: {words} ({cause or type(cause).__name__})")


def _has_no_address(error: BaseException | None) -> bool:
    """Whether a name server knew that a host doesn't exist; one that doesn't answer is another matter."""
    return isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
