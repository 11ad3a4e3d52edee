"""Metrics: what is counted, in whole units."""
