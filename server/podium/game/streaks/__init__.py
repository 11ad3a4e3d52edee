"""Streaks: consecutive periods in which a user met the conditions."""
