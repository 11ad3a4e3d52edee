"""What awards would be, had a user's events come in the order of their time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from podium.game.filters import matches
from podium.game.points.rules import PointsRules, TriggerRule, award_id, fired

TYPES = ("user_creation", "metric", "streak", "achievement", "time")
"""Of triggers, in the order in which they fire within an event."""


class StoredAward(NamedTuple):
    """An award as it is stored; ``event`` is the id of the event that it came with."""

    id: str
    cause: int
    awarded: int
    total: int
    at_ms: int
    day: date
    boosts: tuple[int, ...] = ()
    event: str | None = None


class StoredEvent(NamedTuple):
    """An event as it is stored; ``corrects`` where it corrects another one."""

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
    """Return a user's awards of a system as the sorted events give them, in order of time.

    ``awards`` are all of them as they are stored, in order of time; ``events`` those of the user by the metric's
    number, in order of time. Awards of triggers by a metric come with the events that now reach their thresholds;
    all others stay. None where that can't be known: with boosts, deductions by a metric, corrections, a limit of
    the system that cut something off, or triggers that did not count for all of the events.
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
    """Return what a trigger gives for the events; None where it did not give as much, or more."""
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
    """Return the awards with their totals; None where a total would not be one, or others than now are missing."""
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
