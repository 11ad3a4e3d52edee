"""The catalog of a space: immutable, and replaced as a whole by a newer version
(docs/decisions/0015-versioned-catalog.md)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, tzinfo

import msgspec

from podium.game.achievements.model import Achievement
from podium.game.achievements.rules import AchievementRules
from podium.game.leaderboards.model import Leaderboard, Source
from podium.game.leaderboards.ranking import GROUP_MAX, group_value_max
from podium.game.leaderboards.rules import OpenBoard, open_boards
from podium.game.metrics.model import Metric
from podium.game.periods import skipped_dates, zone
from podium.game.points.model import Boost, Level, PointsSystem, Trigger
from podium.game.points.rules import PointsRules
from podium.game.space_settings import NO_SETTINGS as NO_SPACE_SETTINGS
from podium.game.space_settings import SpaceSettings
from podium.game.streaks import rules as streaks
from podium.game.streaks.model import NO_SETTINGS, StreakSettings, Wishes
from podium.game.users.model import Attribute, AttributeType

_OPEN_MAX = 10_000
"""Most pairs of day and source whose boards are cached."""


class Catalog(msgspec.Struct, frozen=True, rename="camel"):
    """One version of a space's configuration, without archived items."""

    version: int
    home_zone: str = "UTC"
    metrics: tuple[Metric, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    leaderboards: tuple[Leaderboard, ...] = ()
    streaks: tuple[StreakSettings, ...] = ()
    """At most one."""
    achievements: tuple[Achievement, ...] = ()
    points: tuple[PointsSystem, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    levels: tuple[Level, ...] = ()
    boosts: tuple[Boost, ...] = ()
    settings: tuple[SpaceSettings, ...] = ()
    """At most one."""


STREAK = 0
"""The number of the streak as a leaderboard's source. All other numbers are greater."""
_WISHES_MAX = 10_000
"""Most users' preferences for the streak whose rules are cached."""


class CatalogIndex:
    """A catalog with the indexes for the hot path, built once per version."""

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
        self.group_sizes = _group_sizes(catalog.leaderboards)
        """Most bytes of a value, percent-encoded, by key of the user attributes by which leaderboards group."""
        scales = {m.id: (m.number, 10**m.decimals) for m in catalog.metrics}
        self._sources = {
            m.id: Source("metric", m.number, m.id, m.key, m.name, 10**m.decimals) for m in catalog.metrics
        }
        self._sources |= {p.id: Source("points", p.number, p.id, p.key, p.name, 1) for p in catalog.points}
        self._sources[""] = Source("streak", STREAK, "", "streak", "Streak", 1)
        self.counting: dict[int, tuple[Leaderboard, ...]] = {
            source.number: tuple(
                b for b in catalog.leaderboards if b.source_id == source.id and b.status == "active"
            )
            for source in self._sources.values()
        }
        """The active leaderboards of each source, by the source's number."""
        self.achievements = AchievementRules(catalog.achievements, scales)
        numbers = {one.id: one.number for one in catalog.achievements}
        self.points = PointsRules(
            catalog.points, catalog.triggers, catalog.levels, catalog.boosts, scales, numbers
        )
        self.streaks = streaks.rules_of(catalog.streaks[0] if catalog.streaks else NO_SETTINGS, scales)
        """The rules of the streak. Without thresholds nobody has one."""
        self._customizable = bool(catalog.streaks) and catalog.streaks[0].customizable
        self._wishes: dict[Wishes, streaks.Rules] = {}
        self.settings = catalog.settings[0] if catalog.settings else NO_SPACE_SETTINGS
        self._open: dict[tuple[int, date], tuple[OpenBoard, ...]] = {}

    def source_of(self, board: Leaderboard) -> Source:
        """Return the source of a leaderboard's scores."""
        return self._sources[board.source_id]

    def streak_rules(self, wishes: Wishes | None, tz: str | None) -> streaks.Rules:
        """Return the streak's rules for a user with these preferences in a zone (IANA name, None for UTC)."""
        found = self.streaks if wishes is None else self._wished(wishes)
        skipped = skipped_dates(tz)
        return found._replace(skipped=skipped) if skipped else found

    def _wished(self, wishes: Wishes) -> streaks.Rules:
        found = self._wishes.get(wishes)
        if found is None:
            if len(self._wishes) >= _WISHES_MAX:
                self._wishes.clear()
            own = streaks.own_rules(self.streaks, wishes, customizable=self._customizable)
            found = self._wishes[wishes] = own
        return found

    def open_boards(self, source: int, day: date) -> tuple[OpenBoard, ...]:
        """Return the boards that count scores of a source (by its number) on a local day."""
        found = self._open.get((source, day))
        if found is None:
            if len(self._open) >= _OPEN_MAX:
                self._open.clear()  # only an import of years gets here; usually there are three days at a time
            found = self._open[(source, day)] = open_boards(self.counting[source], day)
        return found


def _group_sizes(leaderboards: Iterable[Leaderboard]) -> dict[str, int]:
    found: dict[str, int] = {}
    for board in leaderboards:
        keys = board.breakdown_attributes or ((board.group_by,) if board.group_by is not None else ())
        if board.status != "finished":
            for key in keys:
                found[key] = min(group_value_max(len(keys)), found.get(key, GROUP_MAX))
    return found


def _keys(attributes: Iterable[Attribute], type_: AttributeType) -> frozenset[str]:
    return frozenset(a.key for a in attributes if a.type == type_)
