"""Actions on a streak: restore, freeze, pause and end it."""

from __future__ import annotations

from collections.abc import Sequence

from podium.api.streaks import admin as streaks
from podium.console.internal_api import begin
from podium.console.notices import Notice, drop_undo, keep_undo, undo_of
from podium.console.pages.actions.action import Action, Asked, Field, Opened, Preview, counted, shown_day
from podium.game.errors import RequestError, Unprocessable
from podium.game.inputs import ChangeStreak
from podium.game.periods import iso, parse_day
from podium.game.state import UserState
from podium.game.streaks import rules
from podium.game.streaks.changes import past_of
from podium.game.streaks.model import NONE, Pause
from podium.http.audit import auditing
from podium.spaces.audit import Entry


def _standing(asked: Asked, state: UserState) -> rules.Standing:
    return rules.standing(
        asked.index.streak_rules(state.wishes, state.profile.tz), state.streaks or NONE, asked.today.toordinal()
    )


def _becomes(asked: Asked, after: UserState, *more: str, before: Sequence[str] = ()) -> Preview:
    """Return the preview of a streak's change, between the sentence of ``before`` and ``more``."""
    was, will = _standing(asked, asked.state).length, _standing(asked, after).length
    sentence = f"The streak of {was} stays." if was == will else f"The streak of {was} becomes one of {will}."
    return Preview([*before, sentence, *more], loses=will < was)


async def _open_restore(asked: Asked) -> Opened:
    try:
        after = asked.simulate(ChangeStreak(asked.user, "restore", asked.now_ms)).state
    except RequestError:
        raise Unprocessable(
            "There is no streak to restore: within the time that counts, none was lost that is longer than the "
            "present one."
        ) from None
    return Opened(preview=_becomes(asked, after))


async def _restore(asked: Asked) -> Notice:
    after = asked.simulate(ChangeStreak(asked.user, "restore", asked.now_ms)).state
    await asked.ask(streaks.post_restore, body={"users": [{"id": asked.user}]})
    # If the user has acted meanwhile, the streak differs from this one, and the undo will be refused.
    await keep_undo(asked.request, asked.user, asked.state.streaks or NONE, after.streaks or NONE)
    length = _standing(asked, after).length
    return Notice(f"The streak is back: {length}.", undo=True)


async def _undo_of(asked: Asked) -> ChangeStreak:
    undo = await undo_of(asked.request, asked.user)
    if undo is None:
        raise Unprocessable("There is nothing to undo: a restored streak can be taken back for a minute.")
    if asked.now_ms >= undo.until_ms:
        raise Unprocessable(
            f"There is nothing to undo any more: the minute for it was over at {iso(undo.until_ms)[11:19]} UTC."
        )
    return ChangeStreak(asked.user, "undo", asked.now_ms, undone=(undo.before, undo.after))


async def _open_undo(asked: Asked) -> Opened:
    undo = await undo_of(asked.request, asked.user)
    after = asked.simulate(await _undo_of(asked)).state
    until = [] if undo is None else [f"This can be done until {iso(undo.until_ms)[11:19]} UTC."]
    return Opened(preview=_becomes(asked, after, *until))


async def _undo(asked: Asked) -> Notice:
    command = await _undo_of(asked)
    await begin(asked.request)
    async with auditing(asked.request) as entries:
        state = await asked.parts.commit(asked.request.state.space, command)
        before, after = ({"length": _standing(asked, one).length} for one in (asked.state, state))
        entries.append(Entry("undo restore", "streak", asked.user, before, after))
    await drop_undo(asked.request, asked.user)
    return Notice("The streak is as it was.")


async def _open_freeze(asked: Asked) -> Opened:
    wanted = asked.index.streak_rules(asked.state.wishes, asked.state.profile.tz).freezes
    if wanted is None:
        raise Unprocessable(
            "The streak has no freezes. An admin allows them with PATCH /admin/v1/streaks/settings."
        )
    was = _standing(asked, asked.state).freezes
    if was >= wanted.max_count:
        raise Unprocessable(f"The user has {counted(was, 'freeze')}, and may have no more.")
    will = _standing(asked, asked.simulate(ChangeStreak(asked.user, "freeze", asked.now_ms)).state).freezes
    become = "becomes" if was == 1 else "become"
    return Opened(preview=Preview([f"{counted(was, 'freeze')} {become} {will:,}."]))


