"""What support does to a user: each action shows what it will do, asks, and is done by the API's own endpoint."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.backends.redis.client import AWAY
from server.console.accounts import Role
from server.console.ask import ask
from server.console.pages.page import Page
from server.console.pages.users import state_of
from server.console.render import page
from server.core.errors import NotFound, RequestError, Unavailable, Unprocessable
from server.core.periods import local_day, zone
from server.engine.apply import apply
from server.engine.inputs import ChangeStreak
from server.engine.state import UserState
from server.features.achievements import api as achievements
from server.features.leaderboards import moderation
from server.features.points import boosting, giving
from server.features.streaks import admin as streaks
from server.features.streaks import rules
from server.features.streaks.model import NONE, Streaks
from server.features.users import erasing
from server.http.audit import auditing
from server.http.services import services
from server.spaces.audit import Entry

UNDO_S = 60
"""How long a restored streak can be taken back."""

Form = dict[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """Something to type in."""

    name: str
    label: str
    type: str = "text"
    value: str = ""
    options: tuple[tuple[str, str], ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """One action: its name in paths, what its button says, what it asks for, and how it is done."""

    name: str
    title: str
    text: str
    button: str
    do: Callable[[Request, str, Form], Awaitable[str]]
    fields: Callable[[Request], tuple[Field, ...]] = lambda _: ()
    role: Role = "support"
    danger: bool = False


async def _restore(request: Request, user: str, __: Form) -> str:
    _, before = await state_of(request)
    answer = await ask(request, streaks.post_restore, body={"users": [{"id": user}]})
    _check(answer)
    _, after = await state_of(request)
    undo = msgspec.json.encode((before.streaks, after.streaks))
    await _raw(request).set(_undo_key(request, user), undo, ex=UNDO_S)
    return f"The streak is back: {_length(request, after)}. You can take that back for a minute."


async def _undo(request: Request, user: str, _: Form) -> str:
    kept = await _raw(request).getdel(_undo_key(request, user))
    if kept is None:
        raise Unprocessable("There is nothing to undo any more")
    parts = services(request)
    before, after = msgspec.json.decode(kept, type=tuple[Streaks, Streaks])
    async with auditing(request) as entries:
        command = ChangeStreak(user, "undo", parts.clock(), undone=(before, after))
        state = await parts.commit(request.state.space, command)
        entries.append(Entry("undo restore", "streak", user, None, {"length": _length(request, state)}))
    return "The streak is as it was."


async def _freeze(request: Request, user: str, _: Form) -> str:
    _check(await ask(request, streaks.post_freezes, body={"freezes": [{"userId": user}]}))
    return "One more freeze."


async def _reset(request: Request, user: str, _: Form) -> str:
    _check(await ask(request, streaks.post_reset, body={"users": [{"id": user}]}))
    return "The streak is at 0."


async def _pause(request: Request, user: str, form: Form) -> str:
    pause = {"userId": user, "start": form.get("start", ""), "end": form.get("end", "")}
    _check(await ask(request, streaks.post_pauses, body={"pauses": [pause]}))
    return f"Paused from {pause['start']} to {pause['end']}."


async def _points(request: Request, user: str, form: Form) -> str:
    item = {"userId": user, "amount": _number(form, "amount"), "reason": form.get("reason", "")}
    answer = await ask(request, giving.post_awards, {"systemId": form.get("system", "")}, body=[item])
    _check(answer)
    given = answer["given"][0]
    return f"{given['awarded']:+,} points, {given['total']:,} now."


async def _boost(request: Request, user: str, form: Form) -> str:
    item: dict[str, Any] = {"name": form.get("name", ""), "start": form.get("start", ""), "userId": user}
    item["multiplier"] = _number(form, "multiplier", float)
    if form.get("end"):
        item["end"] = form["end"]
    post = boosting.RESOURCE.post
    _check(await ask(request, post, {"systemId": form.get("system", "")}, body=[item]))
    return f"The boost {item['name']} is made."


async def _achievement(request: Request, user: str, form: Form) -> str:
    key = form.get("achievement", "")
    async with auditing(request) as entries:
        await ask(request, achievements.post_complete, {"key": key}, body={"user": {"id": user}})
        entries.append(Entry("complete", "achievement", user, None, {"key": key, "userId": user}))
    return "The achievement is completed."


async def _event(request: Request, _: str, form: Form) -> str:
    id_ = form.get("event", "")
    if form.get("value", "").strip():
        body = {"value": _number(form, "value", float)}
        await ask(request, moderation.patch_event, {"id": id_}, body=body)
        return "The event is corrected."
    await ask(request, moderation.delete_event, {"id": id_})
    return "The event is undone."


async def _erase(request: Request, user: str, form: Form) -> str:
    if form.get("confirm", "").strip() != user:
        raise Unprocessable("Type the user's id to erase the user")
    _check(await ask(request, erasing.delete_users, query={"ids": user}))
    return ""


def _systems(request: Request) -> Field:
    options = tuple((one.id, one.name) for one in request.state.space.index.catalog.points)
    return Field("system", "Points system", "select", options=options)


def _points_fields(request: Request) -> tuple[Field, ...]:
    return (
        _systems(request),
        Field("amount", "Points", "number", help="Negative ones are taken."),
        Field("reason", "Reason", help="It stands in the audit log."),
    )


def _boost_fields(request: Request) -> tuple[Field, ...]:
    return (
        _systems(request),
        Field("name", "Name", value="With our apologies"),
        Field("multiplier", "Multiplier", "text", "2"),
        Field("start", "First day", "date"),
        Field("end", "Last day", "date", help="Empty: without an end."),
    )


def _achievement_fields(request: Request) -> tuple[Field, ...]:
    goals = request.state.space.index.catalog.achievements
    options = tuple((one.key, one.name) for one in goals if one.trigger == "api" and one.status == "active")
    return (Field("achievement", "Achievement", "select", options=options, help="Those that a call completes."),)


def _event_fields(request: Request) -> tuple[Field, ...]:
    return (
        Field("event", "Event", value=request.query_params.get("event", "")),
        Field("value", "What its value should have been", help="Empty: the event is undone."),
    )


def _pause_fields(_: Request) -> tuple[Field, ...]:
    return (Field("start", "First day", "date"), Field("end", "Last day", "date"))


def _erase_fields(_: Request) -> tuple[Field, ...]:
    return (Field("confirm", "The user's id, to be sure"),)


ACTIONS = (
    Action("restore", "Restore the streak", "The lost streak comes back.", "Restore streak", _restore),
    Action("undo", "Take the restored streak back", "The streak becomes what it was.", "Undo", _undo),
    Action("freeze", "Grant a freeze", "One more day off without losing the streak.", "Grant freeze", _freeze),
    Action("pause", "Pause the streak", "On these days the streak waits.", "Pause", _pause, _pause_fields),
    Action("reset", "End the streak", "The streak is set to 0.", "End streak", _reset, danger=True),
    Action(
        "points", "Give or take points", "Levels and leaderboards follow.", "Give points", _points, _points_fields
    ),
    Action("boost", "Make a personal boost", "It multiplies points to come.", "Make boost", _boost, _boost_fields),
    Action(
        "achievement",
        "Complete an achievement",
        "With what it brings; it can't be undone.",
        "Complete",
        _achievement,
        _achievement_fields,
    ),
    Action(
        "event",
        "Correct or remove an event",
        "Totals, leaderboards and points follow.",
        "Correct event",
        _event,
        _event_fields,
    ),
    Action(
        "erase",
        "Erase the user",
        "Everything, everywhere, leaderboards included. It can't be undone.",
        "Erase for good",
        _erase,
        _erase_fields,
        role="admin",
        danger=True,
    ),
)
_BY_NAME = {action.name: action for action in ACTIONS}


async def get_action(request: Request) -> Response:
    """The form of an action, with what it will do."""
    user, state = await state_of(request)
    action = _named(request)
    preview, problem = "", ""
    if action.name in ("restore", "reset", "freeze"):
        try:
            preview = _preview(request, state, user, action.name)
        except RequestError as error:
            problem = error.message
    return page(
        request,
        "action.html",
        action=action,
        fields=action.fields(request),
        id=user,
        preview=preview,
        problem=problem,
        form=secrets.token_urlsafe(16),
        values={},
    )


async def post_action(request: Request) -> Response:
    """Do it; then back to the user, with what came of it."""
    user, _ = await state_of(request)
    action = _named(request)
    try:
        message = await action.do(request, user, request.state.form)
    except RequestError as error:
        return page(
            request,
            "action.html",
            422,
            action=action,
            fields=action.fields(request),
            id=user,
            preview="",
            problem=error.message,
            form=secrets.token_urlsafe(16),
            values=request.state.form,
        )
    if action.name == "erase":
        return RedirectResponse("/console/users?erased=1", 303)
    undo = "&undo=1" if action.name == "restore" else ""
    return RedirectResponse(f"/console/users/{quote(user, safe='')}?done={quote(message)}{undo}", 303)


def _named(request: Request) -> Action:
    action = _BY_NAME.get(request.path_params["action"])
    if action is None:
        raise NotFound("There is no such action")
    if not request.state.session.may(action.role):
        raise NotFound(f"This needs the role {action.role}")
    return action


def _preview(request: Request, state: UserState, user: str, action: Any) -> str:
    """What the streak will become, as the engine says, without doing it."""
    now_ms = services(request).clock()
    after = apply(request.state.space.index, state, ChangeStreak(user, action, now_ms)).state
    if action == "freeze":
        return f"{_freezes(state)} freezes become {_freezes(after)}."
    return f"The streak of {_length(request, state)} becomes one of {_length(request, after)}."


def _freezes(state: UserState) -> int:
    return (state.streaks.freezes or 0) if state.streaks is not None else 0


def _length(request: Request, state: UserState) -> int:
    index = request.state.space.index
    today = local_day(services(request).clock(), zone(state.profile.tz)).toordinal()
    return rules.standing(index.streak_rules(state.wishes), state.streaks or NONE, today).length


def _check(answer: dict[str, Any]) -> None:
    """What an answer names as an issue, as an error."""
    for issue in answer.get("issues", ()):
        raise Unprocessable(issue["message"])


def _number(form: Form, name: str, of: Callable[[str], Any] = int) -> Any:
    try:
        return of(form.get(name, ""))
    except ValueError:
        raise Unprocessable(f"{name} must be a number") from None


def _undo_key(request: Request, user: str) -> str:
    return f"{request.state.space.keys.prefix}undo:{user}"


def _raw(request: Request) -> Any:
    return _Redis(services(request).redis.raw)


class _Redis:
    """Redis, whose absence is ``Unavailable``."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            try:
                return await getattr(self._raw, name)(*args, **options)
            except AWAY as error:
                raise Unavailable("Redis is away") from error

        return call


PAGES = (
    Page("/console/users/{id}/actions/{action}", get_action, role="support"),
    Page("/console/users/{id}/actions/{action}", post_action, "POST", role="support"),
)
