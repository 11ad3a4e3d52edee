"""Client addresses: which of them count as one, and which mean this machine."""

from __future__ import annotations

import ipaddress
import re

_HERE = re.compile(r"(127\.0\.0\.1|\[::1\]|localhost)(:(?P<port>\d{1,5}))?", re.IGNORECASE)

IPV6_PREFIX = 64
"""Bits of an IPv6 address that identify a provider's customer, who may choose all the rest."""


def neighbourhood(address: str) -> str:
    """Return the network that counts as one client: an IPv4 address, or an IPv6 network.

    Text that is no IP address is returned as it is.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, IPV6_PREFIX), strict=False))


def is_here(host: str, port: int | None = None) -> bool:
    """Return whether a header Host names this machine, at ``port`` unless that is None.

    No other name is safe: anybody can point a domain at 127.0.0.1 (DNS rebinding).
    """
    found = _HERE.fullmatch(host)
    return found is not None and port in (None, int(found["port"] or 80))
