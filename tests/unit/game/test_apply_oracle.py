"""Streaks, points, levels and achievements of random histories against an oracle that recomputes everything
from the list of events each time; and a history played again gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from math import ceil, floor
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from podium.game.apply import apply
from podium.game.catalog import CatalogIndex
from podium.game.errors import RequestError
from podium.game.inputs import ChangeStreak, ChangeUser, Event, Input, Tick
from podium.game.leaderboards.model import Leaderboard
from podium.game.periods import instant
from podium.game.state import UserState, decode_state, encode_state
from podium.game.users.rules import NOTHING, Upsert
from tests.scenarios.stories import catalog

TZ = ZoneInfo("America/Sao_Paulo")
START = datetime(2026, 10, 1, 12, tzinfo=TZ)
WANTED: dict[str, Any] = {
    "metrics": ["words", "hints"],
    "attributes": {"user": ["plan"], "event": ["genre"]},
    "streak": {"metrics": {"words": 50}},
    "achievements": {
        "writer": {"words": 400},
        "sci-writer": {"words": 200, "events": {"genre": "scifi"}},
        "pro": {"words": 100, "for": {"plan": "pro"}},
        "regular": {"streak": 3},
        "both": {"parts": ["writer", "regular"]},
    },
    "points": {
        "xp": {
            "max": 300,
            "levels": {"low": 0, "middle": 40, "high": 150},
            "triggers": [
                {"words": 30, "points": 7},
                {"words": 50, "points": 3, "events": {"genre": "scifi"}},
                {"words": 100, "points": 20, "for": {"plan": "pro"}},
                {"hints": 1, "points": -9},
                {"streak": 2, "points": 11},
                {"achievement": "both", "points": 33},
                {"points": 5},
            ],
            "boosts": {
                "october": {"start": date(2026, 10, 3), "end": date(2026, 10, 6), "times": 2},
                "pros": {"start": date(2026, 10, 5), "times": 1.1, "for": {"plan": "pro"}, "rounding": "up"},
            },
        },
        "coins": {
            "triggers": [
                {"words": 10, "points": 1},
                {"hints": 1, "points": -3, "block": True},
                {"days": 2, "points": 4},
            ]
        },
    },
}  # fmt: skip
_GAME = catalog(WANTED)
_XP = _GAME.points[0].id


def _board(number: int, **fields: Any) -> Leaderboard:
    start = date(2026, 1, 1)
    return Leaderboard(str(number), number, str(number), "", None, start, status="active", **fields)


INDEX = CatalogIndex(
    msgspec.structs.replace(
        _GAME,
        leaderboards=(
            _board(901, rank_by="points", points_system_id=_XP),
            _board(902, rank_by="points", points_system_id=_XP, run_unit="day", run_interval=1),
            _board(903, rank_by="streak"),
            _board(904, rank_by="streak", run_unit="month", run_interval=1),
        ),
    )
)


class Wrote(NamedTuple):
    """An event: hours after the one before, metric, value, genre; the user's plan from then on; whether the
    scheduler came by just before."""

    hours: int
    metric: str
    value: int
    genre: str | None
    plan: str | None
    ticked: bool


histories = st.lists(
    st.builds(
        Wrote,
        st.sampled_from((0, 1, 5, 11, 24, 30, 75)),
        st.sampled_from(("words", "words", "words", "hints")),
        st.integers(-60, 120),
        st.sampled_from((None, "scifi", "crime")),
        st.sampled_from((None, None, "pro", "free")),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


class Oracle:
    """One user, as the rules of the contract say it, without a thought of speed."""

    def __init__(self) -> None:
        self.accepted: list[tuple[datetime, Wrote]] = []
        self.plan: str | None = None
        self.points = {"xp": 0, "coins": 0}
        self.taken = {"xp": 0, "coins": 0}
        self.achieved: list[str] = []
        self.awards: list[tuple[str, int]] = []
        self.made: date | None = None
        self.gained: dict[date, int] = {}
        self.longest: dict[date, int] = {}
        self.gifts_until = START.date()

    def time(self, now: datetime) -> None:
        """Every other day, counted from the day of creation."""
        if self.made is None:
            self.made = self.gifts_until = now.date()
        while self.gifts_until < now.date():
            self.gifts_until += timedelta(days=1)
            if (self.gifts_until - self.made).days % 2 == 0:
                self.give("coins", 4, self.gifts_until)

    def total(self, metric: str, genre: str | None = None) -> int:
        return sum(one.value for _, one in self.accepted if one.metric == metric and genre in (None, one.genre))

    def length(self, today: date) -> int:
        """Days in a row up to today, or to yesterday, whose words once came to 50."""
        met = set()
        for at, _ in self.accepted:
            day = at.date()
            words = 0
            for when, one in self.accepted:
                if when.date() == day and one.metric == "words":
                    words += one.value
                    if words >= 50:
                        met.add(day)
        last = today if today in met else today - timedelta(days=1)
        length = 0
        while last in met:
            length, last = length + 1, last - timedelta(days=1)
        return length

    def give(self, system: str, amount: int, day: date) -> None:
        total = min(max(self.points[system] + amount, 0), 300 if system == "xp" else 2**53 - 1)
        if total != self.points[system]:
            self.awards.append((system, total - self.points[system]))
            if system == "xp":
                self.gained[day] = self.gained.get(day, 0) + total - self.points[system]
            self.points[system] = total

    def take(self, system: str, amount: int, day: date) -> None:
        """What a system's one taking trigger asks for; negative: what it gives back of what it took."""
        before = self.points[system]
        self.give(system, -max(amount, -self.taken[system]), day)
        self.taken[system] += before - self.points[system]

    def boosted(self, amount: int, today: date) -> int:
        october = date(2026, 10, 3) <= today <= date(2026, 10, 6)
        pro = today >= date(2026, 10, 5) and self.plan == "pro"
        if pro:
            return ceil(amount * (22 if october else 11) / 10)
        return floor(amount * (2 if october else 1))

    def post(self, now: datetime, one: Wrote) -> bool:
        """Whether it is accepted."""
        self.time(now)
        before = (self.total("words"), self.total("words", "scifi"), self.total("hints"), self.length(now.date()))
        plan = one.plan or self.plan
        if one.metric == "hints" and one.value > 0 and self.points["coins"] < 3 * one.value:
            return False
        first = not self.accepted
        if plan != self.plan:
            self.plan = plan
            self.look(before[0], before[1])
        self.accepted.append((now, one))
        words, scifi, hints, length = (
            *(self.total("words"), self.total("words", "scifi"), self.total("hints")),
            self.length(now.date()),
        )
        days = length if length > before[3] else before[3]
        both = "both" in self.achieved
        if length > before[3]:
            month = now.date().replace(day=1)
            self.longest[month] = max(length, self.longest.get(month, 0))
        if length > before[3] and length >= 3:
            self.complete("regular")
        if one.metric == "words":
            self.look(words, scifi)
        if first:
            self.give("xp", 5 if not self.boosting(now.date()) else self.boosted(5, now.date()), now.date())
        today = now.date()
        fired = [("xp", 7, words // 30 - before[0] // 30)]
        fired.append(("xp", 3, scifi // 50 - before[1] // 50))
        if self.plan == "pro":
            fired.append(("xp", 20, words // 100 - before[0] // 100))
        fired.append(("coins", 1, words // 10 - before[0] // 10))
        fired.append(("xp", -9, hints - before[2]))
        fired.append(("coins", -3, hints - before[2]))
        if days > before[3]:
            fired.append(("xp", 11, days // 2 - before[3] // 2))
        if "both" in self.achieved and not both:
            fired.append(("xp", 33, 1))
        for system, points, times in fired:
            if times:
                amount = points * times
                gains = system == "xp" and points > 0 and amount > 0
                if points < 0:
                    self.take(system, -amount, today)
                else:
                    self.give(system, self.boosted(amount, today) if gains else amount, today)
        return True

    def boards(self, today: date) -> dict[str, int]:
        """The standings; of daily runs those that may still change."""
        found = {f"904:{month:%Y%m%d}": length for month, length in self.longest.items()}
        if self.gained:
            found["901:"] = sum(self.gained.values())
        if length := self.length(today):
            found["903:"] = length
        recent = {day: amount for day, amount in self.gained.items() if (today - day).days < 7}
        return found | {f"902:{day:%Y%m%d}": amount for day, amount in recent.items()}

    def boosting(self, today: date) -> bool:
        return self.boosted(100, today) != 100

    def look(self, words: int, scifi: int) -> None:
        if words >= 400:
            self.complete("writer")
        if scifi >= 200:
            self.complete("sci-writer")
        if words >= 100 and self.plan == "pro":
            self.complete("pro")

    def complete(self, name: str) -> None:
        if name not in self.achieved:
            self.achieved.append(name)
            if {"writer", "regular"} <= set(self.achieved):
                self.complete("both")


def play(history: list[Wrote]) -> Iterator[tuple[datetime, Wrote, list[Input]]]:
    """The inputs of each event, and when."""
    now = START
    for number, one in enumerate(history):
        now = (now.astimezone(ZoneInfo("UTC")) + timedelta(hours=one.hours)).astimezone(TZ)
        now_ms = instant(now)
        fields: dict[str, Any] = {"tz": str(TZ)} if number == 0 else {}
        if one.plan is not None:
            fields["attributes"] = {"plan": one.plan}
        upsert = Upsert(**fields) if fields else NOTHING
        id_ = str(uuid5(NAMESPACE_URL, str(number)))
        attributes = {"genre": one.genre} if one.genre is not None else None
        event = Event(id_, "ann", one.metric, one.value, now_ms, upsert, attributes)
        yield now, one, [Tick("ann", now_ms), event] if one.ticked and number else [event]


@given(histories)
def test_everything_agrees_with_the_oracle(history: list[Wrote]) -> None:
    oracle, state, given_ = Oracle(), None, []
    systems = {system.number: system.key for system in INDEX.catalog.points}
    keys = {one.number: one.key for one in INDEX.catalog.achievements}
    for now, one, inputs in play(history):
        if state is None and not oracle.post(now, one):
            return  # whoever is refused at once is never made
        if state is not None:
            accepted = oracle.post(now, one)
        for input_ in inputs:
            try:
                applied = apply(INDEX, state, input_)
            except RequestError:
                assert state is not None
                assert not accepted
                # What time brought is not lost: it comes with what is done next.
                applied = apply(INDEX, state, Tick("ann", input_.received_ms))
            state = applied.state
            given_ += [(systems[award.system], award.awarded) for award in applied.record.awards]
        assert {m.key: state.totals.get(m.number, 0) for m in INDEX.catalog.metrics} == {
            key: oracle.total(key) for key in ("words", "hints")
        }
        assert {s.key: state.points.get(s.number, 0) for s in INDEX.catalog.points} == oracle.points
        assert [keys[number] for number in state.achieved] == oracle.achieved
        recent = [f"902:{now.date() - timedelta(days=back):%Y%m%d}" for back in range(7)]
        assert {
            board: standing.value
            for board, standing in state.boards.items()
            if not board.startswith("902") or board in recent
        } == oracle.boards(now.date())
    assert sorted(given_) == sorted(oracle.awards)


@given(histories, st.data())
def test_a_history_played_again_gives_the_same(history: list[Wrote], data: st.DataObject) -> None:
    other = CatalogIndex(catalog({**WANTED, "achievements": {"easy": {"words": 10}}, "points": {}}))
    log: list[tuple[CatalogIndex, Input]] = []
    state: UserState | None = None
    for now, _, inputs in play(history):
        index = data.draw(st.sampled_from((INDEX, INDEX, other)))
        commands: list[Input] = [
            ChangeUser("ann", Upsert(name="Ann"), instant(now)),
            ChangeStreak("ann", "restore", instant(now)),
            ChangeStreak("ann", "reset", instant(now)),
            Tick("ann", instant(now), reconciles=True),
        ]
        for input_ in [*inputs, data.draw(st.sampled_from(commands))]:
            try:
                state = decode_state(encode_state(apply(index, state, input_).state))
                log.append((index, input_))
            except RequestError:
                continue
    again: UserState | None = None
    for index, input_ in log:
        again = apply(index, again, input_).state
    assert (again and encode_state(again)) == (state and encode_state(state))
