"""``/admin/v1/metrics`` (docs/http-api.md#metrics)."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from podium.game import ids
from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.metrics.model import Metric, UnitType
from podium.game.metrics.rules import to_units
from podium.http.catalog_resource import Context, Resource, Update, check_name, given
from podium.http.references import check_unreferenced, references_to_metric
from podium.spaces.item_kinds import METRIC, STREAKS

DEFAULT_DECIMALS = 3
Value = Annotated[float, Meta(ge=-1e15, le=1e15, description="Limit of one event's value, against cheating.")]
Most = Annotated[
    float, Meta(gt=0, le=1e15, description="Most that a user may gain on a local day, against cheating.")
]
Decimals = Annotated[int, Meta(ge=0, le=6, description="Decimals of values; fixed once created.")]
_CURRENCY = re.compile(r"[A-Z]{3}\Z")


class CreateMetric(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A metric to create. ``units`` is a label, or the code of a currency such as ``USD``."""

    name: str
    key: str
    unit_type: UnitType | None = None
    units: str | None = None
    decimals: Decimals | None = None
    min_value: Value | None = None
    max_value: Value | None = None
    max_per_day: Most | None = None


class UpdateMetric(Update, frozen=True, rename="camel"):
    """A change of a metric; null clears a limit. ``key`` and ``decimals`` may be repeated but not changed."""

    name: str | UnsetType = UNSET
    unit_type: UnitType | UnsetType = UNSET
    units: str | UnsetType | None = UNSET
    key: str | UnsetType = UNSET
    decimals: Decimals | UnsetType = UNSET
    min_value: Value | UnsetType | None = UNSET
    max_value: Value | UnsetType | None = UNSET
    max_per_day: Most | UnsetType | None = UNSET


class MetricRow(msgspec.Struct, frozen=True, rename="camel"):
    """A metric."""

    id: str
    name: str
    key: str
    unit_type: UnitType
    units: str
    decimals: Decimals
    min_value: float | UnsetType = UNSET
    max_value: float | UnsetType = UNSET
    max_per_day: float | UnsetType = UNSET


def _create(context: Context, item: CreateMetric) -> Metric:
    metric = Metric(
        id=context.new_id(),
        number=context.editor.take_number(),
        key=ids.check_key("key", item.key),
        name=item.name,
        unit_type=item.unit_type or "number",
        units=item.units or "",
        decimals=DEFAULT_DECIMALS if item.decimals is None else item.decimals,
        min_value=item.min_value,
        max_value=item.max_value,
        max_per_day=item.max_per_day,
    )
    context.check_key(METRIC, metric)
    return _checked(metric)


def _update(_: Context, before: Metric, change: UpdateMetric) -> Metric:
    fields = given(change)
    for field in ("key", "decimals"):
        if field in fields and fields[field] != getattr(before, field):
            raise Unprocessable(f"{field} cannot be changed")
    if "units" in fields:
        fields["units"] = fields["units"] or ""
    return _checked(msgspec.structs.replace(before, **fields))


def _checked(metric: Metric) -> Metric:
    check_name(metric.name)
    ids.check_text("units", metric.units, ids.NAME_MAX)
    if metric.unit_type == "currency" and not _CURRENCY.match(metric.units):
        raise Unprocessable("units must be the ISO 4217 code of a currency, like USD")
    low, high = metric.min_value, metric.max_value
    if low is not None and high is not None and high < low:
        raise Unprocessable("maxValue must not be below minValue")
    if metric.max_per_day is not None:
        to_units(metric, metric.max_per_day)
    return metric


def _check_archive(catalog: Catalog, metric: Metric) -> None:
    check_unreferenced("Metric", references_to_metric(catalog, metric.id))
    for settings in STREAKS.of(catalog):
        if any(wanted.metric_id == metric.id for wanted in settings.metrics):
            raise Unprocessable("Metric is used by the streak; take it out of the streak's settings first")


def _row(metric: Metric, _: Catalog, __: date) -> MetricRow:
    return MetricRow(
        metric.id,
        metric.name,
        metric.key,
        metric.unit_type,
        metric.units,
        metric.decimals,
        UNSET if metric.min_value is None else metric.min_value,
        UNSET if metric.max_value is None else metric.max_value,
        UNSET if metric.max_per_day is None else metric.max_per_day,
    )


RESOURCE = Resource(
    kind=METRIC,
    path="/admin/v1/metrics",
    create_type=CreateMetric,
    update_type=UpdateMetric,
    row_type=MetricRow,
    create=_create,
    update=_update,
    row=_row,
    check_archive=_check_archive,
)

ENDPOINTS = RESOURCE.endpoints()
