"""Rules of the tests themselves: where they lie, that they wait for no clock, and that each can fail."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
UNIT = TESTS / "unit"

ABOUT_THE_REPOSITORY = {
    "test_citations.py": "pages and files that code and docs name are there",
    "test_constraints.py": "the versions of dependencies that releases are made with",
    "test_docs.py": "the docs and the pictures in them",
    "test_library_internals.py": "private names of libraries that we rely on",
    "test_tests.py": "the tests",
    "test_words.py": "docstrings and names",
    "web/test_contrast.py": "the colours of all style sheets",
    "web/test_scripts.py": "the browser's scripts, by node",
}
"""Tests that belong to no module, and what they are about."""

SLEEPS = {
    "waiting.py": (1, "the pause between two looks at a condition, in one place for all tests"),
    "acceptance/processes.py": (1, "the same for conditions of other processes"),
    "acceptance/test_failures.py": (1, "a polite client's pause before it sends again"),
    "integration/test_backfill.py": (1, "a stand-in for the worker, which flushes while others write"),
    "integration/test_bounded_work.py": (1, "passes on what the product waits, and notes it"),
    "integration/test_direct.py": (1, "the time-out of an idle connection is uvicorn's own timer, of a second"),
    "integration/test_lanes.py": (1, "time enough for a call that must not come"),
    "integration/test_older_runs.py": (1, "a stand-in for the worker, which flushes while others write"),
    "unit/cli/test_stopping.py": (1, "cut off by a signal at once: only a failure would wait so long"),
    "upgrade/make.py": (2, "no test: plays with an earlier release, which says no more than that it is ready"),
}
"""How often a file waits for a time that is not 0, and why it must. tests/chaos pauses where its dice say so."""

FAILS_ELSEWHERE = {
    "acceptance/test_fuzz.py::test_operation": "schemathesis checks the answer",
    "integration/test_seeding.py::test_statements_that_write_a_history_fit_the_tables": "Postgres refuses others",
    "integration/live/test_boards.py::test_a_channel_that_fails_keeps_no_other_from_rolling_over": "waits for a"
    " frame, and for no longer than the client is patient",
}
"""Tests without an assertion of their own, and what fails in them."""

_FAIL = {"raises", "warns", "fail", "until", "wait_until"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_unit_tests_lie_where_the_modules_lie() -> None:
    """``http/test_cors.py`` tests ``http/cors.py``; so does ``test_cors_<aspect>.py``."""
    strays = []
    for path in sorted(UNIT.rglob("test_*.py")):
        relative = path.relative_to(UNIT)
        if relative.as_posix() in ABOUT_THE_REPOSITORY:
            continue
        first, *_ = relative.parts
        folder = ROOT / relative.parent if first == "loadtest" else ROOT / "server" / "podium" / relative.parent
        modules = {module.stem for module in folder.glob("*.py")} | {one.name for one in folder.glob("*/")}
        name = relative.stem.removeprefix("test_")
        if not any(name == module or name.startswith(f"{module}_") for module in modules):
            strays.append(relative.as_posix())
    assert strays == []


def test_every_exception_to_the_layout_is_there() -> None:
    assert [name for name in ABOUT_THE_REPOSITORY if not (UNIT / name).is_file()] == []


@pytest.mark.parametrize(
    "package", ["game", "intake", "spaces", "storage", "jobs", "writebehind", "telemetry", "http"]
)
def test_every_package_with_decisions_has_unit_tests(package: str) -> None:
    assert list((UNIT / package).rglob("test_*.py"))


def test_no_test_waits_for_a_time() -> None:
    """A test waits for what it wants to see (tests/waiting.py), or moves the clock that it passed in."""
    found = Counter(
        path.relative_to(TESTS).as_posix()
        for path, tree in _trees()
        if "chaos" not in path.parts
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _name(node) == "sleep" and ast.unparse(node.args[0]) != "0"
    )
    assert found == {name: count for name, (count, _) in SLEEPS.items()}


def test_each_test_can_fail() -> None:
    """It asserts, expects an error, waits for a condition, or calls a helper of the tests that does."""
    helpers = {node.name: set(_called(node)) for _, node in _functions() if not node.name.startswith("test_")}
    failing = {node.name for _, node in _functions() if node.name in helpers and _fails(node)}
    while more := {name for name, called in helpers.items() if name not in failing and called & failing}:
        failing |= more
    found = {
        f"{path.relative_to(TESTS).as_posix()}::{node.name}"
        for path, node in _functions()
        if node.name.startswith("test_") and not _fails(node) and not failing & set(_called(node))
    }
    assert found == set(FAILS_ELSEWHERE)


@cache
def _trees() -> tuple[tuple[Path, ast.Module], ...]:
    return tuple((path, ast.parse(path.read_text())) for path in sorted(TESTS.rglob("*.py")))


def _functions() -> Iterator[tuple[Path, Function]]:
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield path, node


def _name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _called(node: Function) -> Iterator[str]:
    """The plain functions that are called; of methods only those of pytest, as others share their names."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and (isinstance(call.func, ast.Name) or _name(call) in _FAIL):
            yield _name(call)


def _fails(node: Function) -> bool:
    return any(isinstance(one, ast.Assert) for one in ast.walk(node)) or not _FAIL.isdisjoint(_called(node))
