"""Endpoints of allowed browser origins."""
