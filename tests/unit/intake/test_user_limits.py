"""Token buckets of users: a burst of ten seconds, and what a second brings."""

from __future__ import annotations

import pytest

from podium.game.errors import TooManyRequests
from podium.game.inputs import Event
from podium.intake import user_limits
from podium.intake.user_limits import UserLimit

NOW_MS = 1_000_000


def events(count: int, user: str = "ann") -> list[Event]:
    return [Event("id", user, "words", 1, NOW_MS)] * count


def test_a_user_may_post_a_burst_and_then_the_rate() -> None:
    limit = UserLimit(2)
    limit.take(events(20), NOW_MS)
    with pytest.raises(TooManyRequests) as refused:
        limit.take(events(1), NOW_MS)
    assert refused.value.retry_after_s == 1
    limit.take(events(2), NOW_MS + 1_000)
    with pytest.raises(TooManyRequests):
        limit.take(events(1), NOW_MS + 1_000)


def test_one_users_events_don_t_count_for_another() -> None:
    limit = UserLimit(1)
    limit.take(events(10), NOW_MS)
    limit.take(events(10, "ben"), NOW_MS)
    for user in ("ann", "ben"):
        with pytest.raises(TooManyRequests):
            limit.take(events(1, user), NOW_MS)


def test_a_request_that_is_refused_counts_for_nobody() -> None:
    limit = UserLimit(1)
    limit.take(events(10), NOW_MS)
    with pytest.raises(TooManyRequests):
        limit.take(events(1) + events(10, "ben"), NOW_MS)
    limit.take(events(10, "ben"), NOW_MS)


def test_a_full_bucket_takes_a_history_and_owes_it() -> None:
    limit = UserLimit(1)
    limit.take(events(30), NOW_MS)
    with pytest.raises(TooManyRequests) as refused:
        limit.take(events(1), NOW_MS)
    assert refused.value.retry_after_s == 21
    limit.take(events(1), NOW_MS + 21_000)


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    limit = UserLimit(1)
    limit.take(events(1), NOW_MS)
    limit.take(events(9), NOW_MS - 3_600_000)
    with pytest.raises(TooManyRequests):
        limit.take(events(1), NOW_MS - 3_600_000)


def test_users_beyond_the_most_that_is_counted_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_limits, "COUNTED_MAX", 2)
    limit = UserLimit(1)
    for user in ("ann", "ben", "chi"):
        limit.take(events(10, user), NOW_MS)
    limit.take(events(10), NOW_MS)  # the longest quiet was forgotten
    with pytest.raises(TooManyRequests):
        limit.take(events(1, "chi"), NOW_MS)
