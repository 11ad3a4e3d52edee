-- People who sign in to the console, beside those who have an admin key.
CREATE TABLE console_accounts (
    id          uuid PRIMARY KEY,
    space_id    integer NOT NULL REFERENCES spaces,
    email       text NOT NULL,
    name        text NOT NULL,
    role        text NOT NULL CHECK (role IN ('viewer', 'support', 'admin')),
    hash        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);
CREATE UNIQUE INDEX console_accounts_email ON console_accounts (lower(email)) WHERE disabled_at IS NULL;
COMMENT ON COLUMN console_accounts.hash IS 'argon2id';

-- Events by the UTC day on which they came in.
CREATE TABLE space_days (
    space_id integer NOT NULL,
    day      date NOT NULL,
    events   bigint NOT NULL,
    PRIMARY KEY (space_id, day)
) WITH (fillfactor = 70);
