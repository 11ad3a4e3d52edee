"""Example parameters and answers for the API document, from the game of example_bodies.py.

Answers are generated from their types, with values by field name, so that they can't fall behind the types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podium.http.example_bodies import (
    ACHIEVEMENT,
    ANY_ID,
    ATTRIBUTE,
    BOARD,
    BODIES,
    BOOST,
    CATALOG,
    EVENT,
    LEVEL,
    METRIC,
    PAUSE,
    POINTS,
    TENANT,
    TRIGGER,
)

ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", "/admin/v1/origins"): BODIES["PUT", "/admin/v1/origins"],
    ("PUT", "/admin/v1/origins"): BODIES["PUT", "/admin/v1/origins"],
    ("GET", "/admin/v1/catalog"): CATALOG,
}
"""Answers that can't be generated, as their types say too little, by method and path."""

_KEYS = {
    "achievements": "joined-the-club",
    "leaderboards": "weekly-words",
    "metrics": "words",
    "points": "xp",
}
_IDS = {
    "achievements": ACHIEVEMENT,
    "attributes": ATTRIBUTE,
    "boosts": BOOST,
    "events": EVENT,
    "leaderboards": BOARD,
    "levels": LEVEL,
    "metrics": METRIC,
    "pauses": PAUSE,
    "points": POINTS,
    "tenants": TENANT,
    "triggers": TRIGGER,
    "users": "ann",
}
_QUERIES = {
    "aggregation": "daily",
    "startDate": "2026-03-01",
    "endDate": "2026-03-07",
    "userIds": "ann",
}


def path_parameter(path: str, name: str) -> str:
    """Return an example of a path parameter; the segment before it tells of which kind of item it is."""
    before = path.split("{" + name)[0].rstrip("/").rsplit("/", 1)[-1]
    if name == "userId":
        return "ann"
    if name == "value":
        return "Berlin"
    return _KEYS.get(before, before) if name == "key" else _IDS.get(before, ANY_ID)


def query_parameter(path: str, name: str) -> str:
    """Return an example of a required query parameter."""
    if name == "ids":
        return _IDS[path.rsplit("/", 1)[-1]]
    return _QUERIES[name]


def answer(method: str, path: str, schema: Mapping[str, Any], components: Mapping[str, Any]) -> Any:
    """Return an example answer of the type ``schema``: one item in each list, and no empty optional field."""
    return ANSWERS[method, path] if (method, path) in ANSWERS else _value(schema, components, "", "")


