-- When and why Redis was filled anew with a space: /readyz and /metrics tell of it.
CREATE TABLE rebuilds (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space_id       integer NOT NULL REFERENCES spaces,
    at             timestamptz NOT NULL DEFAULT now(),
    reason         text NOT NULL, -- as in spaces/continuity.py, or 'requested'
    users          integer NOT NULL,
    flushed_events integer NOT NULL,
    lost_entries   integer NOT NULL
);
