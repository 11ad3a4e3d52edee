"""Find the server that a command calls, and the headers that requests to it need."""

from __future__ import annotations

from pathlib import Path

import httpx
import msgspec

from podium.game.errors import StartError

DEFAULT_URL = "http://127.0.0.1:8000"
DEV_FILE = Path(".podium/dev.json")
"""The file to which ``podium dev`` writes its URL and its admin key."""
TENANT_HELP = "Customer id of the tenant, where the server has tenants."


class _DevFile(msgspec.Struct, rename="camel"):
    url: str
    admin_key: str


def find_server(url: str | None, key: str | None) -> tuple[str, str]:
    """Return the URL and the admin key to use. The key in DEV_FILE is sent only to the server named there.

    Raises:
        StartError: No key was given, and DEV_FILE has none for this server.
    """
    if key and key.strip():
        return url or DEFAULT_URL, key.strip()
    try:
        dev = msgspec.json.decode(DEV_FILE.read_bytes(), type=_DevFile)
    except FileNotFoundError:
        raise StartError("An admin key is needed: --key KEY, or PODIUM_API_KEY in the environment.") from None
    except (OSError, msgspec.DecodeError) as error:
        raise StartError(f"{DEV_FILE} can't be read, so --key is needed: {error}.") from None
    if url is not None and url.rstrip("/") != dev.url.rstrip("/"):
        raise StartError(f"An admin key of {url} is needed: --key KEY, or PODIUM_API_KEY in the environment.")
    return dev.url, dev.admin_key


def headers_of(key: str, tenant: str | None) -> httpx.Headers:
    """Return the headers with API key and tenant.

    Raises:
        StartError: The key or the tenant has characters that a header can't carry.
    """
    if not key.isascii() or not key.isprintable():
        raise StartError("The key holds characters that no key has.")
    headers = {"X-API-KEY": key}
    if tenant is not None:
        if not tenant.isprintable() or any(ord(one) > 255 for one in tenant):
            raise StartError("--tenant holds characters that a header can't carry.")
        headers["Tenant-ID"] = tenant
    return httpx.Headers(headers, encoding="latin-1")  # as servers read them
