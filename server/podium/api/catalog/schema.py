"""The JSON Schema of a document, for editors: the types of the admin API's bodies, with a description per
field."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import msgspec

from podium.api.achievements.admin import DESCRIPTION_MAX, PARTS_MAX
from podium.api.catalog.document import CatalogDocument
from podium.api.leaderboards.bodies import ATTRIBUTES_MAX
from podium.game import ids
from podium.http.badge_urls import URL_MAX
from podium.http.filters import FILTERS_MAX

_NAMES = {
    "podium.api.settings.admin.ChangeSettings": "CatalogSettings",
    "podium.api.streaks.settings.ChangeSettings": "CatalogStreaks",
}
"""Definitions whose names would clash, with their names in this schema."""

_SHARED = {
    "name": "Display name.",
    "key": "Name by which programs and other items refer to it. Fixed once created.",
    "description": "For people; up to 1,000 characters.",
    "badge": "A picture.",
    "metric": "Key of the metric.",
    "points": "Whole points.",
    "userAttributes": "Only users with these attributes: keys of user attributes with the required values.",
    "eventAttributes": "Only events with these attributes: keys of event attributes with the required values; "
    "only "
    "where a metric is counted.",
    "streakLength": "Periods of the streak: days, weeks or months, by its frequency.",
    "startTime": "HH:mm or HH:mm:ss, the user's local time.",
    "endTime": "HH:mm or HH:mm:ss, the user's local time.",
}
"""Descriptions of fields that several kinds of items have."""

_WORDS: dict[str, dict[str, str]] = {
    "CatalogDocument": {
        "$schema": "URL of this schema.",
        "settings": "Branding, the control group, recaps. Fields that are left out stay as they are.",
        "attributes": "Properties of users and of events.",
        "metrics": "Activities of users that are counted.",
        "achievements": "Goals that a user completes once.",
        "points": "Points systems, with their levels, triggers and boosts.",
        "leaderboards": "Rankings of users or of groups.",
        "streaks": "Conditions of the streak. Fields that are left out stay as they are.",
    },
    "CatalogSettings": {
        "branding": "Look of messages that the app sends.",
        "experimentation": "The control group.",
        "aggregationPeriod": "Interval of recaps.",
        "homeZone": "IANA time zone, like Europe/Paris, of dates that belong to no user.",
    },
    "ChangeBranding": {
        "appName": "The app's name; up to 255 characters.",
        "appUrl": "The app's address, with https:// or http://; empty: none.",
        "brandColor": "A colour like #3366ff.",
        "font": "Family of fonts.",
        "logo": "The app's logo; null: none.",
        "appIcon": "The app's icon; null: none.",
    },
    "ChangeExperimentation": {
        "controlRatio": "Percentage of new users who are drawn into the control group.",
        "userActivationWindow": "Days in which a user counts as active.",
    },
    "Badge": {"url": "Address of the picture, with https:// or http://; up to 2,000 characters."},
    "CatalogAttributesItem": {
        "key": "Name by which programs refer to it, unique among attributes of its type. Fixed once created.",
        "type": "user or event: the kind of object that has it. Fixed once created.",
    },
    "CatalogMetricsItem": {
        "unitType": "currency: units is the code of a currency. Default: number.",
        "units": "Label of the values like words, or the ISO 4217 code of a currency like USD.",
        "decimals": "Decimals of values, 0 to 6. Fixed once created. Default: 3.",
        "minValue": "Smallest value of one event, against cheating.",
        "maxValue": "Largest value of one event, against cheating.",
        "maxPerDay": "Most that a user may gain on a local day, against cheating.",
    },
    "CatalogAchievementsItem": {
        "trigger": "Event that completes it: metric (a total), streak (its length), api (a call that names the "
        "key), "
        "achievement (all of several others), anniversary (years since the sign-up).",
        "status": "inactive: hidden; active; locked: shown, but nobody completes it any more. Default: inactive.",
        "key": "Name in calls that complete it; required with the trigger api, and only allowed there.",
        "metric": "Key of the metric; only with the trigger metric.",
        "metricValue": "Total of the metric that completes it; only with the trigger metric.",
        "streakLength": "Periods of the streak that complete it; only with the trigger streak.",
        "anniversaryYears": "Years since the sign-up; only with the trigger anniversary.",
        "achievements": "Achievements that it is made of, by key, or else by name (the second with one name: "
        "Name#2); "
        "only with the trigger achievement.",
    },
    "CatalogPointsItem": {
        "maxPoints": "Most points that a user can have.",
        "levels": "Levels of the system. Left out: they stay as they are. []: none, with --prune.",
        "triggers": "Rules that award points. Left out: they stay as they are. []: none, with --prune.",
        "boosts": "Multipliers of points for some time. Left out: they stay as they are. []: none, with --prune.",
    },
    "CatalogLevel": {"points": "Least points of a user on the level."},
    "CatalogTrigger": {
        "type": "Event that awards the points: metric (each metricThreshold), streak (each streakLength), "
        "achievement, "
        "time (each timeInterval), user_creation.",
        "points": "Whole points to award, or to deduct if negative; not 0.",
        "status": "Default: inactive.",
        "metric": "Key of the metric; only with the type metric.",
        "metricThreshold": "Growth of the metric for which the points are awarded; only with the type metric.",
        "achievement": "Key of the achievement, or its name where it has none; only with the type achievement.",
        "streakLength": "Periods of the streak after which the points are awarded again; only with the type "
        "streak.",
        "timeUnit": "Unit of timeInterval; only with the type time.",
        "timeInterval": "Hours or days (timeUnit) after which the points are awarded again; only with the type "
        "time.",
        "blockIfOutOfPoints": "Refuse an event that would deduct more points than the user has. Default: false.",
    },
    "CatalogBoost": {
        "start": "First day, the user's local date: YYYY-MM-DD.",
        "end": "Last day, included: YYYY-MM-DD. Left out: no end.",
        "multiplier": "Factor of awards, above 0 and below 100, not 1. Deductions are not multiplied.",
        "rounding": "Rounding of multiplied awards to whole points. Default: down.",
        "startTime": "Local time on the first day at which it begins: HH:mm or HH:mm:ss.",
        "endTime": "Local time on the last day at which it ends: HH:mm or HH:mm:ss. Needs an end.",
        "weekdays": "Days of the week on which it applies; 0 is Sunday. Empty: every day.",
    },
    "CatalogLeaderboardsItem": {
        "rankBy": "Source of scores: a metric, the points of a system, or the length of the streak.",
        "metric": "Key of the metric; only with rankBy metric.",
        "pointsSystem": "Key of the points system; only with rankBy points.",
        "status": "scheduled: active, with a start to come; finished needs an end in the past. Default: inactive.",
        "start": "First day: YYYY-MM-DD. Default: today in the space's home zone.",
        "end": "Last day, included: YYYY-MM-DD. Left out: none.",
        "maxParticipants": "Number of ranks that are shown. Left out: all.",
        "runUnit": "Unit of runInterval. Left out: one perpetual run.",
        "runInterval": "Length of a run in days, months or years (runUnit).",
        "startTime": "Time of each day at which events begin to count: HH:mm or HH:mm:ss, the user's local time.",
        "endTime": "Time of each day at which events cease to count: HH:mm or HH:mm:ss, the user's local time.",
        "breakdownAttributes": "Keys of user attributes. Each combination of values has a ranking of its own.",
        "displayAttributes": "Keys of user attributes that each row shows.",
        "tieRule": "Ranks of equal scores: ordinal 1 2 3 (the earlier first), competition 1 1 3, dense 1 1 2. "
        "Default: "
        "ordinal.",
        "order": "desc: the highest score is first; asc: the lowest. Default: desc.",
        "operator": "Score from a user's events: their sum, the best or the last. Default: sum.",
        "groupBy": "Key of a user attribute: groups of users with the same value are ranked.",
        "aggregate": "Group score from its members' scores; top: the mean of the best aggregateTop. Default: sum.",
        "aggregateTop": "Number of best members whose mean is taken with aggregate top. Default: 10.",
        "minMembers": "Least number of members of a ranked group. Default: 1.",
        "keepOnLeave": "true: a user's score stays with the group when the user leaves it. Default: false.",
        "rewards": "Rewards of places, given when a run is final.",
        "public": "true: everybody may watch it without a token. Default: false.",
    },
    "RewardItem": {
        "fromRank": "First place that gets the reward.",
        "toRank": "Last place that gets the reward.",
        "points": "Points of a system.",
        "achievementKey": "An achievement, by its key, or its name where it has none.",
        "freezes": "Freezes of the streak.",
    },
    "RewardPoints": {"systemKey": "Key of the points system.", "amount": "Whole points."},
    "CatalogStreaks": {
        "frequency": "The period of the streak.",
        "evaluationMode": "Metrics that must be met in a period: all (AND) or one of them (OR).",
        "customizationEnabled": "true: users may set thresholds and days off of their own.",
        "daysOff": "Days of the week without conditions; 0 is Sunday. Only with a daily streak.",
        "metrics": "Conditions of a period. Empty: nobody has a streak.",
        "freezes": "Freezes, which save a streak; null: none.",
    },
    "StreakMetric": {
        "key": "Key of the metric.",
        "threshold": "Least gain of the metric in a period.",
    },
    "StreakFreezes": {
        "startCount": "Freezes of a new user.",
        "maxCount": "Most freezes that a user may have.",
        "autoEarnInterval": "Days after which a user earns autoEarnAmount freezes.",
        "autoEarnAmount": "Freezes that a user earns every autoEarnInterval days.",
    },
}
"""Descriptions of the fields of each definition. A test checks that none is missing."""

_KEY = {"pattern": "^[A-Za-z0-9_-]+$", "minLength": 1, "maxLength": ids.KEY_MAX}
_NAME = {"pattern": r"\S", "minLength": 1, "maxLength": ids.NAME_MAX}
_GOAL = {"minLength": 1}
_FILTER = {
    "propertyNames": _KEY,
    "maxProperties": FILTERS_MAX,
    "additionalProperties": {"type": "string", "minLength": 1, "maxLength": ids.ATTRIBUTE_VALUE_MAX},
}
_LIMITS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("key", "metric", "pointsSystem", "groupBy", "systemKey"), _KEY),
    **dict.fromkeys(("userAttributes", "eventAttributes"), _FILTER),
    **dict.fromkeys(("achievement", "achievementKey"), _GOAL),
    "name": _NAME,
    "description": {"maxLength": DESCRIPTION_MAX},
    "units": {"maxLength": ids.NAME_MAX},
    "url": {"pattern": "^https?://", "maxLength": URL_MAX},
    "appName": {"maxLength": ids.NAME_MAX},
    "appUrl": {"pattern": "^(https?://.*)?$", "maxLength": ids.ATTRIBUTE_VALUE_MAX},
    "breakdownAttributes": {"items": {"type": "string", **_KEY}, "maxItems": ATTRIBUTES_MAX, "uniqueItems": True},
    "displayAttributes": {"items": {"type": "string", **_KEY}, "uniqueItems": True},
}
"""Constraints that the server checks and the types don't express."""
_PARTS = {"items": {"type": "string", **_GOAL}, "minItems": 1, "maxItems": PARTS_MAX}
"""The schema of ``achievements`` in an achievement. The section has the same field name, but another schema."""


