"""The action that undoes or corrects an event."""

from __future__ import annotations

from typing import Any, NamedTuple

from markupsafe import Markup

from podium.api.leaderboards import moderation
from podium.console.notices import Notice
from podium.console.pages.actions.action import Action, Asked, Field, Opened, Preview, bdi, decimal
from podium.console.pages.actions.boards import boards_become
from podium.console.pages.actions.points import points_become
from podium.console.render import number
from podium.game.errors import NotFound, Unprocessable
from podium.game.inputs import units_of
from podium.game.metrics.model import Metric
from podium.game.periods import local_time, zone
from podium.http.catalog_resource import check_uuid

REMOVE, CORRECT = "remove", "correct"


class _Event(NamedTuple):
    """An event of the user that can be changed; ``counted`` is its present value in whole units."""

    row: Any
    metric: Metric
    counted: int


async def _event(asked: Asked) -> _Event:
    """Return the event that the form names.

    Raises:
        NotFound: the user has no such event.
        Unprocessable: it was undone or corrected already.
    """
    id_ = asked.form.get("event") or asked.request.query_params.get("event")
    if not id_:
        raise Unprocessable("Choose an event: each has a button for this in the timeline on the user's page.")
    space = asked.request.state.space
    row = await moderation.read_event(asked.parts, space, check_uuid("event", id_))
    if row["user_id"] != asked.user:
        raise NotFound("The user has no event of this id")
    metric = moderation.metric_of(space, row)
    found = await moderation.settled_event(asked.parts, space, row)
    if found.counted is None:
        raise Unprocessable("This event was undone already: nothing of it counts any more.")
    if found.corrected:
        value = number(metric.value(found.counted))
        raise Unprocessable(
            f"This event was corrected already, and counts {value} now. Post an event of the difference, or "
            f"change it once more with PATCH /admin/v1/events/{row['id']}."
        )
    return _Event(row, metric, found.counted)


async def _open(asked: Asked) -> Opened:
    event = await _event(asked)
    tz = zone(asked.state.profile.tz)
    there = f"{local_time(event.row['at_ms'], tz):%a %d %b %Y, %H:%M:%S} ({asked.state.profile.tz or 'UTC'})"
    attributes = event.row["attributes"] or {}
    facts = (
        ("Metric", bdi(event.metric.name)),
        ("Value", _shown(event.metric, event.counted)),
        ("When", there),
        ("Id", bdi(str(event.row["id"]))),
        *((f"Attribute {key}", bdi(value)) for key, value in attributes.items()),
    )
    options = ((REMOVE, "Undo it: it never counted"), (CORRECT, "Give it a new value"))
    places = event.metric.decimals
    rule = "a whole number" if not places else f"at most {places} {'decimal' if places == 1 else 'decimals'}"
    return Opened(
        (
            Field("event", "Event", "hidden", str(event.row["id"])),
            Field("what", "What to do", "radio", options=options),
            Field("value", "New value", "decimal", help=f"Only with a new value: {rule}.", required=False),
        ),
        facts,
    )


def _counts(asked: Asked, event: _Event) -> int | None:
    """Return the new value in whole units, None where the event is to be undone."""
    typed = asked.form.get("value", "").strip()
    if asked.form["what"] == REMOVE:
        if typed:
            raise Unprocessable("New value must be empty where the event is undone")
        return None
    value = decimal(asked, "value", "New value")
    places = event.metric.decimals
    if value != round(value, places):
        allowed = "whole numbers" if not places else f"{places} {'decimal' if places == 1 else 'decimals'}"
        raise Unprocessable(f"New value has more decimals than the metric, which counts with {allowed}")
    counts = units_of(event.metric, float(value))
    if counts == event.counted:
        raise Unprocessable("New value must be another than the event has")
    return counts


async def _look(asked: Asked) -> Preview:
    event = await _event(asked)
    counts = _counts(asked, event)
    command = moderation.correction(event.row, event.counted, counts, asked.now_ms, "", {})
    after = asked.simulate(command)
    was, will = (state.totals.get(event.metric.number, 0) for state in (asked.state, after.state))
    sentence = Markup("The event of {} is undone.").format(_shown(event.metric, event.counted))
    if counts is not None:
        values = (_shown(event.metric, units) for units in (event.counted, counts))
        sentence = Markup("The event's {} becomes {}.").format(*values)
    total = Markup("{}: the total of {} becomes {}.").format(
        bdi(event.metric.name), _shown(event.metric, was), _shown(event.metric, will)
    )
    lines, loses = points_become(asked, after)
    return Preview([sentence, total, *lines, *await boards_become(asked, after)], loses or will < was)


async def _do(asked: Asked) -> Notice:
    event = await _event(asked)
    counts = _counts(asked, event)
    path = {"id": str(event.row["id"])}
    if counts is None:
        await asked.ask(moderation.delete_event, path)
        return Notice("The event is undone.")
    await asked.ask(moderation.patch_event, path, body={"value": event.metric.value(counts)})
    return Notice("The event is corrected.")


def _shown(metric: Metric, units: int) -> str:
    return number(metric.value(units))


ACTIONS = (
    Action(
        "event",
        "Correct or undo an event",
        "Totals, leaderboards and points follow; streaks and achievements stay.",
        "Change event",
        _open,
        _do,
        _look,
    ),
)
