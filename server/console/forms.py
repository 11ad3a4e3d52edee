"""What a form sent: a few short texts. Anybody may post one, so no more is read than a page of ours can send."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Message

from server.http.bodies import read_body

BYTES_MAX = 65_536
"""Of a form: its longest fields are a reason and a user's id, percent-encoded."""
FIELDS_MAX = 50


async def form_of(request: Request) -> dict[str, str]:
    """The fields of the form. ``TooLarge`` beyond ``BYTES_MAX``; 400 with a file, or more than ``FIELDS_MAX``."""
    body = await read_body(request, BYTES_MAX)

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async with Request(request.scope, receive).form(max_files=0, max_fields=FIELDS_MAX) as form:
        return {name: str(value) for name, value in form.items()}
