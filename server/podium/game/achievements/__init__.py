"""Achievements and their completion."""
