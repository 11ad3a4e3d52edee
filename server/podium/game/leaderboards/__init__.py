"""Leaderboards: their runs, boards, ranking and groups."""
