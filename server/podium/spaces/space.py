"""One space as a process knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from podium.game.catalog import CatalogIndex
from podium.game.errors import Forbidden
from podium.storage.redis.keys import Keys

NO_TENANT = "default"
"""Value of ``tenant`` in a space without a tenant."""


@dataclass(slots=True)
class Space:
    """A space (an environment, or one tenant in it) in the memory of a process.

    ``index`` and ``epoch`` are replaced when there is a newer catalog or Redis was rebuilt. Read them where they
    are needed, and don't keep them across an await. ``epoch`` is None while Redis can't be used: nothing may be
    written then.
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
        """Record that the log of an epoch has reached an id, which a commit or a store returned."""
        ordered = log_order(log_id)
        if self._reached[0] != epoch or self._reached[1] < ordered:
            self._reached = epoch, ordered, log_id

    def log_id(self, epoch: str) -> str:
        """Return the newest id that the log of this epoch is known to have reached, or ``''``.

        If Redis lacks the entry, it has gone back in time.
        """
        return self._reached[2] if self._reached[0] == epoch else ""


def log_order(log_id: str) -> tuple[int, int]:
    """Return a log id (``<ms>-<number>``) as a tuple that sorts in the order of the log."""
    ms, _, number = log_id.partition("-")
    return int(ms), int(number)


@dataclass(frozen=True, slots=True)
class Principal:
    """The sender of a request: the space, and the key's id, name and capabilities.

    Capabilities are ``admin`` (everything), ``read``, ``events:write`` and ``achievements:complete``. ``user`` is
    the user of an application key. ``reason`` is a reason that was given for the audit log.
    """

    space: Space
    key_id: str
    name: str
    capabilities: frozenset[str]
    user: str | None = None
    reason: str = ""

    @property
    def actor(self) -> str:
        """Return the actor in the audit log."""
        return f"{self.name} ({self.key_id})"

    def check_user(self, user: str) -> None:
        """Check that the key may act for a user.

        Raises:
            Forbidden: The key acts for another user only.
        """
        if self.user is not None and self.user != user:
            raise Forbidden("This key may act for its own user only")

    def may(self, capability: str) -> bool:
        """Return whether the key has a capability."""
        return "admin" in self.capabilities or capability in self.capabilities
