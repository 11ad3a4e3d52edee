"""People who post, with a browser page to watch: ``locust -f loadtest/locustfile.py -H http://127.0.0.1:8000``.

The key comes from PODIUM_KEY, or from ``.podium/dev.json`` of ``podium dev``. For figures use bench.py: one locust
process posts a few hundred events a second at most.
"""

from __future__ import annotations

import json
import os
import random
import uuid
from pathlib import Path

from locust import HttpUser, between, task

METRIC = os.environ.get("PODIUM_METRIC", "words-written")
BOARD = os.environ.get("PODIUM_BOARD", "all-time")


def _key() -> str:
    given = os.environ.get("PODIUM_KEY")
    return given or json.loads(Path(".podium/dev.json").read_text())["adminKey"]


class Writer(HttpUser):
    """Someone who writes now and then, and looks at the board."""

    wait_time = between(0.1, 1.0)

    def on_start(self) -> None:
        self.id = f"locust-{uuid.uuid4().hex[:8]}"
        self.client.headers["X-API-KEY"] = _key()

    @task(5)
    def write(self) -> None:
        self.client.post(
            f"/v1/metrics/{METRIC}/event",
            json={"user": {"id": self.id}, "value": random.randint(1, 500)},
            headers={"Idempotency-Key": uuid.uuid4().hex},
            name="event",
        )

    @task(1)
    def look(self) -> None:
        self.client.get(f"/v1/leaderboards/{BOARD}", params={"limit": 10}, name="board")
