"""Podium: a self-hosted, real-time leaderboard and gamification server."""
