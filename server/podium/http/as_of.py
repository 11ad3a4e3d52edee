"""The header ``Podium-As-Of``: the instant that an answer about a whole space describes.

Such answers are computed from Postgres, which lags by a flush, and the expensive ones are cached.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

HEADER = "Podium-As-Of"
"""The answer includes everything that was acknowledged before this instant, and possibly some later changes."""


@dataclass(slots=True)
class AsOf:
    """The instant in ms up to which an answer is complete. Older parts lower it (stale_cache.py)."""

    ms: int


_computing: ContextVar[AsOf | None] = ContextVar("as_of", default=None)


@contextmanager
def computing(as_of_ms: int) -> Iterator[AsOf]:
    """Declare that the block computes an answer that is complete up to an instant.

    The value is that instant, lowered by all parts that turn out to be older.
    """
    as_of = AsOf(as_of_ms)
    token = _computing.set(as_of)
    try:
        yield as_of
    finally:
        _computing.reset(token)


def current_ms() -> int | None:
    """Return the instant up to which the present computation is complete; None outside ``computing``."""
    as_of = _computing.get()
    return None if as_of is None else as_of.ms


def lower(ms: int | None) -> None:
    """Declare that the answer includes a part that is complete only up to this instant."""
    as_of = _computing.get()
    if as_of is not None and ms is not None:
        as_of.ms = min(as_of.ms, ms)
