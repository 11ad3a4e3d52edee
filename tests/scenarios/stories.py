"""Plays a story (README.md) on the engine alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec
import yaml

from podium.game.achievements.model import Achievement
from podium.game.apply import Applied, apply
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.filters import AttributeFilter
from podium.game.inputs import (
    ChangePreferences,
    ChangeStreak,
    ChangeUser,
    Complete,
    Correction,
    Event,
    Input,
    Tick,
)
from podium.game.metrics.model import Metric
from podium.game.periods import instant, local_day, zone
from podium.game.points.model import Boost, Level, PointsSystem, Trigger
from podium.game.records import AwardRecord, FactRecord
from podium.game.state import UserState, decode_state, encode_state
from podium.game.streaks.history import history
from podium.game.streaks.model import NONE, Freezes, MetricThreshold, Pause, Streaks, StreakSettings, Wishes
from podium.game.streaks.rules import standing
from podium.game.users.model import Attribute
from podium.game.users.rules import NOTHING, Upsert

FOLDER = Path(__file__).parent
PROFILE = {"tz", "name", "email"}
HISTORY = 30
"""Periods of a history, of which a story names the last ones."""

Scheduler = Callable[[int, int, int], int | None]
"""From due moment, last tick and now: when the scheduler ticks the user before now, None for not at all."""


def in_time(due_ms: int, _: int, now_ms: int) -> int | None:
    """A scheduler that is never late."""
    return due_ms if due_ms <= now_ms else None


def asleep(due_ms: int, last_ms: int, now_ms: int) -> int | None:
    """A scheduler that looks every two days."""
    wakes_ms = last_ms + 2 * 86_400_000
    return wakes_ms if due_ms <= wakes_ms <= now_ms else None


def missing(_: int, __: int, ___: int) -> int | None:
    """No scheduler: what happens to the user brings the rest."""
    return None


def stories() -> list[Path]:
    """All story files."""
    return sorted(FOLDER.glob("*.yaml"))


def load(path: Path) -> dict[str, Any]:
    """A story."""
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


class Player:
    """One user of a story."""

    def __init__(self, story: dict[str, Any], scheduler: Scheduler) -> None:
        self.index = CatalogIndex(catalog(story["catalog"]))
        self.keys = {one.number: one.key for one in self.index.catalog.achievements}
        self.state: UserState | None = None
        self.records: list[Applied] = []
        self.records_seen = 0
        self.events: list[Event] = []
        self.lived: dict[int, tuple[int, bool, bool]] = {}
        self.restore: tuple[Streaks, Streaks] = (NONE, NONE)
        self._scheduler = scheduler
        self._user = story.get("user", {})
        self._tz = zone(self._user.get("tz"))
        self._ticked_ms = 0

    def at(self, text: Any) -> int:
        """The instant of a local time."""
        moment = text if isinstance(text, datetime) else datetime.fromisoformat(str(text))
        return instant(moment.replace(tzinfo=self._tz))

    def wait(self, now_ms: int) -> None:
        """Let the scheduler work until now."""
        self._ticked_ms = self._ticked_ms or now_ms
        while self.state is not None and self.state.due_ms:
            at_ms = self._scheduler(self.state.due_ms, self._ticked_ms, now_ms)
            if at_ms is None:
                if self._scheduler is asleep and self._ticked_ms + 2 * 86_400_000 <= now_ms:
                    self._ticked_ms += 2 * 86_400_000
                    continue
                break
            self._ticked_ms = at_ms
            self.apply(Tick("ann", at_ms))

    def apply(self, input_: Input) -> None:
        before = self.state
        applied = apply(self.index, self.state, input_)
        # What goes to Redis is the blob: nothing may live in the object only.
        self.state = decode_state(encode_state(applied.state))
        self.records.append(applied)
        self._live(applied)
        if isinstance(input_, ChangeStreak) and input_.action == "restore":
            assert before is not None
            self.restore = before.streaks or NONE, self.state.streaks or NONE

    def _live(self, applied: Applied) -> None:
        """What Postgres would hold of the streak's periods."""
        if applied.record.streak is not None:
            track = self.index.streaks.track
            for one in applied.record.streak.periods:
                if one.track == track:
                    self.lived[one.period] = one.length, one.frozen, one.restored
                    if not one.length:
                        del self.lived[one.period]

    def step(self, step: dict[str, Any]) -> None:
        """Do what a step says."""
        now_ms = self.at(step["at"])
        self.wait(now_ms)
        if self.state is None and "user" not in step and "event" not in step and "complete" not in step:
            self.apply(ChangeUser("ann", self._upsert(self._user), now_ms))
        for input_ in self._inputs(step, now_ms):
            self.apply(input_)
        if "user" in step and "tz" in step["user"]:
            self._tz = zone(step["user"]["tz"])

    def _inputs(self, step: dict[str, Any], now_ms: int) -> Iterator[Input]:
        upsert = self._upsert(self._user) if self.state is None else NOTHING
        if "event" in step:
            wanted = dict(step["event"])
            stamp = wanted.pop("dated", None)
            metric = next(key for key in wanted if key in self.index.metric_by_key)
            value = wanted.pop(metric)
            id_ = str(uuid5(NAMESPACE_URL, str(len(self.events))))
            attributes = {key: str(one) for key, one in wanted.items()} or None
            at_ms = self.at(stamp) if stamp is not None else None
            event = Event(id_, "ann", metric, value, now_ms, upsert, attributes, timestamp_ms=at_ms)
            self.events.append(event)
            yield event
        if "user" in step:
            known = self._user if self.state is None else {}
            yield ChangeUser("ann", self._upsert({**known, **step["user"]}), now_ms)
        if "complete" in step:
            number = self.index.achievements.by_key[step["complete"]].number
            yield Complete("ann", number, upsert, now_ms)
        for action in ("freeze", "restore", "reset"):
            if step.get(action):
                yield ChangeStreak("ann", action, now_ms)
        if step.get("takeBack"):
            yield ChangeStreak("ann", "undo", now_ms, undone=self.restore)
        if "pause" in step:
            start, end = (one.toordinal() for one in step["pause"])
            yield ChangeStreak("ann", "pause", now_ms, Pause(f"p{now_ms}", start, end))
        if "wishes" in step:
            own = msgspec.structs.asdict(wishes(self.index, step["wishes"]))
            yield ChangePreferences("ann", now_ms, own)
        if "undo" in step:
            yield self._undo(self.events[step["undo"] - 1], now_ms)

    def _undo(self, event: Event, now_ms: int) -> Correction:
        record = next(
            one.record.event for one in self.records if one.record.event and one.record.event.id == event.id
        )
        id_ = str(uuid5(NAMESPACE_URL, "undo " + event.id))
        return Correction(
            id_,
            "ann",
            record.metric,
            -record.units,
            record.at_ms,
            date.fromordinal(record.day),
            record.late,
            event.id,
            now_ms,
            {},
            "",
            record.attributes,
            behind=record.behind,
        )

    def _upsert(self, fields: dict[str, Any]) -> Upsert:
        known = {key: value for key, value in fields.items() if key in PROFILE}
        if "signUpDate" in fields:
            known["sign_up_date"] = str(fields["signUpDate"])
        attributes = {
            key: str(value) for key, value in fields.items() if key not in PROFILE and key != "signUpDate"
        }
        return Upsert(**known, **({"attributes": attributes} if attributes else {}))  # type: ignore[arg-type]

    def seen(self, name: str, now_ms: int) -> Any:
        """What ``expect`` may ask for."""
        state, index = self.state, self.index
        assert state is not None
        if name == "total":
            return {m.key: m.value(state.totals.get(m.number, 0)) for m in index.catalog.metrics}
        if name == "points":
            return {s.key: state.points.get(s.number, 0) for s in index.catalog.points}
        if name == "level":
            found = {}
            for system in index.catalog.points:
                level = index.points.level(system.number, state.points.get(system.number, 0))
                found[system.key] = level.key if level is not None else None
            return found
        if name == "achievements":
            return [self.keys[number] for number in state.achieved]
        today = local_day(now_ms, zone(state.profile.tz)).toordinal()
        rules = index.streak_rules(state.wishes, state.profile.tz)
        streak = standing(rules, state.streaks or NONE, today)
        if name == "history":
            lived = dict(sorted(self.lived.items()))
            rows = history(rules, state.streaks or NONE, today, HISTORY, lived)
            held = {"frozen": "used_freeze", "paused": "used_pause", "restored": "restored"}
            return [
                " ".join([str(row.length), *(word for word, field in held.items() if getattr(row, field))])
                for row in rows
            ]
        return streak.freezes if name == "freezes" else streak.length

    def take_records(self) -> list[Applied]:
        """What was recorded since the last look."""
        found, self.records_seen = self.records[self.records_seen :], len(self.records)
        return found


