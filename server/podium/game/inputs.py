"""The inputs of ``game.apply``: events, commands and ticks, as values.

They are checked against the catalog once, on arrival (``check_event``, ``users.rules.check``). They may be applied
several times, until the state's token is still the same at the commit (docs/decisions/0003-tokens.md).
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

import msgspec

from podium.game import ids
from podium.game.catalog import CatalogIndex
from podium.game.errors import Unprocessable
from podium.game.leaderboards.model import Standing
from podium.game.leaderboards.ranking import board_name
from podium.game.metrics.model import Metric
from podium.game.metrics.rules import check_value, to_units
from podium.game.streaks.model import Pause, Streaks
from podium.game.streaks.rules import Step
from podium.game.users import rules as users
from podium.game.users.rules import NOTHING, Upsert

FUTURE_MS = 5 * 60_000
"""Milliseconds that a ``timestamp`` may lie ahead of the server's clock (docs/http-api.md#event-time)."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """One interaction. ``id`` is the eventId. ``timestamp_ms`` is None if the sender gave no time."""

    id: str
    user: str
    metric: str
    value: float
    received_ms: int
    upsert: Upsert = NOTHING
    attributes: dict[str, str] | None = None
    key: str | None = None
    timestamp_ms: int | None = None


class ChangeUser(msgspec.Struct, frozen=True, gc=False):
    """Create or change a user's profile. With ``must_exist`` an unknown user is refused with 404."""

    user: str
    upsert: Upsert
    received_ms: int
    must_exist: bool = False


class Erase(msgspec.Struct, frozen=True, gc=False):
    """Erase a user from all boards, and the state. With ``read_at`` the state must still have this token."""

    user: str
    received_ms: int
    read_at: str = ""


class RemoveStanding(msgspec.Struct, frozen=True, gc=False):
    """Remove a user from a leaderboard (by its number), or from one run of it.

    With ``block`` True the user is barred from it too. False removes nobody, and lifts the bar. None doesn't
    change it. With ``read_at`` the state must still have this token.
    """

    user: str
    leaderboard: int
    run: str | None
    received_ms: int
    block: bool | None = None
    read_at: str = ""

    @property
    def blocks(self) -> str:
        """Return the entry of ``UserState.blocked``: the leaderboard's number, or the run's board."""
        return str(self.leaderboard) if self.run is None else board_name(self.leaderboard, self.run)


class Correction(msgspec.Struct, frozen=True):
    """Undo or correct an event, by a new event at the time and on the day of the one that it ``corrects``.

    ``units`` is the difference (docs/http-api.md#negative-events). ``standings`` are those that the remaining
    events give on boards by best or last score (``rules.reread``), computed from the state with the token
    ``read_at``, which the state must still have. ``held`` are the user's standings, by board, in runs of the day
    that the state has dropped. ``late`` and ``behind`` are those of the event (``records.EventRecord``).
    """

    id: str
    user: str
    metric: int
    units: int
    at_ms: int
    day: date
    late: bool
    corrects: str
    received_ms: int
    standings: dict[str, Standing | None]
    read_at: str
    attributes: dict[str, str] | None = None
    held: dict[str, Standing] = {}
    behind: bool = False


class MoveOlder(msgspec.Struct, frozen=True):
    """Remove a user from boards that the state has dropped, or, with ``attributes``, move the user to other
    groups.

    ``held`` are the standings on those boards, read with the state of the token ``read_at``, which the state must
    still have.
    """

    user: str
    held: dict[str, Standing]
    received_ms: int
    read_at: str
    attributes: dict[str, str] | None = None


class CountHistory(msgspec.Struct, frozen=True):
    """Set a user's standings from stored history: one piece of a backfill or of a replay.

    ``standings`` are those that all of the user's stored events give in some runs, by the leaderboard's number and
    the name of the board of all users; None means no standing (game/leaderboards/backfill.py). They were computed
    from the state with the token ``read_at``, which the state must still have. ``held`` are the user's standings,
    by board, in runs that the state has dropped. The leaderboards ``done`` are complete with this piece. Each is
    counted only once for a user, except with ``again``.
    """

    user: str
    standings: dict[int, dict[str, Standing | None]]
    received_ms: int
    read_at: str
    held: dict[str, Standing] = {}
    done: tuple[int, ...] = ()
    again: bool = False


