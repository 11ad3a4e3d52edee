"""Instants, zones and local days. An instant is an int of milliseconds since 1970 UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from podium.game.errors import Unprocessable

MS_PER_DAY = 86_400_000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


@lru_cache(maxsize=1_024)
def zone(name: str | None) -> tzinfo:
    """Return the zone of an IANA name, or UTC for None (docs/http-api.md#time-zones).

    Raises:
        Unprocessable: There is no such zone.
    """
    if name is None:
        return UTC
    if name not in _zone_names():
        raise Unprocessable(f"tz is not a known time zone: {name[:60]}")
    return ZoneInfo(name)


def at(instant_ms: int, tz: tzinfo = UTC) -> datetime:
    """Return an instant as an aware datetime, exact to the millisecond."""
    return (_EPOCH + timedelta(milliseconds=instant_ms)).astimezone(tz)


def local_time(instant_ms: int, tz: tzinfo) -> datetime:
    """Return the local time of an instant in a zone, to the second."""
    return datetime.fromtimestamp(instant_ms // 1000, tz)


@lru_cache(maxsize=1_024)
def skipped_dates(name: str | None) -> frozenset[int]:
    """Return the local dates (ordinals) since 1970 that a zone never had, because it moved across the date line.

    An example is 30 December 2011 in Samoa. Nearly all zones have none.
    """
    tz = zone(name)
    found: set[int] = set()
    # A move across the date line changes the offset permanently by a day, so two samples a year find it.
    for first in range(0, _LAST_SIEVED, _SIEVE_DAYS):
        if _offset(first + _SIEVE_DAYS, tz) - _offset(first, tz) >= _DATE_LINE:
            days = range(first * MS_PER_DAY, (first + _SIEVE_DAYS) * MS_PER_DAY, MS_PER_DAY)
            seen = {local_day(ms, tz).toordinal() for ms in days}
            found |= set(range(min(seen), max(seen))) - seen
    return frozenset(found)


_SIEVE_DAYS = 180
_LAST_SIEVED = 80 * 365
"""Days after 1970 up to which zones are sampled, to about 2050. zoneinfo repeats its last rule from 2037 on."""
_DATE_LINE = timedelta(hours=20)


def _offset(day: int, tz: tzinfo) -> timedelta:
    return datetime.fromtimestamp(day * MS_PER_DAY // 1000, tz).utcoffset() or timedelta()


def local_day(instant_ms: int, tz: tzinfo) -> date:
    """Return the calendar day of an instant in a zone."""
    return datetime.fromtimestamp(instant_ms // 1000, tz).date()


def instant(moment: datetime) -> int:
    """Return the instant (ms) of an aware datetime."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def day_begins(day: date, tz: tzinfo) -> int:
    """Return the instant (ms) at which a local day begins, or 0 for one before 1970."""
    return max(0, instant(datetime.combine(day, time.min, tz)))


def iso(instant_ms: int) -> str:
    """Return an instant as ISO 8601 with milliseconds and ``Z``, the form of the API."""
    return at(instant_ms).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant_ms % 1000:03d}Z"


def parse_day(field: str, text: str) -> date:
    """Return the day of a text ``YYYY-MM-DD``.

    Raises:
        Unprocessable: The text is no such date. The message names ``field``.
    """
    try:
        if not _DAY.match(text):
            raise ValueError  # fromisoformat() also accepts weeks and the basic format
        return date.fromisoformat(text)
    except ValueError:
        raise Unprocessable(f"{field} must be a date like 2026-01-31") from None


def parse_instant(field: str, text: str) -> int:
    """Return the instant (ms) of an ISO 8601 time with an offset.

    Raises:
        Unprocessable: The text is no such time, or lies before 1970. The message names ``field``.
    """
    moment = parse_moment(field, text)
    if moment < _EPOCH:
        raise Unprocessable(f"{field} must not lie before 1970")
    return instant(moment)


def parse_moment(field: str, text: str) -> datetime:
    """Return an ISO 8601 time with an offset as an aware datetime.

    Raises:
        Unprocessable: The text is no such time. The message names ``field``.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unprocessable(f"{field} must be an ISO 8601 time like 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise Unprocessable(f"{field} must carry an offset, like 2026-01-31T12:00:00Z")
    return moment
