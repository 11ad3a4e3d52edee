-- Points, achievements, and what time brings.

CREATE TABLE point_awards (
    space_id integer NOT NULL,
    id       uuid NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    system   integer NOT NULL,
    cause    integer NOT NULL,
    awarded  bigint NOT NULL,
    total    bigint NOT NULL,
    at_ms    bigint NOT NULL,
    day      date NOT NULL,
    boosts   integer[] NOT NULL,
    event_id uuid,
    seq      bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (space_id, id)
);
CREATE INDEX point_awards_newest ON point_awards (space_id, user_id, system, at_ms, seq);
COMMENT ON COLUMN point_awards.cause IS 'number of a trigger, or of the leaderboard whose reward it is';
COMMENT ON COLUMN point_awards.total IS 'of the user, after it';

CREATE TABLE point_days (
    space_id integer NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    system   integer NOT NULL,
    day      date NOT NULL,
    change   bigint NOT NULL,
    PRIMARY KEY (space_id, user_id, system, day)
) WITH (fillfactor = 70);

CREATE TABLE user_points (
    space_id integer NOT NULL,
    system   integer NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    total    bigint NOT NULL,
    PRIMARY KEY (space_id, system, user_id)
) WITH (fillfactor = 70);

CREATE TABLE achievement_completions (
    space_id    integer NOT NULL,
    achievement integer NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    at_ms       bigint NOT NULL,
    silent      boolean NOT NULL,
    PRIMARY KEY (space_id, achievement, user_id)
);
CREATE INDEX achievement_completions_of_user ON achievement_completions (space_id, user_id, at_ms);

CREATE TABLE achievement_counts (
    space_id    integer NOT NULL,
    achievement integer NOT NULL,
    completions bigint NOT NULL,
    PRIMARY KEY (space_id, achievement)
) WITH (fillfactor = 70);

CREATE TABLE user_streaks (
    space_id integer NOT NULL,
    track    smallint NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    length   integer NOT NULL,
    longest  integer NOT NULL,
    PRIMARY KEY (space_id, track, user_id)
) WITH (fillfactor = 70);
CREATE INDEX user_streaks_active ON user_streaks (space_id, track, length DESC, user_id);
CREATE INDEX user_streaks_longest ON user_streaks (space_id, track, longest DESC, user_id);
COMMENT ON COLUMN user_streaks.length IS 'of the newest event; 0 once time has ended it';

CREATE TABLE user_facts (
    space_id integer NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    at_ms    bigint NOT NULL,
    kind     text NOT NULL,
    amount   bigint NOT NULL,
    subject  bigint NOT NULL
);
CREATE INDEX user_facts_newest ON user_facts (space_id, user_id, at_ms);
COMMENT ON TABLE user_facts IS 'engine/records.py: FactRecord';

CREATE TABLE boost_changes (
    space_id integer NOT NULL,
    boost    integer NOT NULL,
    finished boolean NOT NULL,
    at_ms    bigint NOT NULL,
    PRIMARY KEY (space_id, boost, finished)
);
COMMENT ON TABLE boost_changes IS 'starts and ends of boosts for more than one user: in the first and the last zone';

CREATE TABLE sweeps (
    space_id  integer PRIMARY KEY,
    signature text NOT NULL,
    swept_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sweeps IS 'what of the catalog all users were last brought in line with: writebehind/sweeps.py';

ALTER TABLE final_runs ADD COLUMN rewarded_at timestamptz;
