"""Endpoints of environments."""
