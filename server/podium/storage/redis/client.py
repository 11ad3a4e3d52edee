"""The Redis client: no retries of its own, functions loaded when missing, errors of ours."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis.asyncio as aioredis
from redis import exceptions
from redis.asyncio.connection import DefaultParser
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from podium.game.errors import Unavailable, WritesRefused

_TEMPLATE = (Path(__file__).parent / "functions" / "podium.lua").read_text()
LIBRARY = f"podium_{hashlib.sha256(_TEMPLATE.encode()).hexdigest()[:12]}"
"""The name of the function library, which says its text: one loaded by another release is never called."""
SOURCE = _TEMPLATE.replace("@LIBRARY@", LIBRARY)
"""The library as Redis loads it."""

SOCKET_TIMEOUT_S = 5.0
"""A reply later than this counts as lost; the batcher then sends the same call again."""

CONNECTIONS = 64
"""Of one process. Who finds all in use waits, no longer than for a reply: redis-py's default pool refuses
the 101st call at once, as if Redis were away."""


class DiskError(exceptions.ResponseError):
    """MISCONF: Redis could not write its file."""


class FunctionsRefusedError(exceptions.OutOfMemoryError):
    """OOM of FUNCTION LOAD: a release that Redis has not seen yet began while Redis was at ``maxmemory``."""


class NoReplicasError(exceptions.ResponseError):
    """NOREPLICAS: fewer replicas are connected than ``min-replicas-to-write`` asks for."""


class BusyScriptError(exceptions.ResponseError):
    """BUSY: a script or function of somebody has been running for seconds, and Redis does nothing else."""


FUNCTIONS = "functions"
"""The reason of ``WritesRefused`` where Redis has no room for the library."""

_REFUSED: dict[type[Exception], tuple[str, str]] = {
    FunctionsRefusedError: (
        FUNCTIONS,
        "Redis is at maxmemory and has no room for the functions of this release: raise maxmemory, or free memory",
    ),
    exceptions.OutOfMemoryError: ("memory", "Redis is at maxmemory and takes no writes until memory is free"),
    DiskError: ("disk", "Redis can't write its file and takes no writes until it can"),
    exceptions.ReadOnlyError: ("read_only", "Redis is a replica and takes no writes"),
    exceptions.MasterDownError: ("read_only", "Redis is a replica without its primary"),
    NoReplicasError: ("replicas", "Redis misses replicas and takes no writes until they are back"),
    exceptions.NoPermissionError: ("rights", "Redis denies Podium's user a right that it needs"),
}
"""The reason and the sentence of ``WritesRefused``. Redis checks all of these before a function begins, so that
nothing was written."""

AWAY = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.InvalidResponse,  # whatever answers is no Redis
    OSError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
    DiskError,
    NoReplicasError,
    exceptions.NoPermissionError,
    exceptions.ClusterDownError,
    exceptions.AskError,  # and MovedError, which is one of them
    exceptions.TryAgainError,
    BusyScriptError,
)
"""Errors of the client by which Redis is no place to work at present: away, loading its file, letting nobody in,
or taking no writes (see ``unavailable``). None of them says anything about the request."""

_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.AuthenticationError, "Redis refuses the login of Podium"),
    (exceptions.BusyLoadingError, "Redis is loading its file"),
    (exceptions.InvalidResponse, "what answers at the address of Redis is no Redis"),
    (exceptions.ClusterDownError, "the cluster of Redis is down"),
    (exceptions.AskError, "Redis is one node of a cluster, and Podium needs one Redis with all keys"),
    (BusyScriptError, "Redis is busy with somebody's script"),
)


def unavailable(error: BaseException) -> Unavailable:
    """The 503 that one of ``AWAY`` is answered with."""
    for kind, (reason, sentence) in _REFUSED.items():
        if isinstance(error, kind):
            return WritesRefused(sentence, reason)
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return Unavailable(sentence)
    if "max number of clients" in str(error):
        return Unavailable("Redis takes no more connections")
    return Unavailable("Redis is away")


def _is_missing(reply: object) -> bool:
    """Return whether a call failed because Redis does not have the library: it was emptied, or is another one."""
    return isinstance(reply, exceptions.ResponseError) and "Function not found" in str(reply)


class _Parser(DefaultParser):  # type: ignore[misc, valid-type] # either of two, as hiredis is installed or not
    """redis-py's, that has classes for all refusals."""

    EXCEPTION_CLASSES = {  # noqa: RUF012 # as redis-py declares it
        **DefaultParser.EXCEPTION_CLASSES,
        "MISCONF": DiskError,
        "NOREPLICAS": NoReplicasError,
        "BUSY": BusyScriptError,
    }


