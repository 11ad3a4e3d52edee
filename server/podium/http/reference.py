"""The API reference: one HTML page, rendered from the OpenAPI document on the server.

It is complete without scripts, so that the browser's search, screen readers and printers find everything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

ASSETS = Path(__file__).parent / "assets"
HERE = "http://localhost:8000"
"""The server in the example commands; the page's script replaces it by the page's own."""
DEPTH = 3
"""Depth of nested objects whose fields are listed with a body; deeper ones link to their types."""

_LIMITS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("pattern", "matches {}"),
)
_FORMATS = {"date": "date, YYYY-MM-DD", "date-time": "timestamp"}
_CODE = re.compile(r"`+([^`]+)`+")


@dataclass(frozen=True, slots=True)
class Field:
    """A row of a table: a parameter, or a field of a body or a type.

    ``where`` is "path", "query" or "header" for a parameter, "" for a field.
    """

    name: str
    type_: Markup
    required: bool
    description: str
    limits: str
    where: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its status, meaning and type."""

    status: str
    description: str
    type_: Markup


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on the page. ``body`` and ``answer`` are examples in JSON, or empty."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    needs: str
    parameters: list[Field]
    body_type: Markup
    fields: list[Field]
    body: str
    answers: list[Answer]
    answer: str
    command: str


class Reference:
    """The subjects, operations and types of an OpenAPI document, prepared for the page."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._schemas: Mapping[str, Any] = document["components"]["schemas"]

    @cached_property
    def subjects(self) -> dict[str, list[Operation]]:
        """Operations by subject, in the document's order."""
        subjects: dict[str, list[Operation]] = {}
        for path, operations in self._document["paths"].items():
            for method, operation in operations.items():
                made = self._operation(method.upper(), path, operation)
                subjects.setdefault(operation["tags"][0], []).append(made)
        return subjects

    @cached_property
    def types(self) -> dict[str, tuple[str, list[Field]]]:
        """The description and the fields of each type, by its name."""
        return {
            name: (schema.get("description", ""), list(self._fields(schema, "", 1)))
            for name, schema in sorted(self._schemas.items())
            if "properties" in schema
        }

    def _operation(self, method: str, path: str, operation: Mapping[str, Any]) -> Operation:
        body = _json(operation.get("requestBody", {}))
        good = [_json(answer) for status, answer in operation["responses"].items() if int(status) < 400]
        keys = [name for one in operation.get("security", ()) for names in one.values() for name in names]
        return Operation(
            id=operation["operationId"].replace("_", "-"),
            method=method,
            path=path,
            summary=operation["summary"],
            description=operation.get("description", ""),
            needs=", ".join(keys),
            parameters=[self._parameter(one) for one in operation["parameters"]],
            body_type=self._type(body["schema"]) if body else Markup(),
            fields=list(self._fields(body["schema"], "", DEPTH)) if body else [],
            body=_pretty(body["example"]) if "example" in body else "",
            answers=[
                Answer(status, answer["description"], self._type(_json(answer).get("schema", {})))
                for status, answer in operation["responses"].items()
            ],
            answer=next((_pretty(one["example"]) for one in good if "example" in one), ""),
            command=command(method, path, operation),
        )

    def _parameter(self, parameter: Mapping[str, Any]) -> Field:
        schema = parameter["schema"]
        return Field(
            parameter["name"],
            self._type(schema),
            parameter["required"],
            parameter["description"],
            _limits(schema),
            parameter["in"],
            str(parameter.get("example", "")),
        )

    def _fields(self, schema: Mapping[str, Any], prefix: str, depth: int) -> Iterator[Field]:
        """Yield the fields of an object, or of the objects of an array; ``depth`` levels of them."""
        inside = self._inside(schema)
        for name, field in inside.get("properties", {}).items():
            inner = next((one for one in field.get("anyOf", ()) if one.get("type") != "null"), field)
            required = name in inside.get("required", ())
            yield Field(prefix + name, self._type(field), required, field.get("description", ""), _limits(inner))
            if depth > 1:
                below = f"{prefix}{name}{'[]' if inner.get('type') == 'array' else ''}."
                yield from self._fields(inner, below, depth - 1)

    def _inside(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the object behind a reference, or the item type of an array."""
        if schema.get("type") == "array":
            return self._inside(schema.get("items", {}))
        if reference := schema.get("$ref"):
            found: Mapping[str, Any] = self._schemas[_last(reference)]
            return found
        return schema

    def _type(self, schema: Mapping[str, Any]) -> Markup:
        """Return a type as text, with links to types that have fields."""
        if reference := schema.get("$ref"):
            name = _last(reference)
            linked = Markup('<a href="#type-{0}">{0}</a>').format(name)
            return linked if "properties" in self._schemas[name] else self._type(self._schemas[name])
        if options := schema.get("anyOf"):
            return Markup(" or ").join(self._type(option) for option in options)
        if "enum" in schema:
            return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in schema["enum"])
        match schema.get("type"):
            case "array":
                return Markup("array of {}").format(self._type(schema.get("items", {})))
            case "object" if isinstance(inner := schema.get("additionalProperties"), dict):
                return Markup("map of {}").format(self._type(inner))
            case None:
                return Markup("anything") if schema else Markup()
            case kind:
                return escape(_FORMATS.get(schema.get("format", ""), kind))


def command(method: str, path: str, operation: Mapping[str, Any]) -> str:
    """Return the operation's example as a command of curl."""
    queries = []
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(parameter["example"], safe=""))
        elif parameter["in"] == "query" and parameter["required"]:
            queries.append((parameter["name"], parameter["example"]))
    address = HERE + path + (f"?{urlencode(queries)}" if queries else "")
    parts = [f"curl {'' if method == 'GET' else f'-X {method} '}'{address}'"]
    if operation.get("security"):
        parts.append('-H "X-API-KEY: $PODIUM_KEY"')
    if "example" in (body := _json(operation.get("requestBody", {}))):
        parts.append("-H 'Content-Type: application/json'")
        parts.append("-d '{}'".format(_pretty(body["example"]).replace("'", "'\\''")))
    return " \\\n  ".join(parts)


def render(document: Mapping[str, Any]) -> bytes:
    """Return the page as UTF-8."""
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    environment.filters["slug"] = lambda text: "-".join(re.findall(r"\w+", text.lower()))
    return environment.get_template("docs.html").render(page=Reference(document), info=document["info"]).encode()


def prose(text: str) -> Markup:
    """Return a text of the document as HTML, in which text between backticks is code."""
    escaped = str(escape(" ".join(text.split())))
    return Markup(_CODE.sub(r"<code>\1</code>", escaped))  # noqa: S704 - escaped just above


def _json(content: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = content.get("content", {}).get("application/json", {})
    return found


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _last(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]


def _limits(schema: Mapping[str, Any]) -> str:
    """Return the limits and the default of a type as text."""
    said = [words.format(_number(schema[name])) for name, words in _LIMITS if name in schema]
    if schema.get("default") not in (None, [], {}, ""):
        said.append(f"default {json.dumps(schema['default'])}")
    return ", ".join(said)


def _number(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) and value == int(value) else str(value)
