"""The OpenAPI 3.1 document, made from the endpoints and their typed bodies and answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from podium.http import as_of, descriptions, example_bodies, examples
from podium.http.answers import encode
from podium.http.compressed import Compressed
from podium.http.endpoints import Endpoint, Query

PATH = "/openapi.json"
_SCHEMES = {"apiKey": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}}
_ERRORS = {
    400: "Not JSON, or not of the documented shape or type",
    401: "No key, or one that is unknown or revoked",
    403: "The key may not do this",
    404: "Not found",
    413: "The body is too large",
    422: "Well formed but unacceptable",
    429: "More than the rate limit, or than this server queues; nothing was stored. Come back after `Retry-After` "
    "seconds",
    503: "A store is away or catching up. Come back after `Retry-After` seconds",
}
_SUCCESSES = {200: "Done", 201: "Created", 202: "Accepted"}
_WAITING = (429, 503)
_TENANT = Query(
    "Tenant-ID",
    "The tenant, by its customer id: required where tenants are on, but for their own keys; else ignored.",
)
_OF_ENVIRONMENTS = ("/admin/v1/tenants", "/admin/v1/environments")
_HEADERS = {
    name: {"schema": {"type": "integer"}, "description": f"{meaning} Only where rate limits are on."}
    for name, meaning in {
        "X-RateLimit-Limit": "Requests that may come at once.",
        "X-RateLimit-Remaining": "Those that are left of them.",
        "X-RateLimit-Reset": "When all are back: unix seconds.",
    }.items()
}
_HEADERS["Retry-After"] = {"schema": {"type": "integer"}, "description": "Seconds"}
_LIMITS = [name for name in _HEADERS if name.startswith("X-RateLimit")]
_AS_OF = (
    "All that was acknowledged before this instant is in the answer: as a rule 0.2 s ago, longer in a large "
    "space. Left out while Redis is away."
)
_CONVERTER = re.compile(r"\{(\w+)(?::\w+)?\}")


class Error(msgspec.Struct, frozen=True):
    """Every error: a sentence for people that names the field."""

    error: str


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the document; component schemas are named after their classes."""
    types = [Error]
    for endpoint in endpoints:
        types += [type_ for type_ in (endpoint.body, endpoint.answer) if type_ is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas, components = _without_modules(schemas), _without_modules(components)
    for name, component in components.items():
        _describe(name, component)
    remaining = iter(schemas[1:])
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        body = next(remaining) if endpoint.body is not None else None
        answer = next(remaining) if endpoint.answer is not None else None
        path = _CONVERTER.sub(r"{\1}", endpoint.path)
        operation = _operation(endpoint, body, answer, schemas[0])
        _add_examples(operation, endpoint.method, path, answer, components)
        paths.setdefault(path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Podium",
            "version": version("podium"),
            "description": "Real-time leaderboards: an event in, a rank out.",
        },
        "servers": [{"url": "/", "description": "Where this document comes from"}],
        "paths": paths,
        "components": {"schemas": components, "headers": _HEADERS, "securitySchemes": _SCHEMES},
    }


def openapi_route(endpoints: Sequence[Endpoint]) -> Route:
    """Return the route ``GET /openapi.json``, which needs no key.

    The document is made at the first request, in a thread: it takes a quarter of a second, for which neither the
    start nor other requests should wait.
    """

    @cache
    def file() -> Compressed:
        return Compressed(encode(document(endpoints)), "application/json")

    async def openapi(request: Request) -> Response:
        return await (await asyncio.to_thread(file)).answer(request)

    return Route(PATH, openapi, include_in_schema=False)


_DOTTED = re.compile(r"(\w+\.)+(?P<subject>\w+)\.\w+\.(?P<name>\w+)\Z")
"""The name that msgspec gives a type where another has the same class name: it adds the module."""


