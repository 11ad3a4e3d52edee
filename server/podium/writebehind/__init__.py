"""The log to Postgres: flusher and batches; rebuild and eviction of what Redis holds."""
