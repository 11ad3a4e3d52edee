"""Actions on points: award and deduct them, create and end personal boosts, complete achievements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from markupsafe import Markup

from podium.api.achievements import app as achievements
from podium.api.points import awards as giving
from podium.api.points import boosts as boosting
from podium.api.points.triggers import AMOUNT_MAX
from podium.console.notices import Notice
from podium.console.pages.actions.action import (
    REASON,
    Action,
    Asked,
    Field,
    Opened,
    Preview,
    bdi,
    counted,
    decimal,
    shown_day,
    whole,
)
from podium.console.pages.actions.boards import boards_become
from podium.game.achievements.model import Achievement
from podium.game.apply import BY_HAND, Applied
from podium.game.errors import NotFound, Unprocessable
from podium.game.inputs import Complete, GivePoints
from podium.game.periods import local_time, parse_day, zone
from podium.game.points.boosts import rule_of
from podium.game.points.model import Boost, PointsSystem
from podium.game.users.rules import NOTHING
from podium.http.audit import auditing
from podium.http.date_fields import check_days
from podium.spaces.audit import Entry

_MULTIPLIER = "Multiplier"
HELD, ALL = "held", "all"
"""Values of ``runs``: count on leaderboards that the user is on, or in all open runs."""


def _systems(asked: Asked) -> Field:
    options = tuple((one.id, one.name) for one in asked.index.catalog.points)
    if not options:
        raise Unprocessable("There is no points system yet. An admin makes one with POST /admin/v1/points.")
    return Field("system", "Points system", "select", options=options)


def _system(asked: Asked) -> PointsSystem:
    for one in asked.index.catalog.points:
        if one.id == asked.form.get("system"):
            return one
    raise NotFound("Points system not found by ID")


def points_become(asked: Asked, after: Applied, systems: Sequence[int] = ()) -> tuple[list[Markup], bool]:
    """Return sentences on points, and whether the user loses any.

    They cover ``systems`` and those with an award in ``after``.
    """
    numbers = dict.fromkeys([*systems, *(one.system for one in after.record.awards)])
    sentences, loses = [], False
    for number in numbers:
        system = asked.index.points.systems.get(number)
        if system is None:
            continue
        was, will = (state.points.get(number, 0) for state in (asked.state, after.state))
        loses = loses or will < was
        become = "becomes" if was == 1 else "become"
        sentences.append(
            Markup("{}: {} {} {}.").format(bdi(system.name), counted(was, "point"), become, f"{will:,}")
        )
        if asked.index.points.levels[number]:
            before, now = (asked.index.points.level(number, total) for total in (was, will))
            if before is now:
                kept = Markup("Level {} stays.").format(bdi(now.name)) if now else Markup("No level is reached.")
                sentences.append(kept)
            else:
                names = [bdi(level.name) if level else Markup("none") for level in (before, now)]
                sentences.append(Markup("The level was {}, and will be {}.").format(*names))
    return sentences, loses


async def _open_points(asked: Asked) -> Opened:
    runs = Field(
        "runs",
        "Leaderboards",
        "select",
        HELD,
        options=((HELD, "Count on those that the user is on"), (ALL, "Count in every open run")),
        help="Nobody comes onto a leaderboard by points that are taken.",
    )
    return Opened((_systems(asked), Field("amount", "Amount", "number", help="Negative ones are taken."), runs))


async def _look_points(asked: Asked) -> Preview:
    system, amount = _system(asked), _amount(asked)
    join_runs = asked.form.get("runs") == ALL
    after = asked.simulate(GivePoints("look", asked.user, system.number, amount, asked.now_ms, join_runs))
    given = sum(one.awarded for one in after.record.awards if one.cause == BY_HAND)
    sentences: list[str] = []
    button = f"{'Take' if given < 0 else 'Give'} {counted(abs(given), 'point')}"
    if given != amount and amount < 0:
        sentences.append(f"Only {-given:,} of {-amount:,} points are taken: nobody has less than 0.")
    elif given != amount:
        sentences.append(f"Only {given:,} of {amount:,} points are given: nobody may have more in this system.")
    lines, loses = points_become(asked, after, [system.number])
    return Preview([*sentences, *lines, *await boards_become(asked, after)], loses, button, danger=given < 0)


def _amount(asked: Asked) -> int:
    amount = whole(asked, "amount", "Amount", AMOUNT_MAX)
    if not amount:
        raise Unprocessable("Amount must not be 0")
    return amount


async def _points(asked: Asked) -> Notice:
    item = {
        "userId": asked.user,
        "amount": _amount(asked),
        "reason": asked.form["reason"],
        "joinRuns": asked.form.get("runs") == ALL,
    }
    answer = await asked.ask(giving.post_awards, {"systemId": _system(asked).id}, body=[item])
    given = answer["given"][0]
    awarded = given["awarded"]
    return Notice(f"{'+' if awarded > 0 else ''}{counted(awarded, 'point')}, {given['total']:,} now.")


async def _open_boost(asked: Asked) -> Opened:
    return Opened(
        (
            _systems(asked),
            Field("name", "Name", value="With our apologies"),
            Field("multiplier", _MULTIPLIER, value="2", help="Above 0 and below 100."),
            Field("start", "First day", "date", asked.today.isoformat()),
            Field("end", "Last day", "date", help="Empty: without an end.", required=False),
        )
    )


def _boost_of(asked: Asked) -> dict[str, Any]:
    """Return the boost in the form as a body for the endpoint."""
    multiplier = float(decimal(asked, "multiplier", _MULTIPLIER))
    if not 0 < multiplier < 100 or multiplier == 1:
        raise Unprocessable(f"{_MULTIPLIER} must be above 0 and below 100, and not 1")
    start = parse_day("First day", asked.form["start"])
    end = parse_day("Last day", asked.form["end"]) if asked.form.get("end") else None
    check_days(start, end)
    item = {"name": asked.form["name"], "start": start.isoformat(), "userId": asked.user, "multiplier": multiplier}
    return item if end is None else {**item, "end": end.isoformat()}


async def _look_boost(asked: Asked) -> Preview:
    item = _boost_of(asked)
    start = date.fromisoformat(item["start"])
    when = f"From {shown_day(start)} on"
    if "end" in item:
        end = date.fromisoformat(item["end"])
        days = (end - start).days + 1
        when = f"From {shown_day(start)} to {shown_day(end)} ({counted(days, 'day')})"
        if end < asked.today:
            raise Unprocessable("Last day must not lie before today: the boost would never hold")
    sentences = [
        Markup("{}, what triggers award of {} is multiplied by {}.").format(
            when, bdi(_system(asked).name), f"{item['multiplier']:g}"
        )
    ]
    if start < asked.today:
        sentences.append(Markup("What was awarded up to now stays as it is."))
    return Preview(sentences, loses=item["multiplier"] < 1)


async def _boost(asked: Asked) -> Notice:
    await asked.ask(boosting.RESOURCE.post, {"systemId": _system(asked).id}, body=[_boost_of(asked)])
    return Notice("The boost is made.")


def _personal_boosts(asked: Asked) -> list[Boost]:
    """Return the user's personal boosts that are not over."""
    moment = local_time(asked.now_ms, zone(asked.state.profile.tz)).replace(tzinfo=None)
    mine = [one for one in asked.index.catalog.boosts if one.user_id == asked.user]
    return [one for one in mine if rule_of(one).status(moment) != "finished"]


