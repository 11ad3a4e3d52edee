"""Endpoints of achievements."""
