"""The only writer of catalog items. Every change comes with a version, audit rows and a notification."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any, Literal, NamedTuple

import msgspec

from podium.game.board_limits import check_moves
from podium.game.catalog import Catalog
from podium.game.rule_limits import check_achievements, check_triggers
from podium.spaces import audit, store
from podium.spaces.audit import Entry
from podium.spaces.directory import Directory
from podium.spaces.item_kinds import ACHIEVEMENT, LEADERBOARD, SETTINGS, STREAKS, TRIGGER, Item, Kind, T, scope
from podium.spaces.space import Principal, Space
from podium.storage.postgres.pool import PoolConnection, acquired

_MOVING = frozenset((LEADERBOARD.name, TRIGGER.name, STREAKS.name))
"""Kinds of items by which an event may move more boards."""

CHANGES_AT_ONCE = 500
"""Changes that are encoded for Postgres before other tasks have their turn: about 5 ms."""


class Change(NamedTuple):
    """A change of one item. ``item`` is its present value, or the last one.

    ``before`` is None for a new item, ``after`` for an archived one.
    """

    action: Literal["create", "update", "delete"]
    kind: str
    item: Item
    before: Item | None
    after: Item | None


class Editor:
    """A catalog that is being changed, in memory. ``editing`` stores the changes when its block ends."""

    def __init__(self, catalog: Catalog, next_number: int) -> None:
        self.catalog = catalog
        """The catalog with the changes so far."""
        self.next_number = next_number
        self.changes: list[Change] = []
        self.checks_moves = True
        """True to refuse changes after which an event could move too many boards (game/board_limits.py) or look at
        too many rules (game/rule_limits.py)."""

    def take_number(self) -> int:
        """Return the number of a new item, the next one of the space."""
        self.next_number += 1
        return self.next_number - 1

    def get(self, kind: Kind[T], id_: str) -> T | None:
        """Return the item with that id, or None if there is none or it is archived."""
        return next((item for item in kind.of(self.catalog) if item.id == id_), None)

    def insert(self, kind: Kind[T], item: T) -> None:
        """Add a new item.

        Raises:
            Unprocessable: Events could then move too many boards, or look at too many rules.
        """
        self._set(kind, (*kind.of(self.catalog), item))
        self.changes.append(Change("create", kind.name, item, None, item))

    def update(self, kind: Kind[T], before: T, after: T) -> None:
        """Replace an item. An equal one is no change. Raises as ``insert``."""
        if after == before:
            return
        items, place = kind.of(self.catalog), self._place(kind, before)
        self._set(kind, (*items[:place], after, *items[place + 1 :]))
        self.changes.append(Change("update", kind.name, after, before, after))

    def archive(self, kind: Kind[T], item: T) -> None:
        """Remove an item from the catalog. Its key can be used again, its number can't."""
        items, place = kind.of(self.catalog), self._place(kind, item)
        self._set(kind, (*items[:place], *items[place + 1 :]))
        self.changes.append(Change("delete", kind.name, item, item, None))

    def archive_all(self, kind: Kind[T], items: Sequence[T]) -> None:
        """Remove several items of a kind from the catalog."""
        gone = {item.id for item in items}
        self._set(kind, tuple(other for other in kind.of(self.catalog) if other.id not in gone))
        self.changes += [Change("delete", kind.name, item, item, None) for item in items]

    def move_home(self, zone: str) -> None:
        """Change the home zone of the space, by its IANA name."""
        self.catalog = msgspec.structs.replace(self.catalog, home_zone=zone)

    def _place(self, kind: Kind[T], item: T) -> int:
        """Return the index of an item among those of its kind, which are sorted by number."""
        items = kind.of(self.catalog)
        place = bisect_left(items, item.number, key=lambda one: one.number)
        while items[place].id != item.id:  # all new items of a preview have the same number
            place += 1
        return place

    def _set(self, kind: Kind[T], items: tuple[T, ...]) -> None:
        changed: dict[str, Any] = {kind.field: items}
        catalog = msgspec.structs.replace(self.catalog, **changed)
        if self.checks_moves and kind.name in _MOVING:
            check_moves(self.catalog, catalog)
        if self.checks_moves and kind.name == TRIGGER.name:
            check_triggers(self.catalog, catalog)
        if self.checks_moves and kind.name == ACHIEVEMENT.name:
            check_achievements(self.catalog, catalog)
        self.catalog = catalog


