"""Endpoints of tenants: customers of the app, each with a space of its own."""
