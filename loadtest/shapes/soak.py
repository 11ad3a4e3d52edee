"""``--peak`` users for ``--length`` seconds, which should be hours; all there within a tenth of it or a minute."""

from __future__ import annotations

from locust import LoadTestShape

BEGIN_S = 60.0


class Soak(LoadTestShape):
    """The same, for long."""

    def tick(self) -> tuple[int, float] | None:
        options = self.runner.environment.parsed_options
        if self.get_run_time() >= options.length:
            return None
        return options.peak, max(1.0, options.peak / min(BEGIN_S, options.length / 10))
