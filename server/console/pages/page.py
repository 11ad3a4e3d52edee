"""A page as a value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from server.console.accounts import Role


@dataclass(frozen=True, slots=True)
class Page:
    """One operation of the console, and the least role that may use it.

    A POST finds its fields, all text, in ``request.state.form``; its form carries ``csrf`` and, where it must not
    be carried out twice, a name of its own in ``form``.
    """

    path: str
    handler: Callable[[Request], Awaitable[Response]]
    method: Literal["GET", "POST"] = "GET"
    role: Role = "viewer"
