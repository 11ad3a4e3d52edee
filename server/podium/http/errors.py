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
    """Return the answer to an error; one that is neither the client's nor a store's is logged and becomes 500."""
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
    """Call ``answer_error`` with Starlette's signature of an exception handler."""
    return answer_error(error, request.method, request.scope["path"])


EXCEPTION_HANDLERS = {HTTPException: handle_error, PodiumError: handle_error}
"""Handlers for the Starlette application: for its own 404 and 405, and for routes without endpoints.Endpoint."""
