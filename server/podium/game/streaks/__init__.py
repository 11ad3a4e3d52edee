"""Streaks: periods in a row in which a user did enough."""