@asynccontextmanager
async def editing(directory: Directory, space: Space, actor: Principal) -> AsyncIterator[Editor]:
    """Change the catalog of a space, with a lock on it.

    When the block ends with changes, one transaction stores them with audit rows and a new version. Afterwards
    this process and Redis know the new catalog, and other processes are notified. If the block raises, nothing is
    stored.

    Raises:
        Unavailable: Postgres is away.
    """
    try:
        async with acquired(directory.pool) as connection, connection.transaction():
            next_number = await connection.fetchval(
                "SELECT next_number FROM spaces WHERE id = $1 FOR UPDATE", space.id
            )
            catalog = await store.newest_catalog(connection, space)
            editor = Editor(catalog, next_number)
            yield editor
            moved = editor.catalog.home_zone != catalog.home_zone
            if moved:
                zones = [{"homeZone": zone} for zone in (catalog.home_zone, editor.catalog.home_zone)]
                entry = Entry("update", SETTINGS.name, space.public_id, *zones)
                await audit.write(connection, space.id, actor.actor, [entry])
            if changed := moved or bool(editor.changes):
                catalog = msgspec.structs.replace(editor.catalog, version=catalog.version + 1)
                directory.adopting.add(space.id)
                await _store(connection, space, actor, editor, catalog)
        if changed:
            await directory.adopt(space, catalog)
    finally:
        directory.adopting.discard(space.id)


async def _store(
    connection: PoolConnection, space: Space, actor: Principal, editor: Editor, catalog: Catalog
) -> None:
    statements = {
        "create": "INSERT INTO catalog_items (space_id, kind, id, scope, key, body, number)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        "update": "UPDATE catalog_items SET scope = $4, key = $5, body = $6"
        " WHERE space_id = $1 AND kind = $2 AND id = $3",
        "delete": "UPDATE catalog_items SET archived_at = now() WHERE space_id = $1 AND kind = $2 AND id = $3",
    }
    # In the order of the changes, since a key may pass from one item to another. Changes with the same statement
    # go in one call, since round trips cost most.
    for action, alike in groupby(editor.changes, key=lambda change: change.action):
        those = list(alike)
        for first in range(0, len(those), CHANGES_AT_ONCE):
            some = those[first : first + CHANGES_AT_ONCE]
            await connection.executemany(statements[action], [_values(space.id, change) for change in some])
    for first in range(0, len(editor.changes), CHANGES_AT_ONCE):
        entries = [
            Entry(
                change.action,
                change.kind,
                change.item.id,
                msgspec.to_builtins(change.before),
                msgspec.to_builtins(change.after),
            )
            for change in editor.changes[first : first + CHANGES_AT_ONCE]
        ]
        await audit.write(connection, space.id, actor.actor, entries, actor.reason)
    await connection.execute(
        "UPDATE spaces SET catalog_version = $2, next_number = $3, home_zone = $4 WHERE id = $1",
        space.id,
        catalog.version,
        editor.next_number,
        catalog.home_zone,
    )
    await store.insert_version(connection, space.id)
    await store.announce(connection)


def _values(space_id: int, change: Change) -> list[Any]:
    item = change.item
    values: list[Any] = [space_id, change.kind, item.id]
    if change.action != "delete":
        values += [scope(item), item.key, msgspec.to_builtins(item)]
    if change.action == "create":
        values.append(item.number)
    return values
