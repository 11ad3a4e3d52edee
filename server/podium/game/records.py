"""What a commit appends to the log for each accepted input; the flusher reads nothing else.

A log entry (one per commit) holds a list of ``LogItem``. The ranks come from the Redis function, the rest from the
process that computed it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec


class EventRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event as applied. ``units`` are whole units of the metric, ``day`` is the proleptic Gregorian ordinal
    of the user's local date (``date.fromordinal``). A ``late`` one moved no repeating board, one that is
    ``behind`` none by points or by streak and no streak; ``extended``: it lengthened the streak."""

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
    """A period of a streak as it is now: index of its frequency, number (game/streaks/calendar.py), length at its
    end (0: it is none any more), whether a freeze held it, and whether support put back a streak as of it."""

    track: int
    period: int
    length: int
    frozen: bool = False
    restored: bool = False


class PauseRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A pause as written, or with fewer days than before, as ordinals; ``end`` 0 where it was deleted."""

    id: str
    start: int
    end: int


class StreakChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an input did to the streak: periods that came, changed or went, pauses made, shortened or deleted.
    ``lost`` says after a command whether the streak stands at 0; None where the rest says it."""

    periods: list[StreakRecord]
    pauses: list[PauseRecord] = []
    lost: bool | None = None


class BoardRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A standing as written. ``value`` is None where the user left the board, ``previous`` is the value before,
    None for a newcomer. ``day`` is the local day (an ordinal) of the board's history that the change belongs to, 0
    for that of the event."""

    board: str
    value: int | None
    reached_ms: int
    previous: int | None = None
    day: int = 0


class AwardRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Points that were given or taken: numbers of the system, of what gave them (a trigger, or the leaderboard
    of a reward) and of the boosts that multiplied them; the total after it; the local day as an ordinal.
    ``by_event``: the record's own event is the cause."""

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
    """An achievement, by its number, that was completed; ``silent``: nobody is told (backdating)."""

    achievement: int
    at_ms: int
    silent: bool = False


FactKind = Literal["streak_lost", "freeze_used", "freeze_earned", "level", "boost_started", "boost_finished"]


class FactRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something else that happened at an instant, with two numbers:

    streak_lost: its length, index of its frequency · freeze_used: 1, freezes left · freeze_earned: how many,
    freezes there are then · level: number of the level (0 for none), number of the points system · boost_…:
    number of the boost, number of the points system.
    """

    kind: FactKind
    at_ms: int
    amount: int
    subject: int


class LogRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One accepted input. ``event`` is None where there was none.

    ``filled`` are the numbers of leaderboards that a backfill brings the user onto. The ranks of those who come
    onto a board so say nothing (others are still missing), and are kept for no day.
    """

    event: EventRecord | None
    boards: list[BoardRecord]
    streak: StreakChange | None = None
    awards: list[AwardRecord] = []
    completions: list[CompletionRecord] = []
    facts: list[FactRecord] = []
    filled: tuple[int, ...] = ()


class GroupMove(NamedTuple):
    """A group whose score changed: ``board`` is that of its run, ranks as in ``LogItem``, ``score`` is that of
    the sorted set, "" where the group is not ranked."""

    board: str
    group: str
    before: int
    after: int
    score: str
    members: int


class LogItem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One accepted input as the Redis function packed it: the state that was written, its token, the record. An
    empty state: the user was erased.

    ``ranks`` are three for each board of the record: the rank before, the rank after (1 is best, 0 for "not on the
    board") and the score of the last place that counts ("" where the board is not full).
    """

    user: str
    token: str
    state: str
    record: str
    ranks: list[int | str]
    groups: list[GroupMove] = []

    @property
    def erased(self) -> bool:
        """Whether nothing of the user stays."""
        return not self.state


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(LogRecord)


def encode_record(record: LogRecord) -> str:
    """The record as it stands in the log: JSON."""
    return _encoder.encode(record).decode()


def decode_record(text: str | bytes) -> LogRecord:
    """The record of a log item; ``msgspec.DecodeError`` if it is none."""
    return _decoder.decode(text)
