"""The API reference, made from the document."""

from __future__ import annotations

import json
import re
import shlex
from html import unescape
from typing import Any

import pytest

from podium.app import ENDPOINTS
from podium.http.openapi import document
from podium.http.reference import Reference, command, prose, render

DOCUMENT = document(ENDPOINTS)
PAGE = render(DOCUMENT).decode()


@pytest.fixture(scope="module")
def operations() -> dict[tuple[str, str], Any]:
    return {(one.method, one.path): one for many in Reference(DOCUMENT).subjects.values() for one in many}


def test_every_operation_is_there(operations: dict[tuple[str, str], Any]) -> None:
    there = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert set(operations) == there
    assert PAGE.count('<details class="operation"') == len(there)


def test_links_and_ids_fit() -> None:
    ids = re.findall(r'\sid="([^"]+)"', PAGE)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', PAGE)) <= set(ids)


def test_fields_of_bodies_have_a_type_and_a_meaning(operations: dict[tuple[str, str], Any]) -> None:
    for where, one in operations.items():
        for field in (*one.parameters, *one.fields):
            assert field.type_, (where, field.name)
            assert field.description, (where, field.name, "say it in descriptions.py")


def test_fields_of_objects_within(operations: dict[tuple[str, str], Any]) -> None:
    fields = {field.name: field for field in operations["POST", "/v1/metrics/{key}/event"].fields}
    assert fields["user"].type_ == '<a href="#type-EventUser">EventUser</a>'
    assert fields["user"].required
    assert fields["user.id"].required
    assert not fields["user.name"].required
    assert fields["user.attributes"].type_ == "map of string or null"
    names = [field.name for field in operations["POST", "/admin/v1/points"].fields]
    assert "levels[].key" in names
    limited = {field.name: field for field in operations["POST", "/admin/v1/leaderboards"].fields}
    assert limited["maxParticipants"].limits == "at least 1, at most 10,000,000"
    assert "<code>competition</code>, <code>dense</code>" in limited["tieRule"].type_


def test_a_command_can_be_run(operations: dict[tuple[str, str], Any]) -> None:
    for where, one in operations.items():
        words = shlex.split(one.command)
        assert words[0] == "curl", where
        assert ("X-API-KEY: $PODIUM_KEY" in words) is bool(one.needs), where
        if one.body:
            assert json.loads(words[words.index("-d") + 1]) == json.loads(one.body), where
    quoted = {
        "parameters": [
            {"in": "path", "name": "id", "example": "a/b", "required": True},
            {"in": "query", "name": "q", "example": "x&y", "required": True},
            {"in": "query", "name": "limit", "required": False},
        ],
        "requestBody": {"content": {"application/json": {"example": {"name": "Ann's"}}}},
    }
    words = shlex.split(command("PUT", "/users/{id}", quoted))
    assert words[:4] == ["curl", "-X", "PUT", "http://localhost:8000/users/a%2Fb?q=x%26y"]
    assert json.loads(words[-1]) == {"name": "Ann's"}


def test_texts_are_escaped() -> None:
    assert prose("a ``<b>`` & `c`\n  d") == "a <code>&lt;b&gt;</code> &amp; <code>c</code> d"
    assert "&#39;" in PAGE
    assert '"name": "Ann"' in unescape(PAGE)
