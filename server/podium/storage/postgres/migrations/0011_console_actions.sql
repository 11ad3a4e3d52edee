-- Where support put a lost streak back: the user did not act then.
ALTER TABLE streak_periods ADD COLUMN restored boolean NOT NULL DEFAULT false;

-- What was done to a user's own things (an event, a boost): their rows name the user within.
CREATE INDEX audit_log_user ON audit_log (space_id, (coalesce(after ->> 'userId', before ->> 'userId')), id DESC)
    WHERE coalesce(after ->> 'userId', before ->> 'userId') IS NOT NULL;
