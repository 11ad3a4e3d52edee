"""Endpoints of metrics and events."""
