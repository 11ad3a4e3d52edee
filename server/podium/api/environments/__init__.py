"""Environments: production, staging, development; each a space of its own behind its own keys."""
