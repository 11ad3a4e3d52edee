"""A page as a value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from podium.console.accounts import Role


@dataclass(frozen=True, slots=True)
class Page:
    """One operation of the console, and the least role that may use it.

    A POST finds its fields, all text, in ``request.state.form``; its form carries ``csrf`` and, unless what it
    does may as well be done twice (``once=False``), a name of its own in ``form``. One whose ``step`` is among
    ``looks`` does nothing but show, as often as it is sent. ``in_outages``: shown while a store is away, to whom
    the cookie alone names, so it must show nothing about any one user.
    """

    path: str
    handler: Callable[[Request], Awaitable[Response]]
    method: Literal["GET", "POST"] = "GET"
    role: Role = "viewer"
    once: bool = True
    looks: frozenset[str] = frozenset()
    in_outages: bool = False
