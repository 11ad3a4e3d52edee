"""The records that a commit appends to the log, one per accepted input. The flusher reads nothing else.

A log entry (one per commit) holds a list of ``LogItem``. The ranks come from the Redis function, the rest from the
process that computed it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec


class EventRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event as applied. ``units`` are whole units of the metric; ``day`` is the user's local date as a
    proleptic Gregorian ordinal (``date.fromordinal``). A ``late`` event moved no repeating board; one that is
    ``behind`` moved no streak, and no repeating board by points or by streak. ``extended`` is True if it
    lengthened the streak."""

    id: str
    metric: int
    units: int
    at_ms: int
    received_ms: int
    day: int
    key: str | None = None
    attributes: dict[str, str] | None = None
    late: bool = False
    corrects: str | None = None
    extended: bool = False
    behind: bool = False


class StreakRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A period of a streak as it is now: the index of its frequency, its number (game/streaks/calendar.py), the
    length at its end (0 if it is no period of a streak any more), whether a freeze was used for it, and whether
    support restored a streak as of it."""

    track: int
    period: int
    length: int
    frozen: bool = False
    restored: bool = False


class PauseRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A pause that was added or shortened, with days as ordinals. ``end`` is 0 if it was deleted."""

    id: str
    start: int
    end: int


class StreakChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The changes of a streak: periods that were added, changed or removed, and pauses that were added, shortened
    or deleted. ``lost`` tells after a command whether the streak is 0; it is None after other inputs."""

    periods: list[StreakRecord]
    pauses: list[PauseRecord] = []
    lost: bool | None = None


class BoardRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A changed standing. ``value`` is None if the user left the board. ``previous`` is the value before, None for
    a newcomer. ``day`` is the local day (an ordinal) of the board's history to which the change belongs, 0 for the
    day of the event. ``first`` is True if the value had not changed on that day before."""

    board: str
    value: int | None
    reached_ms: int
    previous: int | None = None
    day: int = 0
    first: bool = False


class StandingRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A standing, by board, at the moment at which the state drops it."""

    board: str
    value: int
    reached_ms: int


class AwardRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Points that were awarded or deducted: the numbers of the system, of the cause (a trigger, or the leaderboard
    of a reward) and of the boosts that multiplied them; the total after it; the local day as an ordinal.
    ``by_event`` is True if the record's own event is the cause."""

    id: str
    system: int
    cause: int
    awarded: int
    total: int
    at_ms: int
    day: int
    boosts: tuple[int, ...] = ()
    by_event: bool = False


class CompletionRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A completed achievement, by its number. If ``silent`` (backdating), nobody is notified."""

    achievement: int
    at_ms: int
    silent: bool = False


FactKind = Literal["streak_lost", "freeze_used", "freeze_earned", "level", "boost_started", "boost_finished"]


class FactRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Another fact at an instant, with two numbers, ``amount`` and ``subject``:


    streak_lost: its length, index of its frequency · freeze_used: 1, freezes left · freeze_earned: number of
    freezes earned, freezes after that · level: number of the level (0 for none), number of the points system ·
    boost_…: number of the boost, number of the points system.
    """

    kind: FactKind
    at_ms: int
    amount: int
    subject: int


class LogRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One accepted input. ``event`` is None for other inputs than events.

    ``filled`` are the numbers of leaderboards onto which a backfill brings the user. Ranks during a backfill mean
    nothing, since other users are still missing, so they are not stored for any day. ``dropped`` are standings
    that the state doesn't keep any more, although the user is still on the boards: from here on only Postgres has
    them. It is None in records of an earlier release.
    """

    event: EventRecord | None
    boards: list[BoardRecord]
    streak: StreakChange | None = None
    awards: list[AwardRecord] = []
    completions: list[CompletionRecord] = []
    facts: list[FactRecord] = []
    filled: tuple[int, ...] = ()
    dropped: list[StandingRecord] | None = None


class GroupMove(NamedTuple):
    """A group whose score changed. ``board`` is that of its run, the ranks are as in ``LogItem``, ``score`` is
    that of the sorted set, "" if the group is not ranked."""

    board: str
    group: str
    before: int
    after: int
    score: str
    members: int


class LogItem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One accepted input as the Redis function packed it: the state that was written, its token, and the record.
    An empty state means that the user was erased.

    ``ranks`` has three values for each board of the record: the rank before, the rank after (1 is best, 0 means
    not on the board), and the score of the last rank that is shown ("" if the board has fewer).
    """

    user: str
    token: str
    state: str
    record: str
    ranks: list[int | str]
    groups: list[GroupMove] = []

    @property
    def erased(self) -> bool:
        """Return whether the user was erased."""
        return not self.state


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(LogRecord)


def encode_record(record: LogRecord) -> str:
    """Return a record as JSON for the log."""
    return _encoder.encode(record).decode()


def decode_record(text: str | bytes) -> LogRecord:
    """Return the record of a log item.

    Raises:
        msgspec.DecodeError: The text is no record.
    """
    return _decoder.decode(text)
