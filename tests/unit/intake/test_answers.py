"""Events are answered with what they caused: real rules, ranks made up."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from podium.game.apply import Applied, apply
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.inputs import ChangeUser, Event
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.ranking import split_board
from podium.game.leaderboards.runs import named_run
from podium.game.leaderboards.shapes import EventLeaderboard, broken_down, event_leaderboard
from podium.game.metrics.model import Metric
from podium.game.points.model import PointsSystem, Trigger
from podium.game.records import GroupMove, LogItem, encode_record
from podium.game.state import UserState, encode_state
from podium.game.users.model import Attribute
from podium.game.users.rules import Upsert
from podium.intake.answers import EventResponse, event_response, logged_response
from podium.intake.commit import Placing

NOW_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z
WORDS = Metric("m", 1, "words", "Words", decimals=1)


def board(number: int, key: str, **more: Any) -> Leaderboard:
    fields = {"name": key.title(), **more}
    return Leaderboard(key, number, key, metric_id="m", start=date(2026, 1, 1), status="active", **fields)


TRIGGER = Trigger(
    id="t",
    number=11,
    key="t",
    system_id="xp",
    type="metric",
    points=5,
    status="active",
    metric_id="m",
    metric_threshold=1,
)
CITY = Attribute("x", 5, "city", "City", "user")
INDEX = CatalogIndex(
    Catalog(
        1,
        metrics=(WORDS,),
        attributes=(CITY,),
        leaderboards=(
            board(2, "all"),
            board(3, "cities", group_by="city", aggregate="sum"),
            board(4, "top", max_participants=3),
            board(6, "laps", order="asc", operator="best"),
        ),
        points=(PointsSystem("xp", 10, "xp", "XP"),),
        triggers=(TRIGGER,),
    )
)
NEXT = Placing("2:", 3, 1, None)


def event(value: float = 2.5, **more: Any) -> Event:
    return Event("id", "ann", "words", value, NOW_MS, **more)


def applied(*inputs: Any) -> Applied:
    state, last = None, None
    for one in inputs:
        last = apply(INDEX, state, one)
        state = last.state
    assert last is not None
    return last


def answer(done: Applied, *places: Placing, groups: tuple[GroupMove, ...] = (), **more: Any) -> EventResponse:
    options = {"key": None, "replayed": False, "record": done.record, **more}
    return event_response(INDEX, WORDS, options.pop("key"), "id", done.state, list(places), groups, **options)


def shown_board(found: EventResponse, key: str) -> EventLeaderboard:
    """A board of the answer; its JSON has been made already."""
    return msgspec.json.decode(msgspec.json.encode(found.leaderboards[key]), type=EventLeaderboard)


def test_totals_are_shown_in_the_metrics_own_numbers() -> None:
    assert answer(applied(event(2.5), event(1))).total == 3.5


def test_a_key_and_whether_it_was_used_are_said_only_where_there_is_one() -> None:
    done = applied(event())
    assert "idempotent" not in msgspec.json.encode(answer(done)).decode()
    shown = msgspec.to_builtins(answer(done, key="k", replayed=True, record=None))
    assert (shown["idempotencyKey"], shown["idempotentReplayed"]) == ("k", True)


def test_ranks_are_those_of_the_commit() -> None:
    shown = shown_board(answer(applied(event()), NEXT), "all")
    assert (shown.rank, shown.previous_rank, shown.threshold) == (1, 3, 0)


def test_a_board_that_the_user_does_not_stand_on_is_left_out() -> None:
    assert "all" not in answer(applied(event()), Placing("2:", 3, 0, None)).leaderboards


@pytest.mark.parametrize("key", ["all", "cities", "top", "laps", "broken"])
def test_what_is_encoded_once_is_what_the_fields_give(key: str) -> None:
    by_two = Attribute("y", 8, "plan", "Plan", "user")
    odd = board(7, "broken", breakdown_attributes=("city", "plan"), name='",\\"rank":null,')
    index = CatalogIndex(
        msgspec.structs.replace(
            INDEX.catalog, attributes=(CITY, by_two), leaderboards=(*INDEX.catalog.leaderboards, odd)
        )
    )
    done = apply(index, None, event(upsert=Upsert(attributes={"city": "Zug", "plan": "a&b"})))
    leaderboard = index.leaderboard_by_key[key]
    name = next(one for one in done.changes if one.startswith(f"{leaderboard.number}:"))
    places = [Placing(name, 2, 1, None)]
    found = event_response(index, WORDS, None, "id", done.state, places, (), replayed=False, record=done.record)
    run = named_run(leaderboard, split_board(name).run)
    whole = event_leaderboard(leaderboard, index.source_of(leaderboard), run)
    if (group := split_board(name).group) is not None:
        whole = broken_down(whole, leaderboard.breakdown_attributes, group)
    whole = msgspec.structs.replace(whole, rank=1, previous_rank=2)
    assert msgspec.json.encode(found.leaderboards[key]) == msgspec.json.encode(whole)


def test_a_rank_beyond_the_participants_is_none() -> None:
    shown = shown_board(answer(applied(event()), Placing("4:", 3, 4, 25)), "top")
    assert (shown.rank, shown.previous_rank) == (None, 3)


@pytest.mark.parametrize(("key", "name", "units", "threshold"), [("top", "4:", 25, 3), ("laps", "6:", -25, 2)])
def test_a_threshold_is_the_next_whole_number_that_is_as_good(
    key: str, name: str, units: int, threshold: int
) -> None:
    assert shown_board(answer(applied(event()), Placing(name, 0, 1, units)), key).threshold == threshold


def test_the_users_group_is_shown_with_its_board_and_its_inner_place_is_not() -> None:
    done = applied(event(upsert=Upsert(attributes={"city": "Zug"})))
    places = (Placing("3:", 0, 2, None), Placing("3::Zug", 0, 1, None))
    move = GroupMove("3:", "Zug", 4, 2, "-25", 7)
    shown = shown_board(answer(done, *places, groups=(move,)), "cities")
    assert shown.rank == 2
    assert msgspec.to_builtins(shown.group) == {
        "group": "Zug",
        "rank": 2,
        "previousRank": 4,
        "value": 2.5,
        "members": 7,
    }


def test_points_are_what_the_event_brought() -> None:
    shown = answer(applied(event(2.5), event(1))).points["xp"]
    assert (shown.added, shown.total) == (5, 15)


def item(done: Applied, ranks: list[int | str], state: UserState | None = None) -> LogItem:
    return LogItem("ann", "t", encode_state(state or done.state), encode_record(done.record), ranks)


def test_a_log_item_gives_the_answer_that_its_event_was_given() -> None:
    done = applied(event())
    ranks: list[int | str] = [0, 1, ""] * len(done.changes)
    told = answer(done, *(Placing(name, 0, 1, None) for name in done.changes))
    assert logged_response(INDEX, item(done, ranks)) == told


def test_what_shows_nothing_has_no_answer() -> None:
    renamed = applied(event(), ChangeUser("ann", Upsert(name="Ann"), NOW_MS))
    assert logged_response(INDEX, item(renamed, [1, 1, ""] * len(renamed.changes))) is None


def test_an_event_of_a_metric_that_is_gone_has_no_answer() -> None:
    done = applied(event())
    logged = item(done, [0, 1, ""] * len(done.changes))
    assert logged_response(CatalogIndex(Catalog(2)), logged) is None
    assert isinstance(logged_response(INDEX, logged), EventResponse)
