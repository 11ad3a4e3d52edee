"""Endpoints of allowed origins."""
