"""``/admin/v1/streaks``: freezes, pauses, restore and reset
(docs/http-api.md#freezes-pauses-restore-and-reset)."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Literal, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.api.streaks import queries
from podium.game import ids
from podium.game.errors import NotFound, RequestError, Unprocessable
from podium.game.inputs import ChangeStreak
from podium.game.periods import local_day, parse_day, zone
from podium.game.state import UserState
from podium.game.streaks.changes import past_of
from podium.game.streaks.model import Pause
from podium.game.streaks.rules import standing
from podium.http import params
from podium.http.answers import answer
from podium.http.audit import auditing
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.catalog_resource import Deleted, DeletedItem, Issue, check_uuid
from podium.http.date_fields import check_days
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.spaces.audit import Entry
from podium.spaces.space import Space
from podium.spaces.states import read_state
from podium.storage.postgres.pool import acquired

USERS_MAX = 100
"""Most users, or pauses, of one request."""
PAUSE_MAX_DAYS = 10 * 366
"""Most days from the first to the last day of a pause."""
PATIENCE_S, LOOK_S = 5.0, 0.1
"""Seconds to wait for a pause that was just created, and between two looks."""

T = TypeVar("T")


class NamedUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user."""

    id: str


class Users(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """1 to 100 users."""

    users: list[NamedUser]


class NewFreeze(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A freeze for a user."""

    user_id: str


class NewFreezes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """1 to 100 freezes."""

    freezes: list[NewFreeze]


class NewPause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The first and the last day, both inclusive, of a pause of a user's streak; not before the user's today."""

    user_id: str
    start: str
    end: str


class NewPauses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """1 to 100 pauses."""

    pauses: list[NewPause]


class StreakIssue(Issue, frozen=True, kw_only=True, omit_defaults=True):
    """The reason for which a user was not changed. ``level`` and ``reason`` repeat ``severity`` and ``message``:
    the Node SDK reads ``level`` and ``reason``, the Python SDK the others."""

    level: Literal["error", "warning"]
    reason: str


class GivenFreezes(msgspec.Struct, frozen=True):
    """The users who could not be given a freeze."""

    issues: list[StreakIssue]


class PauseRow(msgspec.Struct, frozen=True, rename="camel"):
    """A pause."""

    id: str
    user_id: str
    start: date
    end: date
    status: Literal["active", "archived"] = "active"


class CreatedPauses(msgspec.Struct, frozen=True):
    """The pauses that were created, and the reasons for the others."""

    created: list[PauseRow]
    issues: list[StreakIssue]


class Restored(msgspec.Struct, frozen=True, rename="camel"):
    """The users whose streaks were restored."""

    restored_users: list[str]
    issues: list[StreakIssue]


class Reset(msgspec.Struct, frozen=True, rename="camel"):
    """The users whose streaks were reset to 0."""

    reset_users: list[str]
    issues: list[StreakIssue]


_users = msgspec.json.Decoder(Users)
_freezes = msgspec.json.Decoder(NewFreezes)
_pauses = msgspec.json.Decoder(NewPauses)


async def post_freezes(request: Request) -> Response:
    """``POST /admin/v1/streaks/freezes``."""
    users = [one.user_id for one in _check_count((await read(request, _freezes)).freezes, "freezes")]
    _, issues = await _each(request, users, "freeze")
    return answer(GivenFreezes(issues))


async def post_restore(request: Request) -> Response:
    """``POST /admin/v1/streaks/restore``."""
    users = [one.id for one in _check_count((await read(request, _users)).users, "users")]
    return answer(Restored(*await _each(request, users, "restore")))


async def post_reset(request: Request) -> Response:
    """``POST /admin/v1/streaks/reset``."""
    users = [one.id for one in _check_count((await read(request, _users)).users, "users")]
    return answer(Reset(*await _each(request, users, "reset")))


async def _each(
    request: Request, users: list[str], action: Literal["freeze", "restore", "reset"]
) -> tuple[list[str], list[StreakIssue]]:
    """Commit a command for each user. Return the changed users, and an issue for each of the others."""
    parts, space = services(request), principal(request).space
    done, issues = [], []
    async with auditing(request) as entries:
        for user in users:
            try:
                before = await read_state(parts.redis, parts.pool, space, ids.check_id("id", user))
                now_ms = parts.clock()
                after = await parts.commit(space, ChangeStreak(user, action, now_ms))
                recorded = _audit_value(space, before, now_ms), _audit_value(space, after, now_ms)
                entries.append(Entry(action, "streak", user, *recorded))
                done.append(user)
            except NotFound as error:
                issues.append(_issue("error", error, user))
            except RequestError as error:
                issues.append(_issue("warning", error, user))
    return done, issues


def _issue(
    severity: Literal["error", "warning"], error: RequestError, user: str, index: int | None = None
) -> StreakIssue:
    message = ids.printable(error.message)
    return StreakIssue(
        severity,
        message,
        msgspec.UNSET if index is None else index,
        user_id=ids.printable(user),
        level=severity,
        reason=message,
    )


def _audit_value(space: Space, state: UserState | None, now_ms: int) -> dict[str, int] | None:
    """Return a user's present streak for the audit log."""
    if state is None or state.streaks is None:
        return None
    wanted = space.index.streak_rules(state.wishes, state.profile.tz)
    now = standing(wanted, state.streaks, local_day(now_ms, zone(state.profile.tz)).toordinal())
    return {"length": now.length, "longest": state.streaks.tracks[wanted.track].best, "freezes": now.freezes}


async def post_pauses(request: Request) -> Response:
    """``POST /admin/v1/streaks/pauses``."""
    parts, space = services(request), principal(request).space
    created, issues = [], []
    wanted = _check_count((await read(request, _pauses)).pauses, "pauses")
    async with auditing(request) as entries:
        for at, one in enumerate(wanted):
            try:
                user = ids.check_id("userId", one.user_id)
                start, end = parse_day("start", one.start), parse_day("end", one.end)
                check_pause(start, end)
                pause = Pause(ids.new_uuid7(parts.clock()), start.toordinal(), end.toordinal())
                await parts.commit(space, ChangeStreak(user, "pause", parts.clock(), pause))
                row = PauseRow(pause.id, user, start, end)
                created.append(row)
                entries.append(Entry("pause", "streak", user, None, msgspec.to_builtins(row)))
            except RequestError as error:
                issues.append(_issue("error", error, one.user_id, at))
    return answer(CreatedPauses(created, issues), 201 if created else 200)


def check_pause(start: date, end: date) -> None:
    """Check the days of a pause.

    Raises:
        Unprocessable: The end lies before the start, or too far after it.
    """
    check_days(start, end)
    if (end - start).days > PAUSE_MAX_DAYS:
        raise Unprocessable(f"end must lie at most {PAUSE_MAX_DAYS:,} days after start")


async def delete_pauses(request: Request) -> Response:
    """``DELETE /admin/v1/streaks/pauses``."""
    parts, space = services(request), principal(request).space
    deleted, issues = [], []
    keep_past = params.boolean(request, "keepPast")
    async with auditing(request) as entries:
        for id_ in params.ids(request, "ids", USERS_MAX):
            try:
                pause = Pause(check_uuid("ids", id_), 1, 0)
                user = await _owner(request, pause.id)
                now_ms = parts.clock()
                state = await read_state(parts.redis, parts.pool, space, user)
                before = None if state is None else _pause_of(state, pause.id)
                if keep_past and state is not None and before is not None:
                    today = local_day(now_ms, zone(state.profile.tz)).toordinal()
                    pause = past_of(before, today)
                await parts.commit(space, ChangeStreak(user, "unpause", now_ms, pause))
                deleted.append(DeletedItem(pause.id))
                left = _days(user, pause) if pause.end >= pause.start else None
                entries.append(Entry("unpause", "streak", user, _days(user, before or pause), left))
            except RequestError as error:
                issues.append(Issue("error", ids.printable(error.message), id=ids.printable(id_)))
    return answer(Deleted(deleted, issues))


def _pause_of(state: UserState, id_: str) -> Pause | None:
    return (
        next((one for one in state.streaks.pauses if one.id == id_), None) if state.streaks is not None else None
    )


def _days(user: str, pause: Pause) -> dict[str, str]:
    """Return a pause for the audit log."""
    return {
        "id": pause.id,
        "userId": user,
        "start": date.fromordinal(pause.start).isoformat(),
        "end": date.fromordinal(max(1, pause.end)).isoformat(),
    }


async def _owner(request: Request, id_: str) -> str:
    """Return the user of a pause. A pause that was just created is waited for.

    Raises:
        NotFound: There is no such pause.
    """
    parts, space = services(request), principal(request).space
    waited_s = 0.0
    while True:
        # The log is looked at before Postgres. In the other order an entry that is flushed and trimmed in between
        # would be seen in neither.
        flushed = not await parts.redis.call("newest", space.keys.meta)
        async with acquired(parts.pool) as connection:
            user = await queries.pause_owner(connection, space.id, id_)
        if user is not None:
            return user
        if waited_s >= PATIENCE_S or flushed:
            raise NotFound("Pause not found by ID")
        await asyncio.sleep(LOOK_S)
        waited_s += LOOK_S


def _check_count(items: list[T], field: str) -> list[T]:
    if not 1 <= len(items) <= USERS_MAX:
        raise Unprocessable(f"{field} must hold 1 to {USERS_MAX} items")
    return items


_PATH = "/admin/v1/streaks"
_TAG = "Admin: streaks"
_DONE = (200, 400, 413, 422, 503)

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="POST",
        path=f"{_PATH}/freezes",
        summary="Give users a freeze",
        tag=_TAG,
        needs="admin",
        statuses=_DONE,
        handler=post_freezes,
        body=NewFreezes,
        answer=GivenFreezes,
        description="Users who have `maxCount` freezes already are listed in `issues`.",
    ),
    Endpoint(
        method="POST",
        path=f"{_PATH}/pauses",
        summary="Pause users' streaks",
        tag=_TAG,
        needs="admin",
        statuses=(201, *_DONE),
        handler=post_pauses,
        body=NewPauses,
        answer=CreatedPauses,
        description="A week or month with a paused day counts as paused. Pauses may overlap.",
    ),
    Endpoint(
        method="DELETE",
        path=f"{_PATH}/pauses",
        summary="Delete pauses",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 422, 503),
        handler=delete_pauses,
        answer=Deleted,
        query=(
            Query("ids", "1 to 100 ids: repeated, or joined by commas.", required=True),
            Query(
                "keepPast",
                "true ends a pause that has begun, and keeps its days before today. false removes all of its "
                "days, "
                "so that they no longer save the streak.",
                {"type": "boolean", "default": False},
            ),
        ),
    ),
    Endpoint(
        method="POST",
        path=f"{_PATH}/restore",
        summary="Restore users' lost streaks",
        tag=_TAG,
        needs="admin",
        statuses=_DONE,
        handler=post_restore,
        body=Users,
        answer=Restored,
        description="Restores the longest streak that was lost: a daily one within 90 days, a weekly one since "
        "the "
        "week of 1 January, a monthly one since January of last year. It continues as if the user had been active "
        "up to yesterday.",
    ),
    Endpoint(
        method="POST",
        path=f"{_PATH}/reset",
        summary="End users' streaks",
        tag=_TAG,
        needs="admin",
        statuses=_DONE,
        handler=post_reset,
        body=Users,
        answer=Reset,
    ),
]
