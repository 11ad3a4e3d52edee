"""Settings: environment variables ``PODIUM_*``, typed and checked at start. docs/settings.md is generated from
here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from podium.game.errors import SettingsError

PREFIX = "PODIUM_"
CLIENT_VARIABLES = frozenset({"PODIUM_API_KEY"})
"""Variables of commands that call a server (`podium import`), which are not settings of the server."""

Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. A variable's name is ``PODIUM_`` and the field's name in capitals."""

    redis_url: Annotated[
        str,
        Meta(
            pattern=r"^(rediss?|unix)://",
            description="Redis or Valkey, 7.0 or newer: `redis://[[user]:password@]host:port/db`. Required.",
        ),
    ]
    database_url: Annotated[
        str,
        Meta(
            pattern=r"^postgres(ql)?://",
            description="Postgres 15 or newer: `postgresql://user:password@host:port/name`. Required.",
        ),
    ]
    database_direct_url: Annotated[
        str,
        Meta(
            pattern=r"^($|postgres(ql)?://)",
            description="The same database without the pooling proxy, for LISTEN. Must be set if "
            "`PODIUM_DATABASE_URL` leads to a pooling proxy; prepared statements are then not kept. "
            "Empty: there is no proxy.",
        ),
    ] = ""
    host: Annotated[str, Meta(description="Address that `podium web` listens on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535, description="Port that `podium web` listens on.")] = 8000
    web_workers: Annotated[int, Meta(ge=1, le=128, description="Web processes that share the port.")] = 1
    shutdown_delay: Annotated[
        float,
        Meta(
            ge=0,
            le=3_600,
            description="Seconds that a web process continues to serve after SIGTERM, while `/readyz` answers "
            "503, so that load balancers send no more requests when it closes. SIGINT (Ctrl-C) ends "
            "that time.",
        ),
    ] = 0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Lowest level that is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"], Meta(description="`json` for machines, `console` for people.")
    ] = "json"
    body_limit: Annotated[
        int,
        Meta(
            ge=1_000,
            le=100_000_000,
            description="Largest request body in bytes; larger ones are answered with 413.",
        ),
    ] = 1_000_000
    batch_limit: Annotated[
        int,
        Meta(
            ge=1_000,
            le=100_000_000,
            description="Largest body of a batch of events, or of a catalog document, in bytes.",
        ),
    ] = 4_000_000
    head_limit: Annotated[
        int,
        Meta(
            ge=32_768,
            le=1_000_000,
            description="Largest head (request line and headers) of a request in bytes; larger ones are answered "
            "with 431.",
        ),
    ] = 65_536
    head_timeout: Annotated[
        float,
        Meta(
            ge=0,
            le=3_600,
            description="Seconds that a connection may be silent before its first request, and that a head may "
            "take to arrive. Then it is closed, with 408 if something had arrived. 0: no limit.",
        ),
    ] = 10
    body_timeout: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="Seconds that a request's body may take to arrive; then 408. 0: no limit.",
        ),
    ] = 60
    connections_per_address: Annotated[
        int,
        Meta(
            ge=0,
            description="Connections of any kind that a web process accepts from one IPv4 address or IPv6 /64 "
            "network; further ones are closed with 429. Those of `PODIUM_TRUSTED_PROXIES` are not "
            "counted. 0: no limit.",
        ),
    ] = 12_000
    multi_tenancy: Annotated[
        bool,
        Meta(
            description="`true`: requests must name a tenant in `Tenant-ID` ([tenants](tenants.md)). `false`: "
            "that header is ignored."
        ),
    ] = False
    rate_limit_key: Annotated[
        float,
        Meta(
            ge=0,
            le=1_000_000,
            description="Requests per second that a web process answers for one API key; ten seconds' worth may "
            "come at once. Further ones are answered with 429. 0: no limit.",
        ),
    ] = 0
    rate_limit_address: Annotated[
        float,
        Meta(
            ge=0,
            le=1_000_000,
            description="The same for one IPv4 address or IPv6 /64 network. Behind a proxy that "
            "`PODIUM_TRUSTED_PROXIES` does not name, all clients have the proxy's address.",
        ),
    ] = 0
    rate_limit_user: Annotated[
        float,
        Meta(
            ge=0,
            le=1_000_000,
            description="Events per second that a web process accepts for one user, over HTTP, in batches and "
            "over the socket; ten seconds' worth may come at once. Further ones are answered with 429 "
            "(error 111). 0: no limit.",
        ),
    ] = 0
    intake_limit: Annotated[
        int,
        Meta(
            ge=1,
            description="Events that may wait in a web process, per space; further ones are answered with 429.",
        ),
    ] = 10_000
    state_cache: Annotated[
        int, Meta(ge=0, description="User states that a web process caches, per space (about 2 KB each).")
    ] = 50_000
    log_limit: Annotated[
        int,
        Meta(
            ge=1_000_000,
            description="Bytes of log that a space may hold in Redis while Postgres is away; beyond it events are "
            "answered with 503. An event takes about 500 bytes, so the default lasts 36 minutes at "
            "1,000 events/s.",
        ),
    ] = 1_000_000_000
    flush_interval: Annotated[
        Seconds, Meta(description="Seconds between two flushes of a space's log to Postgres.")
    ] = 0.2
    evict_after: Annotated[
        float,
        Meta(
            ge=0,
            description="Seconds without an event after which the worker moves a user's state out of Redis; 0: "
            "never.",
        ),
    ] = 30 * 86_400
    catalog_versions: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Newest versions of each space's catalog that are kept in Postgres. Those that the log or "
            "rejected items were computed with stay as well.",
        ),
    ] = 100
    socket_limit: Annotated[
        int, Meta(ge=1_000, le=16_000_000, description="Largest WebSocket message from a client, in bytes.")
    ] = 4_000_000
    socket_first_limit: Annotated[
        int,
        Meta(
            ge=1_000,
            le=16_000_000,
            description="The same before `connect`, and for connections without a key or token that may write "
            "events.",
        ),
    ] = 65_536
    live_per_address: Annotated[
        int,
        Meta(
            ge=0,
            description="Live connections (sockets, event streams) that a web process accepts from one IPv4 "
            "address or IPv6 /64 network; 0: no limit. Behind a proxy that `PODIUM_TRUSTED_PROXIES` "
            "does not name, all viewers have the proxy's address. Connections with an API key are not "
            "counted.",
        ),
    ] = 10_000
    live_per_user: Annotated[
        int, Meta(ge=0, description="Live connections of one user that a web process accepts; 0: no limit.")
    ] = 100
    live_channels: Annotated[int, Meta(ge=0, description="Channels of one live connection; 0: no limit.")] = 128
    live_commands: Annotated[
        int,
        Meta(
            ge=0,
            description="Commands per second of a live connection; two seconds' worth may come at once. 0: no "
            "limit. Connections with an API key have no limit.",
        ),
    ] = 200
    live_channel_bytes: Annotated[
        int, Meta(ge=256, le=65_536, description="Largest name of a channel in bytes.")
    ] = 1_024
    live_speculative: Annotated[
        int,
        Meta(
            ge=0,
            description="Channels of groups and runs without participants, and unusual spellings of other "
            "channels, that a web process opens for viewers without a token, and as many for those "
            "with one; 0: no limit. Connections with an API key have no limit.",
        ),
    ] = 1_000
    metrics_token: Annotated[
        str,
        Meta(
            description="A request with this token (`Authorization: Bearer …`) may read `/metrics` and the "
            "details of `/readyz`. So may an admin key in `X-API-KEY` that is not a tenant's. Empty: "
            "only such a key."
        ),
    ] = ""
    trusted_proxies: Annotated[
        str,
        Meta(
            description="Addresses and networks of reverse proxies, separated by commas: "
            "`10.0.0.5,192.168.0.0/16`. `X-Forwarded-For` and `X-Forwarded-Proto` are used only from "
            "these. Empty: from none."
        ),
    ] = ""
    clock_offset: Annotated[
        float,
        Meta(
            ge=-1e9,
            le=1e9,
            description="For tests only: seconds that are added to the machine's clock.",
        ),
    ] = 0
    demo: Annotated[
        bool,
        Meta(description="Serve the demo page and hand out tokens of its demo user. Not for production."),
    ] = False
    console_plain_http: Annotated[
        bool,
        Meta(
            description="Send the console's cookie over plain HTTP, not only to `localhost`. Only for a network "
            "that nobody else can read."
        ),
    ] = False
    console_one_click: Annotated[
        bool,
        Meta(
            description="Browsers on this machine sign in to the console with one click, without a secret. "
            "`podium dev` sets it. Not for production."
        ),
    ] = False

    @property
    def direct_url(self) -> str:
        """Return the URL for LISTEN, which doesn't work through a pooling proxy."""
        return self.database_direct_url or self.database_url


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment.

    Raises:
        SettingsError: A variable is missing or wrong, or an unknown one begins with ``PODIUM_``: a misspelt one
        would
            silently do nothing. The message names the variable.
    """
    fields = {f.name: f for f in msgspec.structs.fields(Settings)}
    given: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in CLIENT_VARIABLES:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in fields:
            raise SettingsError(f"{variable} is not a setting of Podium; docs/settings.md lists them")
        given[name] = text.strip()
    for name, field in fields.items():
        if field.required and not given.get(name):
            raise SettingsError(f"{PREFIX}{name.upper()} must be set; docs/settings.md describes it")
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        found = re.search(r"`\$\.(\w+)`", str(error))
        name = found.group(1) if found else "?"
        # The message leaves the value out: it may be a URL with a password.
        reason = str(error).split(" - at")[0]
        raise SettingsError(f"{PREFIX}{name.upper()} is not usable: {reason}") from None
    _check_proxies(settings.trusted_proxies)
    return settings


def _check_proxies(proxies: str) -> None:
    # uvicorn accepts any text, and with a misspelt network it would silently trust nobody.
    for proxy in proxies.split(",") if proxies else ():
        try:
            ipaddress.ip_network(proxy.strip())
        except ValueError as error:
            raise SettingsError(f"{PREFIX}TRUSTED_PROXIES is not usable: {error}") from None
