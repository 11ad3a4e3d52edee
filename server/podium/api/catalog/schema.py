"""The JSON Schema of a document, for editors: the types of the admin API's bodies, and words to each field."""

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
"""Definitions that are called alike, and what they are called here."""

_SHARED = {
    "name": "What people read.",
    "key": "What programs and other items call it. Fixed once created.",
    "description": "For people; up to 1,000 characters.",
    "badge": "A picture.",
    "metric": "Key of the metric.",
    "points": "Whole points.",
    "userAttributes": "Only users with these values: keys of user attributes, each with the value it must have.",
    "eventAttributes": "Only events with these values: keys of event attributes, each with its value; only "
    "where a metric is counted.",
    "streakLength": "Periods of the streak: days, weeks or months, by its frequency.",
    "startTime": "HH:mm or HH:mm:ss, the user's local time.",
    "endTime": "HH:mm or HH:mm:ss, the user's local time.",
}
"""Words to fields of several kinds of items."""

_WORDS: dict[str, dict[str, str]] = {
    "CatalogDocument": {
        "$schema": "Where this schema is.",
        "settings": "Branding, the control group, recaps. What is left out stays.",
        "attributes": "What is known of users and of events.",
        "metrics": "What users do, counted.",
        "achievements": "What a user completes once.",
        "points": "Points systems, with their levels, triggers and boosts.",
        "leaderboards": "Rankings of users or of groups.",
        "streaks": "What the streak asks for. What is left out stays.",
    },
    "CatalogSettings": {
        "branding": "How what is sent looks.",
        "experimentation": "The control group.",
        "aggregationPeriod": "How often recaps come.",
        "homeZone": "IANA time zone of days that are nobody's own, like Europe/Paris.",
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
        "controlRatio": "Percent of new users who come into the control group.",
        "userActivationWindow": "Days in which a user counts as active.",
    },
    "Badge": {"url": "Address of the picture, with https:// or http://; up to 2,000 characters."},
    "CatalogAttributesItem": {
        "key": "What programs call it: unique among attributes of its type. Fixed once created.",
        "type": "Whether users or events have it. Fixed once created.",
    },
    "CatalogMetricsItem": {
        "unitType": "currency: units is the code of a currency. Default: number.",
        "units": "Label of the values like words, or the ISO 4217 code of a currency like USD.",
        "decimals": "Decimals that are counted, 0 to 6; fixed once created. Default: 3.",
        "minValue": "Smallest value of one event, against cheating.",
        "maxValue": "Largest value of one event, against cheating.",
        "maxPerDay": "What a user may gain on a local day, against cheating.",
    },
    "CatalogAchievementsItem": {
        "trigger": "What completes it: metric (a total), streak (its length), api (a call that names the key), "
        "achievement (all of several others), anniversary (years since the sign-up).",
        "status": "inactive: hidden; active; locked: nobody new completes it. Default: inactive.",
        "key": "What calls name it by; only with the trigger api, and needed there.",
        "metric": "Key of the metric; only with the trigger metric.",
        "metricValue": "Total of the metric that completes it; only with the trigger metric.",
        "streakLength": "Periods of the streak that complete it; only with the trigger streak.",
        "anniversaryYears": "Years since the sign-up; only with the trigger anniversary.",
        "achievements": "Those it is made of, by key, or else by name (the second of one name: Name#2); only with "
        "the trigger achievement.",
    },
    "CatalogPointsItem": {
        "maxPoints": "Points that no user passes.",
        "levels": "Left out: they stay as they are. []: none, with --prune.",
        "triggers": "What gives points. Left out: they stay as they are. []: none, with --prune.",
        "boosts": "What multiplies points for a while. Left out: they stay as they are. []: none, with --prune.",
    },
    "CatalogLevel": {"points": "Points from which on a user has the level."},
    "CatalogTrigger": {
        "type": "What gives the points: metric (each metricThreshold), streak (each streakLength), achievement, "
        "time (each timeInterval), user_creation.",
        "points": "Whole points that are given, or taken where negative; not 0.",
        "status": "Default: inactive.",
        "metric": "Key of the metric; only with the type metric.",
        "metricThreshold": "Each time the metric has grown by this, the points come; only with the type metric.",
        "achievement": "Key of the achievement, or its name where it has none; only with the type achievement.",
        "streakLength": "Each so many periods of the streak the points come; only with the type streak.",
        "timeUnit": "Unit of timeInterval; only with the type time.",
        "timeInterval": "Hours or days (timeUnit) after which the points come again; only with the type time.",
        "blockIfOutOfPoints": "Refuse an event that would take more points than the user has. Default: false.",
    },
    "CatalogBoost": {
        "start": "First day, the user's local date: YYYY-MM-DD.",
        "end": "Last day, included: YYYY-MM-DD. Left out: for ever.",
        "multiplier": "Factor of what is awarded, above 0 and below 100, not 1. What is taken is not multiplied.",
        "rounding": "Of the whole points that come of it. Default: down.",
        "startTime": "Time of the first day at which it begins: HH:mm or HH:mm:ss, local.",
        "endTime": "Time of the last day before which it ends: HH:mm or HH:mm:ss, local. Needs an end.",
        "weekdays": "Days of the week on which it holds, 0 is Sunday. None: every day.",
    },
    "CatalogLeaderboardsItem": {
        "rankBy": "What it ranks by: a metric, the points of a system, or the length of the streak.",
        "metric": "Key of the metric; only with rankBy metric.",
        "pointsSystem": "Key of the points system; only with rankBy points.",
        "status": "scheduled: active, with a start to come; finished needs an end in the past. Default: inactive.",
        "start": "First day: YYYY-MM-DD. Default: today in the space's home zone.",
        "end": "Last day, included: YYYY-MM-DD. Left out: none.",
        "maxParticipants": "Ranks that are shown. Left out: all.",
        "runUnit": "Unit of a run, after which it begins anew. Left out: one run for ever.",
        "runInterval": "Days, months or years (runUnit) of a run.",
        "startTime": "Time of each day from which on events count: HH:mm or HH:mm:ss, the user's local time.",
        "endTime": "Time of each day before which events count: HH:mm or HH:mm:ss, the user's local time.",
        "breakdownAttributes": "Keys of user attributes; there is a ranking of its own for each value.",
        "displayAttributes": "Keys of user attributes that each row shows.",
        "tieRule": "Ranks of equals: ordinal 1 2 3 (who came first), competition 1 1 3, dense 1 1 2. Default: "
        "ordinal.",
        "order": "desc: the highest score is first; asc: the lowest. Default: desc.",
        "operator": "What of a user's events counts: their sum, the best, the last. Default: sum.",
        "groupBy": "Key of a user attribute: groups of users with the same value are ranked.",
        "aggregate": "What a group's score is of its members' scores; top: the mean of the best aggregateTop. "
        "Default: sum.",
        "aggregateTop": "Members of a group whose mean counts with aggregate top. Default: 10.",
        "minMembers": "Members that a group needs to be ranked. Default: 1.",
        "keepOnLeave": "Whether what a user scored stays with the group that they leave. Default: false.",
        "rewards": "What places earn when a run is final.",
        "public": "Whether it may be watched without a token. Default: false.",
    },
    "RewardItem": {
        "fromRank": "First place that earns it.",
        "toRank": "Last place that earns it.",
        "points": "Points of a system.",
        "achievementKey": "An achievement, by its key, or its name where it has none.",
        "freezes": "Freezes of the streak.",
    },
    "RewardPoints": {"systemKey": "Key of the points system.", "amount": "Whole points."},
    "CatalogStreaks": {
        "frequency": "The period of the streak.",
        "evaluationMode": "Whether all metrics must be met in a period (AND) or one of them (OR).",
        "customizationEnabled": "Whether users may have thresholds and days off of their own.",
        "daysOff": "Days of the week that ask for nothing, 0 is Sunday; only with a daily streak.",
        "metrics": "What a period asks for. None: nobody has a streak.",
        "freezes": "What saves a streak; null: none.",
    },
    "StreakMetric": {
        "key": "Key of the metric.",
        "threshold": "What the metric must gain in a period.",
    },
    "StreakFreezes": {
        "startCount": "Freezes of a new user.",
        "maxCount": "Most freezes that a user may have.",
        "autoEarnInterval": "Days after which autoEarnAmount freezes are earned.",
        "autoEarnAmount": "Freezes earned each autoEarnInterval days.",
    },
}
"""Words to the fields of each definition. A test asks for all."""

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
"""What the server asks of fields and their types don't say."""
_PARTS = {"items": {"type": "string", **_GOAL}, "minItems": 1, "maxItems": PARTS_MAX}
"""Of the achievements that one is made of; the section has the same name."""


@cache
def json_schema() -> dict[str, Any]:
    """The JSON Schema of a document."""
    made = msgspec.json.schema(CatalogDocument)
    found = {_NAMES.get(name, name): definition for name, definition in made["$defs"].items()}
    # Editors read the schema's own name from the file.
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
    """Something or null without a choice, of which editors only say that nothing of it fits."""
    schema = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
    ref = schema.get("$ref", "").removeprefix("#/$defs/")
    if ref in _NAMES:
        return {"$ref": f"#/$defs/{_NAMES[ref]}"}
    if "anyOf" not in schema:
        return schema
    [some] = [one for one in schema.pop("anyOf") if one != {"type": "null"}]
    if "$ref" in some:  # what a reference leads to, so that its type can be said to be "or null"
        some = {
            key: value
            for key, value in definitions[some["$ref"].removeprefix("#/$defs/")].items()
            if key != "title"
        }
    return {**schema, **some, "type": [some["type"], "null"]}
