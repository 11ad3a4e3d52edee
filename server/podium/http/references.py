"""References between catalog items. An item can't be deleted while another refers to it."""

from __future__ import annotations

from collections.abc import Iterator

from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.users.model import Attribute


def check_unreferenced(name: str, references: Iterator[str]) -> None:
    """Raise ``Unprocessable``, naming the first of the references, if there is one."""
    for reference in references:
        raise Unprocessable(f"{name} is used by {reference}; delete that one first")


def references_to_attribute(catalog: Catalog, attribute: Attribute) -> Iterator[str]:
    """Yield the items that refer to an attribute."""
    key = attribute.key
    if attribute.type == "user":
        yield from (f"leaderboard {board.key}" for board in catalog.leaderboards if key in board.attribute_keys)
    for goal in catalog.achievements:
        filters = goal.user_attributes if attribute.type == "user" else goal.event_attributes
        if any(one.key == key for one in filters):
            yield f"achievement {goal.name}"
    for trigger in catalog.triggers:
        filters = trigger.user_attributes if attribute.type == "user" else trigger.event_attributes
        if any(one.key == key for one in filters):
            yield f"points trigger {trigger.id}"
    if attribute.type == "user":
        for boost in catalog.boosts:
            if any(one.key == key for one in boost.user_attributes):
                yield f"points boost {boost.name}"


def references_to_metric(catalog: Catalog, id_: str) -> Iterator[str]:
    """Yield the items that refer to a metric, apart from the streak."""
    yield from (f"leaderboard {board.key}" for board in catalog.leaderboards if board.metric_id == id_)
    yield from (f"achievement {one.name}" for one in catalog.achievements if one.metric_id == id_)
    yield from (f"points trigger {one.id}" for one in catalog.triggers if one.metric_id == id_)


def references_to_achievement(catalog: Catalog, id_: str) -> Iterator[str]:
    """Yield the items that refer to an achievement."""
    yield from (f"achievement {one.name}" for one in catalog.achievements if id_ in one.achievement_ids)
    yield from (f"points trigger {one.id}" for one in catalog.triggers if one.achievement_id == id_)
    for board in catalog.leaderboards:
        if any(reward.achievement_id == id_ for reward in board.rewards):
            yield f"leaderboard {board.key}"


def references_to_points(catalog: Catalog, id_: str) -> Iterator[str]:
    """Yield the items that refer to a points system, apart from its own parts."""
    for board in catalog.leaderboards:
        if board.points_system_id == id_ or any(reward.system_id == id_ for reward in board.rewards):
            yield f"leaderboard {board.key}"
