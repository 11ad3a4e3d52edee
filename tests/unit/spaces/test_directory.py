"""Who may enter which space, and when an epoch of Redis is believed."""

from __future__ import annotations

from typing import Any

import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import Forbidden, Unauthorized, Unavailable, Unprocessable
from podium.spaces import continuity, store
from podium.spaces.continuity import Comparison, Position
from podium.spaces.directory import Directory
from podium.spaces.space import Principal, Space

NOW_MS = 1_795_435_200_000
FLUSHED = Position("e", "5-0")


def space(id_: int, environment: str = "production", tenant: str = "default") -> Space:
    return Space(id_, f"s{id_}", environment, tenant, "", (), CatalogIndex(Catalog(1)))


class Published:
    """A Redis to publish on."""

    def __init__(self) -> None:
        self.raw = self
        self.messages: list[str] = []

    async def publish(self, channel: str, message: str) -> None:
        self.messages.append(message)


@pytest.fixture
def directory() -> Directory:
    """Two environments, a tenant, and a key of each."""
    redis: Any = Published()
    found = Directory(None, redis, "", lambda: NOW_MS)  # type: ignore[arg-type]
    spaces = [space(1, "development"), space(2), space(3, tenant="acme")]
    found.spaces = {one.public_id: one for one in spaces}
    found._by_id = {one.id: one for one in spaces}
    found._tenants = {("production", "acme"): spaces[2]}
    for name, one, user in (("dev", 0, None), ("prod", 1, None), ("acme", 2, None), ("own", 1, "ann")):
        principal = Principal(spaces[one], name, name, frozenset({"admin"}), user)
        found._principals[store.key_hash(name)] = principal
    found._key_ids = frozenset({"dev", "prod", "acme", "own"})
    found._keys_version = (1, 1)
    return found


def test_the_production_space_is_found_among_environments(directory: Directory) -> None:
    assert directory.production.id == 2
    directory.spaces.clear()
    with pytest.raises(Unavailable):
        _ = directory.production


@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_no_key_and_a_wrong_one_are_refused(directory: Directory, key: str | None) -> None:
    with pytest.raises(Unauthorized):
        directory.authenticate(key)


def test_until_keys_were_read_nobody_is_told_that_a_key_is_wrong(directory: Directory) -> None:
    directory._keys_version = None
    with pytest.raises(Unavailable):
        directory.authenticate("prod")


def test_a_key_leads_into_its_space(directory: Directory) -> None:
    assert directory.enter("prod", None).space.id == 2
    assert directory.enter("dev", "acme").space.id == 1  # without tenants their name says nothing
    assert directory.knows_key("prod")
    assert not directory.knows_key("gone")


def test_with_tenants_a_request_names_one(directory: Directory) -> None:
    directory.multi_tenancy = True
    assert directory.enter("prod", "acme").space.id == 3
    assert directory.enter("acme", None).space.id == 3
    assert directory.enter("prod", None, own=True).space.id == 2
    for tenant in (None, "", "nobody"):
        with pytest.raises(Unprocessable, match="Tenant-ID"):
            directory.enter("prod", tenant)
    with pytest.raises(Unprocessable):
        directory.enter("dev", "acme")  # that of another environment
    with pytest.raises(Forbidden):
        directory.enter("own", "acme")


def test_nobody_enters_an_archived_tenant(directory: Directory) -> None:
    directory.multi_tenancy = True
    directory.spaces["s3"].archived = True
    with pytest.raises(Forbidden, match="archived"):
        directory.enter("prod", "acme")


def test_a_tenants_key_does_nothing_for_the_environment(directory: Directory) -> None:
    assert directory.enter_environment("prod").key_id == "prod"
    with pytest.raises(Forbidden):
        directory.enter_environment("acme")


def test_an_admin_key_of_the_space_is_found(directory: Directory) -> None:
    assert directory.any_admin_key(directory.spaces["s3"]) == "acme"
    with pytest.raises(Unavailable):
        directory.any_admin_key(space(9))


