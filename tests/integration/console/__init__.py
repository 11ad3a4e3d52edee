"""The console over HTTP, subject by subject."""
