"""Signing in with an admin key or an account, and out."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.backends.postgres.pool import acquired
from server.console import accounts
from server.console.render import page
from server.console.sessions import session_of, sign_in, sign_out
from server.core.addresses import neighbourhood
from server.core.errors import Forbidden, Unauthorized, Unprocessable
from server.http.rate_limits import Buckets
from server.http.services import services

TRIES, TRIES_S = 10, 300.0
"""Attempts of one address, and of one e-mail, within so many seconds, in one web process."""

_WRONG = "That is no admin key, and no e-mail with its password."


async def get_sign_in(request: Request) -> Response:
    """The form; who is signed in goes on."""
    if await session_of(request) is not None:
        return RedirectResponse(_next(request.query_params.get("next", "")), 303)
    return _form(request)


async def post_sign_in(request: Request) -> Response:
    """Check what was typed; 303 to the page that was asked for, else the form again."""
    parts = services(request)
    if not _same_origin(request):
        return _form(request, 403, "Sign in on this page itself.")
    form = {name: str(value) for name, value in (await request.form()).items()}
    target = _next(form.get("next", ""))
    done = RedirectResponse(target, 303)
    if form.get("demo") and _is_demo(request):
        space = parts.directory.production
        # As the key of podium dev would: its name stands in the audit log.
        key = parts.directory.any_admin_key(space)
        sign_in(done, request, space, "key", key, "podium dev", "admin")
        return done
    address = request.client.host if request.client else ""
    email, secret = form.get("email", "").strip()[:255], form.get("secret", "").strip()[:1_000]
    for who in {("address", neighbourhood(address)), ("email", email.lower())} - {("email", "")}:
        if _tries(request).take(who, parts.clock()).left < 0:
            return _form(request, 429, "Too many attempts. Wait some minutes.")
    if email:
        async with acquired(parts.pool) as connection:
            account = await accounts.check(connection, email, secret)
        spaces = {space.id: space for space in parts.directory.spaces.values()}
        if account is None or account.space_id not in spaces:
            return _form(request, 403, _WRONG)
        sign_in(done, request, spaces[account.space_id], "account", account.id, account.name, account.role)
        return done
    try:
        found = parts.directory.enter(secret, form.get("tenant", "").strip())
    except Unauthorized:
        return _form(request, 403, _WRONG)
    except (Unprocessable, Forbidden) as error:
        return _form(request, 403, error.message)
    if "admin" not in found.capabilities or found.user is not None:
        return _form(request, 403, "That key is good, but it is no admin key.")
    sign_in(done, request, found.space, "key", found.key_id, found.name, "admin")
    return done


async def post_sign_out(_: Request) -> Response:
    """Forget the session."""
    done = RedirectResponse("/console/sign-in", 303)
    sign_out(done)
    return done


def _form(request: Request, status: int = 200, problem: str = "") -> Response:
    asked = request.query_params.get("next", "")
    tenants = services(request).directory.multi_tenancy
    return page(
        request, "sign_in.html", status, problem=problem, next=asked, demo=_is_demo(request), tenants=tenants
    )


def _next(asked: str) -> str:
    """A page of ours to go to: nothing that leads elsewhere."""
    return asked if asked.startswith("/console/") and "\\" not in asked and "//" not in asked else "/console/"


def _same_origin(request: Request) -> bool:
    """Whether a form came from a page of ours. Browsers send Origin with every POST."""
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def _is_demo(request: Request) -> bool:
    """Whether signing in needs no secret: `podium dev`, from this machine."""
    host = request.client.host if request.client else ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    return local and bool(getattr(request.app.state.services.settings, "demo", False))


def _tries(request: Request) -> Buckets:
    state = request.app.state
    if not hasattr(state, "console_tries"):
        state.console_tries = Buckets(TRIES / TRIES_S, TRIES_S)
    buckets: Buckets = state.console_tries
    return buckets