async def epoch_of(
    monkeypatch: pytest.MonkeyPatch,
    directory: Directory,
    reply: tuple[str, str, str],
    *,
    position: Position | None = FLUSHED,
    held: str = "",
    reaches: bool = True,
    compared: Comparison | None = None,
    ask: bool = True,
) -> tuple[str | None, bool]:
    """The epoch that is believed after Redis' reply, and whether Postgres was asked."""
    one, asked = directory.production, False
    one.epoch = "e"
    if held:
        one.note_log_id("e", held)
    if position is not None:
        directory._positions[one.id] = position

    async def found(*_: Any) -> bool:
        return reaches

    async def compare(*_: Any) -> Comparison:
        nonlocal asked
        asked = True
        assert compared is not None
        return compared

    async def closed(*_: Any) -> bool:
        return True

    monkeypatch.setattr(continuity, "reaches", found)
    monkeypatch.setattr(continuity, "compare", compare)
    monkeypatch.setattr(continuity, "close", closed)
    await directory._read_epoch(one, *reply, ask=ask)
    return one.epoch, asked


async def test_the_epoch_of_postgres_is_believed(monkeypatch: pytest.MonkeyPatch, directory: Directory) -> None:
    assert await epoch_of(monkeypatch, directory, ("e", "7-0", "5-0")) == ("e", False)
    assert directory.production.log_id("e") == "7-0"


async def test_without_an_epoch_nothing_is_written_and_a_worker_is_called(
    monkeypatch: pytest.MonkeyPatch, directory: Directory
) -> None:
    assert await epoch_of(monkeypatch, directory, ("", "", "")) == (None, False)
    redis: Any = directory._redis
    assert redis.messages == ["s2"]


@pytest.mark.parametrize(
    ("compared", "epoch"),
    [
        (Comparison(Position("new", "6-0"), "new", None), "new"),
        (Comparison(FLUSHED, "new", "other"), None),
        (Comparison(FLUSHED, "", "empty"), None),
    ],
)
async def test_another_epoch_is_believed_only_if_postgres_has_it_too(
    monkeypatch: pytest.MonkeyPatch, directory: Directory, compared: Comparison, epoch: str | None
) -> None:
    found = await epoch_of(monkeypatch, directory, ("new", "6-0", ""), compared=compared)
    assert found == (epoch, True)


async def test_another_epoch_is_not_believed_while_postgres_is_away(
    monkeypatch: pytest.MonkeyPatch, directory: Directory
) -> None:
    assert await epoch_of(monkeypatch, directory, ("new", "6-0", ""), ask=False) == (None, False)
    # A space that nothing was flushed of goes on as it is.
    directory._positions.clear()
    assert await epoch_of(monkeypatch, directory, ("e", "6-0", ""), position=None, ask=False) == ("e", False)


async def test_a_log_that_ends_before_what_was_answered_has_gone_back(
    monkeypatch: pytest.MonkeyPatch, directory: Directory
) -> None:
    found = await epoch_of(monkeypatch, directory, ("e", "6-0", ""), held="7-0", reaches=False)
    assert found == (None, False)
    # The note of its end may lag behind the log itself.
    assert await epoch_of(monkeypatch, directory, ("e", "6-0", ""), held="7-0", reaches=True) == ("e", False)


async def test_a_log_that_was_trimmed_beyond_the_position_is_compared(
    monkeypatch: pytest.MonkeyPatch, directory: Directory
) -> None:
    continues = Comparison(Position("e", "8-0"), "e", None)
    assert await epoch_of(monkeypatch, directory, ("e", "9-0", "8-0"), compared=continues) == ("e", True)
    older_copy = Comparison(FLUSHED, "e", "behind")
    assert await epoch_of(monkeypatch, directory, ("e", "9-0", "8-0"), compared=older_copy) == (None, True)
