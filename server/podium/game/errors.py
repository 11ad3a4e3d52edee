"""The tree of all errors.

    PodiumError
    ├── RequestError            the client's mistake: answered with its ``status`` and ``{"error": message}``
    │   ├── BadRequest          400  not JSON, or not the documented shape or type
    │   ├── Unauthorized        401  no API key, or one that is unknown or revoked
    │   ├── Forbidden           403  a valid key that may not do this
    │   ├── NotFound            404
    │   ├── TooLarge            413  body over the limit
    │   ├── UnsupportedType     415  a body of another content type than the one that is read
    │   ├── Unprocessable       422  well formed but unacceptable (unknown key, unknown zone, out of range)
    │   └── TooManyRequests     429  try again after ``retry_after_s``
    ├── Unavailable             503  a store is away or catching up; try again after ``retry_after_s``
    │   ├── InputFailed         503  only this input: its user's changes collide, or it hit a bug of Podium
    │   ├── WritesRefused       503  Redis answers but takes no writes: its memory, disk or log is full, …
    │   └── StaleEpoch          503  Redis has another epoch than the caller held, or none
    └── StartError                   refused at start: one sentence for the person at the terminal
        ├── SettingsError            an environment variable is wrong
        └── EmbeddedError            a data folder, port or embedded server is unusable

``code`` is stable and meant for machines (logs, the socket protocol); messages are for people and may change.
409 is never used: published SDKs retry it (docs/http-api.md#errors).
"""

from __future__ import annotations

from typing import ClassVar


class PodiumError(Exception):
    """Root of every error that Podium raises on purpose."""

    code: ClassVar[str] = "internal"

    @property
    def message(self) -> str:
        """Return the message for people."""
        return str(self)


class RequestError(PodiumError):
    """The client's mistake. ``message`` names the field."""

    status: ClassVar[int] = 400
    code = "bad_request"


class BadRequest(RequestError):
    """400: the body is not JSON, or not the documented shape or type."""


class Unauthorized(RequestError):
    """401: no API key, or one that is unknown or revoked."""

    status = 401
    code = "unauthorized"


class Forbidden(RequestError):
    """403: the key is valid but may not do this."""

    status = 403
    code = "forbidden"


class NotFound(RequestError):
    """404: something that the request names does not exist."""

    status = 404
    code = "not_found"


class TooLarge(RequestError):
    """413: the body is over the limit."""

    status = 413
    code = "too_large"


class UnsupportedType(RequestError):
    """415: the body has an unsupported content type."""

    status = 415
    code = "unsupported_type"


class Unprocessable(RequestError):
    """422: well formed but unacceptable."""

    status = 422
    code = "unprocessable"


class Conflict(RequestError):
    """Data on which the request was based have changed meanwhile. The same request may succeed now."""

    status = 409
    code = "conflict"


class TooManyRequests(RequestError):
    """429: too many requests; nothing was stored. Try again after ``retry_after_s`` seconds."""

    status = 429
    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(PodiumError):
    """503: a store is away or catching up. Try again after ``retry_after_s`` seconds."""

    status: ClassVar[int] = 503
    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InputFailed(Unavailable):
    """503: this input could not be processed; others can be."""


class WritesRefused(Unavailable):
    """503: Redis answers but takes no writes, and nothing was written. ``reason`` is one word for machines."""

    code = "writes_refused"

    def __init__(self, message: str, reason: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.reason = reason


class StaleEpoch(Unavailable):
    """503: Redis refused the epoch that this process held. Callers that can read the newest epoch try again with
    it."""

    def __init__(self) -> None:
        super().__init__("Redis is being rebuilt")


class StartError(PodiumError):
    """A command can't start or go on. The message is one sentence that says what to do."""

    code = "start"


class SettingsError(StartError):
    """An environment variable is missing or wrong."""

    code = "settings"


class EmbeddedError(StartError):
    """A data folder, a port or an embedded server is unusable."""

    code = "embedded"
