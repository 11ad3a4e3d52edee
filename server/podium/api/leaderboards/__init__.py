"""Endpoints of leaderboards."""
