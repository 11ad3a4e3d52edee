"""The console's routes: sessions and roles, forms that can't be forged or executed twice, errors as pages.

To add a page, write a handler and add a line to its module's ``PAGES``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote, urlencode

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from podium.clock import stopwatch_s
from podium.console.accounts import Role
from podium.console.forms import form_of
from podium.console.internal_api import has_begun
from podium.console.middleware import Shell
from podium.console.pages import actions, audit, boards, debug, overview, sign_in, user, users
from podium.console.pages.page import Page
from podium.console.render import page
from podium.console.sessions import principal_of, session_of
from podium.console.stores import within_limit
from podium.game.errors import PodiumError, RequestError, Unavailable
from podium.http.routes import EscapedRoute, Observe
from podium.http.services import services

FORM_S = 3_600
"""Seconds for which a form is remembered. Sent again within them, it does nothing."""
TYPED_MAX = 4_000
"""Characters of a form, percent-encoded, that are kept while its user signs in again."""
STATIC = "/console/static"

log = structlog.get_logger(__name__)

PAGES: tuple[Page, ...] = (
    *overview.PAGES,
    *users.PAGES,
    *user.PAGES,
    *debug.PAGES,
    *actions.PAGES,
    *boards.PAGES,
    *audit.PAGES,
)
"""All pages that need a session."""


def console_routes(web: Path, observe: Observe = lambda *_: None) -> list[BaseRoute]:
    """Return the routes of ``/console`` and its files."""
    inside: list[BaseRoute] = [
        Route("/console", lambda _: RedirectResponse("/console/")),
        Mount(STATIC, StaticFiles(directory=web / "console")),
        Route("/console/sign-in", _guarded(sign_in.get_sign_in), methods=["GET"]),
        Route("/console/sign-in", _guarded(sign_in.post_sign_in), methods=["POST"]),
        *(EscapedRoute(one.path, _observed(one, observe), methods=[one.method]) for one in PAGES),
    ]
    return [Shell("/console", STATIC, inside)]


def _observed(one: Page, observe: Observe) -> Callable[[Request], Awaitable[Response]]:
    handler = _signed_in(one)

    async def handle(request: Request) -> Response:
        began_s = stopwatch_s()
        response = await handler(request)
        observe(one.method, one.path, stopwatch_s() - began_s)
        return response

    return handle


def _signed_in(one: Page) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        found = await session_of(request, in_outages=one.in_outages)
        if found is None:
            return await _signed_out(request)
        session, space = found
        request.state.session, request.state.space = session, space
        request.state.principal = principal_of(session, space)
        if not session.may(one.role):
            return _refused(request, one.role)
        if one.method == "GET":
            return await _handled(request, one)
        form = await form_of(request)
        if not session.verifies(form.get("csrf", "")):
            return page(request, "problem.html", 403, title="Not sent", message=_FORGED)
        request.state.form = form
        once = one.once and form.get("step", "") not in one.previews
        return await (_once(request, one) if once else _handled(request, one))

    return _guarded(handle)


async def _handled(request: Request, one: Page) -> Response:
    """Call a page's handler, once more where a newer catalog may allow what it refused."""
    return await services(request).catalogs.retried(request.state.space, lambda: one.handler(request))


_FORGED = "The form does not belong to this session. Go back, reload the page and try again."
_NAMELESS = "The form has no id, so it could be carried out twice. Reload the page and try again."
_TWICE = "This form was sent before and has been carried out. Open the page again to see the present state."
_UNSURE = "It may have been carried out or not: look at the user's page before you send it again."


