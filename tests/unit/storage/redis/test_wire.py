"""What crosses to the function library is called and numbered there as here."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from podium.game.records import GroupMove, LogItem
from podium.storage.redis import wire
from podium.storage.redis.client import SOURCE
from podium.storage.redis.keys import GENERATION_MS
from podium.storage.redis.wire import CommitInput, Rest, Result
from tests.posting import encode_commit, unpacked

PLAIN = ("2:", 0, 0)
GROUPED = ("3::red", 2, 100, "3:", "red", 1, 10, 2)


def lua_constants() -> dict[str, Any]:
    """The constants of the library by name: its lines ``local NAME, NAME = value, value``."""
    found: dict[str, Any] = {}
    for names, values in re.findall(r"^local ([A-Z][A-Z_0-9, ]*) = (.+)$", SOURCE, re.MULTILINE):
        for name, text in zip(names.split(", "), values.split(", "), strict=True):
            found[name] = int(text) if text.isdigit() else text.strip("'")
    return found


CONSTANTS = lua_constants()


@pytest.mark.parametrize(
    "name",
    [
        *("DONE", "EPOCH", "CATALOG", "FULL", "OLD", "GENERATION", "BEHIND", "UNCONFIRMED"),
        *("ACCEPTED", "STALE", "REPLAY", "COLD", "NOT_FINITE", "GROUP_SUM", "FAILED"),
        *("USER", "BOARD", "DISTINCT", "SUMS", "COUNTS", "KEYS", "RECALL", "PROCESS", "CHANNEL", "GROUPS"),
        *("LOG", "COLD_USERS", "NAMES", "NUMBERS", "DUE", "EVENTS", "ANNOUNCE"),
        *("TOKEN", "BLOB", "VERSION", "TOTAL", "COMMIT", "FORMER"),
        *("INPUT", "MOVE", "ITEM", "PIECE", "GENERATION_S", "RECALL_MS"),
    ],
)
def test_a_constant_is_the_librarys(name: str) -> None:
    assert getattr(wire, name) == CONSTANTS[name]


def test_times_to_live_are_the_librarys() -> None:
    assert {name: int(CONSTANTS[name]) for name in ("PROCESS_TTL", "KEYS_TTL")} == {
        "PROCESS_TTL": wire.PROCESS_TTL,
        "KEYS_TTL": wire.KEYS_TTL,
    }
    assert 1_000 * CONSTANTS["GENERATION_S"] == GENERATION_MS
    # A reply is kept for much longer than the time after which its key is given that long again.
    assert int(CONSTANTS["RENEW_MS"]) * 10 < wire.PROCESS_TTL * 1_000


def test_ties_and_aggregates_are_the_librarys() -> None:
    assert {name: CONSTANTS[name.upper()] for name in wire.TIES} == wire.TIES
    assert {name: CONSTANTS[name.upper()] for name in wire.AGGREGATES} == wire.AGGREGATES


def test_the_library_names_no_key_by_itself() -> None:
    """Prefixes of keys stand in its constants alone."""
    code = re.sub(r"--\[\[.*?\]\]|--.*$", "", SOURCE, flags=re.DOTALL | re.MULTILINE)
    assert not re.findall(r"\bp \.\. '", code)
    assert not re.findall(r"\bentry\[\d", code)


def entry(user: str, **more: Any) -> CommitInput:
    return CommitInput(user, "old", "new", "{}", "[]", "", **{"moves": [], "rest": None, **more})


def arguments(*inputs: CommitInput) -> list[Any]:
    """The arguments of a call, with what they hold packed."""
    *head, rules, items, singles, singles_us = wire.commit_arguments(
        "e", 7, "process", 3, 2_900, 1_000, "5-1", inputs, (5, 900)
    )
    assert (singles, singles_us) == ("5", "900")
    assert isinstance(rules, bytes)
    assert isinstance(items, bytes)
    return [*head, *unpacked(rules), *unpacked(items)]


def test_commit_arguments() -> None:
    moves = [(PLAIN, "a", "b", "-2", "-1", "0"), (GROUPED, "", "c", "-5", "", "-5")]
    ann = entry("ann", moves=moves)
    bob = entry("bob", moves=moves[:1], rest=Rest(renamed=True, due="9", dropped=["4:"], erased=False))
    *head, boards, inputs, moved, items = arguments(ann, bob)
    assert head == ["e", "7", "process", "3", "", "1000", "5-1"]
    assert boards == [list(PLAIN), list(GROUPED)]  # once, whoever moves there
    values = [inputs[at : at + wire.INPUT] for at in range(0, len(inputs), wire.INPUT)]
    assert values == [
        ["old", "", -1, "", "", "", False, 2],
        ["old", "", -1, "", "", "", [True, "9", ["4:"], False], 1],
    ]
    rows = [moved[at : at + wire.MOVE] for at in range(0, len(moved), wire.MOVE)]
    assert rows == [[1, "a", "b", "-2", "-1", "0"], [2, "", "c", "-5", "", "-5"], [1, "a", "b", "-2", "-1", "0"]]
    assert items == ["ann", "new", "{}", "[]", "bob", "new", "{}", "[]"]
    assert len(items) == 2 * wire.ITEM


@pytest.mark.parametrize(
    ("input_", "generation"),
    [
        pytest.param(entry("ann"), "", id="neither"),
        pytest.param(entry("ann", key_hash="1"), "2900", id="a key"),
        pytest.param(entry("ann", rest=Rest(False, "", (), erased=True)), "2900", id="an erasure"),
        pytest.param(entry("ann", rest=Rest(True, "", (), erased=False)), "", id="a name"),
    ],
)
def test_the_generation_is_named_where_keys_are_touched(input_: CommitInput, generation: str) -> None:
    assert arguments(entry("bob"), input_)[4] == generation


def test_results() -> None:
    flat = [2, 5, 3, "", 9, 1, "-7", -wire.STALE, -wire.REPLAY, 0, -wire.FAILED]
    groups = [1, "3:", "red", 2, 1, "-4", 6, 1, "3:", "blue", 1, 2, "", 0]
    details = [2, "token", "{}", 5, "it failed", ""]
    reply = wire.decode_commit_reply(msgspec.msgpack.encode([wire.DONE, "5-2", details, flat, groups]))
    moved = [GroupMove("3:", "red", 2, 1, "-4", 6), GroupMove("3:", "blue", 1, 2, "", 0)]
    assert (reply.what, reply.problem) == ("5-2", "")
    assert wire.results(reply) == [
        Result(wire.ACCEPTED, [5, 3, "", 9, 1, "-7"], moved),
        Result(wire.STALE, detail=("token", "{}")),
        Result(wire.REPLAY),
        Result(wire.ACCEPTED, []),
        Result(wire.FAILED, detail=("it failed", "")),
    ]


def test_a_refused_call_says_what_is() -> None:
    reply = wire.decode_commit_reply(msgspec.msgpack.encode([wire.GENERATION, 2_901]))
    assert (reply.code, reply.what) == (wire.GENERATION, 2_901)


def test_decode_entry() -> None:
    items = [
        LogItem("ann", "t1", "{}", "[]", [1, 2, "", 3, 4, "-9"], [GroupMove("3:", "red", 2, 1, "-4", 6)]),
        LogItem("bob", "t2", "", "[]", []),
    ]
    assert wire.decode_entry({b"v": b"1", b"t": b"9", b"c": encode_commit(*items)}) == items


def test_decode_entry_leaves_out_what_was_refused() -> None:
    texts = [f"{user}-{value}" for user in ("ann", "bob", "cid") for value in range(wire.ITEM)]
    packed = msgspec.msgpack.encode(
        [texts, [-wire.STALE, 1, 2, 1, "", -wire.COLD], [2, "3:", "red", 2, 1, "-4", 6]]
    )
    moved = [GroupMove("3:", "red", 2, 1, "-4", 6)]
    assert wire.decode_commit(packed) == [LogItem(*texts[4:8], [2, 1, ""], moved)]


def test_decode_entry_of_an_earlier_release() -> None:
    former = [["ann", "t1", "{}", "[]", [0, 1, ""]], ["bob", "t2", "{}", "[]", [], [["3:", "red", 2, 1, "", 0]]]]
    assert wire.decode_entry({b"v": b"1", b"t": b"9", b"e": msgspec.msgpack.encode(former)}) == [
        LogItem("ann", "t1", "{}", "[]", [0, 1, ""]),
        LogItem("bob", "t2", "{}", "[]", [], [GroupMove("3:", "red", 2, 1, "", 0)]),
    ]
    assert wire.decode_entry({b"e": b"\x90"}) == []


@pytest.mark.parametrize("field", [b"c", b"e"])
@pytest.mark.parametrize(
    "blob",
    [
        *(b"", b"\xc1", b"\x01"),
        msgspec.msgpack.encode([["ann", "t"]]),
        msgspec.msgpack.encode([["ann", "t", "{}"], [0], []]),
        msgspec.msgpack.encode([["ann", "t", "{}", "[]"], ["x"], []]),
        msgspec.msgpack.encode([["ann", "t", "{}", "[]"], [0], [1, "3:"]]),
    ],
)
def test_decode_entry_refuses_what_is_none(field: bytes, blob: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        wire.decode_entry({field: blob})
    with pytest.raises(msgspec.DecodeError):
        wire.decode_entry({b"v": b"1"})
