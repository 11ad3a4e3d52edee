"""Bodies of requests: reading with a limit, decoding, and error messages that name the field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
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
"""Messages of msgspec about values of the documented type that are out of range (docs/http-api.md#400-or-422)."""
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
"""The attribute of a request that holds its body once it was read."""
KEY_SHOWN = 100
"""Characters of a map's key that an error message repeats."""


async def receive_body(receive: Receive, limit: int, announced: str | bytes | None = None) -> bytes:
    """Return the whole body of an ASGI request. ``announced`` is its ``Content-Length``, if it has one.

    Raises:
        TooLarge: it has, or announces, more than ``limit`` bytes.
        ClientDisconnect: the client left before its end.
    """
    if announced is not None and int(announced) > limit:  # the HTTP parser has checked that it is a number
        raise TooLarge(f"The body must have at most {limit:,} bytes")
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
    """Return the whole body. It is kept, as a handler is called twice where a newer catalog is found.

    Raises:
        TooLarge: it has more than ``limit`` bytes (default: the setting ``body_limit``).
    """
    body: bytes | None = getattr(request, _BODY, None)
    if body is None:
        most = services(request).settings.body_limit if limit is None else limit
        body = await receive_body(request.receive, most, request.headers.get("content-length"))
        # Not in the scope, which the console shares between calls of endpoints with bodies of its own.
        setattr(request, _BODY, body)
    return body


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body.

    Raises:
        BadRequest: it is not JSON, or not of the decoder's type.
        Unprocessable: a value is of the type but out of range.
    """
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            # Naming the field takes the whole body, which may be broken, or nested too deeply, behind that field.
            raise _refusal(error, "The body", lambda: msgspec.json.decode(body)) from None
    except msgspec.DecodeError as error:
        return _with_surrogates(decoder, body, error)
    except UnicodeDecodeError:
        raise BadRequest("The body is not JSON: it is not UTF-8") from None
    except RecursionError:
        raise _too_deep("The body") from None


def _with_surrogates(decoder: msgspec.json.Decoder[T], body: bytes, error: msgspec.DecodeError) -> T:
    """Handle a body that msgspec does not decode: return it as plain values, or raise the error to answer with.

    msgspec takes a lone surrogate for broken JSON. It is valid JSON, but text that can't be stored: 422, not 400.
    In a list of arbitrary items only those with a surrogate are refused, later, by ``convert``.
    """
    value: Any = None
    place = None
    if _ESCAPED_SURROGATE.search(body):
        try:
            value = json.loads(body)
            place = _lone_surrogate(value)
        except RecursionError:
            raise _too_deep("The body") from None
        except ValueError:
            pass  # not JSON, which is what the answer says
    if place is None:
        raise BadRequest(f"The body is not JSON: {error}") from None
    if decoder.type == list[Any] and isinstance(value, list):
        return cast("T", value)
    raise _surrogate_error(place, "The body")


def _too_deep(whole: str) -> BadRequest:
    return BadRequest(f"{whole} is nested too deeply")


def _surrogate_error(place: str, whole: str) -> Unprocessable:
    return Unprocessable(f"{printable(place) or whole} must not contain U+0000 or lone surrogates")


def _lone_surrogate(value: Any) -> str | None:
    """Return the path to the first text or key with a lone surrogate, "" for the value itself, or None."""
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
    """Convert a decoded value to ``type_``. Messages call it ``whole``.

    Raises:
        BadRequest: it is not of that type.
        Unprocessable: a value is of the type but out of range.
    """
    try:
        if (place := _lone_surrogate(value)) is not None:
            raise _surrogate_error(place, whole)
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise _refusal(error, whole, lambda: value) from None
    except RecursionError:
        raise _too_deep(whole) from None


def _refusal(error: msgspec.ValidationError, whole: str, read: Callable[[], Any]) -> RequestError:
    """Return the error to answer with; ``read`` returns the value that was refused."""
    text = str(error)
    kind = Unprocessable if _UNACCEPTABLE.match(text) else BadRequest
    return kind(describe(error, whole, read() if text.endswith("[...]`") else None))


def describe(error: msgspec.ValidationError, whole: str = "The body", value: Any = None) -> str:
    """Return a message about an invalid value that begins with the field: ``user.id: expected str, got int``.

    Given the ``value`` that was refused, it also names the key of a map: ``attributes.city``, not
    ``attributes[...]``, as msgspec says.
    """
    text = str(error)
    place = ""
    if found := _PLACE.search(text):
        text, place = text[: found.start()], found.group(1).lstrip(".")
    if place.endswith("[...]") and (got := _GOT.search(text)):
        place = _with_key(place, value, got.group(1))
    if found := _FIELD.match(text):
        field = f"{place}.{found.group(2)}".lstrip(".")
        text = f"{field} is required" if "missing" in found.group(1) else f"{field} is not a known field"
    elif text == "Invalid RFC3339 encoded date":
        text = f"{place or whole} must be a date, YYYY-MM-DD, like 2026-01-31"
    else:
        text = text.replace("`", "")
        text = f"{place or whole}: {text[:1].lower()}{text[1:]}"
    return printable(text)


def _with_key(place: str, value: Any, got: str) -> str:
    """Replace ``[...]`` by the key of the first value of the refused type ``got``, where there is one."""
    path = place.removesuffix("[...]")
    try:
        for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
            value = value[int(index)] if index else value[name]
        key = next(key for key, one in value.items() if _JSON_TYPES.get(type(one)) == got)
    except (LookupError, TypeError, AttributeError, StopIteration):
        return place
    return f"{path}.{key[:KEY_SHOWN]}".lstrip(".")


async def read(request: Request, decoder: msgspec.json.Decoder[T], limit: int | None = None) -> T:
    """Read and decode the body of a request; raises as ``read_body`` and ``decode`` do."""
    return decode(decoder, await read_body(request, limit))
