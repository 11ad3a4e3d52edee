"""Endpoints of the live protocol: realtime tokens and Server-Sent Events."""
