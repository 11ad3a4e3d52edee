"""The endpoint of the audit log."""
