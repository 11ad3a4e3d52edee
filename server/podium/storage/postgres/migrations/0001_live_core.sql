-- The live core: spaces and keys, the catalog, and what the flusher writes.
-- Instants are bigint milliseconds (the unit of states and members) except where only people read them.

CREATE TABLE spaces (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id       text NOT NULL UNIQUE,
    environment     text NOT NULL DEFAULT 'production',
    tenant          text NOT NULL DEFAULT 'default',
    home_zone       text NOT NULL DEFAULT 'UTC',
    realtime_secret text NOT NULL,
    allowed_origins text[] NOT NULL DEFAULT '{}',
    catalog_version bigint NOT NULL DEFAULT 1,
    next_number     integer NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (environment, tenant)
);
COMMENT ON COLUMN spaces.next_number IS 'the next small number of a catalog item; numbers are never reused';

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    space_id     integer NOT NULL REFERENCES spaces,
    name         text NOT NULL,
    prefix       text NOT NULL,
    hash         bytea NOT NULL UNIQUE,
    capabilities text[] NOT NULL DEFAULT '{admin}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    revoked_at   timestamptz
);
COMMENT ON COLUMN api_keys.hash IS 'SHA-256 of the whole key; the key itself is shown once and not kept';

-- One table for all kinds of catalog items: the body is the kind's own class as JSON (contract names).
CREATE TABLE catalog_items (
    space_id    integer NOT NULL REFERENCES spaces,
    kind        text NOT NULL,
    id          uuid NOT NULL,
    number      integer NOT NULL,
    key         text NOT NULL,
    scope       text NOT NULL DEFAULT '',
    body        jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz,
    PRIMARY KEY (space_id, kind, id),
    UNIQUE (space_id, number)
);
COMMENT ON COLUMN catalog_items.scope IS 'within which a key is unique: the type of an attribute, else empty';
CREATE UNIQUE INDEX catalog_items_key ON catalog_items (space_id, kind, scope, key) WHERE archived_at IS NULL;

CREATE TABLE catalog_versions (
    space_id   integer NOT NULL REFERENCES spaces,
    version    bigint NOT NULL,
    catalog    jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (space_id, version)
);

CREATE TABLE audit_log (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space_id integer NOT NULL REFERENCES spaces,
    at       timestamptz NOT NULL DEFAULT now(),
    actor    text NOT NULL,
    action   text NOT NULL,
    kind     text NOT NULL,
    item     text NOT NULL,
    before   jsonb,
    after    jsonb
);
CREATE INDEX audit_log_recent ON audit_log (space_id, id DESC);

-- Rows that are overwritten again and again get room on their page, so that an update stays on it (HOT).
CREATE TABLE users (
    space_id    integer NOT NULL,
    id          text COLLATE "C" NOT NULL,
    name        text,
    email       text,
    tz          text,
    attributes  jsonb NOT NULL DEFAULT '{}',
    created_ms  bigint NOT NULL,
    updated_ms  bigint NOT NULL,
    newest_ms   bigint NOT NULL,
    token       text NOT NULL,
    state       text NOT NULL,
    PRIMARY KEY (space_id, id)
) WITH (fillfactor = 70);

CREATE TABLE events (
    space_id        integer NOT NULL,
    id              uuid NOT NULL,
    user_id         text COLLATE "C" NOT NULL,
    metric          integer NOT NULL,
    units           bigint NOT NULL,
    at_ms           bigint NOT NULL,
    received_at     timestamptz NOT NULL,
    idempotency_key text,
    attributes      jsonb
) PARTITION BY RANGE (received_at);
CREATE TABLE events_default PARTITION OF events DEFAULT;
-- Ids rise with time, so this index only ever grows at its right edge.
CREATE INDEX events_id ON events (space_id, id);

CREATE TABLE idempotency_keys (
    space_id    integer NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    metric      integer NOT NULL,
    key         text COLLATE "C" NOT NULL,
    event_id    uuid NOT NULL,
    received_ms bigint NOT NULL,
    PRIMARY KEY (space_id, user_id, metric, key)
);
CREATE INDEX idempotency_keys_recent ON idempotency_keys USING brin (received_ms);

CREATE TABLE metric_days (
    space_id integer NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    metric   integer NOT NULL,
    day      date NOT NULL,
    change   bigint NOT NULL,
    PRIMARY KEY (space_id, user_id, metric, day)
) WITH (fillfactor = 70);

CREATE TABLE board_entries (
    space_id    integer NOT NULL,
    leaderboard integer NOT NULL,
    run         text COLLATE "C" NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    value       bigint NOT NULL,
    reached_ms  bigint NOT NULL,
    rank        integer NOT NULL,
    PRIMARY KEY (space_id, leaderboard, run, user_id)
) WITH (fillfactor = 70);
COMMENT ON COLUMN board_entries.run IS 'YYYYMMDD of the first day, empty for a perpetual run';
COMMENT ON COLUMN board_entries.rank IS 'just after the user''s own last change';

CREATE TABLE rank_days (
    space_id       integer NOT NULL,
    leaderboard    integer NOT NULL,
    run            text COLLATE "C" NOT NULL,
    user_id        text COLLATE "C" NOT NULL,
    day            date NOT NULL,
    rank           integer NOT NULL,
    previous_rank  integer,
    value          bigint NOT NULL,
    previous_value bigint,
    PRIMARY KEY (space_id, leaderboard, run, user_id, day)
) WITH (fillfactor = 70);

CREATE TABLE log_positions (
    space_id   integer PRIMARY KEY REFERENCES spaces,
    epoch      text NOT NULL,
    log_id     text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE rejected_entries (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space_id integer NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    log_id   text NOT NULL,
    item     integer NOT NULL,
    user_id  text NOT NULL,
    record   text NOT NULL,
    state    text NOT NULL,
    error    text NOT NULL
);
