"""Filters by attributes, all of which must match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec


class AttributeFilter(msgspec.Struct, frozen=True, gc=False):
    """An attribute, by its key, and the required value."""

    key: str
    value: str


def matches(filters: Iterable[AttributeFilter], attributes: Mapping[str, str] | None) -> bool:
    """Return whether attributes pass all filters."""
    for wanted in filters:  # noqa: SIM110 - on the hot path: a generator takes three times as long
        if attributes is None or attributes.get(wanted.key) != wanted.value:
            return False
    return True
