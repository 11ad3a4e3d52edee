"""Bodies of requests: read with a limit, decoded into msgspec types, refused in words that name the field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar, cast

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from podium.game.errors import BadRequest, RequestError, TooLarge, Unprocessable
from podium.game.ids import printable
from podium.http.services import services

T = TypeVar("T")

_PLACE = re.compile(r" - at (?:`key` in )?`\$(.*)`\Z", re.DOTALL)
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`\Z", re.DOTALL)
_GOT = re.compile(r", got `(\w+)`\Z")
_UNACCEPTABLE = re.compile(
    r"Invalid |\w+ (value )?out of range|Expected `[^`]+` ([<>]|of length [<>]|matching |that's )"
)
"""Of the documented type, but not a value that may be (docs/http-api.md#400-or-422)."""
_JSON_TYPES = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    list: "array",
    dict: "object",
    type(None): "null",
}
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BODY = "body_read"
"""Attribute of a request whose body was read."""
KEY_SHOWN = 100
"""Characters of a key in the place of what is wrong."""


async def receive_body(receive: Receive, limit: int) -> bytes:
    """The whole body of an ASGI request; ``TooLarge`` beyond ``limit`` bytes."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            raise TooLarge(f"The body must have at most {limit:,} bytes")
        if not message.get("more_body", False):
            return body


async def read_body(request: Request, limit: int | None = None) -> bytes:
    """Return the whole body, which may be read again: where a newer catalog is found, a handler is called twice.

    Raises:
        TooLarge: It has more than ``limit`` bytes (default: the setting ``body_limit``).
    """
    body: bytes | None = getattr(request, _BODY, None)
    if body is None:
        most = services(request).settings.body_limit if limit is None else limit
        body = await receive_body(request.receive, most)
        setattr(request, _BODY, body)  # not in the scope: the console asks endpoints with bodies of its own
    return body


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The value of a body; ``BadRequest`` if it is not JSON, or not of the decoder's type, ``Unprocessable`` if a
    value is of the type but may not be."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(error, "The body", lambda: msgspec.json.decode(body)) from None
    except msgspec.DecodeError as error:
        return _with_surrogates(decoder, body, error)
    except UnicodeDecodeError:
        raise BadRequest("The body is not JSON: it is not UTF-8") from None
    except RecursionError:
        raise BadRequest("The body is nested too deeply") from None


def _with_surrogates(decoder: msgspec.json.Decoder[T], body: bytes, error: msgspec.DecodeError) -> T:
    """What msgspec refuses to read: JSON with a lone surrogate is JSON, and 422. Of a list of anything only the
    items that hold one are refused, by ``convert``."""
    value: Any = None
    if _ESCAPED_SURROGATE.search(body):
        with suppress(ValueError, RecursionError):
            value = json.loads(body)
    if (place := _lone_surrogate(value)) is None:
        raise BadRequest(f"The body is not JSON: {error}") from None
    if decoder.type == list[Any] and isinstance(value, list):
        return cast("T", value)
    raise _of_surrogate(place, "The body")


def _of_surrogate(place: str, whole: str) -> Unprocessable:
    return Unprocessable(f"{printable(place) or whole} must not contain U+0000 or lone surrogates")


def _lone_surrogate(value: Any) -> str | None:
    """The place of a text, or the object of a key, with a lone surrogate; None without one."""
    if isinstance(value, str):
        return "" if _SURROGATE.search(value) else None
    inside: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        if any(_SURROGATE.search(key) for key in value):
            return ""
        inside = ((f".{key[:KEY_SHOWN]}", one) for key, one in value.items())
    elif isinstance(value, list):
        inside = ((f"[{at}]", one) for at, one in enumerate(value))
    for place, one in inside:
        if (found := _lone_surrogate(one)) is not None:
            after = f".{found}" if found and not found.startswith("[") else found
            return f"{place}{after}".lstrip(".")
    return None


def convert(value: Any, type_: type[T], whole: str) -> T:
    """A decoded value, called ``whole`` in words, as ``type_``; ``BadRequest`` if it is not of that type,
    ``Unprocessable`` if a value is of the type but may not be."""
    if (place := _lone_surrogate(value)) is not None:
        raise _of_surrogate(place, whole)
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise _refusal(error, whole, lambda: value) from None


def _refusal(error: msgspec.ValidationError, whole: str, read: Callable[[], Any]) -> RequestError:
    """The error that answers; ``read`` gives the value that was refused."""
    text = str(error)
    kind = Unprocessable if _UNACCEPTABLE.match(text) else BadRequest
    return kind(describe(error, whole, read() if text.endswith("[...]`") else None))


def describe(error: msgspec.ValidationError, whole: str = "The body", value: Any = None) -> str:
    """What is wrong, the field first: ``user.id: expected str, got int``. With the ``value`` that was refused it
    names the key of a map, too: ``attributes.city``, not ``attributes[...]``."""
    text = str(error)
    place = ""
    if found := _PLACE.search(text):
        text, place = text[: found.start()], found.group(1).lstrip(".")
    if place.endswith("[...]") and (got := _GOT.search(text)):
        place = _named(place, value, got.group(1))
    if found := _FIELD.match(text):
        field = f"{place}.{found.group(2)}".lstrip(".")
        text = f"{field} is required" if "missing" in found.group(1) else f"{field} is not a known field"
    elif text == "Invalid RFC3339 encoded date":
        text = f"{place or whole} must be a date, YYYY-MM-DD, like 2026-01-31"
    else:
        text = text.replace("`", "")
        text = f"{place or whole}: {text[:1].lower()}{text[1:]}"
    return printable(text)


def _named(place: str, value: Any, got: str) -> str:
    """``attributes[...]`` with the key of the first value that is of the type ``got``, where it can be found."""
    path = place.removesuffix("[...]")
    try:
        for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
            value = value[int(index)] if index else value[name]
        key = next(key for key, one in value.items() if _JSON_TYPES.get(type(one)) == got)
    except (LookupError, TypeError, AttributeError, StopIteration):
        return place
    return f"{path}.{key[:KEY_SHOWN]}".lstrip(".")


async def read(request: Request, decoder: msgspec.json.Decoder[T], limit: int | None = None) -> T:
    """The decoded body of a request."""
    return decode(decoder, await read_body(request, limit))
