"""What counts as one address."""

from __future__ import annotations

import ipaddress
import re

_HERE = re.compile(r"(127\.0\.0\.1|\[::1\]|localhost)(:(?P<port>\d{1,5}))?", re.IGNORECASE)

IPV6_PREFIX = 64
"""Bits of an IPv6 address that stand for one customer of a provider; the rest is the customer's own to choose."""


def neighbourhood(address: str) -> str:
    """What is counted as one address: an IPv4 address, an IPv6 network; other text as it is."""
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
    """Return whether a header Host is what a browser on this machine calls the server, at ``port`` unless None.

    Another name may be somebody's who points it here.
    """
    found = _HERE.fullmatch(host)
    return found is not None and port in (None, int(found["port"] or 80))
