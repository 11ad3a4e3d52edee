"""Parse lines of CSV or NDJSON into batch items with their line numbers. Pure: lines in, values out.

A line of NDJSON is either flat, with the names of the CSV columns (``COLUMNS``), or a batch item of the HTTP API,
whose ``user`` is an object (docs/http-api.md#batches-of-events).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

import msgspec

from podium.game.catalog import CatalogIndex
from podium.game.errors import BadRequest, RequestError, StartError, Unprocessable
from podium.game.ids import printable
from podium.game.periods import parse_instant
from podium.http.bodies import convert
from podium.intake.requests import BatchItem, EventUser, from_item

Format = Literal["auto", "csv", "ndjson"]
Read = tuple[int, BatchItem | RequestError]
"""A line's number, from 1, and its event, or the error in it."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "user": ("user", "id"),
    "metric": ("key",),
    "value": ("value",),
    "timestamp": ("timestamp",),
    "name": ("user", "name"),
    "attributes": ("attributes",),
    "idempotencyKey": ("idempotencyKey",),
    "user.tz": ("user", "tz"),
    "user.email": ("user", "email"),
}
"""The path of each column in a batch item. Further columns: ``attributes.KEY`` and ``user.attributes.KEY``."""
_REQUIRED = ("user", "value", "timestamp")
_ITEM_FIELDS = frozenset(BatchItem.__struct_encode_fields__)
_USER_FIELDS = frozenset(EventUser.__struct_encode_fields__)
_BOM = b"\xef\xbb\xbf"

_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


def read_lines(lines: Iterable[bytes], format_: Format = "auto", metric: str | None = None) -> Iterator[Read]:
    """Yield the events of a file, line by line, without blank lines. ``metric`` is for lines that name none.

    With ``auto`` a file that begins with ``{`` is NDJSON, any other CSV.

    Raises:
        StartError: The file as a whole can't be read: empty, of another encoding or form, or with a bad header.
    """
    rest = iter(lines)
    head: list[bytes] = []
    for line in rest:
        head.append(line.removeprefix(_BOM) if not head else line)
        if head[-1].strip():
            break
    else:
        raise StartError("The input is empty.")
    start = head[-1].lstrip()
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise StartError("The input is UTF-16; save it as UTF-8.")
    if start.startswith(b"[") and format_ != "csv":
        raise StartError("The input is a JSON array; write one event on each line instead (jq -c '.[]').")
    if format_ == "auto":
        format_ = "ndjson" if start.startswith(b"{") else "csv"
    read = _read_ndjson if format_ == "ndjson" else _read_csv
    return read(chain(head, rest), metric)


def check_item(index: CatalogIndex, item: BatchItem, now_ms: int) -> int:
    """Check an item as the server will, and return its instant in ms.

    Raises:
        Unprocessable: The server would refuse it. The message names the field.
    """
    if item.timestamp is None:
        raise Unprocessable("timestamp is missing")
    if _is_bare_date(item.timestamp):
        raise Unprocessable(
            "timestamp is a bare date; it must be a time with an offset, like 2026-01-31T12:00:00Z"
        )
    from_item(index, item, now_ms)
    return parse_instant("timestamp", item.timestamp)


def _is_bare_date(text: str) -> bool:
    if len(text) > len("2026-01-31"):
        return False
    with suppress(ValueError):
        date.fromisoformat(text)
        return True
    return False


def _read_ndjson(lines: Iterable[bytes], metric: str | None) -> Iterator[Read]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield number, _from_object(line, metric)
        except RequestError as error:
            yield number, error


def _from_object(line: bytes, metric: str | None) -> BatchItem:
    try:
        fields = _decode_object(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The line is not a JSON object: {error}") from None
    user = fields.get("user")
    if isinstance(user, dict):
        unknown = [*(fields.keys() - _ITEM_FIELDS), *(f"user.{name}" for name in user.keys() - _USER_FIELDS)]
        if unknown:
            raise BadRequest(f"{printable(min(unknown))} is not a known field")
        return _to_item(fields, metric)
    return _from_fields(((_place(name), value) for name, value in fields.items() if value is not None), metric)


def _read_csv(lines: Iterable[bytes], metric: str | None) -> Iterator[Read]:
    reader = csv.reader((line.decode("utf-8", "surrogateescape") for line in lines), strict=True)
    try:
        columns = [cell.strip() for cell in next(row for row in reader if row)]
        places = [_place(column) for column in columns]
    except (csv.Error, RequestError) as error:
        raise StartError(
            f"The first line must name the columns, like user,metric,value,timestamp: {error}."
        ) from None
    needed = _REQUIRED if metric else (*_REQUIRED, "metric")
    if missing := [column for column in needed if column not in columns]:
        raise StartError(f"The first line must name the columns; missing: {', '.join(missing)}.")
    if twice := [column for column in set(columns) if columns.count(column) > 1]:
        raise StartError(f"The first line names a column twice: {min(twice)}.")
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, BadRequest(f"The line is not CSV: {error}")
            continue
        if not any(row):
            continue
        try:
            if len(row) != len(columns):
                raise BadRequest(f"The line has {len(row)} columns, the first line {len(columns)}")
            yield number, _from_fields(zip(places, map(_cell, columns, row), strict=True), metric)
        except RequestError as error:
            yield number, error


def _cell(column: str, text: str) -> Any:
    if not text:
        return None
    if not text.isascii() and printable(text) != text:
        raise BadRequest(f"{column} is not UTF-8")
    if column == "value":
        try:
            # float() accepts digit groups (1_000), which a number in CSV doesn't have.
            return float(text.replace("_", "?"))
        except ValueError:
            raise BadRequest("value must be a number") from None
    if column == "attributes":
        try:
            return _decode_object(text)
        except (msgspec.DecodeError, RecursionError):
            raise BadRequest("attributes must be a JSON object") from None
    return text


@lru_cache(maxsize=1_024)
def _place(column: str) -> tuple[str, ...]:
    if place := COLUMNS.get(column):
        return place
    for prefix in (("attributes",), ("user", "attributes")):
        key = column.removeprefix(".".join(prefix) + ".")
        if key and key != column:
            return (*prefix, key)
    raise BadRequest(f"{printable(column[:100])} is not a known column")


def _from_fields(fields: Iterable[tuple[tuple[str, ...], Any]], metric: str | None) -> BatchItem:
    item: dict[str, Any] = {}
    for place, value in fields:
        if value is None:
            continue
        target = item
        for step in place[:-1]:
            target = target.setdefault(step, {})
        if place == COLUMNS["attributes"] and isinstance(value, dict):
            target.setdefault("attributes", {}).update(value)
        else:
            target[place[-1]] = value
    if "id" not in item.get("user", {}):
        raise BadRequest("user is missing")
    return _to_item(item, metric)


def _to_item(fields: dict[str, Any], metric: str | None) -> BatchItem:
    if metric is not None:
        fields.setdefault("key", metric)
    if "key" not in fields:
        raise BadRequest("metric is missing")
    return convert(fields, BatchItem, "The line")
