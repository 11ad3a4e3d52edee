"""Endpoints of the year in review."""
