"""Notices about actions, shown on the user's page for a while, and the data for undoing a restored streak.

The text of a notice is kept in Redis, not in the URL, so that nobody can make the console show a text by a link.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from starlette.requests import Request

from podium.game.streaks.model import Streaks
from podium.http.services import services
from podium.storage.redis.client import AWAY, unavailable

KEPT_S = 300
"""Seconds for which a notice and an undo are kept."""
UNDO_S = 60
"""Seconds for which a restored streak can be undone."""

T = TypeVar("T")


class Notice(msgspec.Struct, frozen=True):
    """The result of an action, in a sentence. With ``undo`` it can be undone until ``until_ms``."""

    text: str
    undo: bool = False
    until_ms: int = 0


class Undo(msgspec.Struct, frozen=True, array_like=True):
    """A user's streaks before and after a restore, which can be undone until an instant (ms)."""

    before: Streaks
    after: Streaks
    until_ms: int


async def keep_notice(request: Request, user: str, notice: Notice) -> str:
    """Keep a notice for this session, and return the URL of the user's page that shows it."""
    id_ = secrets.token_urlsafe(9)
    await _redis(request, "set", _key(request, user, id_), msgspec.json.encode(notice), ex=KEPT_S)
    return f"/console/users/{quote(user, safe='')}?notice={id_}"


async def notice_of(request: Request) -> Notice | None:
    """Return the notice that the query names, None where this session has none for the user."""
    id_ = request.query_params.get("notice")
    if not id_:
        return None
    user = request.path_params["id"]
    notice = await _get(request, _key(request, user, id_), Notice)
    if notice is None or not notice.undo:
        return notice
    undo = await undo_of(request, user)
    if undo is None or services(request).clock() >= undo.until_ms:
        return msgspec.structs.replace(notice, undo=False)
    return msgspec.structs.replace(notice, until_ms=undo.until_ms)


async def keep_undo(request: Request, user: str, before: Streaks, after: Streaks) -> None:
    """Keep the effect of a restore, so that it can be undone."""
    undo = Undo(before, after, services(request).clock() + UNDO_S * 1000)
    await _redis(request, "set", request.state.space.keys.undo(user), msgspec.json.encode(undo), ex=KEPT_S)


async def undo_of(request: Request, user: str) -> Undo | None:
    """Return the kept undo, which may have expired, or None."""
    return await _get(request, request.state.space.keys.undo(user), Undo)


async def drop_undo(request: Request, user: str) -> None:
    """Delete the kept undo."""
    await services(request).redis.delete(request.state.space.keys.undo(user))


def _key(request: Request, user: str, id_: str) -> str:
    """Return the key of a notice: a hash of the session's secret, the user and the id, so it can't be guessed."""
    name = sha256("\n".join((request.state.session.secret, user, id_)).encode()).hexdigest()
    return f"{request.state.space.keys.prefix}notice:{name}"


async def _get(request: Request, key: str, type_: type[T]) -> T | None:
    kept = await _redis(request, "get", key)
    return None if kept is None else msgspec.json.decode(kept, type=type_)


async def _redis(request: Request, command: str, *args: Any, **options: Any) -> Any:
    try:
        return await getattr(services(request).redis.raw, command)(*args, **options)
    except AWAY as error:
        raise unavailable(error) from error
