-- How far the backfill of a leaderboard has come, and the users whom it could not bring yet.

-- The defaults are those of a finished one: the release before inserts a row only then.
ALTER TABLE board_fills
    ALTER COLUMN filled_at DROP NOT NULL,
    ADD COLUMN started_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN last_user text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN passed boolean NOT NULL DEFAULT true,
    ADD COLUMN done bigint NOT NULL DEFAULT 0,
    ADD COLUMN total bigint NOT NULL DEFAULT 0,
    ADD COLUMN since_ms bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN board_fills.filled_at IS 'null while it goes on: no run of the leaderboard becomes final';
COMMENT ON COLUMN board_fills.last_user IS 'users up to this one have been looked at';
COMMENT ON COLUMN board_fills.passed IS 'whether every user has been looked at; some may have been set aside';
COMMENT ON COLUMN board_fills.since_ms IS 'users who posted nothing since have nothing to be counted';
COMMENT ON COLUMN board_fills.done IS 'users looked at, of total at its start';

CREATE TABLE backfill_set_aside (
    space_id    integer NOT NULL,
    leaderboard integer NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    tries       integer NOT NULL,
    version     integer NOT NULL,
    retry_ms    bigint NOT NULL,
    reason      text NOT NULL,
    PRIMARY KEY (space_id, user_id, leaderboard)
);
COMMENT ON TABLE backfill_set_aside IS 'users whose history could not be counted on a leaderboard yet';
COMMENT ON COLUMN backfill_set_aside.version IS 'of the catalog at the last try: another one may cure it';
