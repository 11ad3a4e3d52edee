"""The spaces, keys and catalogs that a process knows, kept up to date
(docs/decisions/0015-versioned-catalog.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import asyncpg
import msgspec
import structlog
from redis.exceptions import RedisError, ResponseError

from podium.clock import Clock
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import Forbidden, Unauthorized, Unavailable, Unprocessable
from podium.spaces import continuity, store
from podium.spaces.continuity import Position
from podium.spaces.item_kinds import KINDS
from podium.spaces.space import NO_TENANT, Principal, Space, log_order
from podium.storage.postgres.pool import CONNECT_TIMEOUT_S, Pool, acquired
from podium.storage.redis.client import AWAY as REDIS_AWAY
from podium.storage.redis.client import RedisClient
from podium.storage.redis.wire import ANNOUNCE

POLL_S = 1.0
"""Seconds after which a change is found even if its notification was lost."""
USES_S = 30.0
"""Seconds between two writes of the keys' last uses."""

log = structlog.get_logger(__name__)


class Directory:
    """The spaces by public id, and the keys that give access to them.

    Reads never fail: while Postgres or Redis is away, the last known data are kept. ``checked_ms`` is the instant
    of the last answer of Postgres, None before the first ``refresh``. With ``multi_tenancy`` every request must
    name a tenant.
    """

    def __init__(self, pool: Pool, redis: RedisClient, database_direct_url: str, clock: Clock) -> None:
        self.pool = pool
        self.spaces: dict[str, Space] = {}
        self.checked_ms: int | None = None
        self._redis = redis
        self._direct_url = database_direct_url
        self._clock = clock
        self._by_id: dict[int, Space] = {}
        self._positions: dict[int, Position] = {}
        self._principals: dict[bytes, Principal] = {}
        self._key_ids: frozenset[str] = frozenset()
        self._keys_version: tuple[int, int] | None = None
        self.adopting: set[int] = set()
        """Ids of spaces whose new catalog this process is storing itself, so that it need not be read."""
        self.multi_tenancy = False
        self._tenants: dict[tuple[str, str], Space] = {}
        self._used: dict[str, int] = {}
        self._broken: set[tuple[str, str]] = set()
        """Public id and store of each space that could not be read, so that each is logged once."""
        self._refreshing = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def production(self) -> Space:
        """Return the oldest production space.

        Raises:
            Unavailable: None is known yet.
        """
        for space in self.spaces.values():
            if space.environment == "production":
                return space
        raise Unavailable("there is no space yet")

    def authenticate(self, key: str | None) -> Principal:
        """Return the principal of an API key.

        Raises:
            Unauthorized: The key is missing, unknown or revoked.
            Unavailable: No keys have been read yet, so a valid one can't be told from others.
        """
        if not key:
            raise Unauthorized("X-API-KEY is missing")
        if self._keys_version is None:
            raise Unavailable("the keys have not been read yet")
        principal = self._principals.get(store.key_hash(key))
        if principal is None:
            raise Unauthorized("X-API-KEY is not valid")
        self._used[principal.key_id] = self._clock()
        return principal

    def knows_key(self, id_: str) -> bool:
        """Return whether a key with this id exists and is not revoked."""
        return id_ in self._key_ids

    def any_admin_key(self, space: Space) -> str:
        """Return the id of an admin key of a space.

        Raises:
            Unavailable: None is known.
        """
        for principal in self._principals.values():
            if principal.space is space and "admin" in principal.capabilities:
                return principal.key_id
        raise Unavailable("there is no admin key yet")

    def enter(self, key: str | None, tenant: str | None, *, own: bool = False) -> Principal:
        """Return the principal of an API key, in the space that the request is for.

        With ``multi_tenancy`` that is the space of the tenant with this customer id. With ``own`` a request
        without a tenant is for the key's own space.

        Raises:
            Unauthorized, Unavailable: As ``authenticate``.
            Unprocessable: The tenant is missing or unknown.
            Forbidden: The tenant is archived, or the key's user belongs to no tenant.
        """
        found = self.authenticate(key)
        space = found.space
        if self.multi_tenancy and space.tenant == NO_TENANT:
            if found.user is not None:
                raise Forbidden("The user of this key belongs to no tenant")
            if tenant:
                named = self._tenants.get((space.environment, tenant))
                if named is None:
                    raise Unprocessable("Tenant-ID names no tenant")
                found = replace(found, space=named)
            elif not own:
                raise Unprocessable("Tenant-ID is required")
        if found.space.archived:
            raise Forbidden("The tenant is archived")
        return found

    def enter_environment(self, key: str | None) -> Principal:
        """Return the principal of an API key, for requests about a whole environment.

        Raises:
            Unauthorized, Unavailable: As ``authenticate``.
            Forbidden: The key belongs to a tenant.
        """
        found = self.authenticate(key)
        if found.space.tenant != NO_TENANT:
            raise Forbidden("This key belongs to a tenant, and may not do this for the whole environment")
        return found

    async def refresh(self) -> None:
        """Read changes of spaces, keys, catalogs and epochs.

        Raises:
            Unavailable: Postgres is away. The epochs have been read nevertheless.
        """
        async with self._refreshing:
            answered = False
            try:
                await self._read_postgres()
                answered = True
            finally:
                await self._read_redis(self.spaces.values(), postgres_answers=answered)

    async def refresh_space(self, space: Space) -> None:
        """Read the newest catalog of one space, and compare its Redis with Postgres.

        ``epoch`` is None afterwards if a worker must rebuild the space first.

        Raises:
            Unavailable: A store is away.
        """
        async with acquired(self.pool) as connection:
            catalog = await store.load_catalog(connection, space.id)
        await _replace(space, catalog)
        await self._compare(space)
        if space.epoch is not None:
            await self._redis.call("catalog", space.keys.meta, space.epoch, space.index.version)

    async def adopt(self, space: Space, catalog: Catalog) -> None:
        """Use a catalog that was committed, unless a newer one is known, and make Redis refuse older ones."""
        await _replace(space, catalog)
        try:
            await self._read_redis([space])
        except RedisError as error:
            # The catalog is committed to Postgres, so the request has succeeded. The next poll tries Redis again.
            log.warning("directory_epoch_failed", space=space.public_id, error=str(error))

    async def watch(self) -> None:
        """Keep up to date until cancelled: at once after a notification, else within ``POLL_S``."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="directory-listen")
            group.create_task(self._poll(), name="directory-poll")
            group.create_task(self._write_uses(), name="directory-uses")

    async def note_uses(self) -> None:
        """Write the keys' last uses to Postgres.

        Raises:
            Unavailable: Postgres is away. The uses are kept for the next call.
        """
        used, self._used = self._used, {}
        if not used:
            return
        try:
            async with acquired(self.pool) as connection:
                await store.note_uses(connection, used)
        except Unavailable:
            self._used = {**used, **self._used}
            raise

    async def _write_uses(self) -> None:
        while True:
            await asyncio.sleep(USES_S)
            try:
                await self.note_uses()
            except (Unavailable, asyncpg.PostgresError) as error:
                log.debug("key_uses_not_written", error=str(error))

    async def _read_postgres(self) -> None:
        async with acquired(self.pool) as connection:
            # The version of the keys is read before the spaces. In the other order a key whose space is created in
            # between would be dropped below, and not be read again.
            version = await store.keys_version(connection)
            keys = await store.load_keys(connection) if version != self._keys_version else None
            for row in await store.load_spaces(connection):
                space = self._by_id.get(row.id)
                try:
                    if space is None:
                        catalog = await store.load_catalog(connection, row.id)
                        space = Space(*row[:6], index=await _indexed(catalog))
                        self._by_id[row.id] = self.spaces[row.public_id] = space
                    elif row.catalog_version > space.index.version and row.id not in self.adopting:
                        await _replace(space, await store.load_catalog(connection, row.id))
                except (msgspec.MsgspecError, ValueError, LookupError) as error:
                    # Only this space is broken. The others, and the keys, are read nevertheless.
                    self._log_broken(row.public_id, "Postgres", error)
                    if space is None:
                        continue
                else:
                    self._broken.discard((row.public_id, "Postgres"))
                space.realtime_secret, space.allowed_origins = row.realtime_secret, row.allowed_origins
                space.archived = row.archived
                if row.epoch is not None and row.log_id is not None:
                    self._positions[row.id] = Position(row.epoch, row.log_id)
                else:
                    self._positions.pop(row.id, None)
            self._tenants = {
                (space.environment, space.tenant): space
                for space in self.spaces.values()
                if space.tenant != NO_TENANT
            }
            if keys is not None:
                self._principals = {
                    key.hash: Principal(self._by_id[key.space_id], key.id, key.name, key.capabilities, key.user)
                    for key in keys
                    if key.space_id in self._by_id
                }
                self._key_ids = frozenset(principal.key_id for principal in self._principals.values())
                # (-1, -1) has the keys read again at the next refresh, for spaces that could not be read now.
                self._keys_version = version if all(key.space_id in self._by_id for key in keys) else (-1, -1)
        self.checked_ms = self._clock()

    async def _read_redis(self, spaces: Iterable[Space], *, postgres_answers: bool = False) -> None:
        """Read the epochs, and raise the catalog version in Redis where it is older than ours.

        An epoch is adopted only if Postgres has the same one and the log reaches as far as it must.
        """
        spaces = list(spaces)
        try:
            async with self._redis.raw.pipeline(transaction=False) as pipeline:
                for space in spaces:
                    pipeline.hmget(space.keys.meta, ["epoch", "catalog", "last", "position"])
                found = await pipeline.execute(raise_on_error=False)
            for space, reply in zip(spaces, found, strict=True):
                if isinstance(reply, REDIS_AWAY):
                    return
                if isinstance(reply, Exception):
                    self._log_broken(space.public_id, "Redis", reply)
                    space.epoch = None  # the key has another type, so nothing can be written
                    continue
                epoch, version, last, trimmed = reply
                try:
                    await self._read_epoch(space, *map(_text, (epoch, last, trimmed)), ask=postgres_answers)
                    if space.epoch is not None and int(version or 0) < space.index.version:
                        await self._redis.call("catalog", space.keys.meta, space.epoch, space.index.version)
                except ResponseError as error:
                    self._log_broken(space.public_id, "Redis", error)
                else:
                    self._broken.discard((space.public_id, "Redis"))
        except (*REDIS_AWAY, Unavailable):
            # Requests that need Redis are answered with 503 meanwhile. The next poll reads again.
            return

    def _log_broken(self, public_id: str, store_: str, error: Exception) -> None:
        if (public_id, store_) not in self._broken:
            self._broken.add((public_id, store_))
            log.error("space_unreadable", space=public_id, store=store_, exc_info=error)

    async def _read_epoch(self, space: Space, epoch: str, last: str, trimmed: str, *, ask: bool) -> None:
        """Adopt the epoch of Redis if its log continues what is known of it.

        ``last`` and ``trimmed`` are the ids up to which Redis has its log, and up to which it was trimmed. With
        ``ask`` Postgres may be queried again.
        """
        position = self._positions.get(space.id)
        if not epoch:
            space.epoch = None
            # Commits, which would announce the space, are impossible. Without an announcement a worker would only
            # look at it on its next round.
            await self._redis.raw.publish(ANNOUNCE, space.public_id)
            return
        if position is None or position.epoch != epoch:
            if ask:
                await self._compare(space)
            elif space.epoch != epoch:
                # Either a rebuild has just ended, or Redis is an old copy. Only Postgres can tell.
                space.epoch = None
            return
        space.note_log_id(*position)
        held = space.log_id(epoch)
        if (
            last
            and log_order(last) < log_order(held)
            and not await continuity.reaches(self._redis, space, epoch, held)
        ):
            await self.close(space, epoch, "behind")
            return
        if ask and trimmed and log_order(trimmed) > log_order(position.log_id):
            # Usually a flusher was at work between the two reads. Otherwise Postgres is an older copy.
            await self._compare(space)
            return
        space.epoch = epoch
        if last:
            space.note_log_id(epoch, last)

    async def _compare(self, space: Space) -> None:
        """Adopt the epoch of Redis if it continues what Postgres holds; otherwise have a worker rebuild the
        space."""
        found = await continuity.compare(self.pool, self._redis, space)
        if found.position is not None:
            self._positions[space.id] = found.position
        if found.position is not None and found.broken is None:
            space.note_log_id(*found.position)
            space.epoch = found.position.epoch
        elif found.epoch and found.broken is not None:
            await self.close(space, found.epoch, found.broken)
        else:
            space.epoch = None
            await self._redis.raw.publish(ANNOUNCE, space.public_id)

    async def close(self, space: Space, epoch: str, reason: continuity.Reason) -> None:
        """Have all commits refused until a worker has rebuilt the space, because its Redis doesn't continue
        Postgres."""
        space.epoch = None
        if await continuity.close(self._redis, space, epoch, reason):
            log.error("redis_went_back", space=space.public_id, reason=reason, epoch=epoch)

    async def _poll(self) -> None:
        failing = False
        while True:
            try:
                await self.refresh()
                failing = False
            except Exception as error:
                # Any error: without this loop the process would never learn of changes again.
                if not failing:
                    expected = isinstance(error, Unavailable | asyncpg.PostgresError | RedisError)
                    log.warning("directory_refresh_failed", error=str(error), exc_info=not expected)
                failing = True
            _heed_cancellation()
            try:
                async with asyncio.timeout(POLL_S):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                # The poll covers the gap and warns if Postgres itself is away.
                log.debug("directory_listen_lost", error=str(error))
            await asyncio.sleep(POLL_S)

    async def _listen_once(self) -> None:
        connection = await asyncpg.connect(
            self._direct_url,
            timeout=CONNECT_TIMEOUT_S,
            server_settings={"application_name": "podium listen"},
        )
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(store.CHANNEL, lambda *_: self._changed.set())
            # Notifications between the last poll and now were missed, so poll at once.
            self._changed.set()
            _heed_cancellation()
            await lost.wait()
        finally:
            connection.terminate()


def _heed_cancellation() -> None:
    # asyncio.wait_for, which drivers use, swallows a cancellation that comes as its wait ends (before 3.12).
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _text(value: bytes | None) -> str:
    return value.decode() if value is not None else ""


async def _replace(space: Space, catalog: Catalog) -> None:
    """Make a space use a catalog, unless it knows a newer one."""
    if catalog.version > space.index.version:
        index = await _indexed(catalog)
        if catalog.version > space.index.version:  # again, since another task may have replaced it meanwhile
            catalog, space.index = space.index.catalog, index
        del index
    # Free the older version in steps: it may have 100,000 boosts, which take 20 ms.
    held = list(catalog.boosts)
    del catalog
    while len(held) > store.ITEMS_AT_ONCE:
        await asyncio.sleep(0)
        del held[-store.ITEMS_AT_ONCE :]


async def _indexed(catalog: Catalog) -> CatalogIndex:
    """Return the index of a catalog. A large one is built in a thread, so that the event loop isn't blocked."""
    if sum(len(kind.of(catalog)) for kind in KINDS) <= store.ITEMS_AT_ONCE:
        return CatalogIndex(catalog)
    return await asyncio.to_thread(CatalogIndex, catalog)
