"""Inputs of a call as they are sent, and ranks as they come back."""

from __future__ import annotations

from datetime import date

from podium.game.apply import apply
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.inputs import Erase, Event
from podium.game.leaderboards.model import Leaderboard
from podium.game.metrics.model import Metric
from podium.game.users.rules import Upsert
from podium.intake.commit import Placing, encode_input, placings
from podium.intake.idempotency import event_hash, key_hash

NOW_MS = 1_795_435_200_000
BOARD = Leaderboard("a", 2, "all", "All", "m", date(2026, 1, 1), status="active")
RULES = ("2:", 0, 0)
"""The board's name, tie rule and maxParticipants."""
INDEX = CatalogIndex(Catalog(1, metrics=(Metric("m", 1, "words", "Words"),), leaderboards=(BOARD,)))


def event(value: float = 1, at_ms: int = NOW_MS, **more: object) -> Event:
    return Event("id", "ann", "words", value, at_ms, **more)  # type: ignore[arg-type]


def test_a_newcomer_has_no_member_and_no_score_before() -> None:
    applied = apply(INDEX, None, event(2))
    [move] = encode_input(INDEX, event(2), applied, None, "", "t").moves
    member = f"{NOW_MS:012x}ann"
    assert move == (RULES, "", member, "-2000", "", "0")


def test_a_move_names_the_member_that_it_takes_out() -> None:
    before = apply(INDEX, None, event(2)).state
    applied = apply(INDEX, before, event(1, NOW_MS + 1))
    entry = encode_input(INDEX, event(1, NOW_MS + 1), applied, before, "old", "new")
    assert (entry.user, entry.expected, entry.token) == ("ann", "old", "new")
    assert entry.moves == [(RULES, f"{NOW_MS:012x}ann", f"{NOW_MS + 1:012x}ann", "-3000", "-2000", "0")]


def test_numbers_cross_as_text_so_that_lua_formats_none() -> None:
    applied = apply(INDEX, None, event(9_007_199_254_740))
    [(_, _, _, score, *_)] = encode_input(INDEX, event(), applied, None, "", "t").moves
    assert score == "-9007199254740000"


def test_a_key_goes_along_as_two_hashes_and_the_id_of_its_event() -> None:
    keyed = event(key="k")
    entry = encode_input(INDEX, keyed, apply(INDEX, None, keyed), None, "", "t")
    assert (entry.key_hash, entry.event_hash, entry.event_id) == (
        key_hash(1, "k"),
        event_hash("ann", 1, "k"),
        "id",
    )
    plain = encode_input(INDEX, event(), apply(INDEX, None, event()), None, "", "t")
    assert (plain.key_hash, plain.event_hash, plain.event_id) == ("", "", "")


def test_the_generation_of_the_first_key_goes_along_as_it_was_before() -> None:
    keyed = event(key="k")
    first = apply(INDEX, None, keyed, 7)
    assert encode_input(INDEX, keyed, first, None, "", "t").keyed_since == -1
    again = encode_input(INDEX, keyed, apply(INDEX, first.state, keyed, 8), first.state, "old", "t")
    assert again.keyed_since == 7


def test_an_erased_user_leaves_no_state() -> None:
    before = apply(INDEX, None, event()).state
    erase = Erase("ann", NOW_MS)
    entry = encode_input(INDEX, erase, apply(INDEX, before, erase), before, "old", "t")
    assert entry.state == ""
    assert entry.rest is not None
    assert entry.rest.erased


def test_the_size_of_an_input_grows_with_its_texts() -> None:
    def size(name: str) -> int:
        named = event(upsert=Upsert(name=name))
        return encode_input(INDEX, named, apply(INDEX, None, named), None, "", "t").size

    assert size("x" * 200) - size("x" * 100) >= 2 * 100  # it stands in the state and on boards


def test_ranks_are_three_numbers_a_board() -> None:
    assert placings(["2:", "3:"], [0, 4, "", 2, 1, "-2500"]) == [
        Placing("2:", 0, 4, None),
        Placing("3:", 2, 1, 2500),
    ]
    assert placings([], []) == []
