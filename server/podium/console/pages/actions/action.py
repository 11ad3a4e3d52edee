"""An action as a value, and what the actions have in common."""

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
    """Something to type in, or to choose from ``options`` (value and text)."""

    name: str
    label: str
    type: str = "text"
    value: str = ""
    options: tuple[tuple[str, str], ...] = ()
    help: str = ""
    required: bool = True


REASON = Field("reason", "Reason", help="It stands in the audit log.", required=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an action works on: a user with the state as it is now, and what was typed."""

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
        """The catalog."""
        found: CatalogIndex = self.request.state.space.index
        return found

    @property
    def now_ms(self) -> int:
        """The instant."""
        return self.parts.clock()

    @property
    def today(self) -> date:
        """The user's local day."""
        return local_day(self.now_ms, zone(self.state.profile.tz))

    def would(self, input_: Input) -> Applied:
        """What an input would do now, as the engine says; nothing is committed."""
        return apply(self.index, self.state, input_)

    async def ask(
        self, handler: Handler, path: Mapping[str, str] | None = None, query: Any = None, body: Any = None
    ) -> Any:
        """An endpoint's answer; what it names as an issue is raised."""
        answer = await ask(self.request, handler, path, query, body)
        for issue in answer.get("issues", ()):
            raise Unprocessable(issue["message"])
        return answer


@dataclass(frozen=True, slots=True)
class Preview:
    """The effects of an action, a sentence a line. With ``loses`` the user has less afterwards, and the page says
    so in another colour. ``button`` is a text instead of the action's own, and ``danger`` makes the button red."""

    lines: Sequence[str]
    loses: bool = False
    button: str = ""
    danger: bool = False

    @property
    def mark(self) -> str:
        """The same for the same lines: what was confirmed is compared with what would be done."""
        return sha256("\n".join(self.lines).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Opened:
    """An action's page: what is known of what it is about, what to type in, and what it will do as far as that is
    known without."""

    fields: Sequence[Field] = ()
    facts: Sequence[tuple[str, str]] = ()
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One action: its name in paths, what its button says, and how it is done.

    ``open`` gives its page, or says by ``Unprocessable`` why there is nothing to do. ``look`` says what it will do
    with what was typed; the action is then asked for in two steps. ``do`` does it.
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
    """A name that people gave, within a sentence."""
    return Markup("<bdi>{}</bdi>").format(text)


def shown_day(day: date | int) -> str:
    """A day for people: Thu 24 Dec 2026."""
    found = date.fromordinal(day) if isinstance(day, int) else day
    return f"{found:%a} {found.day} {found:%b %Y}"


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 freeze, 2 freezes."""
    return f"{number:,} {one if abs(number) == 1 else many or one + 's'}"


def whole(asked: Asked, name: str, label: str, most: int) -> int:
    """The whole number of a field, at most ``most`` in size; 422 naming the field."""
    text = asked.form.get(name, "").strip()
    if not _WHOLE.match(text) or abs(int(text)) > most:
        raise Unprocessable(f"{label} must be a whole number from -{most:,} to {most:,}, like 100 or -50")
    return int(text)


def decimal(asked: Asked, name: str, label: str) -> Decimal:
    """The number of a field, as it is written; 422 naming the field."""
    text = asked.form.get(name, "").strip()
    if not _DECIMAL.match(text):
        raise Unprocessable(f"{label} must be a number like 12 or 2.5")
    return Decimal(text)
