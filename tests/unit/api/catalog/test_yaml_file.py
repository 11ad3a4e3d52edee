"""A document as YAML: what is written reads back, and what can't be read is told in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from podium.api.catalog.yaml_file import read, write
from podium.game.errors import StartError

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
"""What the admin API takes as a name."""
LOOKALIKE = st.from_regex(r"[-+]?[0-9_.:eExobn]{1,8}", fullmatch=True)
VALUES = st.recursive(
    TEXT
    | LOOKALIKE
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none(),
    lambda within: st.lists(within, max_size=3) | st.dictionaries(TEXT | LOOKALIKE, within, max_size=3),
    max_leaves=10,
)


@given(TEXT | LOOKALIKE)
@example("08")
@example("010")
@example("1e5")
@example("0x1f")
@example("1_000")
@example("22:00")
@example("2026-01-01")
@example("yes")
@example("No")
@example("~")
@example("=")
@example("<<")
@example(" a\n\n b ")
@example("\x85\u2028\ufeff\U0010ffff\r\n\t")
@example("- a: b # c")
@example("x" * 200 + " y" * 100)
def test_any_text_reads_back(text: str) -> None:
    document = {"metrics": [{"name": text, "key": "a"}], "settings": {text: text}}
    assert read("# a comment\n" + write(document), "f") == document


@given(st.dictionaries(TEXT.filter(lambda key: key != "$schema"), VALUES))
def test_any_document_reads_back(document: dict[str, Any]) -> None:
    assert read(write(document), "f") == document


def test_scalars_are_those_of_yaml_1_2() -> None:
    found = read(
        "a: [08, 010, 1e5, 0x1f, 1_0, 22:00, 2026-01-01, yes, No, TRUE, ~, -1.5, .5, '1', =]\n08: {010: x}",
        "f",
    )
    assert found == {
        "a": [8, 10, 1e5, *("0x1f", "1_0", "22:00", "2026-01-01", "yes", "No"), True, None, -1.5, 0.5, *"1="],
        "08": {"010": "x"},
    }
    assert read('a: "\\ud83d\\ude00"', "f") == {"a": "😀"}


def test_aliases_may_be_used_and_nothing_is_merged() -> None:
    found = read("a: &a {x: 1}\nb: [*a, *a]\nc: {<<: *a, x: 2}", "f")
    assert found == {"a": {"x": 1}, "b": [{"x": 1}] * 2, "c": {"<<": {"x": 1}, "x": 2}}


LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]\n" for at in range(1, 12))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("metrics:\n- name: A\n  key: a\n  name: B", "f, line 4: 'name' is a duplicate of the key in line 2."),
        ("a: 1\nb: {c: 1,\n 'c': 2}", "f, line 3: 'c' is a duplicate of the key in line 2."),
        ("metrics: []\nmetrics: []", "f, line 2: 'metrics' is a duplicate of the key in line 1."),
        ("a: 1\nb: !!timestamp 2026-01-01", "f, line 2: !!timestamp is a type that a catalog doesn't have."),
        ("a: !!binary aGk=", "f, line 1: !!binary is a type"),
        ("a: !!set {b, c}", "f, line 1: !!set is a type"),
        ("a: !!omap [b: c]", "f, line 1: !!omap is a type"),
        ("a: !!python/object:os.system x", "f, line 1: !!python/object:os.system is a type"),
        ("a: !mine x", "f, line 1: !mine is a type"),
        ("a: &a [*a]", "an alias is within the value that it names"),
        ("a: &a {b: *a}", "an alias is within the value that it names"),
        (LAUGHS, "more than 1,000,000 values"),
        ("a:\n- 1e400", "f, line 2: a number that is too large."),
        ("a: !!float nan", "f, line 1: a number that is too large."),
        ("a: !!float x", "f, line 1: not a number."),
        ("a: " + "9" * 5_000, "f, line 1: not an integer, or one with too many digits."),
        ("a: !!int 0x1f", "f, line 1: not an integer"),
        ("a: !!bool maybe", "f, line 1: neither true nor false."),
        pytest.param("a: " + "[" * 5_000, "nested too deeply", id="nested without end"),
        pytest.param("a: " + "[" * 150 + "]" * 150, "nested too deeply", id="nested"),
        ('a: "\\uD800"', "f, line 1: half a character"),
        ('"\\uD800": 1', "f, line 1: half a character"),
        ("a: 1\nb: \x01", "f, line 2: the character U+0001 can't be in YAML."),
        ("a: [", "f, line 1: expected the node content, but found '<stream end>'"),
        ("a: 1\n b: 2", "f, line 2: mapping values are not allowed here."),
        ("? [a]\n: b", "f, line 1: a key must be text."),
        ("a: *b", "f, line 1: found undefined alias 'b'."),
        ("a: 1\n---\nb: 1", "expected a single document"),
        ("08", "f must hold sections"),
        ("- a", "f must hold sections"),
        ("", "f must hold sections"),
    ],
)
def test_what_cant_be_read_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(StartError) as raised:
        read(text, "f")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300
