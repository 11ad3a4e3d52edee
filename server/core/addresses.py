"""What counts as one address."""

from __future__ import annotations

import ipaddress

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