def facts(applied: list[Applied]) -> list[FactRecord]:
    """What happened."""
    return [fact for one in applied for fact in one.record.facts]


def awards(applied: list[Applied]) -> list[AwardRecord]:
    """What was given and taken."""
    return [award for one in applied for award in one.record.awards]


def wishes(index: CatalogIndex, wanted: dict[str, Any]) -> Wishes:
    """A user's own streak."""
    metrics = wanted.get("metrics")
    by_key = index.metric_by_key
    return Wishes(
        enabled=wanted.get("enabled", True),
        mode=wanted.get("mode"),
        thresholds=None
        if metrics is None
        else tuple((by_key[key].number, least) for key, least in metrics.items()),
        days_off=tuple(wanted["daysOff"]) if "daysOff" in wanted else None,
    )


def catalog(wanted: dict[str, Any]) -> Catalog:
    """The catalog of a story."""
    return _Maker(wanted).catalog()


class _Maker:
    def __init__(self, wanted: dict[str, Any]) -> None:
        self._wanted = wanted
        self._number = 0
        names = wanted.get("metrics", ["words"])
        self._metrics = [Metric(self._id(f"metric {key}"), self._take(), key, key, decimals=0) for key in names]
        self._metric_ids = {metric.key: metric.id for metric in self._metrics}

    def _take(self) -> int:
        self._number += 1
        return self._number

    def _id(self, name: str) -> str:
        return str(uuid5(NAMESPACE_URL, name))

    def catalog(self) -> Catalog:
        attributes = self._wanted.get("attributes", {})
        made = tuple(
            Attribute(self._id(f"{type_} {key}"), self._take(), key, key, type_)
            for type_ in ("user", "event")
            for key in attributes.get(type_, ())
        )
        wanted = self._wanted.get("achievements", {})
        achievements = tuple(self._achievement(key, one) for key, one in wanted.items())
        systems, triggers, levels, boosts = [], [], [], []
        for key, one in self._wanted.get("points", {}).items():
            system = PointsSystem(self._id(f"points {key}"), self._take(), key, key, max_points=one.get("max"))
            systems.append(system)
            for at, trigger in enumerate(one.get("triggers", ())):
                triggers.append(self._trigger(system.id, at, trigger))
            levels += [
                Level(self._id(f"level {key} {name}"), self._take(), name, system.id, name, points)
                for name, points in one.get("levels", {}).items()
            ]
            boosts += [self._boost(system.id, name, boost) for name, boost in one.get("boosts", {}).items()]
        streak = self._wanted.get("streak")
        return Catalog(
            1,
            metrics=tuple(self._metrics),
            attributes=made,
            streaks=(self._streak(streak),) if streak else (),
            achievements=achievements,
            points=tuple(systems),
            triggers=tuple(triggers),
            levels=tuple(levels),
            boosts=tuple(boosts),
        )

    def _streak(self, one: dict[str, Any]) -> StreakSettings:
        freezes = one.get("freezes")
        return StreakSettings(
            self._id("streak"),
            self._take(),
            frequency=one.get("frequency", "daily"),
            mode=one.get("mode", "OR"),
            days_off=tuple(one.get("daysOff", ())),
            metrics=tuple(MetricThreshold(self._metric_ids[key], least) for key, least in one["metrics"].items()),
            freezes=None
            if freezes is None
            else Freezes(freezes["start"], freezes["max"], freezes.get("every"), freezes.get("earn")),
            customizable=one.get("customizable", False),
        )

    def _achievement(self, key: str, one: dict[str, Any]) -> Achievement:
        parts = tuple(self._id(f"achievement {part}") for part in one.get("parts", ()))
        metric, needs = next(((name, one[name]) for name in self._metric_ids if name in one), (None, None))
        kind = (
            "metric" if metric else
            "streak" if "streak" in one else
            "anniversary" if "years" in one else
            "achievement" if parts else "api"
        )  # fmt: skip
        return Achievement(
            id=self._id(f"achievement {key}"),
            number=self._take(),
            key=key,
            name=key,
            trigger=kind,  # type: ignore[arg-type]
            status=one.get("status", "active"),
            user_attributes=filters(one.get("for")),
            metric_id=self._metric_ids.get(metric) if metric else None,
            metric_value=needs,
            event_attributes=filters(one.get("events")),
            streak_length=one.get("streak"),
            achievement_ids=parts,
            anniversary_years=one.get("years"),
        )

    def _trigger(self, system_id: str, at: int, one: dict[str, Any]) -> Trigger:
        metric = next((name for name in self._metric_ids if name in one), None)
        kind = next((kind for kind in ("streak", "achievement", "hours", "days") if kind in one), None)
        type_ = "metric" if metric else "time" if kind in ("hours", "days") else kind or "user_creation"
        id_ = self._id(f"trigger {system_id} {at}")
        return Trigger(
            id=id_,
            number=self._take(),
            key=id_,
            system_id=system_id,
            type=type_,  # type: ignore[arg-type]
            points=one["points"],
            status="active",
            user_attributes=filters(one.get("for")),
            block_if_out_of_points=one.get("block", False),
            metric_id=self._metric_ids.get(metric) if metric else None,
            metric_threshold=one.get(metric) if metric else None,
            event_attributes=filters(one.get("events")),
            streak_length=one.get("streak"),
            achievement_id=self._id(f"achievement {one['achievement']}") if "achievement" in one else None,
            time_unit=kind if kind in ("hours", "days") else None,  # type: ignore[arg-type]
            time_interval=one.get(kind) if kind in ("hours", "days") else None,
        )

    def _boost(self, system_id: str, name: str, one: dict[str, Any]) -> Boost:
        id_ = self._id(f"boost {name}")
        return Boost(
            id=id_,
            number=self._take(),
            key=id_,
            system_id=system_id,
            name=name,
            start=one["start"],
            end=one.get("end"),
            multiplier=one["times"],
            rounding=one.get("rounding", "down"),
            user_id=one.get("user"),
            user_attributes=filters(one.get("for")),
            start_time=one.get("from"),
            end_time=one.get("until"),
            weekdays=tuple(one.get("weekdays", ())),
        )


def filters(wanted: dict[str, Any] | None) -> tuple[AttributeFilter, ...]:
    """Filters by attributes."""
    return tuple(AttributeFilter(key, str(value)) for key, value in (wanted or {}).items())