class Recount(msgspec.Struct, frozen=True):
    """Replace a user's streaks by those that the stored events give in the order of time
    (game/streaks/backfill.py).

    ``steps`` are the periods that differ from before. Achievements that the streaks reach are completed silently.
    The streaks were computed from the state with the token ``read_at``, which the state must still have.
    """

    user: str
    streaks: Streaks
    steps: tuple[Step, ...]
    received_ms: int
    read_at: str


class ChangeStreak(msgspec.Struct, frozen=True, gc=False):
    """Give a freeze, restore or reset the streak, add or delete a pause, or undo such a change.

    ``pause`` is the pause to add. With ``unpause`` it is the one to delete, or, if it has days, the rest that
    stays. ``undo`` reverts the change that turned the first of ``undone`` into the second. The command is refused
    with 422 if there is nothing to do.
    """

    user: str
    action: Literal["freeze", "restore", "reset", "pause", "unpause", "undo"]
    received_ms: int
    pause: Pause | None = None
    undone: tuple[Streaks, Streaks] | None = None


class GivePoints(msgspec.Struct, frozen=True, gc=False):
    """Give or deduct points of a system, by its number. ``id`` is that of the award.

    They count in runs of leaderboards that the user is in, and with ``join_runs`` in all open runs.
    """

    id: str
    user: str
    system: int
    amount: int
    received_ms: int
    join_runs: bool = False


class ChangePreferences(msgspec.Struct, frozen=True):
    """Replace preferences: fields of ``Wishes`` for the streak, ``channels`` by type of notification.

    A None in ``channels`` removes a preference. Preferences that are not named are kept, even if another request
    changes them at the same time.
    """

    user: str
    received_ms: int
    wishes: dict[str, Any] | None = None
    channels: dict[str, tuple[str, ...] | None] | None = None


class Complete(msgspec.Struct, frozen=True):
    """Complete an achievement, by its number. The user is created if new. A second time changes nothing."""

    user: str
    achievement: int
    upsert: Upsert
    received_ms: int


class Tick(msgspec.Struct, frozen=True):
    """Time has passed.

    With ``reconciles``, after a change of the catalog, achievements that the user has reached are completed
    silently. ``counts`` are then the units that count for achievements, by number, with new filters by event
    attributes. With ``read_at`` the state must still have this token.
    """

    user: str
    received_ms: int
    reconciles: bool = False
    counts: dict[int, int] = {}
    read_at: str = ""


class Reward(msgspec.Struct, frozen=True):
    """The reward of a place in a final run of a leaderboard, by its number: points by the number of their system,
    achievements by number, and freezes. A user is rewarded once for a run."""

    user: str
    leaderboard: int
    run: str
    received_ms: int
    points: dict[int, int] = {}
    achievements: tuple[int, ...] = ()
    freezes: int = 0


Input = (
    Event
    | ChangeUser
    | Erase
    | RemoveStanding
    | Correction
    | MoveOlder
    | CountHistory
    | Recount
    | ChangeStreak
    | ChangePreferences
    | GivePoints
    | Complete
    | Tick
    | Reward
)


def units_of(metric: Metric, value: float) -> int:
    """Return a value in whole units of the metric.

    Raises:
        Unprocessable: It can't be a value of the metric.
    """
    return to_units(metric, value)


def check_event(index: CatalogIndex, event: Event) -> None:
    """Check an event against the catalog, without a state.

    Raises:
        Unprocessable: No state could take the event. The message names the field.
    """
    ids.check_id("user.id", event.user)
    metric = index.metric_by_key.get(event.metric)
    if metric is None:
        raise Unprocessable(f"Unknown metric key: {ids.printable(event.metric[: ids.KEY_MAX])}")
    to_units(metric, event.value)
    check_value(metric, event.value)
    if event.key is not None:
        ids.check_id("idempotencyKey", event.key)
    if event.timestamp_ms is not None and event.timestamp_ms > event.received_ms + FUTURE_MS:
        raise Unprocessable("timestamp must not lie more than 5 minutes in the future")
    if event.attributes:
        users.check_attributes(event.attributes, index.event_attributes)
    if event.upsert is not NOTHING:
        users.check(event.upsert, index.user_attributes, event.received_ms, index.group_sizes)
