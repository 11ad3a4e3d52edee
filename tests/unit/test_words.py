"""The code's words: docstrings say what a thing is or does, and names are those of docs/glossary.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SERVER = Path(__file__).parents[2] / "server" / "podium"
QUESTION = re.compile(r"(What|Who|Whom|Whose|Those|Whatever|Why|When|Where|How|Whether|Which)\b")
"""Docstrings that begin so answer a question that nobody has asked yet."""

OLD_NAMES = {
    "Became": "StreakOutcome",
    "Course": "RankTracker",
    "Door": "ConnectionLimiter",
    "Figures": "SampleRecorder",
    "Fill": "CountHistory",
    "Filling": "Backfill",
    "Follower": "OwnPlaceView",
    "Memo": "StaleWhileRevalidateCache",
    "Outlook": "LateEvents",
    "Passing": "TimedChange",
    "Replaying": "Replay",
    "Story": "RankChange",
    "Sweeps": "Reconciliation",
    "Turn": "UnitOfWork",
    "Visit": "ConnectionSlot",
    "Wakes": "WakeEvents",
    "carry": "advance",
    "doors": "endpoints",
    "heard": "on_message, apply_delta, mark_dirty or publish",
    "told": "commit_with_record",
}
OLD_MODULES = {"badges", "few", "kinds", "masks", "own", "times", "uses", "words"}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SERVER.rglob("*.py")):
        yield path.relative_to(SERVER).as_posix(), ast.parse(path.read_text())


def questions(tree: ast.Module) -> list[tuple[int, str]]:
    """Return line and first line of the docstrings, those of fields included, that begin with a question word."""
    found = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            text = node.value.value
            if QUESTION.match(text):
                found.append((node.lineno, text.partition("\n")[0]))
    return sorted(found)


def old_names(tree: ast.Module) -> list[str]:
    """Return the old names that classes and functions are defined with."""
    defined = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    names = [node.name for node in ast.walk(tree) if isinstance(node, defined)]
    return [f"{name}: write {OLD_NAMES[name]}" for name in names if name in OLD_NAMES]


def test_docstrings_begin_with_what_a_thing_is_or_does() -> None:
    found = [f"{path}:{line}: {text}" for path, tree in _modules() for line, text in questions(tree)]
    assert not found


def test_no_old_name_comes_back() -> None:
    assert not [f"{path}: {name}" for path, tree in _modules() for name in old_names(tree)]
    assert not [path for path, _ in _modules() if Path(path).stem in OLD_MODULES]


def test_what_is_found() -> None:
    tree = ast.parse('"""Why it is."""\ndef told():\n    """Return it."""\nclass Door:\n    """Who is in."""')
    assert questions(tree) == [(1, "Why it is."), (5, "Who is in.")]
    assert questions(ast.parse('MOST = 3\n"""How many there are."""')) == [(2, "How many there are.")]
    assert sorted(old_names(tree)) == ["Door: write ConnectionLimiter", "told: write commit_with_record"]
