"""Leaderboards: runs, boards, ranking, groups."""
