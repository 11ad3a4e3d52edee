"""Moderation: remove users from a leaderboard, undo or correct events, explain a score
(docs/http-api.md#moderation)."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.game.errors import Conflict, NotFound, Unavailable, Unprocessable
from podium.game.inputs import Correction, RemoveStanding, units_of
from podium.game.leaderboards.model import Leaderboard, Standing
from podium.game.leaderboards.ranking import split_board
from podium.game.leaderboards.rules import rescored
from podium.game.leaderboards.runs import is_final, named_run, run_name, select_run
from podium.game.periods import iso, local_time, zone
from podium.game.state import UserState, decode_state
from podium.http import bodies, params
from podium.http.answers import answer
from podium.http.audit import auditing
from podium.http.auth import principal
from podium.http.catalog_resource import check_uuid
from podium.http.endpoints import Endpoint, Query
from podium.http.services import Services, services
from podium.http.users import snapshot_of
from podium.spaces.audit import Entry
from podium.spaces.space import Space
from podium.storage.postgres.pool import PoolConnection, acquired

if TYPE_CHECKING:  # leaderboards import no other feature
    from podium.game.metrics.model import Metric

USERS_MAX = 100
"""Most users of one request."""
EVENTS_MAX = 1_000
"""Most events of one answer."""
PATIENCE_S, LOOK_S = 5.0, 0.1
"""Seconds to wait for an event that was just posted, and between two looks (docs/http-api.md#moderation)."""
TRIES = 5
"""Attempts at a correction. One fails if another event of the user is committed meanwhile."""


class RemovedUsers(msgspec.Struct, frozen=True):
    """Users who were removed from the leaderboard, users who were let in again, and unknown users."""

    removed: list[str]
    unknown: list[str]
    unblocked: list[str] = []


class ScoreEvent(msgspec.Struct, frozen=True, rename="camel"):
    """An event that counts in a score. ``corrects`` names the event that it undoes or corrects."""

    id: str
    value: float
    at: str
    corrects: str | msgspec.UnsetType = msgspec.UNSET


class Corrected(msgspec.Struct, frozen=True):
    """The event that was undone or corrected, and its user."""

    id: str
    users: list[str]


class NewValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The value that the event should have had."""

    value: float


async def delete_users(request: Request) -> Response:
    """``DELETE /admin/v1/leaderboards/{id}/users``."""
    parts, space = services(request), principal(request).space
    board = by_id(request)
    users = params.exact_ids(request, "ids", USERS_MAX)
    asked = params.day(request, "run")
    block = params.boolean(request, "block") if "block" in request.query_params else None
    run = None if asked is None else select_run(board, asked, asked)
    if run is not None and is_final(board, run):
        raise Unprocessable("run is final: it can't be changed any more")
    name = None if run is None else run_name(board, run)
    done, unknown = [], []
    for user in users:
        ids.check_id("ids", user)
    async with auditing(request) as entries:
        for user in users:
            try:
                await parts.commit(space, RemoveStanding(user, board.number, name, parts.clock(), block))
                what = {"leaderboard": board.key, "run": name, "block": block}
                entries.append(Entry("unblock" if block is False else "remove", "standing", user, None, what))
                done.append(user)
            except NotFound:
                unknown.append(user)
    return answer(RemovedUsers([], unknown, done) if block is False else RemovedUsers(done, unknown))


async def get_events(request: Request) -> Response:
    """``GET /admin/v1/leaderboards/{id}/users/{userId}/events``."""
    parts, space = services(request), principal(request).space
    board = by_id(request)
    user = ids.check_id("userId", request.path_params["userId"])
    today = local_time(parts.clock(), space.index.home).date()
    run = select_run(board, params.day(request, "run"), today)
    limit = params.integer(request, "limit", 100, 1, EVENTS_MAX)
    metric = space.index.metric_by_id.get(board.metric_id or "")
    if metric is None:
        raise Unprocessable("Only a leaderboard by a metric is made of events")
    async with snapshot_of(request, user) as (connection, _):
        rows = await connection.fetch(
            "SELECT id, units, at_ms, corrects FROM events"
            " WHERE space_id = $1 AND user_id = $2 AND metric = $3 AND day BETWEEN $4 AND $5"
            " AND NOT (late AND $6) ORDER BY at_ms DESC, id DESC LIMIT $7",
            space.id,
            user,
            metric.number,
            run.start,
            run.end or date.max,
            board.run_unit is not None,
            limit,
        )
    return answer(
        [
            ScoreEvent(
                str(row["id"]),
                metric.value(row["units"]),
                iso(row["at_ms"]),
                msgspec.UNSET if row["corrects"] is None else str(row["corrects"]),
            )
            for row in rows
        ]
    )


async def delete_event(request: Request) -> Response:
    """``DELETE /admin/v1/events/{id}``."""
    return await _correct(request, None)


async def patch_event(request: Request) -> Response:
    """``PATCH /admin/v1/events/{id}``."""
    return await _correct(request, (await bodies.read(request, _new_value)).value)


_new_value = msgspec.json.Decoder(NewValue)


async def _correct(request: Request, value: float | None) -> Response:
    parts, space = services(request), principal(request).space
    id_ = check_uuid("id", request.path_params["id"])
    event = await read_event(parts, space, id_)
    user, metric = event["user_id"], metric_of(space, event)
    for _ in range(TRIES):
        found = await settled_event(parts, space, event)
        counted = found.counted
        if counted is None:
            raise NotFound("Event not found by ID: it was deleted")
        counts = None if value is None else units_of(metric, value)
        async with acquired(parts.pool) as connection:
            standings = await _reread(connection, space, event, found.state, counts)
        command = correction(event, counted, counts, parts.clock(), found.token, standings)
        try:
            async with auditing(request) as entries:
                state = await parts.commit(space, command)
                of = {"userId": user, "metric": metric.key}
                total = state.totals.get(metric.number, 0)
                was = {"value": metric.value(counted), "total": metric.value(total - command.units)}
                now = {"value": None if counts is None else metric.value(counts), "total": metric.value(total)}
                action = "delete" if counts is None else "update"
                entries.append(Entry(action, "event", id_, {**of, **was}, {**of, **now}))
            return answer(Corrected(id_, [user]))
        except Conflict:
            continue
    raise Unavailable("the user's score keeps changing, try again")


class SettledEvent(NamedTuple):
    """An event, and its user's state and token, once Postgres holds everything that was acknowledged.

    The units that the event counts now are whole units, None if it was deleted. ``corrected`` is True if they
    differ from those that it came with.
    """

    token: str
    state: UserState
    counted: int | None
    corrected: bool


def metric_of(space: Space, event: Any) -> Metric:
    """Return the metric of an event's row.

    Raises:
        Unprocessable: The metric has been deleted.
    """
    metric = space.index.metric_by_number.get(event["metric"])
    if metric is None:
        raise Unprocessable("the event's metric has been deleted")
    return metric


def correction(
    event: Any, counted: int, counts: int | None, now_ms: int, token: str, standings: dict[str, Standing | None]
) -> Correction:
    """Return the command that changes an event from ``counted`` units to ``counts``, or undoes it if that is
    None."""
    return Correction(
        id=ids.new_uuid7(now_ms),
        user=event["user_id"],
        metric=event["metric"],
        units=(counts or 0) - counted,
        at_ms=event["at_ms"],
        day=event["day"],
        late=event["late"],
        behind=event["late"] or event["behind"],  # an earlier release knew late ones only
        corrects=str(event["id"]),
        received_ms=now_ms,
        standings=standings,
        read_at=token,
        attributes=event["attributes"],
    )


async def read_event(parts: Services, space: Space, id_: str) -> Any:
    """Return the row of an event. An event that was just posted is waited for.

    Raises:
        NotFound: There is none.
    """
    waited_s = 0.0
    while True:
        # The log is looked at before Postgres. In the other order an entry that is flushed and trimmed in between
        # would be seen in neither.
        flushed = not await parts.redis.call("newest", space.keys.meta)
        async with acquired(parts.pool) as connection:
            row = await connection.fetchrow(
                "SELECT id, user_id, metric, at_ms, day, late, behind, corrects, attributes FROM events"
                " WHERE space_id = $1 AND id = $2",
                space.id,
                id_,
            )
        if row is not None and row["corrects"] is None and row["day"] is not None:
            return row
        if row is not None or waited_s >= PATIENCE_S or flushed:
            raise NotFound("Event not found by ID")
        await asyncio.sleep(LOOK_S)
        waited_s += LOOK_S


async def settled_event(parts: Services, space: Space, event: Any) -> SettledEvent:
    """Return what an event counts in its user's newest state, waiting until Postgres holds all of that state.

    Raises:
        Unavailable: Postgres is too far behind.
    """
    waited_s = 0.0
    while True:
        async with acquired(parts.pool) as connection:
            user = await connection.fetchrow(
                "SELECT token, state FROM users WHERE space_id = $1 AND id = $2", space.id, event["user_id"]
            )
            rows = await connection.fetch(
                "SELECT units, corrects IS NOT NULL AS correction FROM events"
                " WHERE space_id = $1 AND user_id = $2 AND metric = $3 AND at_ms = $4"
                " AND (id = $5 OR corrects = $5)",
                space.id,
                event["user_id"],
                event["metric"],
                event["at_ms"],
                event["id"],
            )
        loaded = await parts.redis.call("load", space.keys.meta, space.epoch or "", event["user_id"])
        cold = loaded[0] == 0 and loaded[1][0] == b"cold"
        token = loaded[1][0].decode() if loaded[0] == 0 else ""
        if cold:
            await parts.thaw(space, [event["user_id"]])
        elif user is not None and token == user["token"]:
            units = sum(row["units"] for row in rows)
            corrected = any(row["correction"] for row in rows)
            counted = None if corrected and units == 0 else units
            return SettledEvent(token, decode_state(user["state"]), counted, corrected)
        if waited_s >= PATIENCE_S:
            raise Unavailable("the user's events are on their way to Postgres, try again")
        await asyncio.sleep(LOOK_S)
        waited_s += LOOK_S


async def _reread(
    connection: PoolConnection, space: Space, event: Any, state: UserState, counts: int | None
) -> dict[str, Standing | None]:
    """Return the user's standings on boards by best or last score if the event counts ``counts`` units.

    Such a score can't be corrected by a difference, so the user's events are read again.
    """
    metric, tz = event["metric"], zone(state.profile.tz)
    standings: dict[str, Standing | None] = {}
    for open_board in space.index.open_boards(metric, event["day"]):
        leaderboard, name, _, window = open_board
        if leaderboard.scoring == "sum":
            continue
        run = named_run(leaderboard, split_board(name).run)
        rows = await connection.fetch(
            "SELECT coalesce(corrects, id) AS event, sum(units)::bigint, min(at_ms), count(corrects) FROM events"
            " WHERE space_id = $1 AND user_id = $2 AND metric = $3 AND day BETWEEN $4 AND $5 AND NOT (late AND $6)"
            " GROUP BY 1 ORDER BY 3, 1",
            space.id,
            event["user_id"],
            metric,
            run.start,
            run.end or date.max,
            leaderboard.run_unit is not None,
        )
        scores = []
        for id_, units, at_ms, corrections in rows:
            if id_ == event["id"]:
                units = counts
            elif corrections and not units:
                units = None  # deleted
            if units is not None and (window is None or window.holds(local_time(at_ms, tz).time())):
                scores.append((at_ms, units))
        standings[name] = rescored(leaderboard, scores)
    return standings


def by_id(request: Request) -> Leaderboard:
    """Return the leaderboard of the path's ``id``.

    Raises:
        NotFound: There is none.
    """
    wanted = check_uuid("id", request.path_params["id"])
    for board in principal(request).space.index.catalog.leaderboards:
        if board.id == wanted:
            return board
    raise NotFound("Leaderboard not found by ID")


_RUN = Query("run", "Any day of the run.", {"type": "string", "format": "date"})

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="DELETE",
        path="/admin/v1/leaderboards/{id}/users",
        summary="Remove users from a leaderboard",
        tag="Admin: leaderboards",
        needs="admin",
        statuses=(200, 400, 404, 422, 503),
        handler=delete_users,
        answer=RemovedUsers,
        query=(
            Query("ids", "1 to 100 user ids, repeated: a comma is part of an id.", required=True),
            _RUN,
            Query(
                "block",
                "true also bars the users from then on; without it their next event brings them back. false "
                "removes "
                "nobody: it lets barred users in again.",
                {"type": "boolean"},
            ),
        ),
        description="Deletes their scores on it; their metrics stay. With `run` only in that run. Final runs "
        "stay.",
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/leaderboards/{id}/users/{userId}/events",
        shows="user",
        summary="List the events of a score",
        tag="Admin: leaderboards",
        needs="admin",
        statuses=(200, 400, 404, 422, 503),
        handler=get_events,
        answer=list[ScoreEvent],
        query=(
            _RUN,
            Query("limit", "Events.", {"type": "integer", "minimum": 1, "maximum": EVENTS_MAX, "default": 100}),
        ),
        description="The user's events of the metric in the run, the newest first.",
    ),
    Endpoint(
        method="DELETE",
        path="/admin/v1/events/{id}",
        summary="Undo an event",
        tag="Admin: events",
        needs="admin",
        statuses=(200, 404, 422, 503),
        handler=delete_event,
        answer=Corrected,
        description="Adds an event with the negative value at the same time. The metric, all boards and viewers "
        "follow; final runs stay as they are. An event that was just posted is waited for, up to 5 s.",
    ),
    Endpoint(
        method="PATCH",
        path="/admin/v1/events/{id}",
        summary="Correct an event's value",
        tag="Admin: events",
        needs="admin",
        statuses=(200, 400, 404, 413, 422, 503),
        handler=patch_event,
        body=NewValue,
        answer=Corrected,
        description="Adds an event with the difference at the same time. Otherwise like undoing an event.",
    ),
]
