-- The past of streaks (features/streaks).
CREATE TABLE streak_periods (
    space_id integer NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    track    smallint NOT NULL,
    period   integer NOT NULL,
    length   integer NOT NULL,
    frozen   boolean NOT NULL,
    PRIMARY KEY (space_id, user_id, track, period)
) WITH (fillfactor = 70);
COMMENT ON COLUMN streak_periods.track IS '0 daily, 1 weekly, 2 monthly';
COMMENT ON COLUMN streak_periods.period IS 'numbered without gaps: features/streaks/calendar.py';
COMMENT ON COLUMN streak_periods.length IS 'at the end of the period';

CREATE TABLE streak_pauses (
    space_id  integer NOT NULL,
    id        uuid NOT NULL,
    user_id   text COLLATE "C" NOT NULL,
    first_day date NOT NULL,
    last_day  date NOT NULL,
    deleted   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (space_id, id)
);
