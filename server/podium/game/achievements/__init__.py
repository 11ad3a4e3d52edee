"""Achievements: what completes one."""
