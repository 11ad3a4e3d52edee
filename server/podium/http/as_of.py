"""How old an answer about a whole space may be: the header ``Podium-As-Of``.

Such answers are made from Postgres, which is behind by a flush, and those that take long are kept for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

HEADER = "Podium-As-Of"
"""The answer has all that was acknowledged before this instant, and may have some of what came later."""


@dataclass(slots=True)
class AsOf:
    """The instant (ms) up to which all is in what is being computed; lowered by what is older (stale_cache.py)."""

    ms: int


_computing: ContextVar[AsOf | None] = ContextVar("as_of", default=None)


@contextmanager
def computing(as_of_ms: int) -> Iterator[AsOf]:
    """Say that what is computed inside the block has all up to an instant; the result is what came of that."""
    as_of = AsOf(as_of_ms)
    token = _computing.set(as_of)
    try:
        yield as_of
    finally:
        _computing.reset(token)


def current_ms() -> int | None:
    """The instant up to which all is in what is being computed here; None where nobody has said so."""
    as_of = _computing.get()
    return None if as_of is None else as_of.ms


def lower(ms: int | None) -> None:
    """Mark the answer as made of data up to this instant only."""
    as_of = _computing.get()
    if as_of is not None and ms is not None:
        as_of.ms = min(as_of.ms, ms)
