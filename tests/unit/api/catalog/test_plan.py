"""Bringing a catalog to a document: how much work it is, who is who, what comes first, what is archived."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.api.catalog import document as documents
from podium.api.catalog import plan as plans
from podium.api.catalog.document import export
from podium.api.catalog.handles import ordered
from podium.api.catalog.plan import Plan, Planner
from podium.game.catalog import Catalog
from podium.http.catalog_resource import Context
from podium.spaces.catalog_store import Editor

Document = dict[str, Any]


def bring(catalog: Catalog, document: Document, prune: bool = False) -> tuple[Catalog, Plan]:
    """The catalog brought to a document, and what that took."""
    context = Context(Editor(catalog, 1 + len(catalog.achievements)), 1_790_000_000_000, date(2026, 9, 21))
    plan = Planner(context, document, prune).run()
    assert bool(context.editor.changes) == bool(plan.changes)
    return context.catalog, plan


def applied(catalog: Catalog, document: Document, prune: bool = False) -> Catalog:
    """The catalog after a document, which leaves nothing to do a second time."""
    after, plan = bring(catalog, document, prune)
    assert plan.issues == []
    assert bring(after, document, prune)[1].changes == []
    assert bring(after, export(after), prune=True)[1] == Plan([], [])
    return after


def done(plan: Plan) -> list[tuple[str, str, str]]:
    return [(one.action, one.section, one.item) for one in plan.changes]


def told(plan: Plan) -> dict[str, str]:
    return {one.item: one.message for one in plan.issues}


def composite(name: str, *parts: str) -> Document:
    return {"name": name, "trigger": "achievement", "achievements": list(parts)}


def large(items: int) -> Document:
    """A catalog of that many achievements, each made of the next, and triggers, levels and boards beside them."""
    goals = [composite(f"A{at}", f"A{at + 1}") for at in range(items - 1)]
    goals.append({"name": f"A{items - 1}", "trigger": "api", "key": f"A{items - 1}"})
    return {
        "metrics": [{"name": "M", "key": f"m{at}"} for at in range(items)],
        "achievements": goals,
        "points": [
            {
                "name": "XP",
                "key": "xp",
                "levels": [{"name": "L", "key": f"l{at}", "points": at} for at in range(items)],
                "triggers": [
                    {"type": "achievement", "achievement": f"A{at}", "points": 1, "status": "active"}
                    for at in range(items)
                ],
            }
        ],
        "leaderboards": [
            {"name": "B", "key": f"b{at}", "rankBy": "metric", "metric": f"m{at}", "start": "2026-01-01"}
            for at in range(items)
        ],
    }


class Work:
    """Counts calls of what is done for each item."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        for module, name in (
            (plans, "shown"),
            (plans, "body"),
            (documents.Names, "__init__"),
            (msgspec.structs, "fields"),
        ):
            monkeypatch.setattr(module, name, self._counted(getattr(module, name)))

    def _counted(self, function: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return function(*args, **kwargs)

        return counted


def test_the_work_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each item waits for the one after it: a chain of achievements, levels that all move up."""
    moved = large(60)
    for level in moved["points"][0]["levels"]:
        level["points"] += 1
    made, _ = bring(Catalog(1), large(60))
    items = 5 * 60 + 1
    work = Work(monkeypatch)
    _, first = bring(Catalog(1), large(60))
    assert (len(first.changes), first.issues) == (items, [])
    assert work.calls <= 2 * items + 20
    work.calls = 0
    assert bring(made, large(60), prune=True)[1] == Plan([], [])
    assert work.calls <= items + 20
    work.calls = 0
    _, plan = bring(made, moved)
    assert (len(plan.changes), plan.issues) == (60, [])
    assert work.calls <= items + 2 * 60 + 20


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_who_is_called_with_a_number_is_not_who_is_named_so(order: tuple[int, ...]) -> None:
    goals: list[Document] = [
        {"name": "A", "trigger": "streak", "streakLength": 1},
        {"name": "A", "trigger": "streak", "streakLength": 2},
        {"name": "A#2", "trigger": "streak", "streakLength": 3},
    ]
    document: Document = {"achievements": [goals[at] for at in order]}
    catalog = applied(Catalog(1), document, prune=True)
    assert [one.streak_length for one in catalog.achievements] == [at + 1 for at in order]
    # What refers to them survives export, and a document that has only some of them.
    names = {one["streakLength"]: one for one in export(catalog)["achievements"]}
    assert {length: one["name"] for length, one in names.items()} == {1: "A", 2: "A", 3: "A#2"}
    pair = [one for one in catalog.achievements if one.name == "A"]
    xp = {"name": "XP", "key": "xp"}
    both = {**xp, "triggers": [{"type": "achievement", "achievement": n, "points": 1} for n in ("A#3", "A#2")]}
    catalog = applied(catalog, {**document, "points": [both]})
    ids = [one.achievement_id for one in catalog.triggers]
    assert ids == [pair[1].id, next(one.id for one in catalog.achievements if one.name == "A#2")]
    part = {"achievements": [one for one in document["achievements"] if one["name"] == "A"]}
    assert done(bring(catalog, part, prune=True)[1]) == []  # in use: an issue
    alone = {**part, "points": [{**xp, "triggers": [{"type": "achievement", "achievement": "A#2", "points": 1}]}]}
    pruned = applied(catalog, alone, prune=True)
    assert [one.achievement_id for one in pruned.triggers] == [pair[1].id]


def test_a_key_is_nobodys_name() -> None:
    goals = [
        {"name": "one", "trigger": "streak", "streakLength": 1},
        {"name": "Other", "trigger": "api", "key": "one"},
    ]
    catalog = applied(Catalog(1), {"achievements": goals}, prune=True)
    turned = applied(catalog, {"achievements": goals[::-1]}, prune=True)
    assert turned == catalog


NAMES = st.lists(st.sampled_from(["A", "A#2", "A#2#2", "A#3", "B"]), max_size=6)


@given(NAMES, NAMES)
def test_applied_again_nothing_changes(first: list[str], second: list[str]) -> None:
    def document(names: list[str]) -> Document:
        goals = [{"name": one, "trigger": "streak", "streakLength": at + 1} for at, one in enumerate(names)]
        return {"achievements": goals}

    catalog = applied(Catalog(1), document(first), prune=True)
    applied(catalog, document(second))
    pruned = applied(catalog, document(second), prune=True)
    assert sorted(one.name for one in pruned.achievements) == sorted(second)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_composites_name_each_other_in_any_order(order: tuple[int, ...]) -> None:
    goals = [composite("A", "B", "C"), composite("B", "C", "d"), composite("C", "d")]
    goals.append({"name": "D", "trigger": "api", "key": "d"})
    catalog = applied(Catalog(1), {"achievements": [goals[at] for at in order]})
    # Turned round, those that named now being named.
    turned = [composite("C", "B", "A"), composite("B", "A", "d"), composite("A", "d"), goals[3]]
    catalog = applied(catalog, {"achievements": [turned[at] for at in order]}, prune=True)
    assert done(bring(catalog, {"achievements": []}, prune=True)[1])[0][2] == "C"
    assert applied(catalog, {"achievements": []}, prune=True).achievements == ()


def test_a_circle_is_told_as_one() -> None:
    goals = [
        composite("A", "B"),
        composite("B", "A"),
        composite("C", "A"),
        composite("D", "D"),
        composite("E", "?"),
    ]
    _, plan = bring(Catalog(1), {"achievements": goals, "points": [{"name": "XP", "key": "xp", "triggers": []}]})
    issues = told(plan)
    assert set(issues) == {"A", "B", "C", "D", "E"}
    assert issues["E"] == "achievements names no achievement: ?"
    circles = [one for one in issues.values() if one.startswith("achievements form a cycle: ")]
    assert circles[0].rpartition(": ")[2] in ("A → B → A", "B → A → B", "D → D")
    catalog, _ = bring(Catalog(1), {"achievements": [goals[0], {"name": "B", "trigger": "api", "key": "B"}]})
    _, plan = bring(catalog, {"achievements": [composite("Z", "Z")]})
    assert told(plan) == {"Z": "achievements form a cycle: Z → Z"}


def test_what_needs_an_item_that_cant_be_made_is_told_so() -> None:
    document = {
        "metrics": [{"name": "", "key": "words"}],
        "achievements": [{"name": "A", "trigger": "metric", "metric": "words", "metricValue": 1}],
        "leaderboards": [{"name": "B", "key": "b", "rankBy": "metric"}],
    }
    issues = told(bring(Catalog(1), document)[1])
    assert issues["A"] == "metric names metric words, which can't be created"
    # Fields are called as in the document.
    assert issues["b"] == "metric is required with rankBy metric"


def test_parts_that_are_left_out_stay_and_an_empty_list_prunes() -> None:
    xp = {
        "name": "XP",
        "key": "xp",
        "levels": [{"name": "L", "key": "l", "points": 1}],
        "triggers": [{"type": "user_creation", "points": 1}],
        "boosts": [{"name": "B", "start": "2026-01-01", "multiplier": 2}],
    }
    catalog = applied(Catalog(1), {"points": [xp]})
    left = {"points": [{"name": "XP", "key": "xp"}]}
    assert bring(catalog, left, prune=True)[1] == Plan([], [])
    none = {"points": [{**left["points"][0], "levels": [], "triggers": [], "boosts": []}]}
    assert bring(catalog, none)[1] == Plan([], [])
    after, plan = bring(catalog, none, prune=True)
    assert {one.action for one in plan.changes} == {"archive"}
    assert len(plan.changes) == 3
    # As exported: so that a copy empties what is empty.
    assert export(after)["points"] == none["points"]
    assert bring(catalog, export(after), prune=True)[1].changes == plan.changes
    # A new level may take the points of one that goes.
    new = {"points": [{**xp, "levels": [{"name": "New", "key": "new", "points": 1}]}]}
    applied(catalog, new, prune=True)


def test_order_keeps_what_needs_nothing_in_its_place() -> None:
    assert ordered(4, {1: [0]}).order == [0, 1, 2, 3]
    assert ordered(4, {0: [3]}).order == [1, 2, 3, 0]
    stuck = ordered(4, {0: [1], 1: [0], 2: [0]})
    assert (stuck.order, stuck.stuck) == ([3], [0, 1, 2])
    assert stuck.circle in ([0, 1, 0], [1, 0, 1])
