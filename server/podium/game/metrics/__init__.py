"""Metrics, which are counted in whole units."""
