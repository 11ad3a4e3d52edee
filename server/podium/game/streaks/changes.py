"""What support does to a streak, and how that is taken back
(docs/http-api.md#freezes-pauses-restore-and-reset). Pure."""

from __future__ import annotations

from datetime import tzinfo

import msgspec

from podium.game.periods import MS_PER_DAY, local_day
from podium.game.streaks.calendar import first_day, period_of
from podium.game.streaks.model import Frequency, Pause, Streaks, Stretch, Track
from podium.game.streaks.rules import RESTORE_DAYS, Rules, Step, length_of, settled, standing

_replace = msgspec.structs.replace


def given(rules: Rules, streaks: Streaks, today: int) -> Streaks | None:
    """The streaks with one freeze more; None where the user has as many as may be."""
    if rules.freezes is None:
        return None
    streaks = settled(rules, streaks, today)
    if (streaks.freezes or 0) >= rules.freezes.max_count:
        return None
    return _replace(streaks, freezes=(streaks.freezes or 0) + 1)


def restored(rules: Rules, streaks: Streaks, today: int) -> Streaks | None:
    """The streaks with the longest one that was lost within the window put back, as if it had reached the period
    before today's; None where there is none that is longer than the present one."""
    streaks = settled(rules, streaks, today)
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
    """Return the streaks after the user's zone changed from ``before`` to ``after``; ``newest_ms`` is the instant
    of the newest event of a metric of the streak.

    Dates between today there and today here never came. Dates between the newest event's and that of a day later
    were cut short, so that an event less than 24 hours after it would find one missed: they are held, too.
    """
    held = set(range(local_day(now_ms, before).toordinal() + 1, local_day(now_ms, after).toordinal()))
    if newest_ms and now_ms - newest_ms < MS_PER_DAY:
        a_day_later = local_day(newest_ms + MS_PER_DAY - 1, after).toordinal()
        held |= set(range(local_day(newest_ms, before).toordinal() + 1, a_day_later))
    if held <= set(streaks.skipped):
        return streaks
    return _replace(streaks, skipped=tuple(sorted(held.union(streaks.skipped))))


def reset(rules: Rules, streaks: Streaks) -> Streaks:
    """The streaks without the current one; what was lost before may still be restored, this one too."""
    track = streaks.tracks[rules.track]
    if not track.stretches:
        return streaks
    end = track.stretches[-1].last
    gone = Stretch(end, end, 0)
    return _with_track(streaks, rules.track, Track((*track.stretches, gone), track.best))


def paused(streaks: Streaks, pause: Pause) -> Streaks:
    """The streaks with one pause more."""
    return _replace(streaks, pauses=(*streaks.pauses, pause))


def unpaused(streaks: Streaks, id_: str) -> Streaks:
    """The streaks without a pause."""
    return _replace(streaks, pauses=tuple(pause for pause in streaks.pauses if pause.id != id_))


def past_of(pause: Pause, today: int) -> Pause:
    """What of a pause lies before today: without days (its end before its start) where it has not begun then."""
    return _replace(pause, end=min(pause.end, today - 1))


def undone(streaks: Streaks, before: Streaks, after: Streaks) -> Streaks | None:
    """The streaks without the change that made ``after`` of ``before``; None where they are no longer what it made
    of them. What came since stays: gains, pauses, freezes."""
    if streaks.tracks != after.tracks or streaks.frozen != after.frozen:
        return None
    freezes = before.freezes
    if freezes is not None:
        freezes = max(0, freezes + (streaks.freezes or 0) - (after.freezes or 0))
    return _replace(
        streaks, tracks=before.tracks, frozen=before.frozen, freezes=freezes, earned_on=before.earned_on
    )


def changed(before: Streaks, after: Streaks) -> list[Step]:
    """The periods that a command changed: those that freezes were used for, and the end of a stretch put back."""
    steps = []
    for index, period in after.frozen:
        if (index, period) not in before.frozen:
            steps.append(Step(index, period, length_of(before.tracks[index]), frozen=True))
    for index, (old, new) in enumerate(zip(before.tracks, after.tracks, strict=True)):
        if new.stretches[-1:] != old.stretches[-1:] and (length := length_of(new)):
            end = new.stretches[-1].last
            lived = any(one.last == end and one.length == length for one in old.stretches)
            steps.append(Step(index, end, length, frozen=(index, end) in after.frozen, restored=not lived))
    return steps


def taken_back(before: Streaks, after: Streaks) -> list[Step]:
    """The periods that undoing a change of ``before`` to ``after`` changes: the end of the stretch that was put
    back is again what it was, or is not there any more (length 0)."""
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
