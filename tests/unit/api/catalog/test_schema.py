"""The JSON Schema of the file: words to every field, and the limits that the server has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from podium.api.catalog.schema import json_schema


def fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, definition in json_schema()["$defs"].items():
        for field, schema in definition["properties"].items():
            yield name, field, schema


def test_every_field_is_described_and_no_choice_is_between_something_and_null() -> None:
    found = list(fields())
    assert len(found) > 100
    for name, field, schema in found:
        assert schema.get("description"), f"{name}.{field} needs words in schema.py"
        assert "anyOf" not in schema, f"{name}.{field}"


def test_only_what_the_file_has_is_spoken_of() -> None:
    named = {field for _, field, _ in fields()}
    text = " ".join(
        [schema["description"] for *_, schema in fields()]
        + [definition.get("description", "") for definition in json_schema()["$defs"].values()]
    )
    for word in re.findall(r"\b[a-z]+[A-Z]\w+", text):
        assert word in named, word
    assert "``" not in text


def test_keys_and_names_have_limits() -> None:
    for name, field, schema in fields():
        if name == "CatalogDocument":
            continue
        if field in ("key", "metric", "pointsSystem", "systemKey", "groupBy"):
            assert (schema["pattern"], schema["minLength"], schema["maxLength"]) == ("^[A-Za-z0-9_-]+$", 1, 100)
        if field == "name":
            assert (schema["pattern"], schema["minLength"], schema["maxLength"]) == (r"\S", 1, 255)


def test_references_lead_somewhere() -> None:
    schema = json_schema()

    def refs(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for one in value.values():
                yield from refs(one)
        elif isinstance(value, list):
            for one in value:
                yield from refs(one)

    found = set(refs(schema))
    assert "#/$defs/CatalogSettings" in found
    assert {ref.removeprefix("#/$defs/") for ref in found} <= set(schema["$defs"])
