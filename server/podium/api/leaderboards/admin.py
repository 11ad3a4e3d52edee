"""``/admin/v1/leaderboards`` (docs/http-api.md#leaderboard-fields)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, time
from typing import Any

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from podium.api.leaderboards.bodies import (
    CreateLeaderboard,
    LeaderboardRow,
    RewardItem,
    RewardPoints,
    UpdateLeaderboard,
)
from podium.game import ids
from podium.game.catalog import Catalog
from podium.game.errors import NotFound, Unprocessable
from podium.game.leaderboards.model import Leaderboard, LeaderboardStatus, Reward
from podium.game.leaderboards.rules import ShownStatus, status_on
from podium.game.leaderboards.runs import is_final, run_name, run_on
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.catalog_resource import Context, Resource, check_name, check_uuid, editing_catalog, given
from podium.http.date_fields import check_days
from podium.http.endpoints import Endpoint
from podium.http.filters import attribute_key, named, shown
from podium.http.services import services
from podium.jobs.backfill_progress import read_backfills
from podium.spaces.item_kinds import ACHIEVEMENT, ATTRIBUTE, LEADERBOARD, METRIC, POINTS
from podium.storage.postgres.pool import acquired

DESCRIPTION_MAX = 1_000
"""Most characters in a description."""
ENDED_MAX = 100
"""Runs ended by hand whose instants a leaderboard keeps: the newest ones."""

_ONLY_INACTIVE = (
    *(
        "key",
        "rank_by",
        "metric_id",
        "points_system_id",
        "start",
        "run_unit",
        "run_interval",
        "start_time",
        "end_time",
    ),
    *("user_attributes", "breakdown_attributes", "tie_rule", "order", "operator"),
    *("group_by", "aggregate", "aggregate_top", "min_members", "keep_on_leave"),
)
"""Fields that decide how scores are counted, ranked and named. Fixed once the leaderboard was active."""
_UNGROUPED = {"aggregate": "sum", "aggregate_top": 10, "min_members": 1, "keep_on_leave": False}
"""Fields that need ``groupBy``, with their values on leaderboards without it."""
_LATER: dict[str, tuple[Any, ...]] = {"breakdownAttribute": ()}


def _create(context: Context, item: CreateLeaderboard) -> Leaderboard:
    fields = {name: value for name, value in msgspec.structs.asdict(item).items() if value is not None}
    status = fields.pop("status", "inactive")
    _name_sources(context, fields)
    _name_attributes(context, fields)
    fields.setdefault("metric_id", None)
    board = Leaderboard(
        **{
            **fields,
            "id": context.new_id(),
            "number": context.editor.take_number(),
            "start": item.start or context.today,
            "created_ms": context.now_ms,
        }
    )
    return _checked(context, _with_status(context, board, status), fields)


def _update(context: Context, before: Leaderboard, change: UpdateLeaderboard) -> Leaderboard:
    fields = given(change)
    status = fields.pop("status", None)
    _name_sources(context, fields)
    if fields.get("rank_by", before.rank_by) != before.rank_by:
        # The former source of scores is cleared, unless the change names it.
        fields = {"metric_id": None, "points_system_id": None} | fields
    if "run_unit" in fields and fields["run_unit"] is None:
        fields.setdefault("run_interval", None)
    _name_attributes(context, fields)
    if before.group_by is not None and "group_by" in fields and fields["group_by"] is None:
        fields = _UNGROUPED | fields
    after = msgspec.structs.replace(before, **fields)
    if before.status != "inactive":
        _check_fixed(before, after, _ONLY_INACTIVE, "while the leaderboard is inactive")
    if status_on(before, context.today) == "finished":
        _check_fixed(before, after, ("end",), "until the leaderboard is finished")
    _check_end(before, after, context.today)
    if status is not None:
        after = _with_status(context, after, status)
    return _checked(context, after, fields)


def _check_end(before: Leaderboard, after: Leaderboard, today: date) -> None:
    """Check that an active leaderboard doesn't get an end in the past.

    Scores since that day would be part of its last run.

    Raises:
        Unprocessable: ``end`` lies before today.
    """
    if after.end is not None and after.end < today and status_on(before, today) == "active":
        raise Unprocessable(
            "end must not lie before today while the leaderboard is active: "
            "POST /admin/v1/leaderboards/{id}/runs/end ends the current run at once"
        )


def _name_sources(context: Context, fields: dict[str, Any]) -> None:
    """Check ids, and replace the keys in rewards by ids, in place."""
    for name, wire in (("metric_id", "metricId"), ("points_system_id", "pointsSystemId")):
        if fields.get(name) is not None:
            fields[name] = check_uuid(wire, fields[name])
    if "rewards" in fields:
        fields["rewards"] = tuple(_reward(context, at, item) for at, item in enumerate(fields["rewards"] or ()))


def _reward(context: Context, at: int, item: RewardItem) -> Reward:
    if item.to_rank < item.from_rank:
        raise Unprocessable(f"rewards[{at}].toRank must not lie before fromRank")
    if item.points is None and item.achievement_key is None and not item.freezes:
        raise Unprocessable(f"rewards[{at}] must give points, an achievementKey or freezes")
    system_id = achievement_id = None
    if item.points is not None:
        systems = {one.key: one.id for one in POINTS.of(context.catalog)}
        system_id = systems.get(item.points.system_key)
        if system_id is None:
            raise Unprocessable(f"rewards[{at}].points.systemKey names no points system")
    if item.achievement_key is not None:
        achievements = {one.key: one.id for one in ACHIEVEMENT.of(context.catalog)}
        achievement_id = achievements.get(item.achievement_key)
        if achievement_id is None:
            raise Unprocessable(f"rewards[{at}].achievementKey names no achievement")
    amount = item.points.amount if item.points is not None else 0
    return Reward(item.from_rank, item.to_rank, system_id, amount, achievement_id, item.freezes)


def _name_attributes(context: Context, fields: dict[str, Any]) -> None:
    """Replace attribute ids by keys, and null by empty lists, in place."""
    for name in ("user_attributes", "breakdown_attributes", "display_attributes"):
        if name in fields and fields[name] is None:
            fields[name] = ()
    if "user_attributes" in fields:
        fields["user_attributes"] = named(context.catalog, "userAttributes", fields["user_attributes"])
    if "breakdown_attributes" in fields:
        fields["breakdown_attributes"] = tuple(
            attribute_key(context.catalog, "breakdownAttributes", id_) for id_ in fields["breakdown_attributes"]
        )
    if fields.get("group_by") is not None:
        fields["group_by"] = attribute_key(context.catalog, "groupBy", fields["group_by"])


def _check_fixed(before: Leaderboard, after: Leaderboard, fields: tuple[str, ...], when: str) -> None:
    for field in fields:
        if getattr(after, field) != getattr(before, field):
            raise Unprocessable(f"{_wire_name(field)} can only be changed {when}")


def _wire_name(field: str) -> str:
    return next(f.encode_name for f in msgspec.structs.fields(Leaderboard) if f.name == field)


def _with_status(context: Context, board: Leaderboard, wanted: ShownStatus) -> Leaderboard:
    """Return the leaderboard with another status.

    Raises:
        Unprocessable: The present status doesn't allow that.
    """
    status: LeaderboardStatus
    today, activated_ms = context.today, board.activated_ms
    if wanted == "inactive":
        if board.status != "inactive":
            raise Unprocessable("status cannot go back to inactive")
        status = wanted
    elif wanted == "finished":
        if board.end is None or board.end >= today:
            raise Unprocessable("status can be finished only with an end in the past")
        status = wanted
    else:
        if board.status == "finished":
            raise Unprocessable(f"status cannot go from finished to {wanted}")
        if wanted == "scheduled" and board.start <= today:
            raise Unprocessable("status can be scheduled only with a start in the future")
        status = "active"
        if board.status == "inactive":
            activated_ms = context.now_ms
    return msgspec.structs.replace(board, status=status, activated_ms=activated_ms)


def _checked(context: Context, board: Leaderboard, named: Collection[str]) -> Leaderboard:
    """Check a leaderboard and return it. ``named`` are the fields of the request.

    Raises:
        Unprocessable: Fields contradict each other, or one that was named has no effect.
    """
    check_name(board.name)
    ids.check_key("key", board.key)
    if board.description is not None:
        ids.check_text("description", board.description, DESCRIPTION_MAX)
    _check_source(context, board)
    check_days(board.start, board.end)
    if (board.run_unit is None) != (board.run_interval is None):
        missing, present = ("runUnit", "runInterval") if board.run_unit is None else ("runInterval", "runUnit")
        raise Unprocessable(f"{missing} is required with {present}")
    _check_attributes(context, board)
    _check_times(board)
    if board.group_by is None:
        for field, usual in _UNGROUPED.items():
            if field in named and getattr(board, field) != usual:
                raise Unprocessable(f"{_wire_name(field)} needs groupBy")
    context.check_key(LEADERBOARD, board)
    return board


def _check_source(context: Context, board: Leaderboard) -> None:
    if board.rank_by == "metric" and board.metric_id is None:
        raise Unprocessable("metricId is required with rankBy metric")
    if board.rank_by == "points" and board.points_system_id is None:
        raise Unprocessable("pointsSystemId is required with rankBy points")
    if board.rank_by != "metric" and board.metric_id is not None:
        raise Unprocessable(f"metricId can't be used with rankBy {board.rank_by}")
    if board.rank_by != "points" and board.points_system_id is not None:
        raise Unprocessable(f"pointsSystemId can't be used with rankBy {board.rank_by}")
    if board.rank_by == "metric" and all(one.id != board.metric_id for one in METRIC.of(context.catalog)):
        raise Unprocessable("Metric not found by ID: metricId names none")
    if board.rank_by == "points" and all(one.id != board.points_system_id for one in POINTS.of(context.catalog)):
        raise Unprocessable("Points system not found by ID: pointsSystemId names none")
    if board.rank_by != "metric" and board.operator != "sum":
        raise Unprocessable("operator can only be chosen with rankBy metric")
    if board.rank_by == "streak" and (board.start_time is not None or board.end_time is not None):
        raise Unprocessable("startTime and endTime can't be used with rankBy streak")


def _check_times(board: Leaderboard) -> None:
    start, end = (
        None if text is None else time.fromisoformat(text) for text in (board.start_time, board.end_time)
    )
    if end is not None and end == (start or time.min):
        raise Unprocessable("endTime must not equal startTime: no event would count")


def _check_attributes(context: Context, board: Leaderboard) -> None:
    for name, keys in (
        ("breakdownAttributes", board.breakdown_attributes),
        ("displayAttributes", board.display_attributes),
    ):
        if len(set(keys)) != len(keys):
            raise Unprocessable(f"{name} names an attribute twice")
    known = {attribute.key for attribute in ATTRIBUTE.of(context.catalog) if attribute.type == "user"}
    for key in board.display_attributes:
        if key not in known:
            raise Unprocessable(f"displayAttributes names no user attribute: {ids.printable(key[: ids.KEY_MAX])}")
    if board.group_by is not None and board.breakdown_attributes:
        raise Unprocessable("groupBy can't be used together with breakdownAttributes")


def _row(board: Leaderboard, catalog: Catalog, today: date) -> LeaderboardRow:
    id_of = {attribute.key: attribute.id for attribute in ATTRIBUTE.of(catalog) if attribute.type == "user"}
    row = LeaderboardRow(
        id=board.id,
        name=board.name,
        key=board.key,
        description=_or_absent(board.description),
        status=status_on(board, today),
        rank_by=board.rank_by,
        metric_id=_or_absent(board.metric_id),
        points_system_id=_or_absent(board.points_system_id),
        max_participants=_or_absent(board.max_participants),
        start=board.start,
        end=_or_absent(board.end),
        run_unit=_or_absent(board.run_unit),
        run_interval=_or_absent(board.run_interval),
        start_time=_or_absent(board.start_time),
        end_time=_or_absent(board.end_time),
        breakdown_attributes=[id_of[key] for key in board.breakdown_attributes],
        user_attributes=shown(catalog, board.user_attributes),
        rewards=[_reward_item(catalog, reward) for reward in board.rewards],
        display_attributes=board.display_attributes,
        tie_rule=board.tie_rule,
        order=board.order,
        operator=board.operator,
        public=board.public,
    )
    if board.group_by is None:
        return row
    return msgspec.structs.replace(
        row,
        group_by=id_of[board.group_by],
        aggregate=board.aggregate,
        aggregate_top=board.aggregate_top,
        min_members=board.min_members,
        keep_on_leave=board.keep_on_leave,
    )


def _reward_item(catalog: Catalog, reward: Reward) -> RewardItem:
    key = next((one.key for one in POINTS.of(catalog) if one.id == reward.system_id), None)
    achievement = next((one.key for one in ACHIEVEMENT.of(catalog) if one.id == reward.achievement_id), None)
    points = None if key is None else RewardPoints(key, reward.amount)
    return RewardItem(reward.from_rank, reward.to_rank, points, achievement, reward.freezes)


def _or_absent(value: Any) -> Any:
    return UNSET if value is None else value


def _shown(context: Context, board: Leaderboard) -> LeaderboardRow:
    return _row(board, context.catalog, context.today)


async def _with_backfills(
    request: Request, boards: Sequence[Leaderboard], rows: Sequence[LeaderboardRow]
) -> list[LeaderboardRow]:
    async with acquired(services(request).pool) as connection:
        found = await read_backfills(connection, principal(request).space.id, boards)
    return [
        msgspec.structs.replace(row, backfill=found.get(board.number))
        for board, row in zip(boards, rows, strict=True)
    ]


async def end_run(request: Request) -> Response:
    """``POST /admin/v1/leaderboards/{id}/runs/end``."""
    id_ = check_uuid("id", request.path_params["id"])
    async with editing_catalog(request) as context:
        board = context.editor.get(LEADERBOARD, id_)
        if board is None:
            raise NotFound("Leaderboard not found by ID")
        [backfill] = [row.backfill for row in await _with_backfills(request, [board], [_shown(context, board)])]
        if backfill is not None and backfill.state in ("pending", "filling", "retrying"):
            # Earlier runs would become final too, with only a part of their users.
            raise Unprocessable(
                f"stored history is still being counted on the leaderboard ({backfill.percent} %): "
                "end the run when that is done"
            )
        after = _ended(board, context.today, context.now_ms)
        context.editor.update(LEADERBOARD, board, after)
    [row] = await _with_backfills(request, [after], [_shown(context, after)])
    return answer(row)


def _ended(board: Leaderboard, today: date, now_ms: int) -> Leaderboard:
    """Return the leaderboard with its current run ended. The next run begins when it would have anyway.

    Raises:
        Unprocessable: The leaderboard is not active, or the run has been ended already.
    """
    if status_on(board, today) != "active":
        raise Unprocessable("only the run of an active leaderboard can be ended")
    run = run_on(board, today)
    if run is None or is_final(board, run):
        raise Unprocessable("the current run has been ended already")
    ended_ms = dict([*board.ended_ms.items(), (run_name(board, run), now_ms)][-ENDED_MAX:])
    if board.run_unit is None:
        return msgspec.structs.replace(board, end=today, final_until=today, status="finished", ended_ms=ended_ms)
    return msgspec.structs.replace(board, final_until=run.end, ended_ms=ended_ms)


RESOURCE = Resource(
    kind=LEADERBOARD,
    path="/admin/v1/leaderboards",
    create_type=CreateLeaderboard,
    update_type=UpdateLeaderboard,
    row_type=LeaderboardRow,
    create=_create,
    update=_update,
    row=_row,
    later=_LATER,
    enrich=_with_backfills,
    shown_only=frozenset({"backfill"}),
)

ENDPOINTS = RESOURCE.endpoints()
ENDPOINTS.append(
    Endpoint(
        method="POST",
        path="/admin/v1/leaderboards/{id}/runs/end",
        summary="End the current run",
        tag="Admin: leaderboards",
        needs="admin",
        statuses=(200, 404, 422, 503),
        handler=end_run,
        answer=LeaderboardRow,
        description="The run of today's date in the space's home zone becomes final at once and takes no more "
        "events. A repeating leaderboard continues with its next run at the usual time; any other is finished.",
    )
)
