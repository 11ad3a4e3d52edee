"""The action that erases a user."""

from __future__ import annotations

from podium.api.users.erase import erase_user
from podium.console.internal_api import begin
from podium.console.notices import Notice
from podium.console.pages.actions.action import REASON, Action, Asked, Field, Opened
from podium.game.errors import Unprocessable
from podium.http.audit import auditing
from podium.http.auth import principal
from podium.spaces.audit import Entry, erased_name


async def _open(_: Asked) -> Opened:
    return Opened((Field("confirm", "The user's id, to be sure", help="Exactly as it stands above."),))


async def _erase(asked: Asked) -> Notice:
    if asked.form["confirm"] != asked.user:
        raise Unprocessable("Type the user's id, exactly, to erase the user")
    await begin(asked.request)
    async with auditing(asked.request) as entries:
        await erase_user(asked.parts, principal(asked.request), asked.user)
        entries.append(Entry("erase", "user", erased_name(asked.user)))
    return Notice("The user is erased.")


ACTIONS = (
    Action(
        "erase",
        "Erase the user",
        "Everything, everywhere, leaderboards included. It can't be undone.",
        "Erase for good",
        _open,
        _erase,
        reason=Field(
            REASON.name,
            REASON.label,
            help="It stays in the audit log: it must not say who the user was.",
            required=False,
        ),
        role="admin",
        danger=True,
    ),
)
