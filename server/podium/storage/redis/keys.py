"""The Redis keys of one space (docs/storage.md#redis). All share the hash tag ``{space}``."""

from __future__ import annotations

from podium.storage.redis import wire

FLUSH = "podium:flush"
"""Pub/sub channel on which a read that waits for Postgres asks for a flush of the space that it names."""

GENERATION_MS = wire.GENERATION_S * 1_000
"""Length of a generation of idempotency keys: Redis holds the current and the previous one, so every key of
the last 7 days is there. Which one is current is decided by the clock of Redis (functions/podium.lua)."""


LAYOUT = "2"
"""The layout of the data in Redis, named in each space's ``meta``. Raise it where this release reads otherwise
what an earlier one wrote: the worker then rebuilds the space once. 2: rankings of groups hold plain names."""


class Keys:
    """The keys of the space with this public id."""

    def __init__(self, space: str) -> None:
        self.prefix = f"{{{space}}}:"
        self.meta = self.prefix + "meta"
        """hash: epoch, catalog (version), logged and trimmed (bytes of log since the epoch), position, layout,
        generation (of idempotency keys)"""
        self.log = self.prefix + wire.LOG
        self.cold = self.prefix + wire.COLD_USERS
        """hash: evicted user -> the token that Postgres holds"""
        self.names = self.prefix + wire.NAMES
        self.numbers = self.prefix + wire.NUMBERS
        self.due = self.prefix + wire.DUE
        """sorted set: users by the instant (ms) at which time next brings them something"""
        self.set_aside = self.prefix + "aside"
        """hash: items that jobs of the worker have set aside (telemetry/set_aside.py)"""
        self.sessions = self.prefix + "console:"
        """prefix of strings: sessions of the console, which a rebuild leaves as they are"""
        self.events = self.prefix + wire.EVENTS
        """pub/sub channel: the items of each commit, as in its log entry"""

    def user(self, user: str) -> str:
        """Hash: ``t`` token, ``s`` blob, and per board the user's member."""
        return f"{self.prefix}{wire.USER}{user}"

    def undo(self, user: str) -> str:
        """String: what support did to the user a moment ago and may take back."""
        return f"{self.prefix}undo:{user}"

    def session(self, session: str) -> str:
        """String: a session of the console, while it lasts."""
        return f"{self.sessions}{session}"

    def idempotency(self, generation: int, user: str) -> str:
        """Set of 64-bit hashes."""
        return f"{self.prefix}{wire.KEYS}{generation}:{user}"

    def board(self, board: str) -> str:
        """Sorted set."""
        return f"{self.prefix}{wire.BOARD}{board}"

    def distinct(self, board: str) -> str:
        """Sorted set of a board's distinct scores, where ranks are dense."""
        return f"{self.prefix}{wire.DISTINCT}{board}"

    def beside_groups(self, board: str) -> list[str]:
        """Return the keys beside a ranking of groups: hashes of the sums of members' scores and of their count."""
        return [f"{self.prefix}{wire.SUMS}{board}", f"{self.prefix}{wire.COUNTS}{board}"]

    def process(self, process: str) -> str:
        """Hash: ``n`` number of the last call, ``r`` its reply."""
        return f"{self.prefix}{wire.PROCESS}{process}"

    def channel(self, board: str) -> str:
        """Pub/sub channel of a board."""
        return f"{self.prefix}{wire.CHANNEL}{board}"


def generation(now_ms: int) -> int:
    """The generation of idempotency keys at an instant."""
    return now_ms // GENERATION_MS
