"""``podium import``: a file of events, checked whole, sorted by time and sent so that it counts once."""

from __future__ import annotations

from podium.cli.importing.command import import_

__all__ = ["import_"]
