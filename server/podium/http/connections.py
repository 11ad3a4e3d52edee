"""Limits on connections that have not authenticated: bytes, seconds, and connections per address."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from podium.http.addresses import neighbourhood
from podium.http.bounded_counter import BoundedCounter


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits, from the settings (server/podium/settings.py). 0 seconds or connections means no limit."""

    head_bytes: int = 65_536
    """Bytes of request line and headers. The same bound holds for the chunk sizes and trailers of a body."""
    head_s: float = 10.0
    body_s: float = 60.0
    per_address: int = 0
    first_frame_bytes: int = 65_536
    """Bytes of a WebSocket message before the connection has shown a token that may write."""
    trusted_proxies: str = ""
    """Addresses and networks of proxies, separated by commas, which serve many clients and are not counted."""


class Connections:
    """Counts the open connections of a process by address."""

    def __init__(self, limits: ConnectionLimits | None = None) -> None:
        self.limits = limits or ConnectionLimits()
        self._open: BoundedCounter[str] = BoundedCounter(self.limits.per_address)

    def acquire(self, address: str | None) -> str | None:
        """Count a connection and return the network to ``release`` later; None where it has too many.

        "" is returned for a connection that is not counted: of a proxy, or without an address.
        """
        if not address or not self.limits.per_address or self._is_proxy(address):
            return ""
        network = neighbourhood(address)
        return network if self._open.acquire(network) else None

    def release(self, network: str) -> None:
        """Stop counting a connection."""
        if network:
            self._open.release(network)

    @property
    def count(self) -> int:
        """The number of connections that are counted now."""
        return self._open.total()

    def _is_proxy(self, address: str) -> bool:
        networks = [one.strip() for one in self.limits.trusted_proxies.split(",") if one.strip()]
        if not networks:
            return False
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in ipaddress.ip_network(network) for network in networks)