async def _freeze(asked: Asked) -> Notice:
    await asked.ask(streaks.post_freezes, body={"freezes": [{"userId": asked.user}]})
    return Notice("One more freeze.")


async def _open_reset(asked: Asked) -> Opened:
    if not _standing(asked, asked.state).length:
        raise Unprocessable("The user has no streak that could be ended.")
    after = asked.simulate(ChangeStreak(asked.user, "reset", asked.now_ms)).state
    return Opened(preview=_becomes(asked, after))


async def _reset(asked: Asked) -> Notice:
    await asked.ask(streaks.post_reset, body={"users": [{"id": asked.user}]})
    return Notice("The streak is at 0.")


async def _open_pause(asked: Asked) -> Opened:
    today = asked.today.isoformat()
    return Opened(
        (
            Field("start", "First day", "date", today, help="Today or later, where the user is."),
            Field("end", "Last day", "date", help="The streak waits on this day, too."),
        )
    )


async def _look_pause(asked: Asked) -> Preview:
    start, end = parse_day("First day", asked.form["start"]), parse_day("Last day", asked.form["end"])
    streaks.check_pause(start, end)
    pause = Pause("", start.toordinal(), end.toordinal())
    after = asked.simulate(ChangeStreak(asked.user, "pause", asked.now_ms, pause)).state
    days = (end - start).days + 1
    sentence = f"Paused on {counted(days, 'day')}: {_span(pause)}."
    expires = _standing(asked, after).expires
    until = [f"The last day to go on with it is then {shown_day(expires)}."] if expires is not None else []
    return _becomes(asked, after, *until, before=[sentence])


async def _pause(asked: Asked) -> Notice:
    pause = {"userId": asked.user, "start": asked.form["start"], "end": asked.form["end"]}
    await asked.ask(streaks.post_pauses, body={"pauses": [pause]})
    return Notice(f"Paused from {pause['start']} to {pause['end']}.")


def _span(pause: Pause) -> str:
    if pause.start == pause.end:
        return shown_day(pause.start)
    return f"{shown_day(pause.start)} to {shown_day(pause.end)}"


def _pauses(asked: Asked) -> list[Pause]:
    """Return the present and future pauses."""
    found = asked.state.streaks.pauses if asked.state.streaks is not None else ()
    return sorted((one for one in found if one.end >= asked.today.toordinal()), key=lambda one: one.start)


async def _open_unpause(asked: Asked) -> Opened:
    today = asked.today.toordinal()
    options = tuple(
        (one.id, f"{_span(one)} ({'active' if one.start <= today else 'to come'})") for one in _pauses(asked)
    )
    if not options:
        raise Unprocessable("The user has no pause, neither now nor to come.")
    return Opened((Field("pause", "Pause", "select", options=options),))


async def _look_unpause(asked: Asked) -> Preview:
    pause = next(one for one in _pauses(asked) if one.id == asked.form["pause"])
    left = past_of(pause, asked.today.toordinal())
    after = asked.simulate(ChangeStreak(asked.user, "unpause", asked.now_ms, left)).state
    if left.end >= left.start:
        sentence = f"The pause ends: its days up to yesterday stay ({_span(left)}), today counts again."
    else:
        sentence = f"The pause is deleted: {_span(pause)}."
    return _becomes(asked, after, before=[sentence])


async def _unpause(asked: Asked) -> Notice:
    await asked.ask(streaks.delete_pauses, query={"ids": asked.form["pause"], "keepPast": "true"})
    return Notice("The pause is over.")


ACTIONS = (
    Action(
        "restore", "Restore the streak", "The lost streak comes back.", "Restore streak", _open_restore, _restore
    ),
    Action("undo", "Take the restored streak back", "The streak becomes what it was.", "Undo", _open_undo, _undo),
    Action(
        "freeze",
        "Grant a freeze",
        "One more day off without losing the streak.",
        "Grant freeze",
        _open_freeze,
        _freeze,
    ),
    Action(
        "pause", "Pause the streak", "On these days the streak waits.", "Pause", _open_pause, _pause, _look_pause
    ),
    Action(
        "unpause",
        "End a pause",
        "The streak goes on; a pause that is to come is deleted.",
        "End pause",
        _open_unpause,
        _unpause,
        _look_unpause,
    ),
    Action("reset", "End the streak", "The streak is set to 0.", "End streak", _open_reset, _reset, danger=True),
)
