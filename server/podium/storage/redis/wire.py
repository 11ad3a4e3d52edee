"""Numbers, names and layouts of what crosses to the function library (functions/podium.lua) and stands in the log.

The library has the same constants under the same names; a test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from podium.game.leaderboards.model import Aggregate, TieRule
from podium.game.records import GroupMove, LogItem

DONE, EPOCH, CATALOG, FULL, OLD, GENERATION, BEHIND, UNCONFIRMED = range(8)
"""First element of the reply of a function that can be refused."""
ACCEPTED, STALE, REPLAY, COLD, NOT_FINITE, GROUP_SUM, FAILED = range(7)
"""Status of one input of a commit that was done."""

TIES: dict[TieRule, int] = {"ordinal": 0, "competition": 1, "dense": 2}
AGGREGATES: dict[Aggregate, int] = {"sum": 0, "average": 1, "max": 2, "top": 3}

USER, BOARD, DISTINCT, SUMS, COUNTS = "u:", "b:", "d:", "s:", "m:"
KEYS, RECALL, PROCESS, CHANNEL = "i:", "k:", "p:", "l:"
"""Parts of the names of keys and channels behind ``{space}:``; storage/redis/keys.py says of each what it is."""
LOG, COLD_USERS, NAMES, NUMBERS, DUE, EVENTS = "log", "cold", "names", "n", "due", "e"
"""Names of keys that a space has once; ``EVENTS`` is a channel."""
GROUPS = "g:"
"""The prefix of the name of a ranking of groups."""
TOKEN, BLOB = "t", "s"
"""Fields of a state's hash; the others are boards."""
VERSION, TOTAL, COMMIT, FORMER = "v", "t", "c", "e"
"""Fields of a log entry. ``FORMER`` has the items in entries of releases that had no ``COMMIT``."""

INPUT, MOVE, ITEM = 8, 6, 4
"""Values of one input, one move and one item of a commit."""

GENERATION_S = 604_800
"""A generation of idempotency keys."""
KEYS_TTL = 1_900_800
"""Seconds that a generation outlives its first key."""
PROCESS_TTL = 86_400
"""Seconds that the last reply of a process is kept."""
RECALL_MS = 300_000
"""Length of log whose events are found together by their idempotency keys."""
PIECE = 1_000
"""Values of one call of Redis from within a function."""
ANNOUNCE = "podium:announce"
"""Pub/sub channel on which a commit that finds everything flushed names its space."""

_encode = msgspec.msgpack.Encoder().encode

BoardRules = tuple[str, int, int] | tuple[str, int, int, str, str, int, int, int]
"""Board, tie rule, maxParticipants or 0; of the board of a group also: board of the run, group, aggregate, best
members that count, least members."""
Move = tuple[BoardRules, str, str, str, str, str]
"""Board; old member, new member, score, old score ("" for none); change of the group's sum ("0" without one)."""
NO_CHANGE: Final = "0"
"""Of the sum of a group."""


class Rest(NamedTuple):
    """The values of an input that most don't need. ``due``: the instant (ms) at which the user is due next, "0"
    for never, "" where that stays; ``dropped``: boards that the state lets go of; ``erased``: nothing of the user
    stays."""

    renamed: bool
    due: str
    dropped: Sequence[str]
    erased: bool


class CommitInput(NamedTuple):
    """One input of a commit. ``expected`` is the token of the state that it was computed from, "" for a new user;
    ``state`` is "" where the user is erased.

    The last four are those of an event with an idempotency key: the generation of the user's first key (-1 for
    none), the hash of this one, the hash by which the event is found again, its id.
    """

    user: str
    expected: str
    token: str
    state: str
    record: str
    label: str
    moves: list[Move]
    rest: Rest | None
    keyed_since: int = -1
    key_hash: str = ""
    event_hash: str = ""
    event_id: str = ""

    @property
    def size(self) -> int:
        """Characters of the texts that have no limit of their own."""
        return len(self.state) + len(self.record) + len(self.label)

    @property
    def needs_generation(self) -> bool:
        """Return whether the input touches sets of idempotency keys."""
        return self.key_hash != "" or (self.rest is not None and self.rest.erased)


