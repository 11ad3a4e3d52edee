"""The channels ``user#{userId}``: one publication for each event of a user, whichever process committed it.

Redis publishes each commit of a space once, for all users. A process subscribes only while somebody here watches a
user of that space, and decodes only the records and states of those users.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from podium.game.records import LogItem
from podium.live.base_view import BaseView, Stats, Viewer
from podium.live.channels import UserChannel
from podium.live.subscriber import Listener
from podium.spaces.space import Space
from podium.storage.redis.wire import decode_commit

RESET = '{"reset":true}'
"""Published where events may have been missed: the client fetches what it shows."""

log = structlog.get_logger(__name__)


LoggedAnswer = Callable[[Space, LogItem], bytes | None]
"""Return the answer that the event of a log item was given, as JSON; None where nothing is shown."""


class UserView(BaseView):
    """The viewers of one user's events."""

    def __init__(self, name: UserChannel, stats: Stats) -> None:
        super().__init__(str(name), stats)
        self.name = name

    def snapshot(self) -> str:
        """Return an empty object: events have no state of their own."""
        return "{}"

    def publish(self, data: str) -> None:
        """Send the JSON to every viewer."""
        self._send_all(self._frame(data))

    def _catch_up_frame(self) -> str:
        return self._frame(RESET)


class UserEvents:
    """The views of the users of one space.

    Views are by user id, then by the id as the client wrote it: publications carry the channel's name as
    subscribed, and one id can be percent-encoded in many ways.
    """

    def __init__(self, space: Space, listener: Listener, stats: Stats, answer: LoggedAnswer) -> None:
        self.space = space
        self._listener = listener
        self._stats = stats
        self._answer = answer
        self._views: dict[str, dict[str, UserView]] = {}

    def __bool__(self) -> bool:
        return bool(self._views)

    def views(self) -> list[UserView]:
        """Return all views."""
        return [view for views in self._views.values() for view in views.values()]

    async def join(self, name: UserChannel, viewer: Viewer) -> UserView:
        """Subscribe a viewer to the events that are committed from now on.

        Raises:
            Unavailable: Redis is away.
        """
        views = self._views.setdefault(name.user, {})
        view = views.get(name.quoted)
        if view is None:
            view = views[name.quoted] = UserView(name, self._stats)
        view.viewers[viewer] = None  # before the await: what is published during it must reach the viewer
        try:
            await self._listener.subscribe(self.space.keys.events)
        except BaseException:
            self.leave(view, viewer)
            raise
        return view

    def leave(self, view: UserView, viewer: Viewer) -> None:
        """Remove a viewer, and its view if it was the last."""
        view.leave(viewer)
        views = self._views.get(view.name.user)
        if not view.viewers and views is not None and views.get(view.name.quoted) is view:
            del views[view.name.quoted]
            if not views:
                del self._views[view.name.user]

    def publish_commit(self, data: bytes) -> None:
        """Publish the events of one commit to the users' views."""
        try:
            items = [item for item in decode_commit(data) if item.user in self._views]
            answers = [self._answer(self.space, item) for item in items]
        except (msgspec.DecodeError, ValueError):
            log.exception("live_events_unreadable", space=self.space.public_id)
            self.publish_reset()
            return
        for item, answer in zip(items, answers, strict=True):
            if answer is not None:
                for view in self._views[item.user].values():
                    view.publish(answer.decode())

    def publish_reset(self) -> None:
        """Tell every viewer that events may have been missed."""
        for view in self.views():
            view.publish(RESET)
