"""What of a catalog another item hangs on: it can't be deleted while that is so."""

from __future__ import annotations

from collections.abc import Iterator

from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.users.model import Attribute


def check_unused(name: str, uses: Iterator[str]) -> None:
    """422 naming the first use, if there is one."""
    for use in uses:
        raise Unprocessable(f"{name} is used by {use}; delete that one first")


def of_attribute(catalog: Catalog, attribute: Attribute) -> Iterator[str]:
    """Who needs an attribute."""
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


def of_metric(catalog: Catalog, id_: str) -> Iterator[str]:
    """Who needs a metric, but for the streak."""
    yield from (f"leaderboard {board.key}" for board in catalog.leaderboards if board.metric_id == id_)
    yield from (f"achievement {one.name}" for one in catalog.achievements if one.metric_id == id_)
    yield from (f"points trigger {one.id}" for one in catalog.triggers if one.metric_id == id_)


def of_achievement(catalog: Catalog, id_: str) -> Iterator[str]:
    """Who needs an achievement."""
    yield from (f"achievement {one.name}" for one in catalog.achievements if id_ in one.achievement_ids)
    yield from (f"points trigger {one.id}" for one in catalog.triggers if one.achievement_id == id_)
    for board in catalog.leaderboards:
        if any(reward.achievement_id == id_ for reward in board.rewards):
            yield f"leaderboard {board.key}"


def of_points(catalog: Catalog, id_: str) -> Iterator[str]:
    """Who needs a points system, but for its own parts."""
    for board in catalog.leaderboards:
        if board.points_system_id == id_ or any(reward.system_id == id_ for reward in board.rewards):
            yield f"leaderboard {board.key}"
