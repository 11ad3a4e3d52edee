"""What a process holds of a space, and what a key may do."""

from __future__ import annotations

import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import Forbidden
from podium.spaces.space import Principal, Space, log_order


@pytest.fixture
def space() -> Space:
    return Space(1, "s", "production", "default", "", (), CatalogIndex(Catalog(1)), "e")


def test_ids_of_a_log_are_ordered_as_numbers() -> None:
    assert sorted(["10-0", "9-2", "9-10"], key=log_order) == ["9-2", "9-10", "10-0"]


def test_the_newest_id_of_an_epoch_stays_and_another_epoch_begins_anew(space: Space) -> None:
    assert space.log_id("e") == ""
    for log_id in ("9-2", "10-0", "9-10"):
        space.note_log_id("e", log_id)
    assert (space.log_id("e"), space.log_id("other")) == ("10-0", "")
    space.note_log_id("rebuilt", "1-0")
    assert (space.log_id("rebuilt"), space.log_id("e")) == ("1-0", "")


def test_an_admin_key_may_do_everything_and_others_what_they_say(space: Space) -> None:
    admin = Principal(space, "k", "ci", frozenset({"admin"}))
    reader = Principal(space, "k", "ci", frozenset({"read"}))
    assert admin.may("events:write")
    assert (reader.may("read"), reader.may("events:write")) == (True, False)
    assert reader.actor == "ci (k)"


def test_a_users_own_key_acts_for_that_user_only(space: Space) -> None:
    own = Principal(space, "k", "ci", frozenset({"read"}), user="ann")
    own.check_user("ann")
    with pytest.raises(Forbidden):
        own.check_user("ben")
    Principal(space, "k", "ci", frozenset({"read"})).check_user("ben")
