"""Tenants: customers of the app, each a space of its own."""
