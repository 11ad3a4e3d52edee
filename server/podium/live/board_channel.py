"""A channel of a leaderboard: its views, and the feed of the board that it shows now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from podium.live.base_view import BaseView, Viewer
from podium.live.board_feeds import Feed
from podium.live.channels import LeaderboardChannel
from podium.live.own_places import OwnPlaces
from podium.live.shapes import Target
from podium.live.view import View
from podium.live.window import Message, Window
from podium.spaces.space import Space


class Watch(NamedTuple):
    """One viewer's subscription. ``public`` returns whether everybody may watch the channel; ``end`` ends it."""

    view: BaseView
    public: Callable[[], bool]
    end: Callable[[Viewer], None]


@dataclass(eq=False, slots=True)
class Channel:
    """One channel of a space, as of a catalog version and a day of the home zone.

    ``views`` are by limit and interval in ms. The board behind a channel changes when its run ends.
    """

    space: Space
    name: LeaderboardChannel
    target: Target
    version: int
    day: date
    feed: Feed
    own_places: OwnPlaces
    views: dict[tuple[int, int], View] = field(default_factory=dict)
    idle_ticks: int = 0
    failed: bool = False
    """The last tick failed on this channel. It is logged once, not every second."""

    @property
    def key(self) -> tuple[str, LeaderboardChannel]:
        """The key of the channel in the process: the space's public id and the name."""
        return self.space.public_id, self.name

    def leave(self, options: tuple[int, int], view: View, viewer: Viewer) -> None:
        """Remove a viewer from a view, and the view if it was the last."""
        view.leave(viewer)
        if not view.viewers:
            view.stop()
            if self.views.get(options) is view:
                del self.views[options]

    def on_delta(self, window: Window, message: Message, best: int) -> None:
        """Pass a change of the board on to the views."""
        self.own_places.advance(message)
        for view in self.views.values():
            view.mark_dirty(window, message.changes, best)

    def on_reread(self, window: Window) -> None:
        """Pass a window that was read again on to the views."""
        self.own_places.invalidate()
        for view in self.views.values():
            view.replace_window(window)

    def show_board(self, feed: Feed, target: Target) -> None:
        """Show another run, or the same in another state."""
        self.feed.watchers.discard(self)
        self.feed, self.target = feed, target
        feed.watchers.add(self)
        self.own_places.show_board(target, feed.number)
        if feed.window is not None:
            for view in self.views.values():
                view.roll(feed.window, target)

    def end(self, reason: str) -> None:
        """End all subscriptions; their viewers are told to subscribe again."""
        self.feed.watchers.discard(self)
        for view in self.views.values():
            view.stop()
            for viewer in view.viewers:
                viewer.unsubscribed(str(self.name), reason)
        for place in self.own_places:
            for viewer in place.viewers:
                viewer.unsubscribed(str(place.name), reason)
        self.stop()

    def stop(self) -> None:
        """Send no more frames."""
        for view in self.views.values():
            view.stop()
        self.views.clear()
        self.own_places.stop()

    def all_views(self) -> Iterable[BaseView]:
        """Return the views of the board and of own places."""
        return [*self.views.values(), *self.own_places]
