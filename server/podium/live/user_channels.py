"""The channels ``user#{userId}``: one publication for each event of a user, wherever it was posted.

Redis publishes what every commit of a space wrote, once for all users; a process listens only while somebody here
watches a user of that space, and opens only the items of those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog

from podium.live import protocol
from podium.live.channels import UserChannel
from podium.live.subscriber import Listener
from podium.live.view import Stats, Viewer
from podium.spaces.space import Space

RESET = '{"reset":true}'
"""Published where events may have been missed: fetch what you show."""

log = structlog.get_logger(__name__)


class _Item(NamedTuple):
    """An item of a log entry, of which only the user is read."""

    user: str
    token: msgspec.Raw
    state: msgspec.Raw
    record: msgspec.Raw
    ranks: msgspec.Raw
    groups: msgspec.Raw = msgspec.Raw()


_decode_users = msgspec.msgpack.Decoder(list[_Item]).decode

Describe = Callable[[Space, bytes, list[int]], list[bytes | None]]
"""The answers that the events of a commit were given, as JSON, of the items at these places; None for no event."""


class UserView:
    """The viewers of one user's events. Has what a viewer's ``Watch`` needs."""

    def __init__(self, name: UserChannel, stats: Stats) -> None:
        self.name = name
        self.viewers: dict[Viewer, None] = {}
        self.behind: set[Viewer] = set()
        self._stats = stats
        self._head = protocol.publication_head(str(name))

    def snapshot(self) -> str:
        """Events have no state of their own."""
        return "{}"

    def catch_up(self, viewer: Viewer) -> None:
        """The viewer has room again: is told that it missed events."""
        if viewer in self.behind:
            self.behind.discard(viewer)
            self._send(viewer, self._head + RESET + protocol.PUBLICATION_TAIL)

    def leave(self, viewer: Viewer) -> None:
        """The viewer watches no longer."""
        self.viewers.pop(viewer, None)
        self.behind.discard(viewer)

    def publish(self, data: str) -> None:
        """Tell all."""
        frame = self._head + data + protocol.PUBLICATION_TAIL
        for viewer in self.viewers:
            if viewer not in self.behind:
                self._send(viewer, frame)

    def _send(self, viewer: Viewer, frame: str) -> None:
        if viewer.offer(frame):
            self._stats.frames_sent += 1
        else:
            self.behind.add(viewer)


class UserEvents:
    """Who watches users of one space."""

    def __init__(self, space: Space, listener: Listener, stats: Stats, describe: Describe) -> None:
        self.space = space
        self._listener = listener
        self._stats = stats
        self._describe = describe
        self._views: dict[str, dict[str, UserView]] = {}

    def __bool__(self) -> bool:
        return bool(self._views)

    def views(self) -> list[UserView]:
        """All views."""
        return [view for views in self._views.values() for view in views.values()]

    async def join(self, name: UserChannel, viewer: Viewer) -> UserView:
        """Watch: events that are posted from now on are told. ``Unavailable`` where Redis is away."""
        views = self._views.setdefault(name.user, {})
        view = views.get(name.quoted)
        if view is None:
            view = views[name.quoted] = UserView(name, self._stats)
        view.viewers[viewer] = None
        try:
            await self._listener.subscribe(self.space.keys.events)
        except BaseException:
            self.leave(view, viewer)
            raise
        return view

    def leave(self, view: UserView, viewer: Viewer) -> None:
        """The viewer watches no longer."""
        view.leave(viewer)
        views = self._views.get(view.name.user)
        if not view.viewers and views is not None and views.get(view.name.quoted) is view:
            del views[view.name.quoted]
            if not views:
                del self._views[view.name.user]

    def heard(self, data: bytes) -> None:
        """A commit was done."""
        try:
            users = _decode_users(data)
            places = [i for i, item in enumerate(users) if item.user in self._views]
            answers = self._describe(self.space, data, places) if places else []
        except (msgspec.DecodeError, ValueError):
            log.exception("live_events_unreadable", space=self.space.public_id)
            self.lost()
            return
        for i, answer in zip(places, answers, strict=True):
            if answer is not None:
                for view in self._views[users[i].user].values():
                    view.publish(answer.decode())

    def lost(self) -> None:
        """Some commits may not have been heard of."""
        for view in self.views():
            view.publish(RESET)
