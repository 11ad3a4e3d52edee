"""From one user to ``--peak`` within ``--length`` seconds, in a straight line."""

from __future__ import annotations

from locust import LoadTestShape


class Ramp(LoadTestShape):
    """More and more."""

    def tick(self) -> tuple[int, float] | None:
        options = self.runner.environment.parsed_options
        done = self.get_run_time() / options.length
        return (max(1, round(options.peak * done)), options.peak) if done < 1 else None
