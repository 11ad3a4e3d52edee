"""Every example of a body in the API document, sent to a server as it stands in the order of a game's life."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from podium.http import example_bodies, examples
from podium.http.example_bodies import BODIES
from podium.services import Services
from tests.integration.test_boards import flush

ORDER = (
    ("POST", "/admin/v1/attributes", example_bodies.ATTRIBUTE),
    ("POST", "/admin/v1/metrics", example_bodies.METRIC),
    ("POST", "/admin/v1/points", example_bodies.POINTS),
    ("POST", "/admin/v1/points/{systemId}/triggers", example_bodies.TRIGGER),
    ("POST", "/admin/v1/points/{systemId}/levels", example_bodies.LEVEL),
    ("POST", "/admin/v1/points/{systemId}/boosts", example_bodies.BOOST),
    ("POST", "/admin/v1/points/{systemId}/boosts/preview", ""),
    ("POST", "/admin/v1/achievements", example_bodies.ACHIEVEMENT),
    ("POST", "/admin/v1/leaderboards", example_bodies.BOARD),
    ("PATCH", "/admin/v1/streaks/settings", ""),
    ("PATCH", "/admin/v1/settings", ""),
    ("PUT", "/admin/v1/origins", ""),
    ("POST", "/v1/users", ""),
    ("POST", "/v1/metrics/{key}/event", example_bodies.EVENT),
)
"""Endpoints that make what other examples name: they are called first, and answer with the id of the example."""
LAST = (("POST", "/admin/v1/tenants", example_bodies.TENANT), ("PATCH", "/admin/v1/tenants", ""))
"""From the first tenant on every request must name one."""
PARAMETER = re.compile(r"\{(\w+)\}")


async def test_every_body_is_accepted(http: httpx.AsyncClient, services: Services) -> None:
    first, last = [one[:2] for one in ORDER], [one[:2] for one in LAST]
    others = [(method, path, "") for method, path in BODIES if (method, path) not in first + last]
    ids: dict[str, str] = {}
    for method, path, id_ in (*ORDER, *others, *LAST):
        place = PARAMETER.sub(lambda found, path=path: examples.path_parameter(path, found[1]), path)
        sent = json.dumps(BODIES[method, path])
        for example, real in ids.items():
            place, sent = place.replace(example, real), sent.replace(example, real)
        await flush(services)
        answer = await http.request(method, place, content=sent)
        assert answer.status_code < 300, (method, path, answer.text)
        body = answer.json()
        issues = body.get("issues", []) if isinstance(body, dict) else []
        assert not [issue for issue in issues if "error" in (issue.get("severity"), issue.get("level"))], body
        if id_:
            ids[id_] = _id(body)


def _id(body: dict[str, Any]) -> str:
    found: str = body["created"][0]["id"] if "created" in body else body["eventId"]
    return found
