"""``/admin/v1/leaderboards`` (contract.md, section 9; so far: by a metric, perpetual or repeating)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from server.core import ids
from server.core.errors import Unprocessable
from server.features.leaderboards.model import MAX_PARTICIPANTS, Leaderboard, LeaderboardStatus, RunUnit
from server.features.leaderboards.rules import ShownStatus, status_on
from server.http.resource import Context, Resource, Update, check_name, check_uuid, given
from server.spaces.kinds import LEADERBOARD, METRIC

DESCRIPTION_MAX = 1_000
"""Characters in a description."""
YEARS = range(1970, 3000)
"""Of start and end: no arithmetic on runs leaves the calendar (years 1 to 9999)."""
RUN_INTERVAL_MAX = 1_000
"""Days, months or years of a run, for the same reason."""

Participants = Annotated[int, Meta(ge=1, le=MAX_PARTICIPANTS, description="Ranks that are shown; null: all.")]
RunInterval = Annotated[int, Meta(ge=1, le=RUN_INTERVAL_MAX)]

_ONLY_INACTIVE = ("key", "metric_id", "start", "run_unit", "run_interval")
"""Fields by which scores were counted and runs were named: fixed once the leaderboard was active."""
_LATER: dict[str, tuple[Any, ...]] = {
    "pointsSystemId": (),
    "breakdownAttribute": (),
    "breakdownAttributes": ([],),
    "userAttributes": ([],),
    "displayAttributes": ([],),
    "rewards": ([],),
    "startTime": (),
    "endTime": (),
    "tieRule": ("ordinal",),
    "order": ("desc",),
    "operator": ("sum",),
    "groupBy": (),
    "aggregate": ("sum",),
    "aggregateTop": (10,),
    "minMembers": (1,),
    "keepOnLeave": (False,),
}


class CreateLeaderboard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A leaderboard to create. ``start`` defaults to today in the space's home zone.

    Status ``scheduled`` is ``active`` with a start to come; ``finished`` needs an end in the past.
    """

    name: str
    key: str
    rank_by: Literal["metric"]
    metric_id: str
    description: str | None = None
    status: ShownStatus | None = None
    start: date | None = None
    end: date | None = None
    max_participants: Participants | None = None
    run_unit: RunUnit | None = None
    run_interval: RunInterval | None = None
    public: bool | None = None


class UpdateLeaderboard(Update, frozen=True, rename="camel"):
    """A change of a leaderboard; null clears ``description``, ``end``, ``maxParticipants`` and ``runUnit``."""

    name: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    rank_by: Literal["metric"] | UnsetType = UNSET
    metric_id: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    status: ShownStatus | UnsetType = UNSET
    start: date | UnsetType = UNSET
    end: date | UnsetType | None = UNSET
    max_participants: Participants | UnsetType | None = UNSET
    run_unit: RunUnit | UnsetType | None = UNSET
    run_interval: RunInterval | UnsetType | None = UNSET
    public: bool | UnsetType = UNSET


class LeaderboardRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard; what is not set is absent. Both lists of attributes are empty so far."""

    id: str
    name: str
    key: str
    description: str | UnsetType = UNSET
    status: ShownStatus
    rank_by: Literal["metric"]
    metric_id: str
    max_participants: int | UnsetType = UNSET
    start: date
    end: date | UnsetType = UNSET
    run_unit: RunUnit | UnsetType = UNSET
    run_interval: int | UnsetType = UNSET
    breakdown_attributes: tuple[str, ...] = ()
    user_attributes: tuple[dict[str, str], ...] = ()
    public: bool


def _create(context: Context, item: CreateLeaderboard) -> Leaderboard:
    board = Leaderboard(
        id=context.new_id(),
        number=context.editor.take_number(),
        key=item.key,
        name=item.name,
        metric_id=check_uuid("metricId", item.metric_id),
        start=item.start or context.today,
        description=item.description,
        end=item.end,
        run_unit=item.run_unit,
        run_interval=item.run_interval,
        max_participants=item.max_participants,
        public=bool(item.public),
        created_ms=context.now_ms,
    )
    return _checked(context, _with_status(board, item.status or "inactive", context.today))


def _update(context: Context, before: Leaderboard, change: UpdateLeaderboard) -> Leaderboard:
    fields = given(change)
    status = fields.pop("status", None)
    if "metric_id" in fields:
        fields["metric_id"] = check_uuid("metricId", fields["metric_id"])
    if "run_unit" in fields and fields["run_unit"] is None:
        fields.setdefault("run_interval", None)
    after = msgspec.structs.replace(before, **fields)
    if before.status != "inactive":
        _check_fixed(before, after, _ONLY_INACTIVE, "while the leaderboard is inactive")
    if status_on(before, context.today) == "finished":
        _check_fixed(before, after, ("end",), "until the leaderboard is finished")
    if status is not None:
        after = _with_status(after, status, context.today)
    return _checked(context, after)


def _check_fixed(before: Leaderboard, after: Leaderboard, fields: tuple[str, ...], when: str) -> None:
    for field in fields:
        if getattr(after, field) != getattr(before, field):
            raise Unprocessable(f"{_wire_name(field)} can only be changed {when}")


def _wire_name(field: str) -> str:
    return next(f.encode_name for f in msgspec.structs.fields(Leaderboard) if f.name == field)


def _with_status(board: Leaderboard, wanted: ShownStatus, today: date) -> Leaderboard:
    """The leaderboard brought to a status; 422 if it can't come to it from its own."""
    status: LeaderboardStatus
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
    return msgspec.structs.replace(board, status=status)


def _checked(context: Context, board: Leaderboard) -> Leaderboard:
    check_name(board.name)
    ids.check_key("key", board.key)
    if board.description is not None:
        ids.check_text("description", board.description, DESCRIPTION_MAX)
    if all(metric.id != board.metric_id for metric in METRIC.of(context.catalog)):
        raise Unprocessable("Metric not found by ID: metricId names none")
    for name, day in (("start", board.start), ("end", board.end)):
        if day is not None and day.year not in YEARS:
            raise Unprocessable(f"{name} must lie in the years {YEARS.start} to {YEARS.stop - 1}")
    if board.end is not None and board.end < board.start:
        raise Unprocessable("end must not lie before start")
    if (board.run_unit is None) != (board.run_interval is None):
        missing, present = ("runUnit", "runInterval") if board.run_unit is None else ("runInterval", "runUnit")
        raise Unprocessable(f"{missing} is required with {present}")
    context.check_key(LEADERBOARD, board)
    return board


def _row(board: Leaderboard, today: date) -> LeaderboardRow:
    return LeaderboardRow(
        id=board.id,
        name=board.name,
        key=board.key,
        description=_or_absent(board.description),
        status=status_on(board, today),
        rank_by=board.rank_by,
        metric_id=board.metric_id,
        max_participants=_or_absent(board.max_participants),
        start=board.start,
        end=_or_absent(board.end),
        run_unit=_or_absent(board.run_unit),
        run_interval=_or_absent(board.run_interval),
        public=board.public,
    )


def _or_absent(value: Any) -> Any:
    return UNSET if value is None else value


ENDPOINTS = Resource(
    kind=LEADERBOARD,
    path="/admin/v1/leaderboards",
    create_type=CreateLeaderboard,
    update_type=UpdateLeaderboard,
    row_type=LeaderboardRow,
    create=_create,
    update=_update,
    row=_row,
    later=_LATER,
).endpoints()
