"""Find inputs that concern standings which the user's state has dropped (intake/older_runs.py reads them)."""

from __future__ import annotations

from podium.game.catalog import CatalogIndex
from podium.game.errors import RequestError
from podium.game.inputs import ChangeUser, Complete, Event, Input
from podium.game.leaderboards.rules import moves_in_older
from podium.game.state import UserState
from podium.game.users import rules as users
from podium.game.users.rules import NOTHING


def moves_older(index: CatalogIndex, state: UserState | None, input_: Input) -> dict[str, str] | None:
    """Return the attributes with which an input may move its user to other groups in older runs, else None."""
    if state is None or not state.older or not isinstance(input_, Event | ChangeUser | Complete):
        return None
    if input_.upsert is NOTHING:
        return None
    try:
        profile = users.apply(state.profile, input_.upsert, input_.received_ms)
    except RequestError:
        return None  # the input will be refused
    if profile.attributes == state.profile.attributes or not moves_in_older(
        index.leaderboard_by_number, state.older
    ):
        return None
    return profile.attributes