async def _once(request: Request, one: Page) -> Response:
    """Execute a form, unless it was executed before.

    Redis marks a form as begun before it is executed, and as done afterwards. It stays begun where the result is
    unknown. A form that was refused, or that failed before it called an endpoint, is forgotten and may be sent
    again.
    """
    name = request.state.form.get("form", "")
    if not name:
        return page(request, "problem.html", 422, title="Not sent", message=_NAMELESS)
    raw, key = services(request).redis.raw, f"{request.state.space.keys.prefix}f:{name[:64]}"
    if not await within_limit(raw.set(key, "begun", nx=True, ex=FORM_S)):
        done = await within_limit(raw.get(key)) == b"done"
        return page(request, "problem.html", 409, title="Sent already", message=_TWICE if done else _SENT_UNSURE)
    try:
        response = await _handled(request, one)
    except Exception as error:
        if isinstance(error, RequestError | HTTPException) or not has_begun(request):
            await _try_redis(raw.delete(key))
        else:
            request.state.unsure = True
        raise
    if response.status_code < 400:
        await _try_redis(raw.set(key, "done", xx=True, ex=FORM_S))
    else:
        await _try_redis(raw.delete(key))
    return response


_SENT_UNSURE = "This form was sent before. " + _UNSURE


async def _try_redis(call: Awaitable[object]) -> None:
    """Record the result of a form. While Redis is away it stays begun, which is reported as unknown."""
    try:
        await within_limit(call)
    except Unavailable as error:
        log.debug("form_not_noted", error=str(error))


async def _signed_out(request: Request) -> Response:
    if request.method == "POST":
        form = await form_of(request)
        typed = urlencode({name: text for name, text in form.items() if name not in _OF_THE_SESSION})
        here = _path(request) + (f"?{typed}" if typed and len(typed) <= TYPED_MAX else "")
        again = f"/console/sign-in?next={quote(here, safe='/')}"
        return page(request, "problem.html", 403, title="Signed out", message=_SIGN_IN_AGAIN, again=again)
    if request.scope["path"].endswith(".json") and "text/html" not in request.headers.get("accept", ""):
        # Requests of scripts get JSON: a redirect would give them the sign-in page.
        return Response(orjson.dumps({"error": "Sign in again"}), 401, media_type="application/json")
    return RedirectResponse(f"/console/sign-in?next={_here(request)}", 303)


def _refused(request: Request, role: Role) -> Response:
    message = f"This page needs the role {role}; you are signed in as {request.state.session.role}."
    return page(request, "problem.html", 403, title="Not allowed", message=message)


_OF_THE_SESSION = frozenset({"csrf", "form", "seen", "step", "confirm", "secret"})
"""Fields of a form that are not kept: generated ones, and those that must be typed each time."""
_SIGN_IN_AGAIN = "You were signed out before the form was sent, so nothing was done. Your input is kept."


def _path(request: Request) -> str:
    """Return the path as the client sent it: a user's id may contain a slash as %2F."""
    path: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    return path.decode("latin-1")


def _here(request: Request) -> str:
    """Return path and query, encoded as a value of a query."""
    query = request.scope["query_string"].decode("latin-1")
    return quote(f"{_path(request)}?{query}" if query else _path(request), safe="/")


def _guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def guard(request: Request) -> Response:
        try:
            return await handler(request)
        except RequestError as error:
            title = "Not found" if error.status == 404 else "Request refused"
            return page(request, "problem.html", error.status, title=title, message=error.message)
        except HTTPException as error:
            return page(request, "problem.html", error.status_code, title="Request refused", message=error.detail)
        except PodiumError as error:
            text = _sentence(error.message, request)
            answer = page(request, "problem.html", 503, title="Try again", message=text)
            answer.headers["Retry-After"] = str(getattr(error, "retry_after_s", 1))
            return answer
        except Exception as error:
            log.error("console_failed", path=request.scope["path"], exc_info=error)
            text = _sentence("The log has the details", request)
            return page(request, "problem.html", 500, title="Internal error", message=text)

    return guard


def _sentence(text: str, request: Request) -> str:
    """Return ``text`` as a sentence, with a warning where the result of a form is unknown."""
    text = f"{text[:1].upper()}{text[1:]}."
    return f"{text} {_UNSURE}" if getattr(request.state, "unsure", False) else text
