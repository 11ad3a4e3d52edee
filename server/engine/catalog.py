"""The catalog of a space: immutable, replaced whole by a newer version (design decision 15)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, tzinfo

import msgspec

from server.core.periods import zone
from server.features.leaderboards.model import Leaderboard
from server.features.leaderboards.rules import OpenBoard, open_boards
from server.features.metrics.model import Metric
from server.features.streaks.model import NO_SETTINGS, StreakSettings
from server.features.streaks.rules import rules_of
from server.features.users.model import Attribute, AttributeType

_OPEN_MAX = 10_000
"""Days times metrics whose boards are remembered."""


class Catalog(msgspec.Struct, frozen=True, rename="camel"):
    """One version of a space's configuration. Archived items are not in it."""

    version: int
    home_zone: str = "UTC"
    metrics: tuple[Metric, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    leaderboards: tuple[Leaderboard, ...] = ()
    streaks: tuple[StreakSettings, ...] = ()
    """At most one."""


class CatalogIndex:
    """A catalog with the look-ups that the hot path needs, made once per version."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.version = catalog.version
        self.home: tzinfo = zone(catalog.home_zone)
        self.metric_by_key = {m.key: m for m in catalog.metrics}
        self.metric_by_id = {m.id: m for m in catalog.metrics}
        self.metric_by_number = {m.number: m for m in catalog.metrics}
        self.leaderboard_by_key = {b.key: b for b in catalog.leaderboards}
        self.leaderboard_by_number = {b.number: b for b in catalog.leaderboards}
        self.user_attributes = _keys(catalog.attributes, "user")
        self.event_attributes = _keys(catalog.attributes, "event")
        self.counting: dict[int, tuple[Leaderboard, ...]] = {
            m.number: tuple(b for b in catalog.leaderboards if b.metric_id == m.id and b.status == "active")
            for m in catalog.metrics
        }
        """By metric number: the leaderboards that an event of the metric can move."""
        scales = {m.id: (m.number, 10**m.decimals) for m in catalog.metrics}
        self.streaks = rules_of(catalog.streaks[0] if catalog.streaks else NO_SETTINGS, scales)
        """What the streak asks for; without thresholds there is none."""
        self._open: dict[tuple[int, date], tuple[OpenBoard, ...]] = {}

    def open_boards(self, metric: int, day: date) -> tuple[OpenBoard, ...]:
        """The boards that an event of a metric counts on, on a local day."""
        found = self._open.get((metric, day))
        if found is None:
            if len(self._open) >= _OPEN_MAX:
                self._open.clear()  # an import walks through years; a live server needs three days
            found = self._open[(metric, day)] = open_boards(self.counting[metric], day)
        return found


def _keys(attributes: Iterable[Attribute], type_: AttributeType) -> frozenset[str]:
    return frozenset(a.key for a in attributes if a.type == type_)
