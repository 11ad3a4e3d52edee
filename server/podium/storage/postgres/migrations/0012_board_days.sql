-- Counted as they come: at a million participants, counting rank_days took seconds.
ALTER TABLE board_days ADD COLUMN active bigint NOT NULL DEFAULT 0, ADD COLUMN joined bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN board_days.active IS 'users whose value changed on the day';
COMMENT ON COLUMN board_days.joined IS 'users of whom it was the first day in the run; those who left since are among them';

INSERT INTO board_days AS d (space_id, leaderboard, run, day, changes, active, joined)
SELECT space_id, leaderboard, run, day, 0, count(*), count(*) FILTER (WHERE day = first_day)
FROM (
    SELECT *, min(day) OVER (PARTITION BY space_id, leaderboard, run, user_id) AS first_day FROM rank_days
) AS r
GROUP BY space_id, leaderboard, run, day
ON CONFLICT (space_id, leaderboard, run, day) DO UPDATE SET active = excluded.active, joined = excluded.joined;
