"""Every story, with a scheduler that is in time, one that sleeps for days, and none: the same must happen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from podium.game.errors import RequestError
from tests.scenarios.stories import (
    Player,
    Scheduler,
    asleep,
    awards,
    facts,
    in_time,
    load,
    missing,
    stories,
)

SCHEDULERS = {"in-time": in_time, "asleep": asleep, "missing": missing}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("path", stories(), ids=lambda path: path.stem)
def test_story(path: Path, scheduler: str) -> None:
    story = load(path)
    player = Player(story, SCHEDULERS[scheduler])
    for step in story["steps"]:
        tell(player, step, story["story"])


@pytest.mark.parametrize("path", stories(), ids=lambda path: path.stem)
def test_a_story_ends_the_same_whoever_keeps_time(path: Path) -> None:
    ends = [play(load(path), scheduler) for scheduler in (in_time, asleep, missing)]
    assert ends[0] == ends[1] == ends[2]


def play(story: dict[str, Any], scheduler: Scheduler) -> Any:
    """The last state, but for up to where time was carried, and all that happened, in the order of time."""
    player = Player(story, scheduler)
    for step in story["steps"]:
        if "refused" not in step:
            player.step(step)
    player.wait(player.at(story["steps"][-1]["at"]))
    assert player.state is not None
    state = msgspec.structs.replace(player.state, advanced_ms=0, advanced_day=0, due_ms=0)
    happened = sorted(facts(player.records), key=lambda fact: (fact.at_ms, fact.kind, fact.subject))
    given = sorted(awards(player.records), key=lambda award: (award.at_ms, award.cause))
    return state, happened, given


def tell(player: Player, step: dict[str, Any], story: str) -> None:
    now_ms = player.at(step["at"])
    where = f"{story}: {step}"
    if "refused" in step:
        player.wait(now_ms)
        before = player.state
        with pytest.raises(RequestError, match=step["refused"]):
            player.step(step)
        assert player.state == before
        return
    player.step(step)
    player.wait(now_ms)
    done = player.take_records()
    for name, wanted in step.get("expect", {}).items():
        seen = player.seen(name, now_ms)
        if isinstance(wanted, dict):
            seen = {key: seen[key] for key in wanted}
        if isinstance(wanted, list) and name == "history":
            seen, wanted = seen[-len(wanted) :], [str(one) for one in wanted]
        assert seen == wanted, f"{name} in {where}"
    if "awards" in step:
        systems = {system.number: system.key for system in player.index.catalog.points}
        given: dict[str, list[int]] = {}
        for award in awards(done):
            given.setdefault(systems[award.system], []).append(award.awarded)
        assert given == step["awards"], where
    if "completed" in step:
        completions = [player.keys[one.achievement] for applied in done for one in applied.record.completions]
        assert completions == step["completed"], where
    if "happened" in step:
        told = [
            fact.kind if fact.kind.startswith("boost") else f"{fact.kind} {fact.amount}"
            for fact in facts(done)
            if fact.kind != "level"
        ]
        assert told == step["happened"], where