@cache
def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a document."""
    made = msgspec.json.schema(CatalogDocument)
    found = {_NAMES.get(name, name): definition for name, definition in made["$defs"].items()}
    # Editors look for ``$schema`` in the file itself, so the document must allow it.
    found["CatalogDocument"]["properties"]["$schema"] = {"type": "string"}
    for name, definition in found.items():
        if "description" in definition:
            definition["description"] = " ".join(definition["description"].replace("``", "`").split())
        for field, schema in definition["properties"].items():
            schema = _plain(schema, made["$defs"])
            words = _WORDS.get(name, {}).get(field) or _SHARED.get(field)
            limits = _PARTS if (name, field) == ("CatalogAchievementsItem", "achievements") else None
            if limits is None and name != "CatalogDocument":
                limits = _LIMITS.get(field)
            definition["properties"][field] = (
                schema | deepcopy(limits or {}) | ({} if words is None else {"description": words})
            )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Podium catalog",
        "$ref": made["$ref"],
        "$defs": found,
    }


def _plain(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with ``anyOf: […, null]`` merged into one type.

    For a choice editors only report that no branch matches, not which field is wrong.
    """
    schema = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
    ref = schema.get("$ref", "").removeprefix("#/$defs/")
    if ref in _NAMES:
        return {"$ref": f"#/$defs/{_NAMES[ref]}"}
    if "anyOf" not in schema:
        return schema
    [some] = [one for one in schema.pop("anyOf") if one != {"type": "null"}]
    if "$ref" in some:  # inlined, so that "null" can be added to its type
        some = {
            key: value
            for key, value in definitions[some["$ref"].removeprefix("#/$defs/")].items()
            if key != "title"
        }
    return {**schema, **some, "type": [some["type"], "null"]}
