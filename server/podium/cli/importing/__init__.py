"""``podium import``: check a file of events as a whole, sort it by time, and send it so that it counts once."""

from __future__ import annotations

from podium.cli.importing.command import import_

__all__ = ["import_"]
