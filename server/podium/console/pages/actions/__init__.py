"""Support's actions on a user. Each shows a preview, asks for confirmation, and calls the API's own endpoint."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from podium.console import notices
from podium.console.pages.actions import erase as erasing
from podium.console.pages.actions import events, points, streaks
from podium.console.pages.actions.action import REASON_MAX, Action, Asked, Field, Opened
from podium.console.pages.page import Page
from podium.console.pages.users import state_of
from podium.console.render import page
from podium.game import ids
from podium.game.errors import Forbidden, NotFound, RequestError, Unprocessable

ACTIONS = (*streaks.ACTIONS, *points.ACTIONS, *events.ACTIONS, *erasing.ACTIONS)
_BY_NAME = {action.name: action for action in ACTIONS}
LOOK, EDIT = "look", "edit"
"""Values of ``step``: show a preview, or edit the form again. Without it the action is executed."""
_PATH = "/console/users/{id}/actions/{action}"


async def get_action(request: Request) -> Response:
    """Render the form of an action, with a preview where no input is needed for one."""
    # The query has the input of a person who was signed out while filling in the form.
    asked, action = await _asked(request, {**request.query_params, "confirm": ""})
    try:
        opened = await action.open(asked)
    except Unprocessable as nothing:
        return _page(asked, action, None, problem=nothing.message)
    return _page(asked, action, opened)


async def post_action(request: Request) -> Response:
    """Show the preview of an action, or execute it and redirect to the user's page with a notice."""
    form = request.state.form
    asked, action = await _asked(request, {**form, "reason": form.get("reason", "").strip()})
    try:
        opened = await action.open(asked)
    except Unprocessable as nothing:
        return _page(asked, action, None, 422, problem=nothing.message)
    step = asked.form.get("step")
    if step == EDIT or (step == LOOK and action.look is None):
        return _page(asked, action, opened)
    try:
        _check((*opened.fields, action.reason), asked)
        preview = opened.preview if action.look is None else await action.look(asked)
        changed = step != LOOK and preview is not None and asked.form.get("seen") not in (None, preview.mark)
        if changed or (step == LOOK and action.look is not None):
            # The state has changed, so the effects would not be those that were confirmed: ask again.
            seen = replace(opened, preview=preview)
            return _page(asked, action, seen, 409 if changed else 200, confirm=True, changed=changed)
        request.state.principal = replace(request.state.principal, reason=asked.form["reason"])
        notice = await action.do(asked)
    except RequestError as error:
        problem, wrong = _in_form_terms(error.message, (*opened.fields, action.reason))
        return _page(asked, action, opened, 422, problem=problem, wrong=wrong)
    if action.name == "erase":
        return RedirectResponse("/console/users?erased=1", 303)
    return RedirectResponse(await notices.keep_notice(request, asked.user, notice), 303)


async def _asked(request: Request, form: dict[str, str]) -> tuple[Asked, Action]:
    user, state = await state_of(request)
    action = _BY_NAME.get(request.path_params["action"])
    if action is None:
        raise NotFound("There is no such action")
    if not request.state.session.may(action.role):
        raise Forbidden(f"This needs the role {action.role}")
    return Asked(request, user, state, form), action


def _check(fields: Sequence[Field], asked: Asked) -> None:
    """Raise ``Unprocessable``, naming the first field that is missing or not among its options."""
    for field in fields:
        typed = asked.form.get(field.name, field.value if field.options else "")
        if field.required and not typed:
            raise Unprocessable(f"{field.label} is missing")
        if field.options and typed not in [value for value, _ in field.options]:
            raise Unprocessable(f"{field.label} must be one of the options")
    ids.check_text("Reason", asked.form["reason"], REASON_MAX)


def _in_form_terms(problem: str, fields: Sequence[Field]) -> tuple[str, str]:
    """Return an error with the form's labels instead of the API's field names, and the name of its field, or
    ""."""
    for field in fields:
        for name in (field.label, field.name):
            if problem == name or problem.startswith(f"{name} "):
                rest = problem.removeprefix(name)
                for other in fields:
                    if other.type == "date":
                        rest = re.sub(rf"\b{other.name}\b", other.label, rest)
                return field.label + rest, field.name
    return problem, ""


def _page(
    asked: Asked,
    action: Action,
    opened: Opened | None,
    status: int = 200,
    *,
    problem: str = "",
    wrong: str = "",
    confirm: bool = False,
    changed: bool = False,
) -> Response:
    """Render the page of an action. Without ``opened`` there is nothing to do, and no button."""
    fields = (*opened.fields, action.reason) if opened is not None else ()
    preview = opened.preview if opened is not None else None
    shown: dict[str, Any] = {
        "action": action,
        "id": asked.user,
        "opened": opened,
        "fields": fields,
        "values": {field.name: asked.form.get(field.name, field.value) for field in fields},
        "two_steps": action.look is not None,
        "confirm": confirm,
        "changed": changed,
        "preview": preview,
        "button": (preview and preview.button) or action.button,
        "danger": action.danger or (preview is not None and preview.danger),
        "problem": problem,
        "wrong": wrong,
        "reason_max": REASON_MAX,
        "form": secrets.token_urlsafe(16),
    }
    return page(asked.request, "action.html", status, **shown)


PAGES = (
    Page(_PATH, get_action, role="support"),
    Page(_PATH, post_action, "POST", role="support", previews=frozenset({LOOK, EDIT})),
)
