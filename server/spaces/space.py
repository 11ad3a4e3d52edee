"""One space as a process knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.backends.redis.keys import Keys
from server.core.errors import Forbidden
from server.engine.catalog import CatalogIndex

NO_TENANT = "default"
"""The tenant of a space that has none."""


@dataclass(slots=True)
class Space:
    """A space and what this process holds of it: an environment, or one tenant in it.

    ``index`` and ``epoch`` are replaced when a newer catalog, or a rebuilt Redis, is heard of; read them where
    they are needed and don't keep them across an await. ``epoch`` is None while Redis holds none: nothing may
    be written then.
    """

    id: int
    public_id: str
    environment: str
    tenant: str
    realtime_secret: str
    allowed_origins: tuple[str, ...]
    index: CatalogIndex
    epoch: str | None = None
    archived: bool = False
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        self.keys = Keys(self.public_id)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sent a request: the space that the key belongs to, the key's id and name, and what it may do.

    Capabilities: ``admin`` (everything), ``read``, ``events:write``, ``achievements:complete``. ``user`` is the
    one that an application key acts for. ``reason`` is why, in words for the audit log, where somebody gave one.
    """

    space: Space
    key_id: str
    name: str
    capabilities: frozenset[str]
    user: str | None = None
    reason: str = ""

    @property
    def actor(self) -> str:
        """Who this is in the audit log."""
        return f"{self.name} ({self.key_id})"

    def check_user(self, user: str) -> None:
        """``Forbidden`` if the key acts for another user only."""
        if self.user is not None and self.user != user:
            raise Forbidden("This key may act for its own user only")

    def may(self, capability: str) -> bool:
        """Whether the key may do this."""
        return "admin" in self.capabilities or capability in self.capabilities
