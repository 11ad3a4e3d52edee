"""Endpoints of a space's settings."""