def _personal_boost(asked: Asked) -> Boost:
    return next(one for one in _personal_boosts(asked) if one.id == asked.form["boost"])


async def _open_end_boost(asked: Asked) -> Opened:
    options = []
    for one in _personal_boosts(asked):
        end = "without an end" if one.end is None else f"to {shown_day(one.end)}"
        options.append((one.id, f"{one.name}, ×{one.multiplier:g}, from {shown_day(one.start)} {end}"))
    if not options:
        raise Unprocessable("The user has no boost of their own that holds or is to come.")
    return Opened((Field("boost", "Boost", "select", options=tuple(options)),))


async def _look_end_boost(asked: Asked) -> Preview:
    boost = _personal_boost(asked)
    if boost.start >= asked.today:
        return Preview([Markup("{} is deleted. What it multiplied stays.").format(bdi(boost.name))], loses=True)
    end = shown_day(asked.today - timedelta(days=1))
    sentence = Markup("{} ends at once: its last day is {}. What it multiplied stays.").format(
        bdi(boost.name), end
    )
    return Preview([sentence], loses=True)


async def _end_boost(asked: Asked) -> Notice:
    boost = _personal_boost(asked)
    path = {"systemId": boost.system_id}
    if boost.start >= asked.today:
        await asked.ask(boosting.RESOURCE.delete, path, query={"ids": boost.id})
        return Notice("The boost is deleted.")
    # It ends with a whole day, so an end time that was set for another last day is removed.
    change = {"id": boost.id, "end": (asked.today - timedelta(days=1)).isoformat(), "endTime": None}
    await asked.ask(boosting.RESOURCE.patch, path, body=[change])
    return Notice("The boost is over.")


