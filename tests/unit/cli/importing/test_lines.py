"""Lines of CSV and NDJSON as batch items."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.cli.importing.lines import check_item, read_lines
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import RequestError, StartError
from podium.game.metrics.model import Metric
from podium.game.periods import iso
from podium.game.users.model import Attribute
from podium.intake.requests import BatchItem

NOW_MS = 1_795_435_200_000
INDEX = CatalogIndex(
    Catalog(
        version=1,
        metrics=(Metric("1", 1, "words", "Words"),),
        attributes=(Attribute("1", 1, "plan", "Plan", "user"), Attribute("2", 2, "app", "App", "event")),
    )
)
TIME = "2026-01-31T12:00:00Z"


def read(text: str | bytes, **options: Any) -> list[tuple[int, BatchItem | str]]:
    """Line numbers with items, or with what is wrong in words."""
    lines = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return [
        (line, found.message if isinstance(found, RequestError) else found)
        for line, found in read_lines(lines, **options)
    ]


def as_dict(item: BatchItem | str) -> dict[str, Any]:
    """An item as it goes out."""
    assert isinstance(item, BatchItem), item
    plain: dict[str, Any] = msgspec.to_builtins(item)
    return {name: value for name, value in plain.items() if value is not None}


FULL = {
    "key": "words",
    "user": {
        "id": "ann",
        "name": 'Ann "A", Lee',
        "tz": "Europe/Berlin",
        "email": "a@b.de",
        "attributes": {"plan": "pro"},
    },
    "value": 1.5,
    "timestamp": TIME,
    "attributes": {"app": "web"},
    "idempotencyKey": "k1",
}


def test_read_csv_all_columns() -> None:
    text = (
        "user,metric,value,timestamp,name,user.tz,user.email,user.attributes.plan,attributes.app,idempotencyKey\n"
        f'ann,words,1.5,{TIME},"Ann ""A"", Lee",Europe/Berlin,a@b.de,pro,web,k1\n'
    )
    [(line, item)] = read(text)
    assert (line, as_dict(item)) == (2, FULL)


@pytest.mark.parametrize(
    "fields",
    [
        FULL,
        {
            "user": "ann",
            "metric": "words",
            "value": 1.5,
            "timestamp": TIME,
            "name": 'Ann "A", Lee',
            "user.tz": "Europe/Berlin",
            "user.email": "a@b.de",
            "user.attributes.plan": "pro",
            "attributes": {"app": "web"},
            "idempotencyKey": "k1",
        },
    ],
    ids=["item", "flat"],
)
def test_read_ndjson(fields: dict[str, Any]) -> None:
    [(line, item)] = read("\n" + json.dumps(fields) + "\n")
    assert (line, as_dict(item)) == (2, FULL)


def test_read_csv_empty_cells_say_nothing() -> None:
    [(_, item)] = read(f"user,metric,value,timestamp,name,attributes\nann,words,1,{TIME},,\n")
    assert as_dict(item) == {"key": "words", "user": {"id": "ann"}, "value": 1.0, "timestamp": TIME}


def test_read_csv_attributes_nested_without_end() -> None:
    deep = '"{""a"":' + "[" * 10_000 + '"'
    assert read(f"user,metric,value,timestamp,attributes\nann,words,1,{TIME},{deep}\n") == [
        (2, "attributes must be a JSON object")
    ]


def test_read_csv_attributes_as_json_and_by_key() -> None:
    text = f'user,metric,value,timestamp,attributes.b,attributes\nann,words,1,{TIME},2,"{{""a"":""1""}}"\n'
    [(_, item)] = read(text)
    assert as_dict(item)["attributes"] == {"a": "1", "b": "2"}


def test_read_numbers_the_lines_of_a_file_with_blank_lines_and_line_breaks_in_cells() -> None:
    text = f'\r\nuser,metric,value,timestamp,name\r\n\r\nann,words,1,{TIME},"A\nB"\r\nbob,words,x,{TIME},\r\n'
    found = read(text)
    assert [line for line, _ in found] == [4, 6]
    assert found[1][1] == "value must be a number"


def test_read_skips_a_byte_order_mark() -> None:
    assert len(read(b"\xef\xbb\xbf" + f"user,metric,value,timestamp\nann,words,1,{TIME}".encode())) == 1


def test_read_metric_of_lines_without_one() -> None:
    found = read(f"user,metric,value,timestamp\nann,,1,{TIME}\nann,pages,1,{TIME}\n", metric="words")
    assert [as_dict(item)["key"] for _, item in found] == ["words", "pages"]
    [(_, item)] = read(json.dumps({"user": {"id": "a"}, "value": 1, "timestamp": TIME}), metric="words")
    assert as_dict(item)["key"] == "words"


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (f"ann,words,abc,{TIME}", "value must be a number"),
        (f"ann,words,1_000,{TIME}", "value must be a number"),
        (f"ann,words,,{TIME}", "value is required"),
        (f",words,1,{TIME}", "user is missing"),
        (f"ann,,1,{TIME}", "metric is missing"),
        ("ann,words,1", "The line has 3 columns, the first line 4"),
        (f'"ann"x,words,1,{TIME}', "The line is not CSV: ',' expected after '\"'"),
        (f"\udcff,words,1,{TIME}", "user is not UTF-8"),
    ],
)
def test_read_csv_names_what_is_wrong_and_goes_on(row: str, wrong: str) -> None:
    text = f"user,metric,value,timestamp\n{row}\nbob,words,1,{TIME}\n".encode("utf-8", "surrogateescape")
    bad, good = read(text)
    assert bad == (2, wrong)
    assert (good[0], as_dict(good[1])["user"]) == (3, {"id": "bob"})


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("{", "The line is not a JSON object: Input data was truncated"),
        ("[1]", "The line is not a JSON object: Expected `object`, got `array`"),
        ('{"user":"ann","metric":"words","value":NaN}', "The line is not a JSON object: JSON is malformed"),
        ('{"user":"ann","metric":"words","value":"1","timestamp":"x"}', "value: expected float, got str"),
        ('{"user":7,"metric":"words","value":1}', "user.id: expected str, got int"),
        ('{"user":{"id":"ann","nam":"A"},"key":"words","value":1}', "user.nam is not a known field"),
        ('{"user":{"id":"ann"},"metric":"words","value":1}', "metric is not a known field"),
        ('{"user":"ann","metric":"words","value":1,"time":"x"}', "time is not a known column"),
        ('{"user":{"name":"A"},"key":"words","value":1}', "user.id is required"),
        (
            '{"user":"ann","metric":"words","value":1,"attributes":"x"}',
            "attributes: expected object | null, got str",
        ),
        (
            '{"user":"ann","metric":"words","value":1,"attributes":{"app":1}}',
            "attributes.app: expected str, got int",
        ),
        ("[" * 100_000, "The line is not a JSON object"),
    ],
)
def test_read_ndjson_names_what_is_wrong_and_goes_on(line: str, wrong: str) -> None:
    good = json.dumps({"user": "bob", "metric": "words", "value": 1, "timestamp": TIME})
    found = read(f"{good}\n{line}\n{good}\n")
    assert [number for number, _ in found] == [1, 2, 3]
    reason = found[1][1]
    assert isinstance(reason, str)
    assert reason.startswith(wrong)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("user,metric,value\n", "missing: timestamp"),
        ("user,value,timestamp\n", "missing: metric"),
        ("user;metric;value;timestamp\n", "user;metric;value;timestamp is not a known column"),
        (f"ann,words,1,{TIME}\n", "ann is not a known column"),
        ("user,user,metric,value,timestamp\n", "names a column twice: user"),
        ('[{"user":"ann"}]', "JSON array"),
        ("user,metric".encode("utf-16"), "UTF-16"),
    ],
)
def test_read_refuses_a_file_as_a_whole(text: str | bytes, wrong: str) -> None:
    with pytest.raises(StartError, match=wrong):
        read(text)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(st.lists(st.tuples(NAMES, NAMES, st.floats(allow_nan=False, allow_infinity=False)), min_size=1))
def test_read_csv_and_ndjson_agree_and_keep_every_cell(rows: list[tuple[str, str, float]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["user", "metric", "value", "timestamp", "name"])
    writer.writerows([user, "words", repr(value), TIME, name] for user, name, value in rows)
    lines = (
        json.dumps({"user": user, "metric": "words", "value": value, "timestamp": TIME, "name": name})
        for user, name, value in rows
    )
    from_csv = [as_dict(item) for _, item in read(text.getvalue())]
    assert from_csv == [as_dict(item) for _, item in read("\n".join(lines))]
    assert [(i["user"]["id"], i["user"]["name"], i["value"]) for i in from_csv] == rows


def item(**changes: Any) -> BatchItem:
    """An item that is good unless changed."""
    fields: dict[str, Any] = {"key": "words", "user": {"id": "ann"}, "value": 1.0, "timestamp": TIME}
    return msgspec.convert({**fields, **changes}, BatchItem)


def test_check_item_gives_the_instant() -> None:
    assert check_item(INDEX, item(timestamp="2026-11-23T13:00:00+01:00"), NOW_MS) == NOW_MS


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"timestamp": None}, "timestamp is missing"),
        ({"timestamp": "2026-01-31"}, "timestamp is a bare date"),
        ({"timestamp": "20260131"}, "timestamp is a bare date"),
        ({"timestamp": "2026-01-31T12:00:00"}, "timestamp must carry an offset"),
        ({"timestamp": "1795435200"}, "timestamp must be an ISO 8601 time"),
        ({"timestamp": iso(NOW_MS + 301_000)}, "timestamp must not lie more than 5 minutes in the future"),
        ({"key": "pages"}, "Unknown metric key: pages"),
        ({"value": 1e16}, "value must lie within"),
        ({"user": {"id": "x" * 256}}, "user.id must have 1 to 255 characters"),
        ({"user": {"id": "a\0b"}}, "user.id must not contain control characters"),
        ({"user": {"id": "ann", "tz": "Mars/Base"}}, "tz is not a known time zone"),
        ({"user": {"id": "ann", "attributes": {"app": "x"}}}, "Invalid attribute keys: app"),
        ({"attributes": {"plan": "x"}}, "Invalid attribute keys: plan"),
        ({"idempotencyKey": ""}, "idempotencyKey must have 1 to 255 characters"),
    ],
)
def test_check_item_names_the_field(changes: dict[str, Any], wrong: str) -> None:
    with pytest.raises(RequestError, match=wrong):
        check_item(INDEX, item(**changes), NOW_MS)
