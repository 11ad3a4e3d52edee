"""Every error as the contract's ``{"error": text}`` (docs/http-api.md#errors)."""

from __future__ import annotations

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from podium.game.errors import PodiumError, RequestError, Unavailable
from podium.game.ids import printable
from podium.http.answers import answer

log = structlog.get_logger(__name__)


def answer_error(error: Exception, method: str, path: str) -> Response:
    """The answer to an error. What is not a client's mistake nor a store away is ours, and is logged here."""
    if isinstance(error, RequestError | Unavailable):
        retry_after_s = getattr(error, "retry_after_s", None)
        headers = None if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        return answer({"error": printable(error.message)}, error.status, headers)
    if isinstance(error, HTTPException):
        return answer({"error": error.detail}, error.status_code, error.headers)
    if isinstance(error, ClientDisconnect):
        return answer({"error": "The client went away"}, 400)
    log.error("request_failed", method=method, path=path, exc_info=error)
    return answer({"error": "Internal error"}, 500)


async def handle_error(request: Request, error: Exception) -> Response:
    """``answer_error`` as Starlette's exception handler."""
    return answer_error(error, request.method, request.scope["path"])


EXCEPTION_HANDLERS = {HTTPException: handle_error, PodiumError: handle_error}
"""For the Starlette application: its own 404 and 405, and what routes.py does not wrap."""
