"""Endpoints that mint tokens for live connections."""
