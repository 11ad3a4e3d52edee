"""Addresses of stores, changed in one part."""

from __future__ import annotations

from urllib.parse import quote, urlsplit


def with_parts(
    url: str,
    *,
    username: str | None = None,
    password: str | None = None,
    port: int | None = None,
    database: str | None = None,
) -> str:
    """Return ``url`` with the parts that are given; the others, and the query, stay."""
    split = urlsplit(url)
    user = split.username if username is None else quote(username, safe="")
    secret = split.password if password is None else quote(password, safe="")
    login = "" if user is None and secret is None else f"{user or ''}{'' if secret is None else f':{secret}'}@"
    at = split.port if port is None else port
    place = f"{split.hostname or ''}{'' if at is None else f':{at}'}"
    path = split.path if database is None else f"/{database}"
    return split._replace(netloc=login + place, path=path).geturl()


def database_of(url: str) -> str:
    """Return the name of the database."""
    return urlsplit(url).path.removeprefix("/")