def _without_modules(value: Any) -> Any:
    """Return schemas with module names replaced by subjects.

    ``podium.api.streaks.settings.ShownSettings`` becomes ``StreaksShownSettings``.
    """
    if isinstance(value, dict):
        return {_without_module(name): _without_modules(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_modules(inner) for inner in value]
    return _without_module(value) if isinstance(value, str) and value.startswith("#/") else value


def _without_module(name: str) -> str:
    head, slash, last = name.rpartition("/")
    if not (found := _DOTTED.match(last)):
        return name
    return f"{head}{slash}{found['subject'].title()}{found['name']}"


def _operation(endpoint: Endpoint, body: Any, answer: Any, error: Any) -> dict[str, Any]:
    parameters = [
        _parameter(Query(name, descriptions.parameter(endpoint.path, name), required=True), "path")
        for name in _CONVERTER.findall(endpoint.path)
    ]
    parameters += [_parameter(query, "query") for query in endpoint.query]
    tenant = not endpoint.path.startswith(_OF_ENVIRONMENTS) and (endpoint.needs or 401 in endpoint.statuses)
    headers = (*endpoint.headers, _TENANT) if tenant else endpoint.headers
    parameters += [_parameter(header, "header") for header in headers]
    statuses = [*endpoint.statuses]
    if tenant and 422 not in statuses:
        statuses.append(422)
    if endpoint.needs:
        statuses += [status for status in (401, 403, 422, 429) if status not in statuses]  # 422: of Tenant-ID, too
    if body is not None and 413 not in statuses:
        statuses.append(413)
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "parameters": parameters,
        "responses": {str(status): _response(status, answer, error) for status in sorted(statuses)},
    }
    for header in endpoint.answer_headers:
        found = {"schema": dict(header.schema), "description": header.description}
        for status in (str(status) for status in endpoint.statuses if status < 300):
            operation["responses"][status]["headers"][header.name] = found
    if endpoint.shows == "space":
        dated = operation["responses"][str(endpoint.statuses[0])]["headers"]
        dated[as_of.HEADER] = {"schema": {"type": "string", "format": "date-time"}, "description": _AS_OF}
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.needs:
        operation["security"] = [{"apiKey": [endpoint.needs]}]
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _add_examples(
    operation: dict[str, Any], method: str, path: str, answer: Any, components: dict[str, Any]
) -> None:
    """Add an example to the body, to each successful answer and to each required parameter."""
    if (body := operation.get("requestBody")) is not None and (method, path) in example_bodies.BODIES:
        body["content"]["application/json"]["example"] = example_bodies.BODIES[method, path]
    for shown in operation["parameters"]:
        if shown["in"] == "path":
            shown["example"] = examples.path_parameter(path, shown["name"])
        elif shown["required"]:
            shown["example"] = examples.query_parameter(path, shown["name"])
    if answer is not None:
        example = examples.answer(method, path, answer, components)
        for status, response in operation["responses"].items():
            if int(status) < 400:
                response["content"]["application/json"]["example"] = example


def _operation_id(endpoint: Endpoint) -> str:
    path = _CONVERTER.sub(r"by \1", endpoint.path)
    return "_".join(re.findall(r"\w+", f"{endpoint.method} {path}")).lower()


def _parameter(query: Query, place: str) -> dict[str, Any]:
    return {
        "name": query.name,
        "in": place,
        "description": query.description,
        "required": query.required,
        "schema": dict(query.schema),
    }


def _response(status: int, answer: Any, error: Any) -> dict[str, Any]:
    good = status < 400
    response: dict[str, Any] = {"description": _SUCCESSES.get(status) or _ERRORS[status]}
    schema = answer if good else error
    if schema is not None:
        response["content"] = {"application/json": {"schema": schema}}
    names = [*_LIMITS, "Retry-After"] if status in _WAITING else _LIMITS
    response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return response


def _describe(type_: str, component: dict[str, Any]) -> None:
    """Add descriptions to the fields of a type that have none."""
    for name, schema in component.get("properties", {}).items():
        if "description" not in schema and (meaning := descriptions.field(type_, name)):
            schema["description"] = meaning
