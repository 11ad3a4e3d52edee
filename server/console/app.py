"""The console's routes: who may see a page, forms that can't be forged or sent twice, errors as pages.

A new page is a handler and a line in its module's ``PAGES``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from secrets import compare_digest
from urllib.parse import quote

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from server.backends.redis.client import AWAY
from server.clock import stopwatch_s
from server.console.accounts import Role
from server.console.pages import actions, boards, debug, overview, sign_in, user, users
from server.console.pages.page import Page
from server.console.render import page
from server.console.sessions import principal_of, session_of
from server.core.errors import PodiumError, RequestError, Unavailable
from server.http.routes import EscapedRoute, Observe
from server.http.services import services

FORM_S = 3_600
"""How long a form that was sent is remembered: sent again within it, it does nothing."""

log = structlog.get_logger(__name__)

PAGES: tuple[Page, ...] = (*overview.PAGES, *users.PAGES, *user.PAGES, *debug.PAGES, *actions.PAGES, *boards.PAGES)
"""All but those that need nobody signed in."""


def console_routes(web: Path, observe: Observe = lambda *_: None) -> list[BaseRoute]:
    """``/console`` and what it needs."""
    return [
        Route("/console", lambda _: RedirectResponse("/console/")),
        Mount("/console/static", StaticFiles(directory=web / "console")),
        Route("/console/sign-in", _guarded(sign_in.get_sign_in), methods=["GET"]),
        Route("/console/sign-in", _guarded(sign_in.post_sign_in), methods=["POST"]),
        *(EscapedRoute(one.path, _observed(one, observe), methods=[one.method]) for one in PAGES),
    ]


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
        found = await session_of(request)
        if found is None:
            if one.method == "GET":
                return RedirectResponse(f"/console/sign-in?next={_here(request)}", 303)
            return page(request, "problem.html", 403, title="Signed out", message="Sign in again, please.")
        session, space = found
        request.state.session, request.state.space = session, space
        request.state.principal = principal_of(session, space)
        if not session.may(one.role):
            return _refused(request, one.role)
        if one.method == "POST":
            form = await request.form()
            if not compare_digest(str(form.get("csrf", "")).encode(), session.csrf.encode()):
                return page(request, "problem.html", 403, title="Not sent", message=_FORGED)
            request.state.form = {name: str(value) for name, value in form.items()}
            if not await _first(request):
                return page(request, "problem.html", 409, title="Sent already", message=_TWICE)
        return await one.handler(request)

    return _guarded(handle)


_FORGED = "The form was not one of this session. Go back, reload the page and try again."
_TWICE = "This form was sent before, and has been carried out. Open the page again to see what is."


async def _first(request: Request) -> bool:
    """Whether a form comes for the first time."""
    name = request.state.form.get("form", "")
    if not name:
        return True
    try:
        key = f"{request.state.space.keys.prefix}f:{name[:64]}"
        return bool(await services(request).redis.raw.set(key, "1", nx=True, ex=FORM_S))
    except AWAY as error:
        raise Unavailable("Redis is away") from error


def _refused(request: Request, role: Role) -> Response:
    message = f"This needs the role {role}; you are signed in as {request.state.session.role}."
    return page(request, "problem.html", 403, title="Not allowed", message=message)


def _here(request: Request) -> str:
    return quote(request.url.path + (f"?{request.url.query}" if request.url.query else ""), safe="/")


def _guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def guard(request: Request) -> Response:
        try:
            return await handler(request)
        except RequestError as error:
            title = "Not found" if error.status == 404 else "That didn't work"
            return page(request, "problem.html", error.status, title=title, message=error.message)
        except HTTPException as error:
            return page(request, "problem.html", error.status_code, title="That didn't work", message=error.detail)
        except PodiumError as error:
            return page(request, "problem.html", 503, title="Try again", message=str(error))
        except Exception as error:
            log.error("console_failed", path=request.url.path, exc_info=error)
            return page(request, "problem.html", 500, title="Our mistake", message="The log has the details.")

    return guard
