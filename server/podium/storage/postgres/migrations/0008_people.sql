-- When a key was last used: apart from the key, whose every change makes all processes read the keys anew.
CREATE TABLE key_uses (
    key_id   uuid PRIMARY KEY REFERENCES api_keys ON DELETE CASCADE,
    used_at  timestamptz NOT NULL
);

-- What was done to one user, or one item.
CREATE INDEX audit_log_item ON audit_log (space_id, item, id DESC);
