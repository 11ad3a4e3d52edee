"""``DELETE /admin/v1/users``: erase all data of users (docs/http-api.md#erasing-users)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.game.errors import NotFound, RequestError
from podium.game.inputs import Erase
from podium.http import params
from podium.http.answers import answer
from podium.http.audit import auditing
from podium.http.auth import principal
from podium.http.catalog_resource import Deleted, DeletedItem, Issue
from podium.http.endpoints import Endpoint, Query
from podium.http.services import Services, services
from podium.spaces import audit
from podium.spaces.audit import Entry, erased_name
from podium.spaces.catalog_store import editing
from podium.spaces.item_kinds import BOOST
from podium.spaces.space import Principal, Space
from podium.spaces.states import read_state
from podium.spaces.store import announce
from podium.storage.postgres.pool import PoolConnection, acquired
from podium.telemetry import set_aside

USERS_MAX = 100
"""Most users of one request."""

_HAS_BOOSTS = """
SELECT EXISTS (SELECT FROM catalog_items WHERE space_id = $1 AND kind = 'points boost' AND archived_at IS NULL
    AND body ->> 'userId' = $2)
"""
_BOOSTS = "DELETE FROM catalog_items WHERE space_id = $1 AND kind = 'points boost' AND body ->> 'userId' = $2"
_VERSIONS = """
UPDATE catalog_versions SET catalog = jsonb_set(catalog, '{boosts}', coalesce((
    SELECT jsonb_agg(boost) FROM jsonb_array_elements(catalog -> 'boosts') AS boost
    WHERE boost ->> 'userId' IS DISTINCT FROM $2), '[]'))
WHERE space_id = $1
    AND catalog @> jsonb_build_object('boosts', jsonb_build_array(jsonb_build_object('userId', $2::text)))
"""
# Audit rows that earlier releases wrote for a key revoked at the command line have the key's name, not the user's
# id.
_KEY_NAMES = """
UPDATE audit_log SET before = NULL, after = NULL
WHERE space_id = $1 AND before ->> 'name' = 'application key of ' || $2
"""
_KEYS = "DELETE FROM api_keys WHERE space_id = $1 AND user_id = $2"


async def delete_users(request: Request) -> Response:
    """``DELETE /admin/v1/users``."""
    parts, who = services(request), principal(request)
    deleted: list[DeletedItem] = []
    issues: list[Issue] = []
    async with auditing(request) as entries:
        for user in params.exact_ids(request, "ids", USERS_MAX):
            try:
                await erase_user(parts, who, ids.check_id("ids", user))
                entries.append(Entry("erase", "user", erased_name(user)))
                deleted.append(DeletedItem(user))
            except RequestError as error:
                message, named = ids.printable(error.message), ids.printable(user)
                issues.append(Issue("error", message, id=named))
    return answer(Deleted(deleted, issues))


async def erase_user(parts: Services, who: Principal, user: str) -> None:
    """Erase a user from boards, states, history, keys, boosts and the audit log.

    Postgres follows through the log, as for any event: usually within 0.2 s. Reads that name the user wait for it.

    Raises:
        NotFound: Nothing is stored about the user.
    """
    space = who.space
    known = await read_state(parts.redis, parts.pool, space, user) is not None
    # Keys are deleted first: an event posted with one of them would create the user again.
    await _drop_boosts(parts, who, user)
    async with acquired(parts.pool) as connection, connection.transaction():
        forgotten = await _forget(connection, space, user)
    if known:
        await parts.commit(space, Erase(user, parts.clock()))
        await parts.redis.delete(space.keys.undo(user))
        await set_aside.forget_user(parts.redis, space, user)
    elif not forgotten:
        raise NotFound(f"User not found: {ids.printable(user)}")


async def _drop_boosts(parts: Services, who: Principal, user: str) -> None:
    # Postgres is asked, since another process may have created one just now.
    async with acquired(parts.pool) as connection:
        if not await connection.fetchval(_HAS_BOOSTS, who.space.id, user):
            return
    async with editing(parts.directory, who.space, who) as editor:
        editor.archive_all(BOOST, [one for one in BOOST.of(editor.catalog) if one.user_id == user])


async def _forget(connection: PoolConnection, space: Space, user: str) -> bool:
    """Delete the user's data outside the tables that the flusher writes. Return whether there was any."""
    done = [await connection.execute(statement, space.id, user) for statement in (_KEYS, _BOOSTS, _KEY_NAMES)]
    if not done[1].endswith(
        " 0"
    ):  # without an item no version has a boost of the user: archived boosts stay items
        await connection.execute(_VERSIONS, space.id, user)
    forgotten = await audit.forget(connection, space.id, user)
    await announce(connection)
    return forgotten or any(not status.endswith(" 0") for status in done)


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="DELETE",
        path="/admin/v1/users",
        summary="Erase users",
        tag="Admin: users",
        needs="admin",
        statuses=(200, 422, 503),
        handler=delete_users,
        answer=Deleted,
        query=(
            Query("ids", "1 to 100 ids, each in a parameter of its own: a comma is part of an id.", required=True),
        ),
        description="Deletes all data of the users: their places on all leaderboards (final ones too), their "
        "history, "
        "application keys and boosts. The audit log keeps the SHA-256 of the id. A later event creates a new "
        "user. "
        "Reads that name the user see the deletion at once; lists of final standings usually within 0.2 s.",
    ),
]
