"""Endpoints of application keys, which act for one user."""
