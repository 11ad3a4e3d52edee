"""Bodies become events, or a refusal that names the field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import NotFound, RequestError, Unprocessable
from podium.game.metrics.model import Metric
from podium.game.users.model import Attribute
from podium.game.users.rules import NOTHING
from podium.intake.requests import (
    BATCH_MAX,
    BatchItem,
    EventRequest,
    SocketEvent,
    check_own,
    from_batch,
    from_item,
    from_request,
)

NOW_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z
INDEX = CatalogIndex(
    Catalog(
        1,
        metrics=(Metric("m", 1, "words", "Words"),),
        attributes=(Attribute("c", 2, "city", "City", "user"),),
    )
)


def request(**fields: Any) -> EventRequest:
    return msgspec.convert({"user": {"id": "ann"}, "value": 1, **fields}, EventRequest)


def item(key: str = "words", **fields: Any) -> BatchItem:
    return msgspec.convert({"key": key, "user": {"id": "ann"}, "value": 1, **fields}, BatchItem)


def test_a_user_who_is_only_named_changes_nothing() -> None:
    event = from_request(INDEX, "words", request(), None, NOW_MS)
    assert event.upsert is NOTHING
    assert (event.user, event.metric, event.value, event.received_ms) == ("ann", "words", 1, NOW_MS)
    assert (event.attributes, event.key, event.timestamp_ms) == (None, None, None)


@pytest.mark.parametrize(
    "field", [{"name": "Ann"}, {"tz": None}, {"attributes": {}}, {"subscribeToEmails": False}]
)
def test_any_field_of_the_user_is_a_change(field: dict[str, Any]) -> None:
    event = from_request(INDEX, "words", request(user={"id": "ann", **field}), None, NOW_MS)
    assert event.upsert is not NOTHING


def test_each_event_has_an_id_of_its_own_that_orders_by_time() -> None:
    ids = [from_request(INDEX, "words", request(), None, NOW_MS + ms).id for ms in (0, 1, 2)]
    assert ids == sorted(set(ids))


def test_a_timestamp_is_an_instant_with_its_offset() -> None:
    event = from_request(INDEX, "words", request(timestamp="2026-11-23T13:00:00+02:00"), "k", NOW_MS)
    assert (event.timestamp_ms, event.key) == (NOW_MS - 3_600_000, "k")
    with pytest.raises(Unprocessable, match="timestamp"):
        from_request(INDEX, "words", request(timestamp="2026-11-23T13:00:00"), None, NOW_MS)


def test_a_socket_may_name_its_user_by_id_alone() -> None:
    sent = msgspec.convert({"key": "words", "user": "ann", "value": 2, "idempotencyKey": "k"}, SocketEvent)
    event = from_item(INDEX, sent, NOW_MS)
    assert (event.user, event.key, event.value) == ("ann", "k", 2)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_users_own_key_may_not_send_another_time(minutes: int) -> None:
    event = from_request(INDEX, "words", request(), None, NOW_MS)
    check_own(msgspec.structs.replace(event, timestamp_ms=NOW_MS))
    with pytest.raises(Unprocessable, match="timestamp"):
        check_own(msgspec.structs.replace(event, timestamp_ms=NOW_MS + minutes * 60_000))


def test_a_batch_keeps_its_order() -> None:
    events = from_batch(INDEX, [item(value=value) for value in (3, 1, 2)], NOW_MS)
    assert [event.value for event in events] == [3, 1, 2]


@pytest.mark.parametrize(
    ("bad", "kind"), [({"key": "none"}, NotFound), ({"timestamp": "yesterday"}, Unprocessable)]
)
def test_one_bad_item_refuses_the_batch_and_is_named(bad: dict[str, Any], kind: type[RequestError]) -> None:
    with pytest.raises(kind, match=r"^\[2\]: "):
        from_batch(INDEX, [item(), item(), item(**bad)], NOW_MS)


@pytest.mark.parametrize("size", [0, BATCH_MAX + 1])
def test_a_batch_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(Unprocessable, match="1 to 1,000"):
        from_batch(INDEX, [item()] * size, NOW_MS)


@pytest.mark.parametrize("field", [{"tz": "UTC"}, {"attributes": {"city": "Zug"}}, {"signUpDate": "2026-01-01"}])
def test_a_users_own_key_may_not_change_what_decides_the_users_rank(field: dict[str, Any]) -> None:
    check_own(from_request(INDEX, "words", request(user={"id": "ann", "name": "Ann"}), None, NOW_MS))
    sent = from_request(INDEX, "words", request(user={"id": "ann", **field}), None, NOW_MS)
    [name] = field
    with pytest.raises(Unprocessable, match=rf"^user\.{name} "):
        check_own(sent)
