"""Histories that came out of order: find late events, and replay users' stored events in the order of time."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.game.errors import Unavailable
from podium.game.periods import iso
from podium.game.state import UserState, decode_state
from podium.http.answers import answer
from podium.http.audit import auditing
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.catalog_resource import Issue
from podium.http.endpoints import Endpoint
from podium.http.services import services
from podium.spaces.audit import Entry
from podium.spaces.space import Space
from podium.storage.postgres.pool import acquired

REPLAYED_MAX = 100
"""Most users of one replay."""
ASKED_MAX = 1_000
"""Most users, or events, of one question."""
_LOADED_AT_ONCE = 50
"""States that are read in one Redis call and decoded before other tasks have their turn."""

_Id = Annotated[str, Meta(min_length=1, max_length=ids.ID_MAX)]


class NamedUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user, by id."""

    id: _Id


class ReplayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The users to replay."""

    users: Annotated[list[NamedUser], Meta(min_length=1, max_length=REPLAYED_MAX)]


class Replayed(msgspec.Struct, frozen=True):
    """The users who were replayed, and an issue for each who was not."""

    replayed: list[str]
    issues: list[Issue]


class NewestRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The users whose newest events to look up."""

    users: Annotated[list[_Id], Meta(min_length=1, max_length=ASKED_MAX)]


class NewestEvents(msgspec.Struct, frozen=True):
    """The time of a user's newest event, and of the newest one of each metric, by key."""

    id: str
    newest: str
    metrics: dict[str, str]


class Newest(msgspec.Struct, frozen=True, rename="camel"):
    """Users who have events. ``streakMetrics`` are the keys of the metrics that extend the streak; ``pointsRuns``
    is true if there are repeating leaderboards by points."""

    users: list[NewestEvents]
    streak_metrics: list[str]
    points_runs: bool


class EventKey(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """An event by its metric, its user and its idempotency key."""

    key: str
    user_id: str
    idempotency_key: str


class Known(msgspec.Struct, frozen=True):
    """The indices of the events that are stored."""

    known: list[int]


_replay = msgspec.json.Decoder(ReplayRequest)
_newest = msgspec.json.Decoder(NewestRequest)
_keys = msgspec.json.Decoder(Annotated[list[EventKey], Meta(min_length=1, max_length=ASKED_MAX)])


async def post_replay(request: Request) -> Response:
    """``POST /admin/v1/users/replay``."""
    parts, space = services(request), principal(request).space
    wanted = list(dict.fromkeys(ids.check_id("id", one.id) for one in (await read(request, _replay)).users))
    issues = []
    async with auditing(request) as entries:
        done, problems = await parts.replay(space, wanted)
        for user, problem in problems.items():
            issues.append(Issue("warning", ids.printable(problem), user_id=ids.printable(user)))
        entries += [Entry("replay", "user", user) for user in done]
    return answer(Replayed(done, issues))


async def post_newest(request: Request) -> Response:
    """``POST /admin/v1/users/newest-events``."""
    space = principal(request).space
    wanted = list(dict.fromkeys((await read(request, _newest)).users))
    metrics = space.index.metric_by_number
    users = []
    for start in range(0, len(wanted), _LOADED_AT_ONCE):
        found = await _states(request, space, wanted[start : start + _LOADED_AT_ONCE])
        for user, state in found.items():
            if state.newest_ms:
                of_metrics = {metrics[n].key: iso(state.newest_of(n)) for n in state.totals if n in metrics}
                users.append(NewestEvents(user, iso(state.newest_ms), of_metrics))
        await asyncio.sleep(0)
    streak = [metrics[number].key for number in space.index.streaks.thresholds if number in metrics]
    runs = any(
        board.rank_by == "points" and board.run_unit is not None and board.status == "active"
        for board in space.index.catalog.leaderboards
    )
    return answer(Newest(users, sorted(streak), runs))


async def _states(request: Request, space: Space, users: list[str]) -> dict[str, UserState]:
    """Return the states of the users who exist, as of the last commit."""
    parts = services(request)
    if space.epoch is None:
        raise Unavailable("Redis is being rebuilt")
    reply = await parts.redis.call("load", space.keys.meta, space.epoch, *users)
    if reply[0] != 0:
        raise Unavailable("Redis is being rebuilt")
    found, cold = {}, []
    for user, (token, blob) in zip(users, reply[1:], strict=True):
        if token == b"cold":
            cold.append(user)
        elif token:
            found[user] = decode_state(blob)
    if cold:
        async with acquired(parts.pool) as connection:
            rows = await connection.fetch(
                "SELECT id, state FROM users WHERE space_id = $1 AND id = ANY ($2::text[])", space.id, cold
            )
        found.update((row["id"], decode_state(row["state"])) for row in rows)
    return found


async def post_known(request: Request) -> Response:
    """``POST /admin/v1/metrics/events/known``."""
    space = principal(request).space
    asked = []
    for place, one in enumerate(await read(request, _keys, services(request).settings.batch_limit)):
        user = ids.check_id(f"[{place}].userId", one.user_id)
        key = ids.check_id(f"[{place}].idempotencyKey", one.idempotency_key)
        metric = space.index.metric_by_key.get(one.key)
        if metric is not None:
            asked.append((place, user, metric.number, key))
    places, users, metrics, keys = zip(*asked, strict=True) if asked else ((), (), (), ())
    async with acquired(services(request).pool) as connection:
        rows = await connection.fetch(
            "SELECT place"
            " FROM unnest($2::int[], $3::text[], $4::int[], $5::text[]) AS a (place, user_id, metric, key)"
            " JOIN idempotency_keys k ON k.space_id = $1 AND k.user_id = a.user_id AND k.metric = a.metric"
            "  AND k.key = a.key ORDER BY place",
            space.id,
            places,
            users,
            metrics,
            keys,
        )
    return answer(Known([row["place"] for row in rows]))


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="POST",
        path="/admin/v1/users/replay",
        summary="Replay users' stored events in the order of their time",
        tag="Admin: users",
        needs="admin",
        statuses=(200, 400, 413, 422, 503),
        handler=post_replay,
        body=ReplayRequest,
        answer=Replayed,
        description="1 to 100 users. For history that came out of order: streaks, and runs of leaderboards that "
        "are not final, become as if all events had come in order. Achievements that the streak then reaches are "
        "completed silently; none are taken away. Points for a metric move to the days on which the events in "
        "order "
        "reach the thresholds. Runs that support removed a user from, with a block or without, are not changed, "
        "and "
        "`issues` says so. Users without such events are not changed.",
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/users/newest-events",
        summary="Get the times of users' newest events",
        tag="Admin: users",
        needs="admin",
        statuses=(200, 400, 413, 422, 503),
        handler=post_newest,
        body=NewestRequest,
        answer=Newest,
        description="1 to 1,000 ids; users without events are left out. An event that is more than 7 days older "
        "than the newest one of its metric moves no repeating leaderboard by it.",
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/metrics/events/known",
        summary="Find known idempotency keys",
        tag="Events",
        needs="admin",
        statuses=(200, 400, 413, 422, 503),
        handler=post_known,
        body=list[EventKey],
        answer=Known,
        description="1 to 1,000 keys. An event with a known key is stored already, and posting it again would be "
        "a "
        "replay. Events posted a moment ago may be missing.",
    ),
]
