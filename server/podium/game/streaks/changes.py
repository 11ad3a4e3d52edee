"""Changes of a streak by support, and undoing them
(docs/http-api.md#freezes-pauses-restore-and-reset). Pure."""

from __future__ import annotations

from datetime import tzinfo

import msgspec

from podium.game.periods import MS_PER_DAY, local_day
from podium.game.streaks.calendar import first_day, period_of
from podium.game.streaks.model import Frequency, Pause, Streaks, Stretch, Track
from podium.game.streaks.rules import RESTORE_DAYS, Rules, Step, caught_up, length_of, standing

_replace = msgspec.structs.replace


def given(rules: Rules, streaks: Streaks, today: int) -> Streaks | None:
    """Return the streaks with one more freeze, or None if the user has the maximum."""
    if rules.freezes is None:
        return None
    streaks = caught_up(rules, streaks, today)
    if (streaks.freezes or 0) >= rules.freezes.max_count:
        return None
    return _replace(streaks, freezes=(streaks.freezes or 0) + 1)


def restored(rules: Rules, streaks: Streaks, today: int) -> Streaks | None:
    """Return the streaks with the longest lost streak of the window restored, or None if the present one is
    longer.

    It continues as if it had reached the period before today's.
    """
    streaks = caught_up(rules, streaks, today)
    index, frequency = rules.track, rules.frequency
    track, period = streaks.tracks[index], period_of(frequency, today)
    now = standing(rules, streaks, today)
    window = period_of(frequency, _restore_from(frequency, today))
    lost = [stretch for stretch in track.stretches[: None if not now.length else -1] if stretch.last >= window]
    best = max(lost, key=lambda stretch: stretch.length, default=None)
    if best is None or best.length <= now.length:
        return None
    met_today = now.length > 0 and track.stretches[-1].last >= period
    length = best.length + (1 if met_today and best.last < period else 0)
    back = Stretch(best.first, period if met_today else max(best.last, period - 1), length)
    kept = tuple(stretch for stretch in track.stretches if stretch.last < best.first)
    return _with_track(streaks, index, Track((*kept, back), max(track.best, length), track.met))


def moved(streaks: Streaks, newest_ms: int, now_ms: int, before: tzinfo, after: tzinfo) -> Streaks:
    """Return the streaks after the user's zone changed from ``before`` to ``after``.

    ``newest_ms`` is the instant of the newest event of a metric of the streak. Dates between today in the old zone
    and today in the new one never came, so they don't end the streak. Neither do dates between that of the newest
    event and that of 24 hours later, which were cut short: otherwise an event less than 24 hours after the newest
    one could find a missed day.
    """
    held = set(range(local_day(now_ms, before).toordinal() + 1, local_day(now_ms, after).toordinal()))
    if newest_ms and now_ms - newest_ms < MS_PER_DAY:
        a_day_later = local_day(newest_ms + MS_PER_DAY - 1, after).toordinal()
        held |= set(range(local_day(newest_ms, before).toordinal() + 1, a_day_later))
    if held <= set(streaks.skipped):
        return streaks
    return _replace(streaks, skipped=tuple(sorted(held.union(streaks.skipped))))


def reset(rules: Rules, streaks: Streaks) -> Streaks:
    """Return the streaks with the current one ended. It can still be restored, and so can earlier ones."""
    track = streaks.tracks[rules.track]
    if not track.stretches:
        return streaks
    end = track.stretches[-1].last
    gone = Stretch(end, end, 0)
    return _with_track(streaks, rules.track, Track((*track.stretches, gone), track.best))


def paused(streaks: Streaks, pause: Pause) -> Streaks:
    """Return the streaks with one more pause."""
    return _replace(streaks, pauses=(*streaks.pauses, pause))


def unpaused(streaks: Streaks, id_: str) -> Streaks:
    """Return the streaks without one of the pauses."""
    return _replace(streaks, pauses=tuple(pause for pause in streaks.pauses if pause.id != id_))


def past_of(pause: Pause, today: int) -> Pause:
    """Return the part of a pause before today. Without days its end lies before its start."""
    return _replace(pause, end=min(pause.end, today - 1))


def undone(streaks: Streaks, before: Streaks, after: Streaks) -> Streaks | None:
    """Return the streaks without the change from ``before`` to ``after``, or None if they have changed since.

    Gains, pauses and freezes that were added since are kept.
    """
    if streaks.tracks != after.tracks or streaks.frozen != after.frozen:
        return None
    freezes = before.freezes
    if freezes is not None:
        freezes = max(0, freezes + (streaks.freezes or 0) - (after.freezes or 0))
    return _replace(
        streaks, tracks=before.tracks, frozen=before.frozen, freezes=freezes, earned_on=before.earned_on
    )


def changed(before: Streaks, after: Streaks) -> list[Step]:
    """Return the periods that a command changed: those with a used freeze, and the end of a restored stretch."""
    steps = []
    for index, period in after.frozen:
        if (index, period) not in before.frozen:
            steps.append(Step(index, period, length_of(before.tracks[index]), frozen=True))
    for index, (old, new) in enumerate(zip(before.tracks, after.tracks, strict=True)):
        if new.stretches[-1:] != old.stretches[-1:] and (length := length_of(new)):
            end = new.stretches[-1].last
            existed = any(one.last == end and one.length == length for one in old.stretches)
            steps.append(Step(index, end, length, frozen=(index, end) in after.frozen, restored=not existed))
    return steps


def taken_back(before: Streaks, after: Streaks) -> list[Step]:
    """Return the periods that change if the change from ``before`` to ``after`` is undone.

    The end of the restored stretch gets its former length, or length 0 if there was none.
    """
    steps = []
    for index, (old, new) in enumerate(zip(before.tracks, after.tracks, strict=True)):
        if new.stretches[-1:] != old.stretches[-1:] and length_of(new):
            end = new.stretches[-1].last
            was = next((one.length for one in old.stretches if one.last == end), 0)
            frozen = (index, end) in after.frozen and not was
            steps.append(Step(index, end, length_of(old) if frozen else was, frozen=frozen))
    return steps


def _restore_from(frequency: Frequency, today: int) -> int:
    if frequency == "daily":
        return today - RESTORE_DAYS
    year = period_of("monthly", today) // 12
    return first_day("monthly", (year if frequency == "weekly" else year - 1) * 12)


def _with_track(streaks: Streaks, index: int, track: Track) -> Streaks:
    tracks = list(streaks.tracks)
    tracks[index] = track
    return _replace(streaks, tracks=(tracks[0], tracks[1], tracks[2]))
