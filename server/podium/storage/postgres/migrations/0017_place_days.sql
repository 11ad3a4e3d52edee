-- Fewer rows for an event: a user's places of a day are one row, and standings are read from the state that holds them.
-- Additive: the release before goes on to write rank_days and board_entries, and the views below read both.

-- By board (leaderboard:run) the rank and the value: after the user's last change of the day, and before the first one.
CREATE TABLE place_days (
    space_id integer NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    day      date NOT NULL,
    places   jsonb NOT NULL,
    former   jsonb NOT NULL,
    PRIMARY KEY (space_id, user_id, day)
) WITH (fillfactor = 80);
COMMENT ON COLUMN place_days.places IS 'by board [rank, value] just after the user''s last change of the day';
COMMENT ON COLUMN place_days.former IS 'by board [rank, value] just before the first one; null for a newcomer';
COMMENT ON TABLE rank_days IS 'written by releases before place_days; read through rank_history';

-- The groups in which somebody has stood, so that nobody must look through all users for them.
CREATE TABLE board_groups (
    space_id    integer NOT NULL,
    leaderboard integer NOT NULL,
    run         text COLLATE "C" NOT NULL,
    grp         text COLLATE "C" NOT NULL,
    PRIMARY KEY (space_id, leaderboard, run, grp)
);
COMMENT ON TABLE board_groups IS 'groups in which somebody has stood; those of final runs are in run_standings';

-- The standings within a state: its sixth field, by board [value, reached_ms, …]. A state that can't be read has none,
-- and who waits for a group (a third part of the name, which is empty) stands on no board.
CREATE FUNCTION state_standings(state text)
RETURNS TABLE (leaderboard integer, run text, grp text, value bigint, reached_ms bigint)
LANGUAGE plpgsql IMMUTABLE ROWS 5 AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT split_part(b.key, ':', 1)::integer, split_part(b.key, ':', 2), split_part(b.key, ':', 3),
            (b.value ->> 0)::bigint, (b.value ->> 1)::bigint
        FROM jsonb_each(state::jsonb -> 5) AS b
        WHERE b.key NOT LIKE '%:%:' AND jsonb_typeof(b.value) = 'array';
EXCEPTION WHEN data_exception THEN
    RETURN;
END
$$;

-- Who stands where in the runs that are not final: as the state says, and in older runs, which the state has let go
-- of, as board_entries does.
CREATE VIEW standings AS
SELECT u.space_id, s.leaderboard, s.run COLLATE "C" AS run, s.grp COLLATE "C" AS grp, u.id AS user_id, s.value,
    s.reached_ms
FROM users u CROSS JOIN LATERAL state_standings(u.state) AS s
WHERE NOT EXISTS (
    SELECT FROM final_runs f WHERE f.space_id = u.space_id AND f.leaderboard = s.leaderboard AND f.run = s.run
)
UNION ALL
SELECT b.space_id, b.leaderboard, b.run, b.grp, b.user_id, b.value, b.reached_ms
FROM board_entries b
-- A row that the release before wrote stays behind; the state is newer. Names of boards need no escapes in JSON.
WHERE NOT coalesce((
    SELECT strpos(u.state, '"' || concat_ws(':', b.leaderboard, b.run, nullif(b.grp, '')) || '":[') > 0
    FROM users u WHERE u.space_id = b.space_id AND u.id = b.user_id
), false);
COMMENT ON VIEW standings IS 'where users stand in runs that are not final; of one user, or of few';
COMMENT ON TABLE board_entries IS 'standings in older runs, which states have let go of; read through standings';
COMMENT ON COLUMN board_entries.rank IS 'as the release before wrote it; 0 since';

-- The days on which a user's value on a board changed; where both releases wrote of one, it began before the older
-- one's row. Subqueries with one result, as a join might read all of the other table.
CREATE VIEW rank_history AS
SELECT d.space_id, d.user_id, d.day, split_part(p.key, ':', 1)::integer AS leaderboard,
    split_part(p.key, ':', 2) COLLATE "C" AS run, (p.value ->> 0)::integer AS rank, (p.value ->> 1)::bigint AS value,
    (coalesce((
        SELECT jsonb_build_array(r.previous_rank) FROM rank_days r
        WHERE r.space_id = d.space_id AND r.leaderboard = split_part(p.key, ':', 1)::integer
            AND r.run = split_part(p.key, ':', 2) AND r.user_id = d.user_id AND r.day = d.day
    ), d.former -> p.key) ->> 0)::integer AS previous_rank,
    (coalesce((
        SELECT jsonb_build_array(r.previous_value) FROM rank_days r
        WHERE r.space_id = d.space_id AND r.leaderboard = split_part(p.key, ':', 1)::integer
            AND r.run = split_part(p.key, ':', 2) AND r.user_id = d.user_id AND r.day = d.day
    ), jsonb_build_array(d.former -> p.key -> 1)) ->> 0)::bigint AS previous_value
FROM place_days d CROSS JOIN LATERAL jsonb_each(d.places) AS p
UNION ALL
SELECT r.space_id, r.user_id, r.day, r.leaderboard, r.run, r.rank, r.value, r.previous_rank, r.previous_value
FROM rank_days r
WHERE NOT coalesce((
    SELECT d.places ? (r.leaderboard || ':' || r.run) FROM place_days d
    WHERE d.space_id = r.space_id AND d.user_id = r.user_id AND d.day = r.day
), false);
COMMENT ON VIEW rank_history IS 'rank and value after a user''s last change of each day, and before the first one';

INSERT INTO board_groups (space_id, leaderboard, run, grp)
SELECT DISTINCT space_id, leaderboard, run, grp FROM board_entries WHERE grp <> '';
