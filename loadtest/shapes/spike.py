"""A tenth of ``--peak``, all of it for the third quarter of ``--length`` seconds, and a tenth again."""

from __future__ import annotations

from locust import LoadTestShape


class Spike(LoadTestShape):
    """All at once, and gone again."""

    def tick(self) -> tuple[int, float] | None:
        options = self.runner.environment.parsed_options
        done = self.get_run_time() / options.length
        if done >= 1:
            return None
        return (options.peak if 0.5 <= done < 0.75 else max(1, options.peak // 10)), options.peak
