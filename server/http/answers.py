"""JSON answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

encode = msgspec.json.Encoder().encode


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer whose body is ``value`` (msgspec types or plain values) as JSON."""
    return Response(encode(value), status, headers, media_type="application/json")
