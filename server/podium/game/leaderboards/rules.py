"""The rules of leaderboards: the changes of standings by an event or other attributes, and the status on a day."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple

from podium.game.errors import Unprocessable
from podium.game.filters import matches
from podium.game.leaderboards.model import Leaderboard, Standing
from podium.game.leaderboards.ranking import GROUP_MAX, UNRANKED, board_name, group_name, is_ranked, split_board
from podium.game.leaderboards.runs import is_final, is_named_final, named_day, named_run, run_name, run_on
from podium.game.numbers import UNITS_MAX

LATE_DAYS = 7
"""Days by which an event may be older than the user's newest one and count in every run
(docs/http-api.md#event-time)."""
KEPT_DAYS = LATE_DAYS + 2
"""Days after a run for which a state keeps its standing: the late days, and two for a move across the date
line."""

ShownStatus = Literal["inactive", "scheduled", "active", "finished"]
Changes = dict[str, Standing | None]
"""Standings by board. None means that the user leaves the board."""


def status_on(board: Leaderboard, today: date) -> ShownStatus:
    """Return the status to show on a day of the space's home zone. The dates of an active one decide about it."""
    if board.status != "active":
        return board.status
    if today < board.start:
        return "scheduled"
    return "finished" if board.end is not None and today > board.end else "active"


class Window(NamedTuple):
    """The times of day between which events count: from ``start`` on and before ``end``, over midnight if ``end``
    is the earlier one."""

    start: time
    end: time | None

    def holds(self, moment: time) -> bool:
        """Return whether an event at this local time counts."""
        if self.end is None:
            return moment >= self.start
        if self.start <= self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


class OpenBoard(NamedTuple):
    """A run in which an event of a day counts. ``name`` is the board of all users. ``plain`` is True if the only
    standing of every user is the sum of all scores on that board, which allows a shortcut."""

    leaderboard: Leaderboard
    name: str
    plain: bool
    window: Window | None


def open_boards(leaderboards: Iterable[Leaderboard], day: date) -> tuple[OpenBoard, ...]:
    """Return the runs of ``leaderboards`` that contain a local day and are not final."""
    return tuple(
        OpenBoard(board, board_name(board.number, run_name(board, run)), _is_plain(board), _window(board))
        for board in leaderboards
        if (run := run_on(board, day)) is not None and not is_final(board, run)
    )


def _is_plain(board: Leaderboard) -> bool:
    return (
        board.scoring == "sum"
        and board.group_by is None
        and not board.breakdown_attributes
        and not board.user_attributes
        and _window(board) is None
    )


def _window(board: Leaderboard) -> Window | None:
    if board.start_time is None and board.end_time is None:
        return None
    return Window(
        time.fromisoformat(board.start_time) if board.start_time else time.min,
        time.fromisoformat(board.end_time) if board.end_time else None,
    )


def score_changes(
    boards: Iterable[OpenBoard],
    standings: Mapping[str, Standing],
    attributes: Mapping[str, str],
    moment: datetime,
    at_ms: int,
    units: int,
    *,
    late: bool,
    blocked: Collection[str] = (),
) -> Changes:
    """Return the standings, by board, that change by ``units`` at ``at_ms``, which is ``moment`` in local time.

    ``late`` events, older than ``LATE_DAYS``, move perpetual boards only. ``blocked`` are the leaderboards and
    runs from which the user is barred.

    Raises:
        Unprocessable: A score is too large to be counted exactly.
    """
    changed: Changes = {}
    for leaderboard, name, plain, window in boards:
        # The state may have dropped a repeating run of that day. Counting there would start the score from zero.
        if late and leaderboard.run_unit is not None:
            continue
        if blocked and is_blocked(blocked, name):
            continue
        if plain:  # most leaderboards, and this is the hot path: no filters and no groups to look at
            places: tuple[str, ...] = (name,)
        elif takes_part(leaderboard, attributes) and (window is None or window.holds(moment.time())):
            places = standing_places(leaderboard, name, attributes)
            if standings and _is_too_long(leaderboard, places, attributes):
                # A user who is in such a group, from before there was a limit, moves out of it with the score.
                held = [board for board in standings if board == name or board.startswith(f"{name}:")]
                moved = _regroup_run(leaderboard, name, held, standings, attributes)
                changed.update(moved)
                standings = {**standings, **{board: one for board, one in moved.items() if one is not None}}
        else:
            continue
        for place in places:
            old = standings.get(place)
            new = standing_after(leaderboard, old, at_ms, units)
            if new is not old:
                changed[place] = new
    return changed


def standing_after(board: Leaderboard, old: Standing | None, at_ms: int, units: int) -> Standing | None:
    """Return the standing after a score, or None without one.

    Its time is the later of the event's and the standing's, and changes only with the value.
    """
    scoring = board.scoring
    if scoring == "current":
        # The score is the present length of the streak, not an amount to add. Without a streak there is no
        # standing.
        if old is not None and units == old.value:
            return old
        return Standing(units, at_ms) if units else None
    if scoring == "sum":
        if old is None:
            return Standing(units, at_ms)
        if not units:
            return old  # an event of 0 must not change the time, which decides among equal scores
        value = old.value + units
        if abs(value) > UNITS_MAX:
            raise Unprocessable("the score on a leaderboard would be too large to count exactly")
        return Standing(value, max(at_ms, old.reached_ms))
    if scoring == "best":
        if board.rank_by == "streak" and not units:
            return old  # a lost streak is no streak, even if less is better
        if old is None:
            return Standing(units, at_ms)
        better = units > old.value if board.order == "desc" else units < old.value
        return Standing(units, max(at_ms, old.reached_ms)) if better else old
    if old is None:
        return Standing(units, at_ms, at_ms)
    if at_ms < old.latest_ms:  # by last score: an older event than the newest one changes nothing
        return old
    return Standing(units, old.reached_ms if units == old.value else max(at_ms, old.reached_ms), at_ms)


def takes_part(board: Leaderboard, attributes: Mapping[str, str]) -> bool:
    """Return whether a user with these attributes belongs to the leaderboard's audience: all filters match."""
    return matches(board.user_attributes, attributes)


def standing_places(board: Leaderboard, name: str, attributes: Mapping[str, str]) -> tuple[str, ...]:
    """Return the boards of a run to which a user of the audience belongs.

    That is the board of all users; if groups are ranked, also that of the user's group; with a breakdown, only
    that of the group. A user without a group is in the unranked group. A group longer than ``GROUP_MAX`` counts as
    none, since an attribute value from before the leaderboard existed must not prevent its user from scoring.
    """
    if board.breakdown_attributes:
        return (f"{name}:{group_of(tuple(attributes.get(key, '') for key in board.breakdown_attributes))}",)
    if board.group_by is not None and (group := group_of((attributes.get(board.group_by, ""),))):
        return (name, f"{name}:{group}")
    return (name,)


def group_of(values: tuple[str, ...]) -> str:
    """Return the ``group_name`` of these values, or ``UNRANKED`` if one is missing or they are too long."""
    if not all(values):
        return UNRANKED
    group = group_name(values)
    return group if len(group) <= GROUP_MAX else UNRANKED


def _is_too_long(board: Leaderboard, places: tuple[str, ...], attributes: Mapping[str, str]) -> bool:
    """Return whether ``standing_places`` returned the unranked group because the user's group is too long."""
    if board.breakdown_attributes:
        return places[0][-1] == ":" and all(attributes.get(key) for key in board.breakdown_attributes)
    return board.group_by is not None and len(places) == 1 and bool(attributes.get(board.group_by))


def regroup(
    by_number: Mapping[int, Leaderboard], standings: Mapping[str, Standing], attributes: Mapping[str, str]
) -> Changes:
    """Return the changes after a change of a user's attributes.

    The score moves to the new group, or, if the user leaves the audience, to the unranked group. Final runs are
    not changed. With ``keepOnLeave`` a group keeps the score of a user who leaves, and one who joins begins with
    none.
    """
    changed: Changes = {}
    runs: dict[tuple[int, str], list[str]] = {}
    for board in standings:
        number, run, _ = split_board(board)
        runs.setdefault((number, run), []).append(board)
    for (number, run), held in runs.items():
        leaderboard = by_number.get(number)
        if leaderboard is None or _is_ungrouped(leaderboard) or is_named_final(leaderboard, run):
            continue
        changed.update(_regroup_run(leaderboard, board_name(number, run), held, standings, attributes))
    return changed


def _is_ungrouped(board: Leaderboard) -> bool:
    return board.group_by is None and not board.breakdown_attributes and not board.user_attributes


def _regroup_run(
    leaderboard: Leaderboard,
    name: str,
    held: list[str],
    standings: Mapping[str, Standing],
    attributes: Mapping[str, str],
) -> Changes:
    unranked = f"{name}:{UNRANKED}"
    part = takes_part(leaderboard, attributes)
    places = standing_places(leaderboard, name, attributes) if part else (unranked,)
    grouped = leaderboard.group_by is not None
    # If groups are ranked, the standing on the board of all users is the reference; otherwise there is only one.
    main = next((board for board in held if not grouped or board in (name, unranked)), None)
    if main is None:
        return {}
    changed: Changes = {}
    for board in held:
        keeps = grouped and leaderboard.keep_on_leave and board not in (name, unranked)
        if board not in places and not keeps:
            changed[board] = None
    for board in places:
        joins = board not in (name, unranked) and grouped
        if board not in standings and not (joins and leaderboard.keep_on_leave):
            changed[board] = standings[main]
    return changed


def reread(
    boards: Iterable[OpenBoard], standings: Mapping[str, Standing], scored: Mapping[str, Standing | None]
) -> Changes:
    """Return the changes on boards by best or last score after the events of a run were read again.

    ``scored`` has the standing that they give, by the name of the board of all users, or None without events.
    """
    changed: Changes = {}
    for leaderboard, name, _, _ in boards:
        if leaderboard.scoring == "sum" or name not in scored:
            continue
        new = scored[name]
        for place, old in standings.items():
            if place != name and not place.startswith(f"{name}:"):
                continue
            if new is None or new.value != old.value:
                changed[place] = new
    return changed


def rescored(board: Leaderboard, scores: Iterable[tuple[int, int]]) -> Standing | None:
    """Return the standing that a run's scores ``(at_ms, units)``, in the order of time, give, or None without
    any."""
    standing: Standing | None = None
    for at_ms, units in scores:
        standing = standing_after(board, standing, at_ms, units)
    return standing


def removal(standings: Mapping[str, Standing], leaderboard: int, run: str | None) -> Changes:
    """Return the changes that remove a user from a leaderboard, or from one run of it."""
    return {
        board: None
        for board in standings
        if (name := split_board(board)).leaderboard == leaderboard and run in (None, name.run)
    }


def is_blocked(blocked: Collection[str], name: str) -> bool:
    """Return whether a user is barred from a run: its name (the board of all users) or its leaderboard's number is
    blocked."""
    return name in blocked or name.partition(":")[0] in blocked


def outdated(
    standings: Mapping[str, Standing | None],
    by_number: Mapping[int, Leaderboard],
    newest: date,
    newest_of: Callable[[Leaderboard], date],
) -> list[str]:
    """Return the boards whose runs no event of this user can reach any more.

    Their runs ended long enough before the newest event of their source (``newest_of``), or are final and ended
    long enough before the user's ``newest`` event. A standing in the unranked group is stored in the state only,
    so it is kept until the run is final.
    """
    kept = timedelta(days=KEPT_DAYS)
    gone = []
    for name in standings:
        number, run, _ = split_board(name)
        board = by_number.get(number)
        if (
            not run or board is None
        ):  # a perpetual run never ends, and an archived leaderboard has no dates any more
            continue
        held = run_on(board, named_day(run))
        final = board.final_until is not None and is_final(board, held or named_run(board, run))
        is_over = held is None or (
            held.end is not None and held.end < (newest if final else newest_of(board)) - kept
        )
        if is_over and (final or is_ranked(name)):
            gone.append(name)
    return gone


def older_runs(
    by_number: Mapping[int, Leaderboard], older: Mapping[int, str], gone: Iterable[str]
) -> dict[int, str]:
    """Return the newest dropped run, not final, by number of the leaderboard: of ``older``, the earlier value, and
    of the boards ``gone``, which are dropped now."""
    runs = [*older.items(), *((name.leaderboard, name.run) for name in map(split_board, gone))]
    found: dict[int, str] = {}
    for number, run in runs:
        board = by_number.get(number)
        if board is not None and run > found.get(number, "") and not is_named_final(board, run):
            found[number] = run
    return found


def moves_in_older(by_number: Mapping[int, Leaderboard], older: Mapping[int, str]) -> bool:
    """Return whether a change of attributes may move a user in a run that the state has dropped."""
    for number, run in older.items():
        board = by_number.get(number)
        if board is not None and not _is_ungrouped(board) and not is_named_final(board, run):
            return True
    return False


def live(by_number: Mapping[int, Leaderboard], standings: Mapping[str, Standing]) -> dict[str, Standing]:
    """Return the standings in runs that are not final."""
    found = {}
    for board, standing in standings.items():
        number, run, _ = split_board(board)
        leaderboard = by_number.get(number)
        if leaderboard is None or not is_named_final(leaderboard, run):
            found[board] = standing
    return found


def ranked(standings: Mapping[str, Standing]) -> dict[str, Standing]:
    """Return the standings without those in the unranked group."""
    return {board: standing for board, standing in standings.items() if is_ranked(board)}