_WORDS = {"id": METRIC, "key": "words", "name": "Words"}
_WEEK = {
    "id": BOARD,
    "key": "weekly-words",
    "name": "Words of the week",
    "start": "2026-03-02",
    "end": "2026-03-08",
    "runUnit": "day",
    "runInterval": 7,
    "maxParticipants": 1_000,
}
_BY_TYPE_NAME: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("Around", _WEEK),
    ("Friends", _WEEK),
    ("RankedGroups", _WEEK),
    ("GroupMembers", _WEEK),
    ("ApplicationKeyRow", {"id": ANY_ID, "created": "2026-03-01T09:00:00.000Z", "lastUsed": None}),
    ("Corrected", {"id": EVENT, "users": ["ann"]}),
    ("RemovedUsers", {"removed": ["ann"], "unknown": []}),
    ("Replayed", {"replayed": ["ann"]}),
    ("Restored", {"restoredUsers": ["ann"]}),
    ("Reset", {"resetUsers": ["ann"]}),
    ("NewestEvents", {"id": "ann", "metrics": {"words": "2026-03-02T18:30:00.000Z"}}),
    ("Newest", {"streakMetrics": ["words"]}),
    ("PointsSystemRow", {"id": POINTS, "key": "xp", "name": "XP", "description": "For every word"}),
    ("AttributeValue", {"key": "city", "value": "Berlin"}),
    ("AttributeFilter", {"key": "city", "value": "Berlin"}),
    ("Attribute", {"id": ATTRIBUTE, "key": "city", "name": "City", "type": "user"}),
    ("Pause", {"id": PAUSE, "start": "2026-02-01", "end": "2026-02-14"}),
    ("Metric", _WORDS),
    ("Trigger", {"id": TRIGGER}),
    ("Boost", {"id": BOOST, "name": "Double weekend", "start": "2026-03-07", "end": "2026-03-08"}),
    ("Level", {"id": LEVEL, "key": "writer", "name": "Writer", "description": "Wrote a hundred words"}),
    ("Achievement", {"id": ACHIEVEMENT, "key": "first-thousand", "name": "First thousand"}),
    ("Leaderboard", _WEEK),
    ("UserPlace", _WEEK),
    ("BestPlace", _WEEK),
    ("Award", {"id": EVENT, "total": 1_240}),
    ("Points", {"id": POINTS, "key": "xp", "name": "XP"}),
    ("System", {"id": POINTS, "key": "xp", "name": "XP"}),
    ("Tenant", {"id": TENANT, "name": "Acme"}),
    ("Environment", {"id": ANY_ID, "key": "staging", "name": "Staging"}),
    ("EventGroup", {"group": "Berlin", "value": 8_210}),
    ("EventStreak", {"extended": True}),
    ("Event", {"id": EVENT, "key": "words", "value": 120}),
    ("AuditRow", {"id": 4_711, "kind": "leaderboard", "before": {"name": "Words"}, "after": {"name": "Letters"}}),
    ("TimelineRow", {"kind": "event", "what": "Words", "subject": METRIC, "amount": 120, "id": EVENT}),
    ("FieldChange", {"field": "name", "before": "Words", "after": "Letters"}),
    ("Plan", {"section": "leaderboards", "item": "weekly-words"}),
    ("Bucket", {"from": 0, "to": 500, "total": 1_340, "change": 120}),
    ("WrappedValue", {"name": "Berlin"}),
    ("Streak", {"id": "ann", "name": "Ann"}),
    ("User", {"id": "ann", "name": "Ann"}),
    ("Group", {"group": "Berlin", "value": 8_210, "score": 8_210, "total": 8_210}),
    ("Deleted", {"id": METRIC}),
    ("Key", {"id": ANY_ID, "key": "4f1d20c3.kEyThatIsShownOnce", "name": "ann's key"}),
)
"""Values of fields in some types: those whose name contains the word. The first match counts."""
_FIELDS: Mapping[str, Any] = {
    "achievementId": ACHIEVEMENT,
    "achievementIds": [],
    "achievementName": "First thousand",
    "achievedAt": "2026-03-02T18:30:00.000Z",
    "actor": "key 4f1d20c3",
    "added": 10,
    "aggregateTop": 10,
    "amount": 10,
    "apiKey": "4f1d20c3.kEyThatIsShownOnce",
    "appName": "Wordsmith",
    "appUrl": "https://app.example.com",
    "attributes": {"city": "Berlin"},
    "awarded": 10,
    "badge": None,
    "badgeUrl": None,
    "brandColor": "#3b5bdb",
    "breakdownAttribute": None,
    "breakdownAttributes": [],
    "completionId": ANY_ID,
    "completions": 312,
    "corrects": None,
    "customerId": "acme",
    "daysOff": [],
    "decimals": 0,
    "description": None,
    "displayAttributes": [],
    "email": "ann@example.com",
    "end": "2026-03-08",
    "error": "user.id is required",
    "eventId": EVENT,
    "expires": "2026-03-03",
    "expiresAt": "2026-03-02T19:30:00.000Z",
    "extended": "2026-03-02T18:30:00.000Z",
    "finalAt": None,
    "at": "2026-03-02T18:30:00.000Z",
    "action": "update",
    "aggregate": "sum",
    "freezes": 2,
    "freezeAutoEarnInterval": 7,
    "frequency": "daily",
    "maxFreezes": 3,
    "operator": "sum",
    "order": "desc",
    "severity": "warning",
    "level": "warning",
    "started": "2026-02-19",
    "state": "live",
    "trigger": "metric",
    "type": "metric",
    "unitType": "number",
    "index": 0,
    "deviceTokens": [],
    "subscribeToEmails": True,
    "signUpDate": "2026-01-31",
    "font": "MODERN_SANS",
    "logo": None,
    "appIcon": None,
    "controlRatio": 10,
    "userActivationWindow": 14,
    "current": 1_340,
    "currentTotal": 1_340,
    "changeThisPeriod": 320,
    "percentChange": 31.4,
    "percentileThisPeriod": 12,
    "cut": [],
    "daysActive": 41,
    "weeksActive": 9,
    "monthsActive": 3,
    "startCount": 1,
    "maxCount": 3,
    "autoEarnInterval": 7,
    "autoEarnAmount": 1,
    "accepted": 2,
    "refused": [],
    "replayed": 0,
    "change": 120,
    "count": 24,
    "weekdays": [],
    "achievementKey": None,
    "group": None,
    "breakdownAttributeValue": None,
    "breakdownAttributeValues": [],
    "pointsSystemKey": None,
    "pointsSystemName": None,
    "minValue": None,
    "maxValue": None,
    "maxPerDay": None,
    "badges": [],
    "groupBy": None,
    "homeZone": "Europe/Berlin",
    "idempotencyKey": "essay-1",
    "issues": [],
    "item": BOARD,
    "kind": "leaderboard",
    "length": 12,
    "longest": 30,
    "maxParticipants": 1_000,
    "maxPoints": None,
    "members": 24,
    "message": "there is no metric with this id",
    "metricId": METRIC,
    "metricKey": "words",
    "metricName": "Words",
    "metricThreshold": 100,
    "metricValue": 1_000,
    "month": 3,
    "multiplier": 2,
    "newest": "2026-03-02T18:30:00.000Z",
    "nextCursor": "eyJyIjoxMX0",
    "overallRank": 4,
    "participants": 1_840,
    "percent": 100,
    "points": 10,
    "pointsSystemId": None,
    "prefix": "4f1d20c3",
    "previousRank": 7,
    "previousValue": 1_220,
    "rank": 4,
    "rarity": 16.96,
    "reason": "There is no user with this id",
    "rewards": [],
    "run": "2026-03-02",
    "startTime": None,
    "endTime": None,
    "streakLength": 7,
    "threshold": 10,
    "timeInterval": 1,
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.3q2-7w",
    "total": 1_340,
    "tz": "Europe/Berlin",
    "units": "words",
    "userAttributes": [],
    "eventAttributes": [],
    "userId": "ann",
    "userName": "Ann",
    "users": 24,
    "value": 1_340,
    "exactValue": 1_340,
    "year": 2026,
}
"""Values of fields by name, used where they fit the field's type. An optional field with None or ``[]`` is left
out."""
_MAPS = {"points": "xp", "leaderboards": "weekly-words", "metrics": "words", "byAttribute": "city"}
"""An example key of a map, by the field that holds the map."""
_BY_TYPE = {"string": "…", "integer": 1, "number": 1, "boolean": False, "null": None}
_BY_FORMAT = {"date": "2026-03-02", "date-time": "2026-03-02T18:30:00.000Z"}