def commit_arguments(
    epoch: str,
    version: int,
    process: str,
    number: int,
    generation: int,
    log_limit: int,
    reached: str,
    inputs: Sequence[CommitInput],
    waited: tuple[int, int] = (0, 0),
) -> tuple[str | bytes, ...]:
    """Return the arguments of a commit: ``number`` is that of the call, ``reached`` the newest log id known.
    ``waited``: single inputs that the calls before this one settled, and the microseconds that they waited."""
    boards: dict[str, int] = {}
    rules: list[BoardRules] = []
    values: list[Any] = []
    moves: list[int | str] = []
    items: list[str] = []
    needed = False
    for one in inputs:
        user, expected, token, state, record, label, moved, rest, keyed_since, key_hash, event_hash, event_id = one
        values += (expected, label, keyed_since, key_hash, event_hash, event_id, rest or False, len(moved))
        items += (user, token, state, record)
        needed = needed or one.needs_generation
        for board, old, new, score, was, change in moved:
            at = boards.get(board[0])
            if at is None:
                rules.append(board)
                at = boards[board[0]] = len(rules)
            moves += (at, old, new, score, was, change)
    return (
        *(epoch, str(version), process, str(number), str(generation) if needed else "", str(log_limit), reached),
        *(_encode(rules) + _encode(values) + _encode(moves), _encode(items), str(waited[0]), str(waited[1])),
    )


class CommitReply(msgspec.Struct, array_like=True):
    """The reply of a commit. ``what`` is the log id where done ("" where no input was accepted), else what Redis
    has instead of what the call named. ``problem``: an error after the commit was logged."""

    code: int
    what: str | int
    details: list[int | str] = []
    results: list[int | str] = []
    groups: list[int | str] = []
    problem: str = ""


class Result(NamedTuple):
    """The result of one input. ``ranks`` are three for each move: before, after, and the score of the last place
    that counts ("" while the board isn't full). ``detail``: token and state now where stale, the problem where
    failed."""

    status: int
    ranks: Sequence[int | str] = ()
    groups: Sequence[GroupMove] = ()
    detail: tuple[str, str] = ("", "")


decode_commit_reply = msgspec.msgpack.Decoder(CommitReply).decode


def results(reply: CommitReply) -> list[Result]:
    """Return the result of each input of a commit that was done."""
    details: dict[int, tuple[str, str]] = {}
    if reply.details:
        flat: list[Any] = reply.details
        details = {flat[i]: (flat[i + 1], flat[i + 2]) for i in range(0, len(flat), 3)}
    groups = _groups(reply.groups) if reply.groups else {}
    found: list[Result] = []
    for at, (status, ranks) in enumerate(_split(reply.results), 1):
        if status == ACCEPTED:
            found.append(Result(ACCEPTED, ranks, groups.get(at, ())))
        else:
            found.append(Result(status, (), (), details.get(at, ("", ""))))
    return found


def _split(flat: Sequence[Any]) -> Iterator[tuple[int, Sequence[int | str]]]:
    """Yield the status and the ranks of each input."""
    at = 0
    while at < len(flat):
        count = flat[at]
        if count < 0:
            yield -count, ()
            at += 1
        else:
            end = at + 1 + 3 * count
            yield ACCEPTED, flat[at + 1 : end]
            at = end


def _groups(flat: Sequence[Any]) -> dict[int, list[GroupMove]]:
    """Return the groups that each input (from 1) moved."""
    found: dict[int, list[GroupMove]] = {}
    for at in range(0, len(flat), 1 + len(GroupMove._fields)):
        place, *values = flat[at : at + 1 + len(GroupMove._fields)]
        found.setdefault(place, []).append(GroupMove(*values))
    return found


class _Entry(msgspec.Struct, array_like=True):
    """A log entry: items as they came, and what the function said to them."""

    items: list[str]
    results: list[int | str]
    groups: list[int | str]


_decode_entry = msgspec.msgpack.Decoder(_Entry).decode
_decode_former = msgspec.msgpack.Decoder(list[LogItem]).decode


def decode_commit(data: bytes) -> list[LogItem]:
    """Return the accepted items of a commit, as the log and the channel ``EVENTS`` have it.

    Raises:
        msgspec.DecodeError: It is none.
    """
    entry = _decode_entry(data)
    texts = entry.items
    items: list[LogItem] = []
    try:
        groups = _groups(entry.groups) if entry.groups else {}
        for at, (status, ranks) in enumerate(_split(entry.results)):
            if status == ACCEPTED:
                user, token, state, record = texts[ITEM * at : ITEM * (at + 1)]
                items.append(LogItem(user, token, state, record, list(ranks), groups.get(at + 1, [])))
    except (TypeError, ValueError) as error:
        raise msgspec.ValidationError(f"no commit: {error}") from error
    return items


def raw_entry(fields: Mapping[bytes, bytes]) -> bytes:
    """Return what a log entry holds, undecoded."""
    return fields.get(COMMIT.encode()) or fields.get(FORMER.encode(), b"")


def decode_entry(fields: Mapping[bytes, bytes]) -> list[LogItem]:
    """Return the items of a log entry; also of one that an earlier release has written.

    Raises:
        msgspec.DecodeError: It has none that can be read.
    """
    commit = fields.get(COMMIT.encode())
    return decode_commit(commit) if commit is not None else _decode_former(fields.get(FORMER.encode(), b""))
