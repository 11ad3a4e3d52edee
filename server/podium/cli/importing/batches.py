"""Turn checked events into batches: sorted by time, with idempotency keys, a user's always in one lane. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from zlib import crc32

import msgspec

from podium.game.periods import iso
from podium.intake.requests import BATCH_MAX, BatchItem

BODY_MAX = 1_000_000
"""Bytes after which a batch takes no further event, far below what a server accepts (4 MB)."""

Row = tuple[int, int, bytes]
"""A checked event: instant in ms, place, item in MessagePack. Packed because millions are held in memory."""
_FILE_BITS = 40
"""Bits of a place that hold the line's number. The file's number is above them."""


class Batch(msgspec.Struct, frozen=True):
    """The body of one request, and the place of each event in it."""

    lane: int
    places: list[int]
    body: bytes


_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(BatchItem).decode


def place_of(file: int, line: int) -> int:
    """Return the place of an event: the number of its file, from 0, and of its line, as one number."""
    return file << _FILE_BITS | line


def split_place(place: int) -> tuple[int, int]:
    """Return the file's and the line's number of a place."""
    return place >> _FILE_BITS, place & (1 << _FILE_BITS) - 1


def pack(timestamp_ms: int, place: int, item: BatchItem) -> Row:
    """Return an item as a row."""
    return timestamp_ms, place, _pack(item)


def content_key(item: BatchItem, timestamp_ms: int, nth: int) -> str:
    """Return the idempotency key of the ``nth`` event with this user, metric, value and instant.

    It doesn't depend on names and attributes, so that they can be corrected and imported again without counting
    the event twice.
    """
    value = repr(item.value + 0.0)  # -0.0 becomes 0.0
    # Ids hold no control characters, so the separator is unambiguous.
    content = "\0".join((item.user.id, item.key, value, str(timestamp_ms), str(nth)))
    return f"import-{blake2b(content.encode(), digest_size=16).hexdigest()}"


def keyed(rows: list[Row]) -> Iterator[tuple[int, BatchItem]]:
    """Yield place and item of each row in the order of time, lines of the same instant in the order of the file.

    An item without an idempotency key gets one from its content (``content_key``). Equal lines of one file get
    different keys; lines of two files get the same. Sorts ``rows`` in place.
    """
    rows.sort(key=itemgetter(0))
    for timestamp_ms, group in groupby(rows, itemgetter(0)):
        seen: Counter[tuple[int, str, str, float]] = Counter()
        for _, place, packed in group:
            item = _unpack(packed)
            key = item.idempotency_key
            if key is None:
                content = (place >> _FILE_BITS, item.user.id, item.key, item.value)
                seen[content] += 1
                key = content_key(item, timestamp_ms, seen[content])
            yield place, msgspec.structs.replace(item, idempotency_key=key, timestamp=iso(timestamp_ms))


def batches(items: Iterable[tuple[int, BatchItem]], lanes: int) -> Iterator[Batch]:
    """Cut items into batches within the server's limits.

    Batches of different lanes share no user. So lanes can be sent in parallel, and each user's events still arrive
    in order.
    """
    waiting: list[list[tuple[int, bytes]]] = [[] for _ in range(lanes)]
    sizes = [0] * lanes
    for place, item in items:
        lane = crc32(item.user.id.encode()) % lanes
        encoded = _encode(item)
        waiting[lane].append((place, encoded))
        sizes[lane] += len(encoded)
        if len(waiting[lane]) == BATCH_MAX or sizes[lane] >= BODY_MAX:
            yield _batch(lane, waiting[lane])
            waiting[lane], sizes[lane] = [], 0
    for lane, rest in enumerate(waiting):
        if rest:
            yield _batch(lane, rest)


def _batch(lane: int, events: list[tuple[int, bytes]]) -> Batch:
    return Batch(lane, [place for place, _ in events], b"[" + b",".join(body for _, body in events) + b"]")
