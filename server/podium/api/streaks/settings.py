"""``/admin/v1/streaks/settings``: the conditions of the streak (docs/http-api.md#streak-settings)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.streaks.model import NO_SETTINGS, Freezes, Frequency, MetricThreshold, Mode, StreakSettings
from podium.http.answers import answer
from podium.http.bodies import read
from podium.http.catalog_resource import Context, editing_catalog, read_catalog
from podium.http.endpoints import Endpoint
from podium.spaces.item_kinds import METRIC, STREAKS

FREEZES_MAX = 100
"""Most freezes that a user may have (docs/http-api.md#streak-settings)."""

Threshold = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Some = Annotated[int, Meta(ge=0, le=FREEZES_MAX)]


class StreakMetric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A metric, by its key, and its least gain in a period."""

    key: str
    threshold: Threshold


class StreakFreezes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The number of freezes of a new user, the most that a user can have, and those that are earned:
    ``autoEarnAmount`` every ``autoEarnInterval`` days."""

    start_count: Some
    max_count: Some
    auto_earn_interval: Annotated[int, Meta(ge=1, le=3_650)] | None = None
    auto_earn_amount: Annotated[int, Meta(ge=1, le=FREEZES_MAX)] | None = None


class ShownSettings(msgspec.Struct, frozen=True, rename="camel"):
    """The conditions of the streak. Without metrics nobody has one. In ``daysOff`` 0 is Sunday."""

    frequency: Frequency
    evaluation_mode: Mode
    customization_enabled: bool
    days_off: tuple[int, ...]
    metrics: list[StreakMetric]
    freezes: StreakFreezes | None


class ChangeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A change of the streak's settings. Fields that are left out stay as they are; ``metrics``, ``daysOff`` and
    ``freezes`` replace the former value. Null ``freezes`` turn freezes off."""

    frequency: Frequency | UnsetType = UNSET
    evaluation_mode: Mode | UnsetType = UNSET
    customization_enabled: bool | UnsetType = UNSET
    days_off: list[Annotated[int, Meta(ge=0, le=6)]] | UnsetType = UNSET
    metrics: list[StreakMetric] | UnsetType = UNSET
    freezes: StreakFreezes | UnsetType | None = UNSET


_change = msgspec.json.Decoder(ChangeSettings)


async def get_settings(request: Request) -> Response:
    """``GET /admin/v1/streaks/settings``."""
    catalog, _ = await read_catalog(request)
    return answer(show_settings(catalog))


async def patch_settings(request: Request) -> Response:
    """``PATCH /admin/v1/streaks/settings``."""
    change = await read(request, _change)
    async with editing_catalog(request) as context:
        change_settings(context, change)
    return answer(show_settings(context.catalog))


def change_settings(context: Context, change: ChangeSettings) -> None:
    """Apply a change to the streak's settings of a catalog.

    Raises:
        Unprocessable: A value is not allowed. The message names the field.
    """
    found = STREAKS.of(context.catalog)
    if found:
        context.editor.update(STREAKS, found[0], _changed(context, found[0], change))
    else:
        new = msgspec.structs.replace(NO_SETTINGS, id=context.new_id(), number=context.editor.take_number())
        context.editor.insert(STREAKS, _changed(context, new, change))


def _changed(context: Context, before: StreakSettings, change: ChangeSettings) -> StreakSettings:
    fields: dict[str, object] = {}
    if change.frequency is not UNSET:
        fields["frequency"] = change.frequency
    if change.evaluation_mode is not UNSET:
        fields["mode"] = change.evaluation_mode
    if change.customization_enabled is not UNSET:
        fields["customizable"] = change.customization_enabled
    frequency = before.frequency if change.frequency is UNSET else change.frequency
    if change.days_off is not UNSET:
        days = tuple(sorted(set(change.days_off)))
        if days and frequency != "daily":
            raise Unprocessable("daysOff needs a daily streak")
        if len(days) > 6:
            raise Unprocessable("daysOff must leave a day of the week")
        fields["days_off"] = days
    elif frequency != "daily":
        fields["days_off"] = ()
    if change.metrics is not UNSET:
        fields["metrics"] = _metrics(context.catalog, change.metrics)
    if change.freezes is not UNSET:
        fields["freezes"] = None if change.freezes is None else _freezes(change.freezes)
    return msgspec.structs.replace(before, **fields)


def _metrics(catalog: Catalog, wanted: list[StreakMetric]) -> tuple[MetricThreshold, ...]:
    by_key = {metric.key: metric.id for metric in METRIC.of(catalog)}
    for at, one in enumerate(wanted):
        if one.key not in by_key:
            raise Unprocessable(f"metrics[{at}].key is not the key of a metric: {ids.printable(one.key)[:100]}")
    if len({one.key for one in wanted}) < len(wanted):
        raise Unprocessable("metrics must name each metric once")
    return tuple(MetricThreshold(by_key[one.key], one.threshold) for one in wanted)


def _freezes(freezes: StreakFreezes) -> Freezes:
    if freezes.max_count < freezes.start_count:
        raise Unprocessable("freezes.maxCount must not be below freezes.startCount")
    if (freezes.auto_earn_interval is None) is not (freezes.auto_earn_amount is None):
        raise Unprocessable("freezes.autoEarnInterval and freezes.autoEarnAmount must be given together")
    return Freezes(freezes.start_count, freezes.max_count, freezes.auto_earn_interval, freezes.auto_earn_amount)


def show_settings(catalog: Catalog) -> ShownSettings:
    """Return the settings in the form of the API."""
    found = STREAKS.of(catalog)
    settings = found[0] if found else NO_SETTINGS
    keys = {metric.id: metric.key for metric in METRIC.of(catalog)}
    return ShownSettings(
        settings.frequency,
        settings.mode,
        settings.customizable,
        settings.days_off,
        [StreakMetric(keys[one.metric_id], one.threshold) for one in settings.metrics if one.metric_id in keys],
        None
        if settings.freezes is None
        else msgspec.convert(settings.freezes, StreakFreezes, from_attributes=True),
    )


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/streaks/settings",
        summary="Get the streak's settings",
        tag="Admin: streaks",
        needs="admin",
        statuses=(200, 503),
        handler=get_settings,
        answer=ShownSettings,
    ),
    Endpoint(
        method="PATCH",
        path="/admin/v1/streaks/settings",
        summary="Change the streak's settings",
        tag="Admin: streaks",
        needs="admin",
        statuses=(200, 400, 413, 422, 503),
        handler=patch_settings,
        body=ChangeSettings,
        answer=ShownSettings,
        description="Daily, weekly and monthly streaks are all kept, so `frequency` can be switched at any time. "
        "A "
        "period that was met stays met when thresholds rise.",
    ),
]
