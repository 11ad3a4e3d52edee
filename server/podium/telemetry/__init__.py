"""Logs, metrics and health: what this server says about itself."""
