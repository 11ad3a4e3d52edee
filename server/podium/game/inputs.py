"""What goes into ``engine.apply``: events and commands, as values.

They are checked against the catalog once, on arrival (``check_event``, features/users/rules.check), and applied
as often as the optimistic token asks for (docs/decisions/0003-tokens.md).
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
"""A ``timestamp`` may lie this far ahead of the server's clock (docs/http-api.md#event-time)."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """One interaction. ``timestamp_ms`` is None where the sender named no time; ``id`` is its eventId."""

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
    """Create or change a user's profile. With ``must_exist`` an unknown user is a 404."""

    user: str
    upsert: Upsert
    received_ms: int
    must_exist: bool = False


class Erase(msgspec.Struct, frozen=True, gc=False):
    """Forget a user: off every board, and nothing stays. With ``read_at`` the state must still have this token."""

    user: str
    received_ms: int
    read_at: str = ""


class RemoveStanding(msgspec.Struct, frozen=True, gc=False):
    """Take a user off a leaderboard (its number), or off one run of it. ``block`` true also bars the user from it;
    false takes nobody off, and lifts that; None leaves it as it is. With ``read_at`` the state must still have
    this token."""

    user: str
    leaderboard: int
    run: str | None
    received_ms: int
    block: bool | None = None
    read_at: str = ""

    @property
    def blocks(self) -> str:
        """What the state names as blocked."""
        return str(self.leaderboard) if self.run is None else board_name(self.leaderboard, self.run)


class Correction(msgspec.Struct, frozen=True):
    """Undo or correct an event: a new event of ``units``, the difference, at the time and on the day of the one
    that it ``corrects`` (docs/http-api.md#negative-events).

    ``standings`` are those that the remaining events give on boards of the best and of the last score
    (rules.reread), as of the state with the token ``read_at``: the state must still have it. ``held`` are the
    user's standings, by board, in runs of the day that the state has let go of. ``late`` and ``behind`` are those
    of the event (records.EventRecord).
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
    """Take a user off boards that the state has let go of, or, with ``attributes``, to the boards of the groups
    that those put the user in. ``held`` are the standings there, as of the state with the token ``read_at``: the
    state must still have it."""

    user: str
    held: dict[str, Standing]
    received_ms: int
    read_at: str
    attributes: dict[str, str] | None = None


class Fill(msgspec.Struct, frozen=True):
    """A piece of a backfill: count what a user did before leaderboards were there. By their numbers the standings
    that all of the user's stored events give in some of the runs, by the name of the board of all, None for no
    standing (game/leaderboards/backfill.py). ``again``: also where that was done before.

    As of the state with the token ``read_at``: the state must still have it. ``held`` are the user's standings, by
    board, in those runs of which the state has let go. The leaderboards ``done`` are complete with this piece; a
    user is filled in once for each.
    """

    user: str
    standings: dict[int, dict[str, Standing | None]]
    received_ms: int
    read_at: str
    held: dict[str, Standing] = {}
    done: tuple[int, ...] = ()
    again: bool = False


class Recount(msgspec.Struct, frozen=True):
    """Put in place of a user's streaks those that the stored events give in order of their time, with the periods
    that are other than before (game/streaks/backfill.py); achievements that this reaches are completed, silently.

    As of the state with the token ``read_at``: the state must still have it.
    """

    user: str
    streaks: Streaks
    steps: tuple[Step, ...]
    received_ms: int
    read_at: str


class ChangeStreak(msgspec.Struct, frozen=True, gc=False):
    """Give a freeze, put the lost streak back, end the streak, or pause it: ``pause`` is the one to add, with
    ``unpause`` the one to delete, or what is left of it where it has days. ``undo`` takes a change back that made
    the second of ``undone`` of the first. 422 where there is nothing to do."""

    user: str
    action: Literal["freeze", "restore", "reset", "pause", "unpause", "undo"]
    received_ms: int
    pause: Pause | None = None
    undone: tuple[Streaks, Streaks] | None = None


class GivePoints(msgspec.Struct, frozen=True, gc=False):
    """Give points of a system, by its number, or take some, by hand; ``id`` names the award. They count in runs of
    leaderboards that the user is in; with ``join_runs`` in all that are open."""

    id: str
    user: str
    system: int
    amount: int
    received_ms: int
    join_runs: bool = False


class ChangePreferences(msgspec.Struct, frozen=True):
    """Replace the preferences that are named: fields of ``Wishes`` about the streak, ``channels`` by types of
    notifications (None: as if never set). The others stay, whoever else changes them at the same time."""

    user: str
    received_ms: int
    wishes: dict[str, Any] | None = None
    channels: dict[str, tuple[str, ...] | None] | None = None


class Complete(msgspec.Struct, frozen=True):
    """Complete an achievement, by its number, for a user who is created if new. A second time changes nothing."""

    user: str
    achievement: int
    upsert: Upsert
    received_ms: int


class Tick(msgspec.Struct, frozen=True):
    """Time passed. With ``sweep``, after a change of the catalog, also what the user has reached already is
    completed, silently; ``counts`` are then the units that count for achievements, by number, whose filters by
    event attributes are new, as of the state with the token ``read_at`` where that is given."""

    user: str
    received_ms: int
    sweep: bool = False
    counts: dict[int, int] = {}
    read_at: str = ""


class Reward(msgspec.Struct, frozen=True):
    """What a place in a final run of a leaderboard, by its number, earns: points by the number of their system,
    achievements by number, freezes. A user is rewarded once for a run."""

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
    | Fill
    | Recount
    | ChangeStreak
    | ChangePreferences
    | GivePoints
    | Complete
    | Tick
    | Reward
)


def units_of(metric: Metric, value: float) -> int:
    """The whole units of a value; 422 if it can't be one of the metric's."""
    return to_units(metric, value)


def check_event(index: CatalogIndex, event: Event) -> None:
    """422 naming the field if no state could take this event under this catalog."""
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
