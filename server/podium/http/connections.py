"""Limits of connections before anybody knows whose they are: bytes, seconds, and how many one address may have."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass, field

from podium.http.addresses import neighbourhood


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Values of the settings (server/podium/settings.py); 0 connections or seconds is no limit."""

    head_bytes: int = 65_536
    """Request line and headers of a request. Also what a body's chunk sizes and trailers may add to it."""
    head_s: float = 10.0
    body_s: float = 60.0
    per_address: int = 0
    first_frame_bytes: int = 65_536
    """A WebSocket message of a connection that has not shown a token that may write."""
    trusted_proxies: str = ""
    """Addresses and networks, separated by commas, whose connections are not counted: they are many clients'."""


@dataclass(slots=True)
class Connections:
    """Count the open connections of a process by address."""

    limits: ConnectionLimits = ConnectionLimits()
    _open: Counter[str] = field(default_factory=Counter)

    def enter(self, address: str | None) -> str | None:
        """Count a connection and return the name that ``leave`` takes; None where the address has too many.

        "" stands for one that is not counted: of a proxy, or without an address.
        """
        if not address or not self.limits.per_address or self._is_proxy(address):
            return ""
        place = neighbourhood(address)
        if self._open[place] >= self.limits.per_address:
            return None
        self._open[place] += 1
        return place

    def leave(self, place: str) -> None:
        """Count one connection less."""
        if place:
            self._open[place] -= 1
            if not self._open[place]:
                del self._open[place]

    @property
    def count(self) -> int:
        """Connections that are counted now."""
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
