"""A catalog changed in memory: its items and the changes that are written down."""

from __future__ import annotations

import pytest

from podium.game.catalog import Catalog
from podium.game.metrics.model import Metric
from podium.spaces.catalog_store import Change, Editor
from podium.spaces.item_kinds import METRIC, SETTINGS

WORDS, PAGES = Metric("m", 1, "words", "Words"), Metric("p", 2, "pages", "Pages")


@pytest.fixture
def editor() -> Editor:
    return Editor(Catalog(1, metrics=(WORDS, PAGES)), 3)


def test_numbers_are_given_once(editor: Editor) -> None:
    assert [editor.take_number(), editor.take_number(), editor.next_number] == [3, 4, 5]


def test_a_new_item_stands_behind_the_others(editor: Editor) -> None:
    new = Metric("n", 3, "new", "New")
    editor.insert(METRIC, new)
    assert editor.catalog.metrics == (WORDS, PAGES, new)
    assert editor.changes == [Change("create", "metric", new, None, new)]
    assert editor.get(METRIC, "n") == new


def test_a_changed_item_keeps_its_place(editor: Editor) -> None:
    renamed = Metric("m", 1, "words", "Wörter")
    editor.update(METRIC, WORDS, renamed)
    assert editor.catalog.metrics == (renamed, PAGES)
    assert editor.changes == [Change("update", "metric", renamed, WORDS, renamed)]


def test_the_same_again_is_no_change(editor: Editor) -> None:
    editor.update(METRIC, WORDS, Metric("m", 1, "words", "Words"))
    assert editor.changes == []


def test_an_archived_item_is_gone_and_written_down_as_it_was(editor: Editor) -> None:
    editor.archive(METRIC, WORDS)
    editor.archive_all(METRIC, [PAGES])
    assert editor.catalog.metrics == ()
    assert [(change.action, change.before) for change in editor.changes] == [("delete", WORDS), ("delete", PAGES)]
    assert editor.get(METRIC, "m") is None


def test_in_a_preview_new_items_share_a_number_and_keep_their_places(editor: Editor) -> None:
    first, second = Metric("a", 3, "a", "A"), Metric("b", 3, "b", "B")
    editor.insert(METRIC, first)
    editor.insert(METRIC, second)
    changed = Metric("b", 3, "b", "Bee")
    editor.update(METRIC, second, changed)
    assert editor.catalog.metrics[2:] == (first, changed)


def test_the_home_zone_is_no_item(editor: Editor) -> None:
    editor.move_home("Asia/Tokyo")
    assert (editor.catalog.home_zone, editor.changes) == ("Asia/Tokyo", [])
    assert SETTINGS.of(editor.catalog) == ()
