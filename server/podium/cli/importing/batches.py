"""Checked events as batches: sorted by time, each with its idempotency key, a user's always in one lane. Pure."""

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
"""Bytes after which a batch takes no further event: far below what a server accepts (4 MB)."""

Row = tuple[int, int, bytes]
"""A checked event, packed because millions wait in memory: instant in ms, place, item in MessagePack."""
_FILE_BITS = 40
"""A place is a line's number, with that of its file above these bits."""


class Batch(msgspec.Struct, frozen=True):
    """A body to send, and the place of each of its events."""

    lane: int
    places: list[int]
    body: bytes


_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(BatchItem).decode


def place_of(file: int, line: int) -> int:
    """Return where an event was read: the file's number, from 0, and the line's, as one number."""
    return file << _FILE_BITS | line


def split_place(place: int) -> tuple[int, int]:
    """Return the numbers of file and line of a ``place_of``."""
    return place >> _FILE_BITS, place & (1 << _FILE_BITS) - 1


def pack(timestamp_ms: int, place: int, item: BatchItem) -> Row:
    """An item as a row."""
    return timestamp_ms, place, _pack(item)


def content_key(item: BatchItem, timestamp_ms: int, nth: int) -> str:
    """The idempotency key of the ``nth`` event that has this user, metric, value and instant.

    Names and attributes are left out: who corrects them and imports again does not count the event again.
    """
    value = repr(item.value + 0.0)  # -0.0 becomes 0.0
    # Ids hold no control characters, so the joint is unambiguous.
    content = "\0".join((item.user.id, item.key, value, str(timestamp_ms), str(nth)))
    return f"import-{blake2b(content.encode(), digest_size=16).hexdigest()}"


def keyed(rows: list[Row]) -> Iterator[tuple[int, BatchItem]]:
    """The rows in time order (lines of the same instant as they came), each with its place and with an idempotency
    key: its own, or one of its content, which counts once in each file that has it. Sorts ``rows`` in place."""
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
    """The items cut into batches that the server takes. Batches of different lanes share no user, so that lanes
    may be sent side by side and a user's events still arrive in order."""
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
