"""Inputs of a call as they are sent, and ranks as they come back."""

from __future__ import annotations

from datetime import date

import msgspec

from podium.game.apply import apply
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.inputs import Erase, Event
from podium.game.leaderboards.model import Leaderboard
from podium.game.metrics.model import Metric
from podium.game.users.rules import Upsert
from podium.intake.commit import Placing, encode_input, encode_inputs, placings, size_of
from podium.intake.idempotency import event_hash, key_hash

NOW_MS = 1_795_435_200_000
BOARD = Leaderboard("a", 2, "all", "All", "m", date(2026, 1, 1), status="active")
INDEX = CatalogIndex(Catalog(1, metrics=(Metric("m", 1, "words", "Words"),), leaderboards=(BOARD,)))


def event(value: float = 1, at_ms: int = NOW_MS, **more: object) -> Event:
    return Event("id", "ann", "words", value, at_ms, **more)  # type: ignore[arg-type]


def test_a_newcomer_has_no_member_and_no_score_before() -> None:
    applied = apply(INDEX, None, event(2))
    [move] = encode_input(INDEX, event(2), applied, None, "", "t")[8]
    member = f"{NOW_MS:012x}ann"
    assert move == ["2:", "", member, "-2000", 0, 0, ""]


def test_a_move_names_the_member_that_it_takes_out() -> None:
    before = apply(INDEX, None, event(2)).state
    applied = apply(INDEX, before, event(1, NOW_MS + 1))
    entry = encode_input(INDEX, event(1, NOW_MS + 1), applied, before, "old", "new")
    assert entry[:3] == ["ann", "old", "new"]
    assert entry[8] == [["2:", f"{NOW_MS:012x}ann", f"{NOW_MS + 1:012x}ann", "-3000", 0, 0, "-2000"]]


def test_numbers_cross_as_text_so_that_lua_formats_none() -> None:
    applied = apply(INDEX, None, event(9_007_199_254_740))
    [move] = encode_input(INDEX, event(), applied, None, "", "t")[8]
    assert move[3] == "-9007199254740000"
    assert msgspec.msgpack.decode(encode_inputs([[move]])) == [[move]]


def test_a_key_goes_along_as_two_hashes_and_the_id_of_its_event() -> None:
    keyed = event(key="k")
    entry = encode_input(INDEX, keyed, apply(INDEX, None, keyed), None, "", "t")
    assert (entry[5], entry[12], entry[13]) == (key_hash(1, "k"), event_hash("ann", 1, "k"), "id")
    plain = encode_input(INDEX, event(), apply(INDEX, None, event()), None, "", "t")
    assert (plain[5], plain[12], plain[13]) == ("", "", "")


def test_an_erased_user_leaves_no_state() -> None:
    before = apply(INDEX, None, event()).state
    erase = Erase("ann", NOW_MS)
    entry = encode_input(INDEX, erase, apply(INDEX, before, erase), before, "old", "t")
    assert (entry[3], entry[11]) == ("", True)


def test_the_size_of_an_input_grows_with_its_texts() -> None:
    def size(name: str) -> int:
        named = event(upsert=Upsert(name=name))
        return size_of(encode_input(INDEX, named, apply(INDEX, None, named), None, "", "t"))

    assert size("x" * 200) - size("x" * 100) >= 2 * 100  # it stands in the state and on boards


def test_ranks_are_three_numbers_a_board() -> None:
    assert placings(["2:", "3:"], [0, 4, "", 2, 1, "-2500"]) == [
        Placing("2:", 0, 4, None),
        Placing("3:", 2, 1, 2500),
    ]
    assert placings([], []) == []
