"""``/admin/v1/settings`` (docs/http-api.md#settings)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.periods import zone
from podium.game.space_settings import NO_SETTINGS, AggregationPeriod, Font, SpaceSettings
from podium.http.answers import answer
from podium.http.badge_urls import Badge, badge, badge_url
from podium.http.bodies import read
from podium.http.catalog_resource import Context, editing_catalog, read_catalog
from podium.http.endpoints import Endpoint
from podium.spaces.item_kinds import SETTINGS

Color = Annotated[str, Meta(pattern="^#[0-9a-fA-F]{6}$", description="Like #3366ff.")]
Percent = Annotated[int, Meta(ge=0, le=100)]
Days = Annotated[int, Meta(ge=1, le=365)]


class Branding(msgspec.Struct, frozen=True, rename="camel"):
    """The look of messages that the app sends."""

    app_name: str
    app_url: str
    brand_color: str
    font: Font
    logo: Badge | None
    app_icon: Badge | None


class Experimentation(msgspec.Struct, frozen=True, rename="camel"):
    """``controlRatio`` percent of new users are in the control group; ``userActivationWindow`` is in days."""

    control_ratio: int
    user_activation_window: int


class ShownSettings(msgspec.Struct, frozen=True, rename="camel"):
    """The settings of the space. ``homeZone`` is an IANA time zone: its date decides which run of a leaderboard is
    current in requests that name no user."""

    branding: Branding
    experimentation: Experimentation
    aggregation_period: AggregationPeriod
    home_zone: str


class ChangeBranding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A change of the branding; null clears a picture."""

    app_name: str | UnsetType = UNSET
    app_url: str | UnsetType = UNSET
    brand_color: Color | UnsetType = UNSET
    font: Font | UnsetType = UNSET
    logo: Badge | UnsetType | None = UNSET
    app_icon: Badge | UnsetType | None = UNSET


class ChangeExperimentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A change of the control group. It applies to users created from then on."""

    control_ratio: Percent | UnsetType = UNSET
    user_activation_window: Days | UnsetType = UNSET


class ChangeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A change of the settings. Fields that are left out stay as they are."""

    branding: ChangeBranding | UnsetType = UNSET
    experimentation: ChangeExperimentation | UnsetType = UNSET
    aggregation_period: AggregationPeriod | UnsetType = UNSET
    home_zone: str | UnsetType = UNSET


_change = msgspec.json.Decoder(ChangeSettings)


async def get_settings(request: Request) -> Response:
    """``GET /admin/v1/settings``."""
    catalog, _ = await read_catalog(request)
    return answer(show_settings(catalog))


async def patch_settings(request: Request) -> Response:
    """``PATCH /admin/v1/settings``."""
    change = await read(request, _change)
    async with editing_catalog(request) as context:
        change_settings(context, change)
    return answer(show_settings(context.catalog))


def change_settings(context: Context, change: ChangeSettings) -> None:
    """Apply a change to the settings of a catalog.

    Raises:
        Unprocessable: A value is not allowed. The message names the field.
    """
    if change.home_zone is not UNSET:
        try:
            zone(change.home_zone)
        except Unprocessable:
            raise Unprocessable(
                f"homeZone is not a known time zone: {ids.printable(change.home_zone[:60])}"
            ) from None
        context.editor.move_home(change.home_zone)
    found = SETTINGS.of(context.catalog)
    if found:
        context.editor.update(SETTINGS, found[0], _changed(found[0], change))
    else:
        new = msgspec.structs.replace(NO_SETTINGS, id=context.new_id(), number=context.editor.take_number())
        context.editor.insert(SETTINGS, _changed(new, change))


def _changed(before: SpaceSettings, change: ChangeSettings) -> SpaceSettings:
    fields: dict[str, Any] = {}
    for part in (change.branding, change.experimentation):
        if part is not UNSET:
            fields |= {name: value for name, value in msgspec.structs.asdict(part).items() if value is not UNSET}
    if change.branding is not UNSET:
        for name, called in (("logo", "branding.logo"), ("app_icon", "branding.appIcon")):
            picture = getattr(change.branding, name)
            if picture is not UNSET:
                del fields[name]
                fields[f"{name}_url"] = badge_url(picture, called)
    if change.aggregation_period is not UNSET:
        fields["aggregation_period"] = change.aggregation_period
    after = msgspec.structs.replace(before, **fields)
    ids.check_text("branding.appName", after.app_name, ids.NAME_MAX)
    ids.check_text("branding.appUrl", after.app_url, ids.ATTRIBUTE_VALUE_MAX)
    if after.app_url and not after.app_url.startswith(("https://", "http://")):
        raise Unprocessable("branding.appUrl must begin with https:// or http://")
    return after


def show_settings(catalog: Catalog) -> ShownSettings:
    """Return the settings in the form of the API."""
    found = SETTINGS.of(catalog)
    one = found[0] if found else NO_SETTINGS
    return ShownSettings(
        Branding(
            one.app_name, one.app_url, one.brand_color, one.font, badge(one.logo_url), badge(one.app_icon_url)
        ),
        Experimentation(one.control_ratio, one.user_activation_window),
        one.aggregation_period,
        catalog.home_zone,
    )


_TAG = "Admin: settings"

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/settings",
        summary="Get the settings of the space",
        tag=_TAG,
        needs="admin",
        statuses=(200, 503),
        handler=get_settings,
        answer=ShownSettings,
    ),
    Endpoint(
        method="PATCH",
        path="/admin/v1/settings",
        summary="Change the settings of the space",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 413, 422, 503),
        handler=patch_settings,
        body=ChangeSettings,
        answer=ShownSettings,
        description="`controlRatio` is the percentage of new users who are drawn into the control group. They "
        "take "
        "part like everybody, but get no notifications. `homeZone` is a zone like `Europe/Paris`. Every process "
        "follows within a second.",
    ),
]
