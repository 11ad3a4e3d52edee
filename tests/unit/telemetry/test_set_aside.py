"""What jobs have set aside, in sentences that name no user."""

from __future__ import annotations

from podium.telemetry.set_aside import SPACE, SetAside, warnings


def aside(job: str, kind: str, name: str = "", *, tries: int = 3) -> SetAside:
    return SetAside(job, kind, name, "ValueError", tries, 1, 2)


def test_nothing_set_aside_says_nothing() -> None:
    assert warnings({}) == []


def test_each_space_and_job_has_a_sentence_and_users_are_counted() -> None:
    found = warnings(
        {
            "one": [aside("ticks", "user", "ann"), aside("ticks", "user", "ben"), aside("finals", "run", "2:")],
            "two": [aside("flush", SPACE)],
        }
    )
    assert len(found) == 3
    assert all("ann" not in sentence and "ben" not in sentence for sentence in found)
    assert sum("one" in sentence for sentence in found) == 2
    [ticks] = [sentence for sentence in found if "ticks" in sentence]
    assert "2" in ticks


def test_an_entry_has_a_field_of_its_own() -> None:
    assert aside("ticks", "user", "ann").field == "ticks:user:ann"
