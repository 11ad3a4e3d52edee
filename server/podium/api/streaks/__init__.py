"""Endpoints of streaks."""
