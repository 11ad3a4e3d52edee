-- Keys of single users.

ALTER TABLE api_keys ADD COLUMN user_id text COLLATE "C";
COMMENT ON COLUMN api_keys.user_id IS 'an application key: may act for this user only';

-- Users found by name, e-mail or attribute.

CREATE INDEX users_by_name ON users (space_id, lower(name) text_pattern_ops);
CREATE INDEX users_by_email ON users (space_id, lower(email) text_pattern_ops);
CREATE INDEX users_by_attribute ON users USING gin (attributes jsonb_path_ops);
