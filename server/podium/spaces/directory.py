"""What this process knows of spaces, keys and catalogs, and how it hears of changes
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
from podium.storage.redis.keys import ANNOUNCE

POLL_S = 1.0
"""A change that no notification told of is found after at most this long."""
USES_S = 30.0
"""Pause between two times at which the last uses of keys are written down."""

log = structlog.get_logger(__name__)


class Directory:
    """The spaces by public id, and who may enter.

    Reads never fail: while Postgres or Redis is away, the last that was read stays. ``checked_ms`` is when
    Postgres last answered, None before the first ``refresh``. With ``multi_tenancy`` every request names a tenant.
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
        """Spaces, by id, whose new catalog this process is about to adopt: it need not read it."""
        self.multi_tenancy = False
        self._tenants: dict[tuple[str, str], Space] = {}
        self._used: dict[str, int] = {}
        self._broken: set[tuple[str, str]] = set()
        """Spaces that could not be read, by public id, and from which store."""
        self._refreshing = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def production(self) -> Space:
        """The oldest production space; ``Unavailable`` while none is known."""
        for space in self.spaces.values():
            if space.environment == "production":
                return space
        raise Unavailable("there is no space yet")

    def authenticate(self, key: str | None) -> Principal:
        """Whose key this is; ``Unauthorized`` if it is none, unknown or revoked. ``Unavailable`` while no keys
        have been read: a good one can't be told from a bad one."""
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
        """Whether a key of this id is still good."""
        return id_ in self._key_ids

    def any_admin_key(self, space: Space) -> str:
        """The id of an admin key of a space; ``Unavailable`` where none is known."""
        for principal in self._principals.values():
            if principal.space is space and "admin" in principal.capabilities:
                return principal.key_id
        raise Unavailable("there is no admin key yet")

    def enter(self, key: str | None, tenant: str | None, *, own: bool = False) -> Principal:
        """Whose key this is; with ``multi_tenancy`` in the space of a tenant, named by its customer id. Who names
        none is let into the key's ``own`` space where that is asked for.

        Besides what ``authenticate`` raises: ``Unprocessable`` without a tenant that is known, ``Forbidden`` for
        one that is archived, and for a key of a user whom no tenant has.
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
        """Whose key this is, for what belongs to a whole environment: ``Forbidden`` for a tenant's own key."""
        found = self.authenticate(key)
        if found.space.tenant != NO_TENANT:
            raise Forbidden("This key is one tenant's: it may not do this for the environment")
        return found

    async def refresh(self) -> None:
        """Read what changed: spaces, keys, newer catalogs, epochs.

        ``Unavailable`` where Postgres is away; the epochs have been read nevertheless.
        """
        async with self._refreshing:
            answered = False
            try:
                await self._read_postgres()
                answered = True
            finally:
                await self._read_redis(self.spaces.values(), postgres_answers=answered)

    async def refresh_space(self, space: Space) -> None:
        """Read the newest catalog of one space, and compare its Redis with Postgres: ``epoch`` is None afterwards
        where a worker must rebuild it first. ``Unavailable`` where a store is away."""
        async with acquired(self.pool) as connection:
            catalog = await store.load_catalog(connection, space.id)
        await _replace(space, catalog)
        await self._compare(space)
        if space.epoch is not None:
            await self._redis.call("catalog", space.keys.meta, space.epoch, space.index.version)

    async def adopt(self, space: Space, catalog: Catalog) -> None:
        """Use a catalog that was committed, unless a newer one is known, and have Redis refuse older ones."""
        await _replace(space, catalog)
        try:
            await self._read_redis([space])
        except RedisError as error:
            # The catalog is committed, which is what the caller promised; the next poll tries again.
            log.warning("directory_epoch_failed", space=space.public_id, error=str(error))

    async def watch(self) -> None:
        """Keep up to date until cancelled: at once when notified, else within ``POLL_S``."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="directory-listen")
            group.create_task(self._poll(), name="directory-poll")
            group.create_task(self._write_uses(), name="directory-uses")

    async def note_uses(self) -> None:
        """Have Postgres know when keys were last used. ``Unavailable`` where it is away; nothing is forgotten."""
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
            # Keys before spaces: whose space is made between the two would not be known, and not be read again.
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
                    # Of this space alone: the others, and the keys, are read nevertheless.
                    self._tell_broken(row.public_id, "Postgres", error)
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
                # A space that could not be read has keys that are read again once it can be.
                self._keys_version = version if all(key.space_id in self._by_id for key in keys) else (-1, -1)
        self.checked_ms = self._clock()

    async def _read_redis(self, spaces: Iterable[Space], *, postgres_answers: bool = False) -> None:
        """Read the epochs, and raise the catalog version where Redis has not heard of ours.

        An epoch is believed only if Postgres has the same one, and the log ends where it must.
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
                    self._tell_broken(space.public_id, "Redis", reply)
                    space.epoch = None  # its key is not what it should be: nobody can write there
                    continue
                epoch, version, last, trimmed = reply
                try:
                    await self._read_epoch(space, *map(_text, (epoch, last, trimmed)), ask=postgres_answers)
                    if space.epoch is not None and int(version or 0) < space.index.version:
                        await self._redis.call("catalog", space.keys.meta, space.epoch, space.index.version)
                except ResponseError as error:
                    self._tell_broken(space.public_id, "Redis", error)
                else:
                    self._broken.discard((space.public_id, "Redis"))
        except (*REDIS_AWAY, Unavailable):
            # Whoever needs Redis now says so with a 503; the next poll reads again.
            return

    def _tell_broken(self, public_id: str, store_: str, error: Exception) -> None:
        if (public_id, store_) not in self._broken:
            self._broken.add((public_id, store_))
            log.error("space_unreadable", space=public_id, store=store_, exc_info=error)

    async def _read_epoch(self, space: Space, epoch: str, last: str, trimmed: str, *, ask: bool) -> None:
        """Take over the epoch of Redis, where it continues what is known of it. ``last`` and ``trimmed``: up to
        where Redis says that its log goes, and is trimmed; with ``ask`` Postgres may be asked again."""
        position = self._positions.get(space.id)
        if not epoch:
            space.epoch = None
            # Nobody can commit, and so announce it: a worker that has nothing to flush would only look at its next
            # visit.
            await self._redis.raw.publish(ANNOUNCE, space.public_id)
            return
        if position is None or position.epoch != epoch:
            if ask:
                await self._compare(space)
            elif space.epoch != epoch:
                # A rebuild that has just ended, or an old copy: only Postgres can tell.
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
            # As a rule a flusher was at work between the two reads; else Postgres is an older copy.
            await self._compare(space)
            return
        space.epoch = epoch
        if last:
            space.note_log_id(epoch, last)

    async def _compare(self, space: Space) -> None:
        """Take over the epoch of Redis if it continues what Postgres holds; otherwise have a worker rebuild it."""
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
        """Have everybody refused until a worker has rebuilt the space: its Redis doesn't continue."""
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
                # Whatever it is: a watch that ended would leave this process blind.
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
            # What was announced between the last poll and now went unheard.
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
    """Have a space use a catalog, unless it knows a newer one."""
    if catalog.version > space.index.version:
        index = await _indexed(catalog)
        if catalog.version > space.index.version:  # nobody was quicker
            catalog, space.index = space.index.catalog, index
        del index
    # Of the two versions one goes. There may be 100,000 boosts, which take 20 ms to free.
    held = list(catalog.boosts)
    del catalog
    while len(held) > store.ITEMS_AT_ONCE:
        await asyncio.sleep(0)
        del held[-store.ITEMS_AT_ONCE :]


async def _indexed(catalog: Catalog) -> CatalogIndex:
    """The look-ups of a catalog. Those of a large one are made in a thread: events and live go on meanwhile."""
    if sum(len(kind.of(catalog)) for kind in KINDS) <= store.ITEMS_AT_ONCE:
        return CatalogIndex(catalog)
    return await asyncio.to_thread(CatalogIndex, catalog)
