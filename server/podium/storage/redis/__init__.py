"""The Redis client, the names of keys and the function library."""
