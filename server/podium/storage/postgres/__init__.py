"""The Postgres pool, the schema and its migrations."""
