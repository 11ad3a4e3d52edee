import re
from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.live.channels import (
    AnyChannel,
    LeaderboardChannel,
    PersonalChannel,
    UserChannel,
    ViewOptions,
    allows,
    parse_channel,
)


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("leaderboard:weekly", LeaderboardChannel("weekly")),
        ("leaderboard:a-B_9@2024-02-29", LeaderboardChannel("a-B_9", date(2024, 2, 29))),
        ("leaderboard:weekly#ada", PersonalChannel(LeaderboardChannel("weekly"), "ada")),
        (
            "leaderboard:w@2024-02-29#a%2Fb#c",
            PersonalChannel(LeaderboardChannel("w", date(2024, 2, 29)), "a%2Fb#c"),
        ),
        ("leaderboard:w?city=London%20X&team=red", LeaderboardChannel("w", None, "city=London%20X&team=red")),
        (
            "leaderboard:w@2024-02-29?city=a#ada",
            PersonalChannel(LeaderboardChannel("w", date(2024, 2, 29), "city=a"), "ada"),
        ),
        ("groups:weekly@2024-02-29", LeaderboardChannel("weekly", date(2024, 2, 29), groups=True)),
        ("user#ada", UserChannel("ada")),
    ],
)
def test_channel_names_are_read_and_printed(name: str, channel: AnyChannel) -> None:
    assert parse_channel(name) == channel
    assert str(channel) == name


def test_user_ids_are_percent_encoded() -> None:
    for name in ("user#a%2Fb%20%F0%9F%98%80", "leaderboard:weekly#a%2Fb%20%F0%9F%98%80"):
        channel = parse_channel(name)
        assert isinstance(channel, PersonalChannel | UserChannel)
        assert channel.user == "a/b 😀"
        assert str(channel) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "leaderboard:",
        "weekly",
        "leaderboard:a b",
        "leaderboard:" + "k" * 101,
        "leaderboard:weekly@2025-02-29",
        "leaderboard:weekly@20250228",
        "leaderboard:weekly@2025-02-28\n",
        "leaderboard:weekly@٢٠٢٥-02-28",
        "leaderboard:weekly#",
        "groups:weekly#ada",
        "groups:weekly?city=London",
        "leaderboard:weekly?",
        "challenge:x",
        "user#",
        "user:ada",
    ],
)
def test_other_names_are_no_channel(name: str) -> None:
    assert parse_channel(name) is None


@pytest.mark.parametrize(
    ("asked", "rows", "interval_ms"),
    [
        ({}, 100, 50),
        ({"limit": 1, "interval": 0}, 10, 0),
        ({"limit": 10, "interval": 1}, 10, 50),
        ({"limit": 11, "interval": 51}, 25, 100),
        ({"limit": 251, "interval": 2_001}, 500, 5_000),
        ({"limit": 500, "interval": 5_000, "other": 1}, 500, 5_000),
    ],
)
def test_options_are_rounded_up(asked: dict[str, int], rows: int, interval_ms: int) -> None:
    options = msgspec.convert(asked, ViewOptions)
    assert (options.rows, options.interval_ms) == (rows, interval_ms)


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 501}, {"interval": -1}, {"interval": 5_001}])
def test_options_out_of_range_are_refused(asked: dict[str, int]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(asked))):
        msgspec.convert(asked, ViewOptions)


@pytest.mark.parametrize(
    ("patterns", "allowed"),
    [
        ((), False),
        (("leaderboard:weekly",), True),
        (("leaderboard:*",), True),
        (("*",), True),
        (("user#*", "leaderboard:w*y"), True),
        (("leaderboard:week",), False),
        (("leaderboard:.*",), False),
        (("leaderboard:weekl?",), False),
    ],
)
def test_patterns(patterns: tuple[str, ...], allowed: bool) -> None:
    assert allows(patterns, "leaderboard:weekly") is allowed


@given(
    st.text("ab*", max_size=8),
    st.text("ab", max_size=12),
)
def test_patterns_match_as_a_regular_expression_would(pattern: str, name: str) -> None:
    regex = ".*".join(map(re.escape, pattern.split("*")))
    assert allows((pattern,), name) is (re.fullmatch(regex, name) is not None)


def test_a_pattern_that_nearly_matches_in_many_ways_is_answered() -> None:
    # A regular expression tries some 10^10 ways to place the stars, which holds up everybody for minutes.
    name = "leaderboard:" + "a" * 1_000
    assert not allows(("*a*a*a*ab",) * 100, name)
    assert not allows(("*" + "a" * 250 + "b*",) * 100, name)
    assert allows(("*a*a*a*a",), name)
