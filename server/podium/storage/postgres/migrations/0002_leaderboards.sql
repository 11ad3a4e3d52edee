-- Leaderboards in full: groups, final standings, what analytics and corrections read.

-- One entry for each board that a user stands on: the board of all (''), and that of a group.
ALTER TABLE board_entries ADD COLUMN grp text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE board_entries DROP CONSTRAINT board_entries_pkey;
ALTER TABLE board_entries ADD PRIMARY KEY (space_id, leaderboard, run, grp, user_id);
COMMENT ON COLUMN board_entries.grp IS 'percent-encoded values of the group, joined by &; empty for the board of all';

ALTER TABLE events
    ADD COLUMN day date,
    ADD COLUMN late boolean NOT NULL DEFAULT false,
    ADD COLUMN corrects uuid;
COMMENT ON COLUMN events.day IS 'the user''s local date';
COMMENT ON COLUMN events.late IS 'moved perpetual boards only';
COMMENT ON COLUMN events.corrects IS 'the event that this one undoes or corrects';
-- Why a score is what it is, and what remains of it after a correction.
CREATE INDEX events_user ON events (space_id, user_id, metric, at_ms);

-- Rank changes of a board by day.
CREATE TABLE board_days (
    space_id    integer NOT NULL,
    leaderboard integer NOT NULL,
    run         text COLLATE "C" NOT NULL,
    day         date NOT NULL,
    changes     bigint NOT NULL,
    PRIMARY KEY (space_id, leaderboard, run, day)
) WITH (fillfactor = 70);

-- A group's place at the end of each day on which it changed.
CREATE TABLE group_days (
    space_id    integer NOT NULL,
    leaderboard integer NOT NULL,
    run         text COLLATE "C" NOT NULL,
    grp         text COLLATE "C" NOT NULL,
    day         date NOT NULL,
    rank        integer NOT NULL,
    score       double precision,
    members     integer NOT NULL,
    PRIMARY KEY (space_id, leaderboard, run, grp, day)
) WITH (fillfactor = 70);
COMMENT ON COLUMN group_days.score IS
    'whole units, negated unless less is better, as in Redis; null and rank 0 while the group is not ranked';

-- Runs that are final, and their standings.
CREATE TABLE final_runs (
    space_id     integer NOT NULL,
    leaderboard  integer NOT NULL,
    run          text COLLATE "C" NOT NULL,
    start_day    date NOT NULL,
    end_day      date NOT NULL,
    final_at     timestamptz NOT NULL,
    participants integer NOT NULL,
    cleared_at   timestamptz,
    PRIMARY KEY (space_id, leaderboard, run)
);
COMMENT ON COLUMN final_runs.cleared_at IS 'when its boards left Redis';

CREATE TABLE run_standings (
    space_id    integer NOT NULL,
    leaderboard integer NOT NULL,
    run         text COLLATE "C" NOT NULL,
    grp         text COLLATE "C" NOT NULL,
    place       integer NOT NULL,
    rank        integer NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    value       bigint NOT NULL,
    reached_ms  bigint NOT NULL,
    name        text,
    attributes  jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (space_id, leaderboard, run, grp, place)
);
COMMENT ON COLUMN run_standings.place IS 'from 1, every one different; rank follows the tie rule';
COMMENT ON COLUMN run_standings.name IS 'as it was when the run became final, like the attributes';
CREATE INDEX run_standings_user ON run_standings (space_id, user_id, leaderboard, run);

CREATE TABLE group_standings (
    space_id    integer NOT NULL,
    leaderboard integer NOT NULL,
    run         text COLLATE "C" NOT NULL,
    grp         text COLLATE "C" NOT NULL,
    place       integer NOT NULL,
    rank        integer NOT NULL,
    score       double precision NOT NULL,
    members     integer NOT NULL,
    PRIMARY KEY (space_id, leaderboard, run, place)
);
