"""Signing in with an admin key or an account, and out."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote, urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from podium.console import accounts
from podium.console import sign_in_attempts as tries
from podium.console.forms import form_of
from podium.console.pages.page import Page
from podium.console.render import page
from podium.console.sessions import session_of, sign_in, sign_out
from podium.console.stores import connection_within_limit
from podium.game.errors import Forbidden, Unauthorized, Unprocessable
from podium.http.addresses import is_here, neighbourhood
from podium.http.services import services
from podium.spaces import audit
from podium.spaces.audit import Entry

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
"""Headers that proxies and tunnels add. Requests through them come from elsewhere, though from a local address."""

_WRONG = "That is no admin key, and no e-mail with its password."
_OURS = "Sign in on this page itself."


async def get_sign_in(request: Request) -> Response:
    """Render the sign-in form, or redirect a person who is signed in."""
    asked = request.query_params.get("next", "")
    if await session_of(request) is not None:
        return RedirectResponse(inside(asked), 303)
    return _form(request, {"next": asked})


async def post_sign_in(request: Request) -> Response:
    """Check the credentials; redirect to the page that was asked for, or render the form again."""
    parts = services(request)
    form = await form_of(request)
    if not _same_origin(request):
        return _form(request, form, 403, _OURS)
    done = RedirectResponse(inside(form.get("next", "")), 303)
    if form.get("demo") and _one_click(request):
        space = parts.directory.production
        # By the key of podium dev, whose name then appears in the audit log.
        await sign_in(done, request, space, "key", parts.directory.any_admin_key(space), "podium dev", "admin")
        return done
    address = neighbourhood(request.client.host if request.client else "")
    attempt = await tries.take(parts.redis, address, form.get("email", "").strip()[:255], parts.clock())
    if attempt.wait_s:
        minutes = -(-attempt.wait_s // 60)
        text = f"Too many attempts. Try again in {minutes} {'minutes' if minutes > 1 else 'minute'}."
        refused = _form(request, form, 429, text)
        refused.headers["Retry-After"] = str(attempt.wait_s)
        return refused
    problem = await _enter(done, request, form)
    if problem:
        return _form(request, form, 403, problem)
    await tries.succeeded(parts.redis, attempt)
    return done


async def _enter(done: Response, request: Request, form: dict[str, str]) -> str:
    """Begin a session if the credentials are valid; return "" then, else the problem."""
    parts = services(request)
    email, secret = form.get("email", "").strip()[:255], form.get("secret", "").strip()[:1_000]
    if "\0" in email:
        return _WRONG  # no account has it, and Postgres refuses such text
    if email:
        spaces = {space.id: space for space in parts.directory.spaces.values()}
        account = await accounts.check(parts.pool, email, secret)
        if account is None or account.space_id not in spaces:
            return _WRONG
        space = spaces[account.space_id]
        if space.archived:
            return "The tenant is archived."
        entry = Entry("sign in", "console account", account.email)
        async with connection_within_limit(parts.pool) as connection:
            who = f"{account.name} (console, account {account.id})"
            await audit.write(connection, account.space_id, who, [entry])
        await sign_in(done, request, space, "account", account.id, account.name, account.role, account.mark)
        return ""
    tenant = form.get("tenant", "").strip()
    try:
        found = parts.directory.enter(secret, tenant)
    except Unauthorized:
        return _WRONG
    except Unprocessable:
        return "There is no tenant with this customer id." if tenant else "Fill in the tenant, too."
    except Forbidden as error:
        return f"{error.message}."
    if "admin" not in found.capabilities or found.user is not None:
        return "That key is good, but it is no admin key."
    await sign_in(done, request, found.space, "key", found.key_id, found.name, "admin")
    return ""


async def post_sign_out(request: Request) -> Response:
    """End the session and redirect to the sign-in form."""
    done = RedirectResponse("/console/sign-in", 303)
    await sign_out(done, request)
    return done


async def get_session(request: Request) -> Response:
    """Answer ``/console/session.json``, with which pages check that the session is still valid (else 401)."""
    session = request.state.session
    return Response(orjson.dumps({"name": session.name, "role": session.role}), media_type="application/json")


def inside(asked: str) -> str:
    """Return ``asked`` if it is a path inside the console, else the console's start page."""
    if not asked.isascii() or not asked.isprintable() or " " in asked or "\\" in asked:
        return "/console/"  # browsers normalise some of these characters
    try:
        split = urlsplit(asked)
    except ValueError:
        return "/console/"
    leads_out = split.scheme or split.netloc or ".." in unquote(split.path).split("/")
    return asked if split.path.startswith("/console/") and not leads_out else "/console/"


def _form(request: Request, typed: dict[str, str], status: int = 200, problem: str = "") -> Response:
    """Render the form with what was typed, without the secret."""
    kept = {name: typed.get(name, "") for name in ("next", "email", "tenant")}
    tenants = services(request).directory.multi_tenancy
    return page(
        request, "sign_in.html", status, problem=problem, typed=kept, demo=_one_click(request), tenants=tenants
    )


def _same_origin(request: Request) -> bool:
    """Return whether a form was sent by a page of this server. Browsers send Origin with every POST."""
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] == request.headers.get("host")


def _one_click(request: Request) -> bool:
    """Return whether to offer signing in without a secret: in `podium dev`, for a browser on this machine.

    The Host must be one of the machine's own names, with the server's own port: a tunnel on this machine that
    passes Host on has another.
    """
    if not services(request).settings.console_one_click or any(name in request.headers for name in _FORWARDED):
        return False
    client = request.client.host if request.client else ""
    try:
        local = ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False
    server = request.scope.get("server")
    return local and server is not None and is_here(request.headers.get("host", ""), server[1])


PAGES = (
    Page("/console/sign-out", post_sign_out, "POST", once=False),
    Page("/console/session.json", get_session, in_outages=True),
)
