"""Endpoints of points systems, with their triggers, boosts and levels."""