class _Connection:
    """Over a connection class of redis-py: how a command is sent."""

    socket_timeout: float | None

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send. Raises ``ConnectionError`` where there is nothing to send on any more, ``TimeoutError`` after 5 s.

        redis-py sends by ``asyncio.wait_for``, which before Python 3.12 loses a cancellation that comes in the
        moment in which the command was sent: a task that was told to stop went on for ever, every other time. And
        it makes a task for each command.
        """
        parent: Any = super()
        timeout_s, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(timeout_s):
                await parent.send_packed_command(command, check_health)
        except TimeoutError as error:
            raise exceptions.TimeoutError("Timeout writing to socket") from error
        except RuntimeError as error:  # "unable to perform operation on <TCPTransport closed=True …>", of uvloop
            raise exceptions.ConnectionError(str(error)) from error
        finally:
            self.socket_timeout = timeout_s


class RedisClient:
    """One connection pool to one Redis. Every method raises ``Unavailable`` where Redis is away."""

    def __init__(self, url: str) -> None:
        # redis-py repeats a lost call by itself and would count it twice
        # (docs/decisions/0005-stored-when-answered.md).
        # Any: redis-py types one class for both of its worlds, and every reply as their union.
        pool: Any = aioredis.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            retry_on_timeout=False,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            decode_responses=False,
            protocol=2,
            parser_class=_Parser,
        )
        pool.connection_class = type("Connection", (_Connection, pool.connection_class), {})
        self.raw: Any = aioredis.Redis.from_pool(pool)

    async def call(self, function: str, meta: str, *args: str | bytes | int) -> Any:
        """``FCALL podium_<hash>_<function>``: the raw reply. Loads the library if Redis does not have it."""
        command = ("FCALL", f"{LIBRARY}_{function}", 1, meta, *args)
        try:
            try:
                return await self.raw.execute_command(*command)
            except exceptions.ResponseError as error:
                if not _is_missing(error):
                    raise
                await self.load_functions()
                return await self.raw.execute_command(*command)
        except AWAY as error:
            raise await self._refused(error) from error

    async def call_many(self, function: str, meta: str, many: Sequence[Sequence[str | bytes | int]]) -> list[Any]:
        """Call a function once for each list of arguments, in one round trip, and return the raw replies in their
        order, with a ``ResponseError`` where a call failed by itself.

        Loads the library as ``call`` does: those that Redis did not find are called again.
        """
        replies = await self._pipelined(function, meta, many)
        missing = [at for at, reply in enumerate(replies) if _is_missing(reply)]
        if missing:
            try:
                await self.load_functions()
            except AWAY as error:
                raise await self._refused(error) from error
            again = await self._pipelined(function, meta, [many[at] for at in missing])
            for at, reply in zip(missing, again, strict=True):
                replies[at] = reply
        return replies

    async def _pipelined(self, function: str, meta: str, many: Sequence[Sequence[str | bytes | int]]) -> list[Any]:
        try:
            async with self.raw.pipeline(transaction=False) as pipeline:
                for args in many:
                    pipeline.execute_command("FCALL", f"{LIBRARY}_{function}", 1, meta, *args)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
        except AWAY as error:
            raise await self._refused(error) from error
        for reply in replies:
            if isinstance(reply, AWAY):
                raise await self._refused(reply) from reply
        return replies

    async def _refused(self, error: BaseException) -> Unavailable:
        """Return the 503 of one of ``AWAY``."""
        if isinstance(error, exceptions.ReadOnlyError):
            # A primary that was demoted keeps its connections: the address may lead to another one by now.
            await self.raw.connection_pool.disconnect(inuse_connections=False)
        return unavailable(error)

    async def delete(self, key: str) -> None:
        """Delete a key that may be there."""
        try:
            await self.raw.delete(key)
        except AWAY as error:
            raise unavailable(error) from error

    async def load_functions(self) -> None:
        """Load the library if Redis does not have it. The libraries of other releases stay.

        Raises:
            FunctionsRefusedError: Redis is at ``maxmemory``. Nothing works until there is room, reads included.
        """
        try:
            await self.raw.function_load(SOURCE)
        except exceptions.OutOfMemoryError as error:
            raise FunctionsRefusedError(*error.args) from error
        except exceptions.ResponseError as error:
            if "already exists" not in str(error):
                raise

    async def aclose(self) -> None:
        """Close every connection."""
        await self.raw.aclose()
