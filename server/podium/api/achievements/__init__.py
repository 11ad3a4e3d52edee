"""Achievements: what a user completes once."""