def _goals(asked: Asked) -> list[Achievement]:
    """Return the achievements that an API call can complete and that this user has not completed."""
    goals = (asked.index.achievements.goals.get(one.number) for one in asked.index.catalog.achievements)
    return [
        goal.achievement
        for goal in goals
        if goal is not None
        and goal.achievement.trigger == "api"
        and goal.number not in asked.state.achieved
        and goal.is_for(asked.state.profile.attributes)
    ]


async def _open_achievement(asked: Asked) -> Opened:
    options = tuple((one.key, one.name) for one in _goals(asked))
    if not options:
        raise Unprocessable(
            "There is no achievement that support could complete: only those with the trigger api, which are "
            "active, for a user like this, and not completed yet. An admin makes one with "
            "POST /admin/v1/achievements."
        )
    return Opened((Field("achievement", "Achievement", "select", options=options),))


async def _look_achievement(asked: Asked) -> Preview:
    goal = next(one for one in _goals(asked) if one.key == asked.form["achievement"])
    after = asked.simulate(Complete(asked.user, goal.number, NOTHING, asked.now_ms))
    by_number = asked.index.achievements.by_number
    sentences = [
        Markup("{} is completed.").format(bdi(by_number[one.achievement].name))
        for one in after.record.completions
        if one.achievement in by_number
    ]
    lines, loses = points_become(asked, after)
    return Preview([*sentences, *(lines or [Markup("It brings no points.")])], loses)


async def _achievement(asked: Asked) -> Notice:
    key = asked.form["achievement"]
    async with auditing(asked.request) as entries:
        answer = await asked.ask(achievements.post_complete, {"key": key}, body={"user": {"id": asked.user}})
        before = {"key": key, "achievedAt": None}
        after = {
            "key": key,
            "userId": asked.user,
            "achievedAt": answer["achievement"]["achievedAt"],
            "points": {system: one["added"] for system, one in answer["points"].items()},
        }
        entries.append(Entry("complete", "achievement", asked.user, before, after))
    return Notice("The achievement is completed.")


ACTIONS = (
    Action(
        "points",
        "Give or take points",
        "Levels follow, and the leaderboards that the user is on.",
        "Give points",
        _open_points,
        _points,
        _look_points,
        reason=Field(REASON.name, REASON.label, help=REASON.help),
    ),
    Action(
        "boost",
        "Make a personal boost",
        "It multiplies points to come.",
        "Make boost",
        _open_boost,
        _boost,
        _look_boost,
    ),
    Action(
        "end-boost",
        "End a personal boost",
        "One that is to come is deleted.",
        "End boost",
        _open_end_boost,
        _end_boost,
        _look_end_boost,
    ),
    Action(
        "achievement",
        "Complete an achievement",
        "With what it brings; it can't be undone.",
        "Complete",
        _open_achievement,
        _achievement,
        _look_achievement,
    ),
)
