"""Bodies of requests: read with a limit, decoded into msgspec types, refused in words that name the field."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from server.core.errors import BadRequest, TooLarge
from server.core.ids import printable
from server.http.services import services

T = TypeVar("T")

_PLACE = re.compile(r" - at `(?:key in )?\$(.*)`\Z", re.DOTALL)
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`\Z", re.DOTALL)


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
    """The whole body; ``TooLarge`` beyond ``limit`` bytes (default: the setting ``body_limit``)."""
    return await receive_body(request.receive, services(request).settings.body_limit if limit is None else limit)


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The value of a body; ``BadRequest`` if it is not JSON, or not of the decoder's type."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(describe(error)) from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}") from None
    except UnicodeDecodeError:
        raise BadRequest("The body is not JSON: it is not UTF-8") from None
    except RecursionError:
        raise BadRequest("The body is nested too deeply") from None


def convert(value: Any, type_: type[T], whole: str) -> T:
    """A decoded value, called ``whole`` in words, as ``type_``; ``BadRequest`` if it is not of that type."""
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise BadRequest(describe(error, whole)) from None


def describe(error: msgspec.ValidationError, whole: str = "The body") -> str:
    """What is wrong, the field first: ``user.id: expected str, got int``."""
    text = str(error)
    place = ""
    if found := _PLACE.search(text):
        text, place = text[: found.start()], found.group(1).lstrip(".")
    if found := _FIELD.match(text):
        field = f"{place}.{found.group(2)}".lstrip(".")
        text = f"{field} is required" if "missing" in found.group(1) else f"{field} is not a known field"
    else:
        text = text.replace("`", "")
        text = f"{place or whole}: {text[:1].lower()}{text[1:]}"
    return printable(text)


async def read(request: Request, decoder: msgspec.json.Decoder[T], limit: int | None = None) -> T:
    """The decoded body of a request."""
    return decode(decoder, await read_body(request, limit))
