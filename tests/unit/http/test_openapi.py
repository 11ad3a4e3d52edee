from __future__ import annotations

from typing import Any

import msgspec
import pytest

from podium.api.leaderboards.admin import ENDPOINTS as LEADERBOARDS
from podium.api.metrics.admin import ENDPOINTS as METRICS
from podium.api.users.attributes import ENDPOINTS as ATTRIBUTES
from podium.app import ENDPOINTS
from podium.http.descriptions import FIELDS
from podium.http.endpoints import Endpoint, Query
from podium.http.openapi import document


class Thing(msgspec.Struct):
    """A thing."""

    name: str


OPEN = Endpoint("GET", "/things/{id:path}", "One", "Things", "", (200, 404), answer=Thing)
MADE = Endpoint(
    "POST",
    "/things",
    "Make",
    "Things",
    "read",
    (201, 202, 422, 429),
    body=Thing,
    answer=Thing,
    query=(Query("loud", "Whether."),),
    headers=(Query("Idempotency-Key", "Once."),),
)


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    endpoints = [OPEN, MADE, *METRICS, *ATTRIBUTES, *LEADERBOARDS]
    return document(endpoints)


def test_operation(whole: dict[str, Any]) -> None:
    operation = whole["paths"]["/things"]["post"]
    assert sorted(operation["responses"]) == ["201", "202", "401", "403", "413", "422", "429"]
    assert operation["security"] == [{"apiKey": ["read"]}]
    thing = {"$ref": "#/components/schemas/Thing"}
    assert operation["requestBody"]["content"]["application/json"]["schema"] == thing
    assert operation["responses"]["202"]["content"]["application/json"]["schema"] == thing
    assert [(p["name"], p["in"]) for p in operation["parameters"]] == [
        ("loud", "query"),
        ("Idempotency-Key", "header"),
        ("Tenant-ID", "header"),
    ]
    assert "Retry-After" in operation["responses"]["429"]["headers"]


def test_open_operation(whole: dict[str, Any]) -> None:
    operation = whole["paths"]["/things/{id}"]["get"]
    assert "security" not in operation
    assert sorted(operation["responses"]) == ["200", "404"]
    assert operation["parameters"][0]["in"] == "path"


def test_every_error_has_the_one_shape(whole: dict[str, Any]) -> None:
    for operations in whole["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Error"}
    error = whole["components"]["schemas"]["Error"]
    assert error["required"] == ["error"]
    assert error["properties"] == {"error": {"type": "string"}}


def test_every_reference_is_there(whole: dict[str, Any]) -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                root, components, kind, name = value["$ref"].split("/")
                assert (root, components) == ("#", "components")
                assert name in whole["components"][kind]
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(whole)


def test_operation_ids_are_unique(whole: dict[str, Any]) -> None:
    ids = [operation["operationId"] for path in whole["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids)) == 18


def test_everything_is_said_of_every_operation() -> None:
    whole = document(ENDPOINTS)
    assert whole["servers"]
    for path, operations in whole["paths"].items():
        for method, operation in operations.items():
            for parameter in operation["parameters"]:
                assert parameter["description"], (method, path, parameter["name"])
            named = "Tenant-ID" in {parameter["name"] for parameter in operation["parameters"]}
            assert named is not path.startswith(("/admin/v1/tenants", "/admin/v1/environments")), path
            assert not named or "422" in operation["responses"]
            assert "401" in operation["responses"]
            for status, response in operation["responses"].items():
                assert ("Retry-After" in response["headers"]) is (status in ("429", "503"))
                assert "X-RateLimit-Remaining" in response["headers"]
    for part in ("levels", "boosts", "triggers"):
        for operation in whole["paths"][f"/admin/v1/points/{{systemId}}/{part}"].values():
            assert "404" in operation["responses"]
    schemas = whole["components"]["schemas"]
    fields = [field for schema in schemas.values() for field in schema.get("properties", {}).values()]
    said = sum("description" in field for field in fields)
    assert said > len(fields) / 2
    assert schemas["Tenant"]["properties"]["name"]["description"] == FIELDS["name"]


def test_no_schema_is_called_by_a_module() -> None:
    """Two types with one name are told apart by their subjects; the name of a module may change."""
    schemas = document(ENDPOINTS)["components"]["schemas"]
    assert not [name for name in schemas if "." in name]
    assert {"StreaksShownSettings", "SettingsShownSettings"} <= set(schemas)


def test_five_verbs(whole: dict[str, Any]) -> None:
    for name in ("metrics", "attributes", "leaderboards"):
        assert sorted(whole["paths"][f"/admin/v1/{name}"]) == ["delete", "get", "patch", "post"]
        assert sorted(whole["paths"][f"/admin/v1/{name}/{{id}}"]) == ["get"]
