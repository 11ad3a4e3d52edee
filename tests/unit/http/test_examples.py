"""Examples of the API document: each is of its type."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from podium.app import ENDPOINTS
from podium.http import examples
from podium.http.endpoints import Endpoint
from podium.http.openapi import document

DOCUMENT = document(ENDPOINTS)


def operation_of(endpoint: Endpoint) -> dict[str, Any]:
    path = endpoint.path.replace(":path", "")
    found: dict[str, Any] = DOCUMENT["paths"][path][endpoint.method.lower()]
    return found


def in_json(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["content"]["application/json"]
    return found


ids = [f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=ids)
def test_bodies_and_answers_have_an_example_of_their_type(endpoint: Endpoint) -> None:
    operation = operation_of(endpoint)
    if endpoint.body is not None:
        body = in_json(operation["requestBody"])["example"]
        msgspec.json.decode(msgspec.json.encode(body), type=endpoint.body)
    for status, response in operation["responses"].items():
        if int(status) < 400 and endpoint.answer is not None:
            answer = in_json(response)["example"]
            msgspec.json.decode(msgspec.json.encode(answer), type=endpoint.answer)
            assert answer, "an empty answer shows nothing"
            assert "…" not in str(answer), "a text has no example: say one in examples.py"


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=ids)
def test_what_an_address_needs_has_an_example(endpoint: Endpoint) -> None:
    for parameter in operation_of(endpoint)["parameters"]:
        assert ("example" in parameter) is (parameter["required"] or parameter["in"] == "path")


def test_no_example_is_left_over() -> None:
    there = {(method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations}
    assert set(examples.BODIES) <= there
