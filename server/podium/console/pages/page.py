"""The description of a page, from which its route is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from podium.console.accounts import Role


@dataclass(frozen=True, slots=True)
class Page:
    """One operation of the console, and the lowest role that may use it.

    - The handler of a POST finds its fields, as text, in ``request.state.form``. Every form has the field
    ``csrf``.
    - A form is executed at most once, by the unique id in its field ``form``, unless ``once`` is False. A form
      whose ``step`` is among ``previews`` changes nothing, and may be sent any number of times.
    - A page with ``in_outages`` is also shown while a store is away, when only the cookie's signature can be
      checked. It must show nothing about single users.
    """

    path: str
    handler: Callable[[Request], Awaitable[Response]]
    method: Literal["GET", "POST"] = "GET"
    role: Role = "viewer"
    once: bool = True
    previews: frozenset[str] = frozenset()
    in_outages: bool = False
