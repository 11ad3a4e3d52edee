"""What a request does to a profile."""

from __future__ import annotations

import msgspec
import pytest

from podium.game.errors import Unprocessable
from podium.game.users.rules import NOTHING, Upsert, apply, check

NOW_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z
KNOWN = frozenset({"city", "plan"})


def upsert(**fields: object) -> Upsert:
    return msgspec.convert(fields, Upsert)


def test_a_new_user_has_defaults() -> None:
    profile = apply(None, NOTHING, NOW_MS)
    assert (profile.created_ms, profile.updated_ms, profile.subscribed, profile.attributes) == (
        NOW_MS,
        NOW_MS,
        True,
        {},
    )


def test_only_what_is_given_changes_and_an_unchanged_profile_is_the_same() -> None:
    first = apply(None, upsert(name="Ana", tz="Europe/Paris", attributes={"city": "Paris", "plan": "pro"}), NOW_MS)
    assert apply(first, upsert(name="Ana"), NOW_MS + 1) is first
    second = apply(first, upsert(attributes={"plan": None, "city": "Lyon"}, name=None), NOW_MS + 1)
    assert (second.name, second.tz, second.attributes) == (None, "Europe/Paris", {"city": "Lyon"})
    assert (second.created_ms, second.updated_ms) == (NOW_MS, NOW_MS + 1)
    assert first.attributes == {"city": "Paris", "plan": "pro"}


def test_device_tokens_replace_the_list() -> None:
    profile = apply(apply(None, upsert(deviceTokens=["a", "b"]), NOW_MS), upsert(deviceTokens=["c"]), NOW_MS)
    assert profile.device_tokens == ("c",)
    assert apply(profile, upsert(deviceTokens=None), NOW_MS).device_tokens == ()


def test_emails_are_kept_only_for_subscribers() -> None:
    assert apply(None, upsert(email="a@example.org", subscribeToEmails=False), NOW_MS).email is None
    with pytest.raises(Unprocessable, match="^subscribeToEmails"):
        apply(None, upsert(subscribeToEmails=True), NOW_MS)


def test_sign_up_is_a_day_not_after_the_users_today() -> None:
    assert apply(None, upsert(signUpDate="2026-11-22T23:30:00-02:00"), NOW_MS).sign_up == "2026-11-23"
    assert apply(None, upsert(signUpDate="2026-11-24", tz="Pacific/Kiritimati"), NOW_MS).sign_up == "2026-11-24"
    with pytest.raises(Unprocessable, match="^signUpDate"):
        apply(None, upsert(signUpDate="2026-11-24"), NOW_MS)


@pytest.mark.parametrize("sign_up", ["1800-01-01", "1800-01-01T00:00:00Z", "1799-12-31T23:30:00-01:00"])
def test_a_sign_up_may_lie_before_1970_as_a_date_or_a_time(sign_up: str) -> None:
    given = upsert(signUpDate=sign_up)
    check(given, KNOWN, NOW_MS)
    assert apply(None, given, NOW_MS).sign_up == "1800-01-01"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "x" * 256}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"email": "x" * 321}, "email"),
        ({"tz": "Nowhere"}, "tz"),
        ({"signUpDate": "2026-02-30"}, "signUpDate"),
        ({"signUpDate": "2027-01-01"}, "signUpDate"),
        ({"signUpDate": "9999-12-31T23:59:59-23:00"}, "signUpDate must lie in the years"),
        ({"signUpDate": "0001-01-01T00:00:00+23:00"}, "signUpDate must lie in the years"),
        ({"signUpDate": "20260101"}, "signUpDate must be a date like 2026-01-31"),
        ({"signUpDate": "2026-01-01T12:00:00"}, "signUpDate must carry an offset"),
        ({"deviceTokens": ["t"] * 21}, "deviceTokens"),
        ({"deviceTokens": ["t", ""]}, "deviceTokens"),
        ({"attributes": {"citty": "x"}}, "Invalid attribute keys: citty"),
        ({"attributes": {"city": "x" * 1_001}}, "attributes.city"),
    ],
)
def test_check_names_the_field(fields: dict[str, object], field: str) -> None:
    with pytest.raises(Unprocessable, match=f"^{field}"):
        check(upsert(**fields), KNOWN, NOW_MS)