def _value(schema: Mapping[str, Any], components: Mapping[str, Any], kind: str, field: str) -> Any:
    if reference := schema.get("$ref"):
        name = reference.rsplit("/", 1)[-1]
        return _object(components[name], components, name.rsplit(".", 1)[-1])
    options = schema.get("anyOf") or [schema]
    declared = _values_of(kind)
    for values in (declared, _FIELDS):
        if field in values and any(_fits(values[field], option) for option in options):
            return values[field]
    if "anyOf" in schema:
        return _value(options[0], components, kind, field)
    if "enum" in schema:
        return schema["enum"][0]
    if "default" in schema:
        return schema["default"]
    if schema.get("type") == "array":
        return [_value(schema["items"], components, kind, field)] if schema.get("items") else []
    if schema.get("type") == "object":
        if "properties" in schema:
            return _object(schema, components, kind)
        inner = schema.get("additionalProperties")
        return {_MAPS.get(field, "words"): _value(inner, components, kind, "")} if isinstance(inner, dict) else {}
    if schema.get("format") in _BY_FORMAT:
        return _BY_FORMAT[schema["format"]]
    return _BY_TYPE.get(schema.get("type", ""))


def _values_of(kind: str) -> Mapping[str, Any]:
    return next((values for word, values in _BY_TYPE_NAME if word in kind), {})


def _object(schema: Mapping[str, Any], components: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return an example of an object, without optional fields that would be empty."""
    required = schema.get("required", ())
    made = {}
    for name, field in schema.get("properties", {}).items():
        value = _value(field, components, kind, name)
        empty = {**_FIELDS, **_values_of(kind)}.get(name, value) in (None, [], {})
        if name in required or not empty:
            made[name] = value
    return made


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether a declared value fits a schema that isn't a reference."""
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema.get("type")
    if value is None:
        return kind == "null"
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int | float):
        whole = kind == "integer" and isinstance(value, int)
        return (kind == "number" or whole) and value >= schema.get("minimum", value)
    if isinstance(value, list):
        return kind == "array"
    if isinstance(value, dict):
        return kind == "object" and "properties" not in schema
    return kind == "string" and _has_format(value, schema.get("format", ""))


def _has_format(value: str, format_: str) -> bool:
    return not format_ or len(value) == len(_BY_FORMAT.get(format_, value))
