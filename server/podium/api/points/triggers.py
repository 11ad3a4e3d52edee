"""``/admin/v1/points/{systemId}/triggers``: rules that award or deduct points (docs/http-api.md#triggers)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.points.model import TimeUnit, Trigger, TriggerStatus, TriggerType
from podium.http.catalog_resource import Context, Parent, Resource, Update, check_uuid, given
from podium.http.filters import AttributeFilterItem, Filters, named, shown
from podium.spaces.item_kinds import ACHIEVEMENT, METRIC, POINTS, TRIGGER

AMOUNT_MAX = 1_000_000_000
"""Most points of one award, and the greatest threshold, far below what can be counted exactly."""

Amount = Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX, description="Not 0; negative points are deducted.")]
Threshold = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
Interval = Annotated[int, Meta(ge=1, le=100_000)]

_OF_TYPE: dict[TriggerType, tuple[str, ...]] = {
    "metric": ("metric_id", "metric_threshold"),
    "streak": ("streak_length",),
    "achievement": ("achievement_id",),
    "time": ("time_unit", "time_interval"),
    "user_creation": (),
}
"""The fields that each type requires."""


class CreateTrigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A trigger to create, with the fields that its type requires: ``metric`` a metricId and a metricThreshold,
    ``streak`` a streakLength, ``achievement`` an achievementId, ``time`` a timeUnit and a timeInterval."""

    type: TriggerType
    points: Amount
    status: TriggerStatus | None = None
    user_attributes: Filters | None = None
    metric_id: str | None = None
    metric_threshold: Threshold | None = None
    event_attributes: Filters | None = None
    achievement_id: str | None = None
    streak_length: Interval | None = None
    time_unit: TimeUnit | None = None
    time_interval: Interval | None = None
    block_if_out_of_points: bool | None = None


class UpdateTrigger(Update, frozen=True, rename="camel"):
    """A change of a trigger. ``type`` can change only while it is inactive."""

    type: TriggerType | UnsetType = UNSET
    points: Amount | UnsetType = UNSET
    status: TriggerStatus | UnsetType = UNSET
    user_attributes: Filters | UnsetType | None = UNSET
    metric_id: str | UnsetType | None = UNSET
    metric_threshold: Threshold | UnsetType | None = UNSET
    event_attributes: Filters | UnsetType | None = UNSET
    achievement_id: str | UnsetType | None = UNSET
    streak_length: Interval | UnsetType | None = UNSET
    time_unit: TimeUnit | UnsetType | None = UNSET
    time_interval: Interval | UnsetType | None = UNSET
    block_if_out_of_points: bool | UnsetType = UNSET


class TriggerRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A trigger. Fields of other types are absent."""

    id: str
    type: TriggerType
    points: int
    status: TriggerStatus
    user_attributes: list[AttributeFilterItem]
    block_if_out_of_points: bool
    metric_id: str | UnsetType = UNSET
    metric_threshold: int | UnsetType = UNSET
    event_attributes: list[AttributeFilterItem] | UnsetType = UNSET
    achievement_id: str | UnsetType = UNSET
    streak_length: int | UnsetType = UNSET
    time_unit: TimeUnit | UnsetType = UNSET
    time_interval: int | UnsetType = UNSET


def new_trigger(context: Context, item: CreateTrigger, system_id: str) -> Trigger:
    """Return the trigger to create.

    Raises:
        Unprocessable: A field is not allowed. The message names it.
    """
    fields = {name: value for name, value in msgspec.structs.asdict(item).items() if value is not None}
    id_ = context.new_id()
    ids = {"id": id_, "key": id_, "number": context.editor.take_number(), "system_id": system_id}
    times = {"created_ms": context.now_ms, "updated_ms": context.now_ms}
    trigger = Trigger(**{**_converted(context, fields), **ids, **times})
    return _checked(context, trigger, before=None)


def _create(context: Context, item: CreateTrigger) -> Trigger:
    return new_trigger(context, item, context.parent)


def _update(context: Context, before: Trigger, change: UpdateTrigger) -> Trigger:
    fields = _converted(context, given(change))
    after = msgspec.structs.replace(before, **fields, updated_ms=context.now_ms)
    if after.type != before.type:
        if before.status != "inactive":
            raise Unprocessable("type can only be changed while the trigger is inactive")
        # Fields of the former type are cleared, unless the change names them.
        gone = [name for name in _OF_TYPE[before.type] if name not in fields]
        after = msgspec.structs.replace(after, **dict.fromkeys(gone))
        if after.type != "metric" and "event_attributes" not in fields:
            after = msgspec.structs.replace(after, event_attributes=())
    return _checked(context, after, before)


def _converted(context: Context, fields: dict[str, Any]) -> dict[str, Any]:
    converted = dict(fields)
    for name, wire, type_ in (
        ("user_attributes", "userAttributes", "user"),
        ("event_attributes", "eventAttributes", "event"),
    ):
        if name in converted:
            converted[name] = named(context.catalog, wire, converted[name], "user" if type_ == "user" else "event")
    for name, wire in (("metric_id", "metricId"), ("achievement_id", "achievementId")):
        if converted.get(name) is not None:
            converted[name] = check_uuid(wire, converted[name])
    return converted


def _checked(context: Context, trigger: Trigger, before: Trigger | None) -> Trigger:
    if not trigger.points:
        raise Unprocessable("points must not be 0")
    for type_, names in _OF_TYPE.items():
        for name in names:
            there = getattr(trigger, name) is not None
            if there is not (type_ == trigger.type):
                wire = next(f.encode_name for f in msgspec.structs.fields(Trigger) if f.name == name)
                problem = "can't be used" if there else "is required"
                raise Unprocessable(f"{wire} {problem} with a trigger of type {trigger.type}")
    if trigger.event_attributes and trigger.type != "metric":
        raise Unprocessable(f"eventAttributes can't be used with a trigger of type {trigger.type}")
    if trigger.type == "metric" and all(one.id != trigger.metric_id for one in METRIC.of(context.catalog)):
        raise Unprocessable("metricId names no metric")
    if trigger.type == "achievement" and all(
        one.id != trigger.achievement_id for one in ACHIEVEMENT.of(context.catalog)
    ):
        raise Unprocessable("achievementId names no achievement")
    if trigger.status == "active" and (before is None or before.status != "active"):
        trigger = msgspec.structs.replace(trigger, active_ms=context.now_ms)
    return trigger


def trigger_row(trigger: Trigger, catalog: Catalog, _: date) -> TriggerRow:
    """Return a trigger in the form of the API."""
    more: dict[str, Any] = {name: getattr(trigger, name) for name in _OF_TYPE[trigger.type]}
    if trigger.type == "metric":
        more["event_attributes"] = shown(catalog, trigger.event_attributes, "event")
    return TriggerRow(
        id=trigger.id,
        type=trigger.type,
        points=trigger.points,
        status=trigger.status,
        user_attributes=shown(catalog, trigger.user_attributes),
        block_if_out_of_points=trigger.block_if_out_of_points,
        **more,
    )


RESOURCE = Resource(
    kind=TRIGGER,
    path="/admin/v1/points/{systemId}/triggers",
    create_type=CreateTrigger,
    update_type=UpdateTrigger,
    row_type=TriggerRow,
    create=_create,
    update=_update,
    row=trigger_row,
    parent=Parent(POINTS, "systemId", "system_id"),
)

ENDPOINTS = RESOURCE.endpoints()
