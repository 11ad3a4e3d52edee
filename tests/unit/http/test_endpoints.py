"""Every endpoint states its promise about changes that were just acknowledged (docs/read-your-writes.md)."""

from __future__ import annotations

import re

from podium.app import ENDPOINTS
from podium.http.endpoints import Endpoint
from podium.http.openapi import document

CONFIGURATION = {
    "/v1/leaderboards",
    "/v1/points/{key}",
    "/v1/points/{key}/levels",
    "/v1/points/{key}/boosts",
    "/admin/v1/catalog",
    "/admin/v1/environments",
    "/admin/v1/origins",
    "/admin/v1/settings",
    "/admin/v1/streaks/settings",
    "/admin/v1/tenants",
    "/admin/v1/tenants/{id}",
}
"""What is read there is no user's: it is written to Postgres before it is answered."""
_NAMES_USER = re.compile(r"/users/\{|\{userId\}")
_USER_QUERIES = {"userId", "userIds", "ids"}


def _item_lists() -> set[str]:
    """Reads of what the admin API keeps: beside each stands a way to create it."""
    created = {one.path for one in ENDPOINTS if one.method == "POST" and one.path.startswith("/admin/v1/")}
    return {
        one.path
        for one in ENDPOINTS
        if one.method == "GET" and (one.path in created or one.path.removesuffix("/{id}") in created)
    }


def _reads() -> list[Endpoint]:
    return [one for one in ENDPOINTS if one.method == "GET"]


def test_every_read_says_what_it_promises() -> None:
    said = {one.path for one in _reads() if one.shows}
    silent = {one.path for one in _reads() if not one.shows}
    assert silent <= CONFIGURATION | _item_lists()
    assert not said & CONFIGURATION


def test_what_names_a_user_shows_all_that_was_acknowledged_of_that_user() -> None:
    for one in _reads():
        named = _NAMES_USER.search(one.path) or _USER_QUERIES & {query.name for query in one.query}
        if named:
            assert one.shows == "user", one.path


def test_what_may_lag_says_so_in_a_header() -> None:
    paths = document(ENDPOINTS)["paths"]
    dated = {
        path
        for path, operations in paths.items()
        if "Podium-As-Of" in operations.get("get", {}).get("responses", {}).get("200", {}).get("headers", {})
    }
    assert dated == {one.path for one in _reads() if one.shows == "space"}
    assert len(dated) >= 8
