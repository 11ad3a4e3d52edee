"""Recompute a user's awards as if the events had come in the order of their time. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from podium.game.filters import matches
from podium.game.points.rules import PointsRules, TriggerRule, award_id, fired

TYPES = ("user_creation", "metric", "streak", "achievement", "time")
"""Types of triggers, in the order in which they fire at an event."""


class StoredAward(NamedTuple):
    """A stored award. ``event`` is the id of the event that caused it."""

    id: str
    cause: int
    awarded: int
    total: int
    at_ms: int
    day: date
    boosts: tuple[int, ...] = ()
    event: str | None = None


class StoredEvent(NamedTuple):
    """A stored event. ``corrects`` is set if it corrects another one."""

    id: str
    units: int
    at_ms: int
    day: date
    attributes: Mapping[str, str] | None = None
    corrects: bool = False


def in_order(
    rules: PointsRules,
    system: int,
    user: str,
    awards: Sequence[StoredAward],
    events: Mapping[int, Sequence[StoredEvent]],
) -> list[StoredAward] | None:
    """Return a user's awards of a system as the sorted events give them, in the order of time.

    ``awards`` are all stored awards, ``events`` the user's events by the metric's number, both in the order of
    time. Awards of triggers by a metric move to the events that now reach their thresholds; all others stay. The
    result is None if it can't be computed: with boosts, deductions by a metric, corrections, a limit of the system
    that cut an award, or triggers that did not apply to all of the events.
    """
    if rules.shared.get(system) or any(number == system for number, _ in rules.own(user)):
        return None
    by_cause: dict[int, list[StoredAward]] = defaultdict(list)
    for one in awards:
        by_cause[one.cause].append(one)
    ranked: list[tuple[int, int, int, StoredAward]] = []
    for metric, ones in events.items():
        for place, rule in enumerate(rules.on_metric.get(metric, ())):
            if rule.system != system:
                continue
            moved = _moved(rule, by_cause.pop(rule.number, []), ones)
            if moved is None:
                return None
            ranked += [(one.at_ms, TYPES.index("metric"), place, one) for one in moved]
    kept = {id(one) for alike in by_cause.values() for one in alike}
    ranked += [
        (one.at_ms, _rank(rules, one.cause), place, one) for place, one in enumerate(awards) if id(one) in kept
    ]
    ranked.sort(key=lambda entry: entry[:3])
    return _totalled(rules, system, awards, [entry[3] for entry in ranked])


def _moved(
    rule: TriggerRule, given: Sequence[StoredAward], events: Sequence[StoredEvent]
) -> list[StoredAward] | None:
    """Return the awards of a trigger for the events, or None if their sum differs from that of ``given``."""
    if rule.points <= 0 or any(one.boosts or one.event is None for one in given):
        return None
    moved: list[StoredAward] = []
    total = 0
    for event in events:
        if event.corrects or event.units < 0:
            return None
        if rule.events and not matches(rule.events, event.attributes):
            continue
        if times := fired(rule.step, total, total + event.units):
            id_ = award_id(event.id, rule.number, event.at_ms)
            moved.append(
                StoredAward(id_, rule.number, rule.points * times, 0, event.at_ms, event.day, (), event.id)
            )
        total += event.units
    if sum(one.awarded for one in moved) != sum(one.awarded for one in given):
        return None
    return moved


def _rank(rules: PointsRules, cause: int) -> int:
    trigger = rules.triggers.get(cause)
    return TYPES.index(trigger.type) if trigger is not None else len(TYPES)


def _totalled(
    rules: PointsRules, system: int, before: Sequence[StoredAward], awards: Sequence[StoredAward]
) -> list[StoredAward] | None:
    """Return the awards with their totals, or None if a total would be invalid, or the awards don't match the
    stored ones."""
    most = rules.systems[system].max_points
    found: list[StoredAward] = []
    total = 0
    for one in awards:
        total += one.awarded
        if total < 0 or (most is not None and total > most):
            return None
        found.append(one._replace(total=total))
    ended = sum(one.awarded for one in before)
    return found if total == ended else None
