"""Parsing of posted forms. Anybody may post one, so the limits allow only what our pages can send."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from podium.game.errors import BadRequest, UnsupportedType
from podium.http.bodies import read_body

BYTES_MAX = 65_536
"""Bytes of a form. Its longest fields are a reason and a user's id, percent-encoded."""
FIELDS_MAX = 50

_TYPE = "application/x-www-form-urlencoded"


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form, the last one of each name. Without type and body there are none.

    Raises:
        BadRequest: more than ``FIELDS_MAX`` fields, or a text that is not UTF-8.
        TooLarge: more than ``BYTES_MAX`` bytes.
        UnsupportedType: another type. Multipart is one too, as no form sends a file.
    """
    body = await read_body(request, BYTES_MAX)
    type_ = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if type_ != _TYPE and (type_ or body):
        raise UnsupportedType(f"A form must be sent as {_TYPE}, not as {type_ or 'a body without a type'}")
    if body.count(b"&") >= FIELDS_MAX:
        raise BadRequest(f"A form must have at most {FIELDS_MAX} fields")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except UnicodeDecodeError:
        raise BadRequest("The form is not UTF-8") from None
    return dict(fields)
