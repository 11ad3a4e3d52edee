"""The description of an action, and functions that actions share."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any

from markupsafe import Markup
from starlette.requests import Request

from podium.console.accounts import Role
from podium.console.internal_api import Handler, ask
from podium.console.notices import Notice
from podium.game.apply import Applied, apply
from podium.game.catalog import CatalogIndex
from podium.game.errors import Unprocessable
from podium.game.inputs import Input
from podium.game.periods import local_day, zone
from podium.game.state import UserState
from podium.http.services import Services, services

REASON_MAX = 255
"""Characters of a reason."""
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}\Z")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(?:\.([0-9]{1,9}))?\Z")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form. ``options`` are pairs of value and text."""

    name: str
    label: str
    type: str = "text"
    value: str = ""
    options: tuple[tuple[str, str], ...] = ()
    help: str = ""
    required: bool = True


REASON = Field("reason", "Reason", help="It is shown in the audit log.", required=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """The input of an action: a user with the present state, and the fields of the form."""

    request: Request
    user: str
    state: UserState
    form: Mapping[str, str]

    @property
    def parts(self) -> Services:
        """The server's services."""
        return services(self.request)

    @property
    def index(self) -> CatalogIndex:
        """The space's catalog."""
        found: CatalogIndex = self.request.state.space.index
        return found

    @property
    def now_ms(self) -> int:
        """The present instant."""
        return self.parts.clock()

    @property
    def today(self) -> date:
        """Today in the user's time zone."""
        return local_day(self.now_ms, zone(self.state.profile.tz))

    def simulate(self, input_: Input) -> Applied:
        """Apply an input to the present state without committing it, and return the effects."""
        return apply(self.index, self.state, input_)

    async def ask(
        self, handler: Handler, path: Mapping[str, str] | None = None, query: Any = None, body: Any = None
    ) -> Any:
        """Call an endpoint and return its answer. Raises ``Unprocessable`` for the first of its issues."""
        answer = await ask(self.request, handler, path, query, body)
        for issue in answer.get("issues", ()):
            raise Unprocessable(issue["message"])
        return answer


@dataclass(frozen=True, slots=True)
class Preview:
    """The effects of an action, one sentence per line.

    With ``loses`` the user has less afterwards, which the page shows in another colour. ``button`` replaces the
    action's own text, and ``danger`` makes the button red.
    """

    lines: Sequence[str]
    loses: bool = False
    button: str = ""
    danger: bool = False

    @property
    def mark(self) -> str:
        """A hash of the lines, with which the confirmed effects are compared with the present ones."""
        return sha256("\n".join(self.lines).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Opened:
    """The content of an action's page: fields, facts about the subject, and the preview if it needs no input."""

    fields: Sequence[Field] = ()
    facts: Sequence[tuple[str, str]] = ()
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One action; ``name`` is its part of the path.

    ``open`` returns its page, or raises ``Unprocessable`` with the reason why there is nothing to do. ``look``
    returns the preview for the input, and makes the form one of two steps. ``do`` executes the action.
    """

    name: str
    title: str
    text: str
    button: str
    open: Callable[[Asked], Awaitable[Opened]]
    do: Callable[[Asked], Awaitable[Notice]]
    look: Callable[[Asked], Awaitable[Preview]] | None = None
    reason: Field = REASON
    role: Role = "support"
    danger: bool = False


def bdi(text: str) -> Markup:
    """Wrap a name in <bdi>, so that its direction does not affect the sentence."""
    return Markup("<bdi>{}</bdi>").format(text)


def shown_day(day: date | int) -> str:
    """Format a day: Thu 24 Dec 2026."""
    found = date.fromordinal(day) if isinstance(day, int) else day
    return f"{found:%a} {found.day} {found:%b %Y}"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: 1 freeze, 2 freezes."""
    return f"{number:,} {one if abs(number) == 1 else many or one + 's'}"


def whole(asked: Asked, name: str, label: str, most: int) -> int:
    """Return the whole number in a field, from -``most`` to ``most``.

    Raises ``Unprocessable``, naming the field.
    """
    text = asked.form.get(name, "").strip()
    if not _WHOLE.match(text) or abs(int(text)) > most:
        raise Unprocessable(f"{label} must be a whole number from -{most:,} to {most:,}, like 100 or -50")
    return int(text)


def decimal(asked: Asked, name: str, label: str) -> Decimal:
    """Return the number in a field, with its decimals. Raises ``Unprocessable``, naming the field."""
    text = asked.form.get(name, "").strip()
    if not _DECIMAL.match(text):
        raise Unprocessable(f"{label} must be a number like 12 or 2.5")
    return Decimal(text)
