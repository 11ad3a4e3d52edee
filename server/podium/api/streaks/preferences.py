"""``/v1/users/{id}/preferences``: a user's preferences for the streak and for notifications
(docs/http-api.md#preferences)."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.game.catalog import CatalogIndex
from podium.game.errors import Forbidden, Unprocessable
from podium.game.inputs import ChangePreferences
from podium.game.state import UserState
from podium.game.streaks.model import Mode
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.endpoints import Endpoint
from podium.http.services import services
from podium.http.users import named_user
from podium.spaces.item_kinds import STREAKS

Channel = Literal["email", "push"]
Channels = Annotated[tuple[Channel, ...], Meta(max_length=2)]
METRICS_MAX = 20
"""Most metrics of one user's streak."""


class MetricWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A metric, by its key, and the gain that the user wants to reach in each period."""

    key: str
    threshold: Annotated[float, Meta(gt=0, le=1e9)]


class StreakWishes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """The user's conditions of the streak. Absent fields are as in the space. If ``enabled`` is false it stays
    0."""

    enabled: bool | UnsetType = UNSET
    evaluation_mode: Mode | UnsetType | None = UNSET
    metrics: Annotated[list[MetricWish], Meta(max_length=METRICS_MAX)] | UnsetType | None = UNSET
    days_off: list[Annotated[int, Meta(ge=0, le=6)]] | UnsetType | None = UNSET


class NotificationWishes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The channels of each kind of notification. Empty means off, absent never set."""

    achievement_completed: Channels | UnsetType | None = UNSET
    recap: Channels | UnsetType | None = UNSET
    reactivation: Channels | UnsetType | None = UNSET
    streak_reminder: Channels | UnsetType | None = UNSET


class Preferences(msgspec.Struct, frozen=True):
    """A user's preferences."""

    notifications: NotificationWishes
    streak: StreakWishes


class ChangedPreferences(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of preferences. Fields that are left out stay as they are; null clears a preference."""

    notifications: NotificationWishes | UnsetType = UNSET
    streak: StreakWishes | UnsetType = UNSET


_change = msgspec.json.Decoder(ChangedPreferences)


async def get_preferences(request: Request) -> Response:
    """``GET /v1/users/{id}/preferences``."""
    return answer(_shown(principal(request).space.index, await named_user(request)))


async def patch_preferences(request: Request) -> Response:
    """``PATCH /v1/users/{id}/preferences``."""
    parts, space = services(request), principal(request).space
    change = await read(request, _change)
    await named_user(request)
    wishes = channels = None
    if change.streak is not UNSET:
        wishes = _wishes(space.index, change.streak)
    if change.notifications is not UNSET:
        channels = {
            type_: None if wanted is None else tuple(dict.fromkeys(wanted))
            for type_, wanted in msgspec.structs.asdict(change.notifications).items()
            if wanted is not UNSET
        }
    after = await parts.commit(
        space, ChangePreferences(request.path_params["id"], parts.clock(), wishes, channels)
    )
    return answer(_shown(space.index, after))


def _wishes(index: CatalogIndex, change: StreakWishes) -> dict[str, Any]:
    """Return the fields of ``Wishes`` that change.

    Raises:
        Forbidden: The space doesn't let users change them.
        Unprocessable: A value is not allowed.
    """
    settings = STREAKS.of(index.catalog)
    customizable = bool(settings) and settings[0].customizable
    named = (change.evaluation_mode, change.metrics, change.days_off)
    if not customizable and any(one is not UNSET for one in named):
        raise Forbidden("streak: this space lets users choose only whether they have one (customizationEnabled)")
    fields: dict[str, Any] = {}
    if change.enabled is not UNSET:
        fields["enabled"] = change.enabled
    if change.evaluation_mode is not UNSET:
        fields["mode"] = change.evaluation_mode
    if change.metrics is not UNSET:
        fields["thresholds"] = None if change.metrics is None else _thresholds(index, change.metrics)
    if change.days_off is not UNSET:
        days = None if change.days_off is None else tuple(sorted(set(change.days_off)))
        if days and index.streaks.frequency != "daily":
            raise Unprocessable("streak.daysOff needs a daily streak")
        if days and len(days) > 6:
            raise Unprocessable("streak.daysOff must leave a day of the week")
        fields["days_off"] = days
    return fields


def _thresholds(index: CatalogIndex, wanted: list[MetricWish]) -> tuple[tuple[int, int], ...]:
    found = {}
    for at, one in enumerate(wanted):
        metric = index.metric_by_key.get(one.key)
        if metric is None:
            key = ids.printable(one.key[: ids.KEY_MAX])
            raise Unprocessable(f"streak.metrics[{at}].key is not the key of a metric: {key}")
        if metric.number in found:
            raise Unprocessable("streak.metrics must name each metric once")
        found[metric.number] = math.ceil(Decimal(str(one.threshold)) * 10**metric.decimals)
    return tuple(found.items())


def _shown(index: CatalogIndex, state: UserState) -> Preferences:
    wishes = state.wishes
    if wishes is None:
        return Preferences(_channels(state), StreakWishes(enabled=True))
    metrics: list[MetricWish] | UnsetType = UNSET
    if wishes.thresholds is not None:
        metrics = [
            MetricWish(metric.key, units / 10**metric.decimals)
            for number, units in wishes.thresholds
            if (metric := index.metric_by_number.get(number)) is not None
        ]
    return Preferences(
        _channels(state),
        StreakWishes(
            enabled=wishes.enabled,
            evaluation_mode=UNSET if wishes.mode is None else wishes.mode,
            metrics=metrics,
            days_off=UNSET if wishes.days_off is None else list(wishes.days_off),
        ),
    )


def _channels(state: UserState) -> NotificationWishes:
    return msgspec.convert(state.channels, NotificationWishes)


_PATH = "/v1/users/{id}/preferences"

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path=_PATH,
        shows="user",
        summary="Get a user's preferences",
        tag="Users",
        needs="read",
        statuses=(200, 404, 422, 503),
        handler=get_preferences,
        answer=Preferences,
    ),
    Endpoint(
        method="PATCH",
        path=_PATH,
        summary="Change a user's preferences",
        tag="Users",
        needs="events:write",
        statuses=(200, 400, 403, 404, 413, 422, 503),
        handler=patch_preferences,
        body=ChangedPreferences,
        answer=Preferences,
        description="`enabled` of the streak can always be changed; its thresholds, mode and days off only if the "
        "space's `customizationEnabled` is on, else the answer is 403.",
    ),
]
