"""Logs, metrics and health of the server."""
