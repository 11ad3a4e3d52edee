"""Example bodies of requests for the API document, from one small game: an app in which people write words.

They are declared by method and path; a test posts each to a real server.
"""

from __future__ import annotations

from typing import Any

METRIC = "01997c1e-6a00-7d10-8000-000000000001"
ATTRIBUTE = "01997c1e-6a00-7d10-8000-000000000002"
BOARD = "01997c1e-6a00-7d10-8000-000000000003"
ACHIEVEMENT = "01997c1e-6a00-7d10-8000-000000000004"
POINTS = "01997c1e-6a00-7d10-8000-000000000005"
TRIGGER = "01997c1e-6a00-7d10-8000-000000000006"
LEVEL = "01997c1e-6a00-7d10-8000-000000000007"
BOOST = "01997c1e-6a00-7d10-8000-000000000008"
EVENT = "01997c1e-6a00-7d10-8000-000000000009"
TENANT = "01997c1e-6a00-7d10-8000-00000000000a"
PAUSE = "01997c1e-6a00-7d10-8000-00000000000b"
ANY_ID = "01997c1e-6a00-7d10-8000-00000000000f"

_ANN = {"id": "ann", "name": "Ann", "tz": "Europe/Berlin", "attributes": {"city": "Berlin"}}
CATALOG = {
    "attributes": [{"name": "City", "key": "city", "type": "user"}],
    "metrics": [{"name": "Words", "key": "words", "unitType": "number", "units": "words"}],
    "points": [
        {
            "name": "XP",
            "key": "xp",
            "levels": [{"name": "Writer", "key": "writer", "points": 100}],
            "triggers": [{"type": "metric", "points": 10, "metric": "words", "metricThreshold": 100}],
        }
    ],
    "leaderboards": [
        {
            "name": "Words of the week",
            "key": "weekly-words",
            "rankBy": "metric",
            "metric": "words",
            "start": "2026-01-05",
            "runUnit": "day",
            "runInterval": 7,
        }
    ],
}

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/metrics/{key}/event"): {"user": _ANN, "value": 120},
    ("POST", "/admin/v1/metrics/events"): [
        {"key": "words", "user": {"id": "ann"}, "value": 120, "idempotencyKey": "essay-1"},
        {"key": "words", "user": {"id": "ben"}, "value": 80, "idempotencyKey": "essay-2"},
    ],
    ("POST", "/admin/v1/metrics/events/known"): [
        {"key": "words", "userId": "ann", "idempotencyKey": "essay-1"},
        {"key": "words", "userId": "ann", "idempotencyKey": "essay-3"},
    ],
    ("POST", "/v1/users"): {**_ANN, "email": "ann@example.com", "signUpDate": "2026-01-31"},
    ("PUT", "/v1/users/{id}"): {"name": "Ann", "tz": "Europe/Berlin", "attributes": {"city": "Berlin"}},
    ("PATCH", "/v1/users/{id}"): {"name": "Ann B.", "attributes": {"city": None}},
    ("PATCH", "/v1/users/{id}/preferences"): {
        "notifications": {"achievement_completed": ["push"], "recap": []},
        "streak": {"metrics": [{"key": "words", "threshold": 50}], "daysOff": [0, 6]},
    },
    ("POST", "/v1/achievements/{key}/complete"): {"user": {"id": "ann"}},
    ("POST", "/v1/users/{id}/realtime-token"): {"ttl": 3600, "channels": ["leaderboard:weekly-words"]},
    ("POST", "/admin/v1/metrics"): [{"name": "Words", "key": "words", "unitType": "number", "units": "words"}],
    ("PATCH", "/admin/v1/metrics"): [{"id": METRIC, "name": "Words written", "maxPerDay": 20_000}],
    ("POST", "/admin/v1/attributes"): [{"name": "City", "key": "city", "type": "user"}],
    ("PATCH", "/admin/v1/attributes"): [{"id": ATTRIBUTE, "name": "Home city"}],
    ("POST", "/admin/v1/users/replay"): {"users": [{"id": "ann"}]},
    ("POST", "/admin/v1/users/newest-events"): {"users": ["ann", "ben"]},
    ("PATCH", "/admin/v1/events/{id}"): {"value": 100},
    ("POST", "/admin/v1/leaderboards"): [
        {
            "name": "Words of the week",
            "key": "weekly-words",
            "rankBy": "metric",
            "metricId": METRIC,
            "status": "active",
            "start": "2026-01-05",
            "runUnit": "day",
            "runInterval": 7,
            "maxParticipants": 1_000,
        }
    ],
    ("PATCH", "/admin/v1/leaderboards"): [
        {
            "id": BOARD,
            "description": "Who writes most from Monday to Sunday",
            "rewards": [{"fromRank": 1, "toRank": 3, "points": {"systemKey": "xp", "amount": 500}}],
        }
    ],
    ("POST", "/admin/v1/achievements"): [
        {
            "name": "First thousand",
            "trigger": "metric",
            "metricId": METRIC,
            "metricValue": 1_000,
            "status": "active",
        },
        {"name": "Joined the club", "key": "joined-the-club", "trigger": "api", "status": "active"},
    ],
    ("PATCH", "/admin/v1/achievements"): [{"id": ACHIEVEMENT, "description": "A thousand words in all"}],
    ("POST", "/admin/v1/points"): [
        {
            "name": "XP",
            "key": "xp",
            "levels": [{"name": "Writer", "key": "writer", "points": 100}],
            "triggers": [{"type": "metric", "points": 10, "metricId": METRIC, "metricThreshold": 100}],
        }
    ],
    ("PATCH", "/admin/v1/points"): [{"id": POINTS, "maxPoints": 100_000}],
    ("POST", "/admin/v1/points/{systemId}/awards"): [
        {"userId": "ann", "amount": 50, "reason": "Won the essay prize"}
    ],
    ("POST", "/admin/v1/points/{systemId}/triggers"): [
        {"type": "streak", "points": 20, "streakLength": 7, "status": "active"}
    ],
    ("PATCH", "/admin/v1/points/{systemId}/triggers"): [{"id": TRIGGER, "points": 25}],
    ("POST", "/admin/v1/points/{systemId}/levels"): [{"name": "Author", "key": "author", "points": 1_000}],
    ("PATCH", "/admin/v1/points/{systemId}/levels"): [{"id": LEVEL, "points": 1_200}],
    ("POST", "/admin/v1/points/{systemId}/boosts/preview"): {"multiplier": 2, "weekdays": [0, 6], "days": 30},
    ("POST", "/admin/v1/points/{systemId}/boosts"): [
        {"name": "Double weekend", "start": "2030-03-02", "end": "2030-03-03", "multiplier": 2}
    ],
    ("PATCH", "/admin/v1/points/{systemId}/boosts"): [{"id": BOOST, "multiplier": 3}],
    ("PATCH", "/admin/v1/streaks/settings"): {
        "frequency": "daily",
        "customizationEnabled": True,
        "metrics": [{"key": "words", "threshold": 10}],
        "freezes": {"startCount": 1, "maxCount": 3, "autoEarnInterval": 7, "autoEarnAmount": 1},
    },
    ("POST", "/admin/v1/streaks/freezes"): {"freezes": [{"userId": "ann"}]},
    ("POST", "/admin/v1/streaks/pauses"): {
        "pauses": [{"userId": "ann", "start": "2030-08-01", "end": "2030-08-14"}]
    },
    ("POST", "/admin/v1/streaks/restore"): {"users": [{"id": "ann"}]},
    ("POST", "/admin/v1/streaks/reset"): {"users": [{"id": "ann"}]},
    ("PUT", "/admin/v1/origins"): ["https://app.example.com", "http://localhost:3000"],
    ("PATCH", "/admin/v1/settings"): {
        "branding": {"appName": "Wordsmith", "brandColor": "#3b5bdb"},
        "homeZone": "Europe/Berlin",
    },
    ("POST", "/admin/v1/environments"): {"key": "staging"},
    ("PUT", "/admin/v1/catalog"): CATALOG,
    ("POST", "/admin/v1/catalog/plan"): CATALOG,
    ("POST", "/admin/v1/catalog/copy"): {"from": "staging", "apply": False},
    ("POST", "/admin/v1/application-api-keys"): [{"userId": "ann", "capabilities": ["read", "events:write"]}],
    ("POST", "/admin/v1/tenants"): [{"customerId": "acme", "name": "Acme"}],
    ("PATCH", "/admin/v1/tenants"): [{"id": TENANT, "name": "Acme Inc."}],
}
"""Example bodies by method and path, as in the document."""
