"""Check both stores before a command begins.

A problem is either an outage or permanent. Web and worker start during an outage and wait for the store. A wrong
password, a missing database, a server of another kind, an old version or an old schema needs somebody to act, so
the process ends with one sentence (``StartError``).
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

_POSTGRES_PERMANENT = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ClientConfigurationError,
)
_REDIS_PERMANENT = (exceptions.AuthenticationError, exceptions.InvalidResponse, exceptions.ResponseError)
# Subclasses of ResponseError that an operator's action or a failover ends while Podium runs.
_REDIS_TEMPORARY = (exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.ClusterDownError)


async def check_stores(settings: Settings, *, tolerate_outage: bool) -> list[str]:
    """Return warnings about both stores. With ``tolerate_outage`` an unavailable store is a warning.

    Raises:
        StartError: A store can't be used, and waiting won't change that; without ``tolerate_outage`` also if a
            store is unavailable.
    """
    warnings: list[str] = []
    for variable, url in (
        ("PODIUM_DATABASE_URL", settings.database_url),
        ("PODIUM_DATABASE_DIRECT_URL", settings.database_direct_url),
    ):
        try:
            if url:
                warnings += await _check_postgres(variable, url)
        except _StoreUnavailable as problem:
            if not tolerate_outage:
                raise
            warnings.append(problem.message)
    try:
        await _check_redis(settings.redis_url)
    except _StoreUnavailable as problem:
        if not tolerate_outage:
            raise
        warnings.append(problem.message)
    return warnings


async def connect(database_url: str, *, variable: str = "PODIUM_DATABASE_URL") -> Connection:
    """Return a connection that decodes ``jsonb`` to Python values. The schema isn't checked; the caller closes it.

    Raises:
        StartError: Postgres is unavailable, refuses the connection, or is too old.
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
    """Return the error to show if a store went away while a command ran; None for any other error."""
    if isinstance(error, POSTGRES_AWAY) and not isinstance(error, OSError):
        return StartError(postgres_unavailable(error).message)
    if isinstance(error, TimeoutError | ConnectionResetError):
        return StartError("a store does not answer")
    return None


class _StoreUnavailable(StartError):
    """A store is unavailable now, and may come back."""


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
    except ValueError:  # its message may hold a part of the URL, and so the password
        raise StartError("PODIUM_REDIS_URL is not usable as an address") from None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            info = await client.raw.info("server") | await client.raw.info("replication")
            cluster = await client.raw.info("cluster")
            problem = redis_problem(info | cluster)
            if problem and info.get("role") == "slave":
                raise _StoreUnavailable(f"PODIUM_REDIS_URL: {problem}")  # it may be promoted
            if problem:
                raise StartError(f"PODIUM_REDIS_URL: {problem}")
            await client.call("load", "{podium}:ready", "", "")
    except (*REDIS_AWAY, Unavailable, exceptions.RedisError, ValueError) as error:
        raise _redis_error(url, error) from error
    finally:
        await client.aclose()


def _postgres_error(variable: str, url: str, error: BaseException) -> StartError:
    """Return the error of a failed connection. It doesn't name the URL, which holds a password."""
    if _has_no_address(error):
        return StartError(f"{variable}: the host {_host(url)} has no address; is it misspelt?")
    if isinstance(error, ValueError) and not isinstance(error, asyncpg.InterfaceError):
        return StartError(f"{variable} is not usable as an address")
    kind = StartError if isinstance(error, _POSTGRES_PERMANENT) else _StoreUnavailable
    message = postgres_unavailable(error).message
    return kind(f"{variable}: {message} ({error or type(error).__name__})")


def _redis_error(url: str, error: BaseException) -> StartError:
    cause = error.__cause__ if isinstance(error, Unavailable) and error.__cause__ is not None else error
    if _has_no_address(cause) or _has_no_address(cause.__context__):
        return StartError(f"PODIUM_REDIS_URL: the host {_host(url)} has no address; is it misspelt?")
    if isinstance(cause, ValueError):
        return StartError("PODIUM_REDIS_URL is not usable as an address")
    permanent = isinstance(cause, _REDIS_PERMANENT) and not isinstance(cause, _REDIS_TEMPORARY)
    known = isinstance(cause, REDIS_AWAY)
    message = redis_unavailable(cause).message if known else "Redis doesn't do what Podium asks for"
    kind = StartError if permanent else _StoreUnavailable
    return kind(f"PODIUM_REDIS_URL: {message} ({cause or type(cause).__name__})")


def _has_no_address(error: BaseException | None) -> bool:
    """Return whether DNS says that the host doesn't exist. A name server that doesn't answer is an outage."""
    return isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
