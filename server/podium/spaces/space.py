"""One space as a process knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from podium.game.catalog import CatalogIndex
from podium.game.errors import Forbidden
from podium.storage.redis.keys import Keys

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
    _reached: tuple[str | None, tuple[int, int], str] = field(init=False, default=(None, (0, 0), ""))

    def __post_init__(self) -> None:
        self.keys = Keys(self.public_id)

    def note_log_id(self, epoch: str, log_id: str) -> None:
        """Remember that the log of an epoch has reached an id: a commit's answer, or what a store says."""
        ordered = log_order(log_id)
        if self._reached[0] != epoch or self._reached[1] < ordered:
            self._reached = epoch, ordered, log_id

    def log_id(self, epoch: str) -> str:
        """The newest id that the log of this epoch is known to have reached, or ``''``.

        Redis lacks it only if it has gone back in time.
        """
        return self._reached[2] if self._reached[0] == epoch else ""


def log_order(log_id: str) -> tuple[int, int]:
    """A log id (``<ms>-<number>``) as what orders it."""
    ms, _, number = log_id.partition("-")
    return int(ms), int(number)


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
