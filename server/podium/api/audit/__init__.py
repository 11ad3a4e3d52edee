"""Endpoint of the audit log."""
